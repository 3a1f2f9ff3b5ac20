"""Whatever a spec says, nothing that is written commands a terminal, a GitHub runner or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cnncalc.__main__ import COMMANDS
from cnncalc.text import display_width
from tests.commands.conftest import Run

ATTACK = "A\x1b[31mB\x1b]0;pwned\x07\u202e\u200b\x7f\x9bC"
"""Colour, a window title, a bell, text turned around, a character without width, DEL and the 8-bit CSI."""
SPEC = f"""\
name: {json.dumps(ATTACK)}
source: {json.dumps("::warning::" + ATTACK + "##[error]x")}
input: {{{json.dumps(ATTACK + "in")}: [4, 8, 8]}}
args: {{width: 4}}
variants: {{{json.dumps(ATTACK)}: {{width: 4}}}}
layers:
  - conv: {{out: width, kernel: 3, groups: width, name: {json.dumps("::error::x")}}}
  - conv: {{out: 2, kernel: 1, name: {json.dumps(ATTACK)}}}
  - conv: {{out: 2, kernel: 2, stride: 2, name: "##[error]x"}}
  - add: {{from: [{json.dumps(ATTACK)}, -1], name: last}}
budget: {{params: {{max: 1}}}}
"""
GOOD = SPEC.replace("kernel: 2, stride: 2", "kernel: 1")
MACHINE = f"name: {json.dumps(ATTACK)}\nsource: {json.dumps(ATTACK)}\npeak: {{float32: 1T}}\n"
MACHINE += "memory: {bandwidth: 100GB/s}\n"
COMMAND = re.compile(r"^\s*::|##\[|##vso\[", re.MULTILINE)
"""What a runner of GitHub or Azure takes for a command."""
TABULAR = ("table", "json", "csv", "markdown", "html")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(SPEC)
    (tmp_path / "machine.yaml").write_text(MACHINE)
    return tmp_path


def lines() -> Iterator[str]:
    """Command lines; ``{}`` stands for the folder."""
    good = "{}/good.yaml"
    for format in TABULAR:
        for line in (
            f"analyze {good} --show all --machine {{}}/machine.yaml",
            f"rf {good}",
            f"rf {good} --layer last",
            f"sizes {good} --max 12",
            f"conventions {good}",
            f"lint {good}",
            "lint {}",
            f"check {good}",
            "check {}",
            f"diff {good} --set-b width=2",
            "analyze {}/bad.yaml",
        ):
            yield f"{line} --format {format}"
    yield from (f"explain {good} --format {format}" for format in ("text", "latex", "markdown", "json", "html", "csv"))
    yield from (f"convert {good} - --to {to}" for to in ("yaml", "dot", "mmd"))
    yield from (f"{command} {good} --format {kind}" for command in ("lint", "check") for kind in ("junit",))
    yield f"lint {good} --format sarif"
    yield f"analyze {good} --set {ATTACK}"
    yield f"analyze {good} --batch ::error::{ATTACK}"
    yield f"::error::{ATTACK}"


def arguments(line: str, folder: Path) -> list[str]:
    return [part.replace("{}", str(folder)) for part in line.split(" ")]


def raw(text: str) -> set[str]:
    return {c for c in text if not c.isprintable()} - {"\n"}


@pytest.mark.parametrize("line", list(lines()))
def test_nothing_that_a_terminal_or_a_runner_obeys_is_written(run: Run, folder: Path, line: str) -> None:
    result = run(*arguments(line, folder))
    for text in (result.out, result.err):
        assert raw(text) == set()
        assert not COMMAND.search(text)
    assert result.out or result.status == 2


@pytest.mark.parametrize("line", [line for line in lines() if "--format table" in line or "text" in line])
def test_only_our_own_colours_reach_a_terminal(
    run: Run, folder: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (100, None, True))
    text = run(*arguments(line, folder)).out
    assert raw(re.sub(r"\x1b\[[0-9;]*m", "", text)) == set()
    assert "A\x1b" not in text
    assert "bad.yaml" in line or "check" in line or "sizes" in line or "\x1b[" in text


def test_a_file_is_as_harmless_as_the_terminal(run: Run, folder: Path) -> None:
    (folder / "net.yaml").write_text(
        'input: [4, 8, 8]\nlayers: [relu, {conv: {out: 2, kernel: 3, name: "\\e[31mX"}}]\n'
    )
    run("rf", folder / "net.yaml", "--output", folder / "rf.txt")
    assert raw((folder / "rf.txt").read_text()) == set()


def test_the_annotations_that_are_asked_for_stay_commands(run: Run, folder: Path) -> None:
    result = run("check", folder / "good.yaml", "--format", "github")
    assert result.out.startswith("::error ")
    assert len(re.findall("^ *::", result.out, re.MULTILINE)) == 1


@pytest.mark.parametrize("command", ["analyze", "rf", "conventions", "check", "lint"])
def test_json_reads_back_equal(run: Run, folder: Path, command: str) -> None:
    found = json.loads(run(command, folder / "good.yaml", "--format", "json").out)
    assert found.get("name", found.get("model", {}).get("name")) == ATTACK
    if command == "analyze":
        assert found["model"]["citation"] == "::warning::" + ATTACK + "##[error]x"


def test_yaml_reads_back_equal(run: Run, folder: Path) -> None:
    names = ["a\u202eb", "a\u200bb", "a\x7fb", "##[error]x", "::error::y"]
    layers = ", ".join(f"{{conv: {{out: 2, kernel: 1, name: {json.dumps(name)}}}}}" for name in names)
    (folder / "net.yaml").write_text(f"input: [3, 8, 8]\nlayers: [{layers}]\n")
    result = run("convert", folder / "net.yaml", "-", "--to", "yaml")
    assert raw(result.out) == set()
    assert [layer["conv"]["name"] for layer in yaml.safe_load(result.out)["layers"]] == names


@pytest.mark.parametrize("start", ["=cmd()", "+1", "-1+1", "@SUM(1)", "\t=cmd()", "\r=cmd()", " =cmd()", "\uff1dcmd()"])
def test_no_cell_is_a_formula_and_numbers_stay_numbers(run: Run, folder: Path, start: str) -> None:
    path = folder / "net.yaml"
    path.write_text(
        f"input: [3, 8, 8]\nlayers: [{{conv: {{out: 3, kernel: 3, padding: 1, name: {json.dumps(start)}}}}}]\n"
    )
    for command in ("analyze", "rf", "lint", "conventions"):
        rows = list(csv.DictReader(io.StringIO(run(command, path, "--format", "csv").out)))
        for cell in (cell for row in rows for cell in row.values()):
            # a spreadsheet takes for a formula what begins so, blanks before it or not
            assert cell.strip()[:1] not in ("=", "@", "\uff1d")
            assert cell[:1] not in ("+", "-") or cell not in ("+1", "-1+1")
            assert cell[:1] not in ("+", "-") or math.isfinite(float(cell.split("x")[0]))
        if command == "analyze":
            assert rows[0]["layer"] == "'" + start.encode("unicode_escape").decode().replace("\\uff1d", "\uff1d")
            assert rows[0]["start"] == "-1"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("zoo", "schema")])
def test_a_message_is_no_longer_than_a_screen(run: Run, folder: Path, command: str) -> None:
    name = "a" * 1_000_000
    (folder / "long.yaml").write_text(f"input: [3, 8, 8]\nlayers: [{{conv: {{out: 1, kernel: 99, name: {name}}}}}]\n")
    more = ["-", "--to", "dot"] if command == "convert" else ["--set-b", "x=1"] if command == "diff" else []
    for given in ([folder / "long.yaml", *more], [name, *more], [folder / "long.yaml", f"--{name}"]):
        result = run(command, *given)
        assert result.status == 2
        assert "Traceback" not in result.err
        assert max(map(display_width, result.err.splitlines()), default=0) < 2000
        assert len(result.err) < 10_000


def test_a_message_is_marked_once(run: Run, folder: Path) -> None:
    assert run("analyze", folder / "good.yaml", "--set", "foo").err.startswith("error: 'foo' is not KEY=VALUE\n")
