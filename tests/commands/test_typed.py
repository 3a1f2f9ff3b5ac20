"""What people type is taken, or answered with the right form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cnncalc.__main__ import COMMANDS
from tests.commands.conftest import Run

NET = "input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, relu]\n"


@pytest.mark.parametrize("source", ["lenet5", "resnet18", "-", "net.yaml", "./net.yaml"])
def test_a_source_alone_is_analyzed(tmp_path: Path, source: str) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    lines = [
        subprocess.run(
            [sys.executable, "-m", "cnncalc", *words, source, "--depth", "1"],
            input=NET,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
        for words in ([], ["analyze"])
    ]
    assert lines[0].returncode == 0
    assert lines[0].stdout == lines[1].stdout != ""


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("analise", "did you mean the command 'analyze'?"),
        ("resnet5", "did you mean the net 'resnet50'?"),
        ("ResNet50", "did you mean the net 'resnet50'?"),
        ("quux", "'cnncalc --help' lists the commands, 'cnncalc zoo' the nets"),
    ],
)
def test_a_first_word_that_is_nothing_has_one_error(run: Run, word: str, hint: str) -> None:
    said = f"error: '{word}' is not a command, a shipped net or a file\n  hint: {hint}\n"
    assert run(word, "--depth", "1") == (2, "", said)


def test_a_file_that_is_not_there_is_told_as_one(run: Run) -> None:
    assert run("nowhere/net.yaml") == (2, "", "nowhere/net.yaml: error: there is no such file\n")


def test_zoo_and_a_name_shows_the_net(run: Run) -> None:
    assert run("zoo", "lenet5") == run("zoo", "show", "lenet5")
    assert run("zoo", "lenet5", "--path").out.endswith("lenet5.yaml\n")
    assert run("zoo", "lnet5") == (2, "", "error: unknown net 'lnet5'\n  hint: did you mean 'lenet5'?\n")


@pytest.mark.parametrize("command", ["", *COMMANDS, "zoo list", "zoo show"])
def test_the_short_form_of_help(run: Run, command: str) -> None:
    short, long = run(*command.split(), "-h"), run(*command.split(), "--help")
    assert short == long
    assert short.status == 0
    assert "-h, --help" in short.out


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("analyze lenet5 --frmat json", "there is no option '--frmat'", "did you mean '--format'?"),
        ("analyze lenet5 --hlep", "there is no option '--hlep'", "did you mean '--help'?"),
        ("analyze lenet5 --quux", "there is no option '--quux'", "'cnncalc analyze --help' has the options"),
        ("--quux", "there is no option '--quux'", "'cnncalc --help' has the options"),
        ("analyze", "there is no SOURCE", "'cnncalc analyze --help' has the options"),
        ("zoo show", "there is no NAME", "'cnncalc zoo show --help' has the options"),
        ("analyze lenet5 --format cvs", "--format: 'cvs' is not one of 'table', 'json', 'csv', 'markdown', 'html'",
         "did you mean 'csv'?"),
        ("analyze lenet5 --depth x", "--depth: 'x' is not a whole number", "'cnncalc analyze --help' has the options"),
        ("verify lenet5 --seed x", "--seed: 'x' is not a whole number", "'cnncalc verify --help' has the options"),
        ("analyze lenet5 --label-smoothing x", "--label-smoothing: 'x' is not a number",
         "'cnncalc analyze --help' has the options"),
        ("analyze lenet5 --depth 0", "--depth: 0 is not in the range x>=1", "'cnncalc analyze --help' has the options"),
        ("analyze lenet5 alexnet --depth", "option '--depth' requires an argument",
         "'cnncalc analyze --help' has the options"),
        ("zoo list lenet5", "unexpected argument 'lenet5'", "'cnncalc zoo list --help' has the options"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_error_in_the_style_of_all(run: Run, line: str, said: str, hint: str) -> None:
    assert run(*line.split()) == (2, "", f"error: {said}\n  hint: {hint}\n")


def test_no_words_at_all_show_the_help_and_are_an_error(run: Run) -> None:
    result = run()
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Usage: cnncalc ")


def test_help_has_the_options_in_groups_and_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    for width in (60, 80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = run("analyze", "--help").out.splitlines()
        assert width * 0.8 < max(map(len, lines)) <= width
    groups = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert groups == ["Arguments", "Options", "Source", "Output", "Memory, training and speed"]
    at = {name: lines.index(f"{name}:") for name in groups}
    where = {option: next(n for n, line in enumerate(lines) if line.startswith(f"  {option} ")) for option in
             ("--depth", "--input", "--output", "--fit")}  # fmt: skip
    assert at["Options"] < where["--depth"] < at["Source"] < where["--input"] < at["Output"] < where["--output"]
    assert where["--output"] < at["Memory, training and speed"] < where["--fit"]
