"""``cnncalc lint``: what is selected and silenced, the formats, the exit status."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from time import process_time

import jsonschema
import msgspec
import pytest

from cnncalc.analysis.lint import RULES, lint, silenced
from cnncalc.api import load
from cnncalc.report.lint import LintReport, render, report
from cnncalc.sources import load_text
from cnncalc.spec.schema import tidy
from tests.commands.conftest import Run

LOSSY = "name: lossy\ninput: [3, 32, 32]\nlayers:\n  - conv: {out: 8, kernel: 3, stride: 2}\n"
BLIND = "name: blind\ninput: [3, 8, 8]\nlayers:\n  - conv: {out: 8, kernel: 1, padding: 1}\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "net.yaml"
        path.write_text(text)
        return path

    return write


def test_a_warning_passes_and_strict_fails_it(run: Run, write) -> None:
    path = write(LOSSY)
    result = run("lint", path)
    assert (result.status, result.err) == (0, "")
    assert f"{path}:4:5: warning CNN101 pixels-lost\n  conv1: does not read 1 row of 32 at the bottom" in result.out
    assert "an input of size 31 or 33 loses none here" in result.out
    assert "  mend: " in result.out
    assert result.out.endswith("\nlossy: 1 warning\n")
    assert run("lint", path, "--strict").status == 1
    assert run("lint", path, "--strict", "--ignore", "CNN101").status == 0


def test_an_error_fails(run: Run, write) -> None:
    result = run("lint", write(BLIND))
    assert result.status == 1
    assert "error CNN107 padding-only" in result.out
    assert "2 of 10 along height" in result.out


def test_nothing_found(run: Run) -> None:
    assert run("lint", "convnext_tiny") == (0, "convnext_tiny: nothing found\n", "")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], {"CNN102", "CNN104", "CNN304"}),
        (["--select", "CNN3"], {"CNN304"}),
        (["--select", "cnn102,zero-gamma"], {"CNN102", "CNN304"}),
        (["--select", "CNN102", "--select", "CNN104"], {"CNN102", "CNN104"}),
        (["--ignore", "CNN3"], {"CNN102", "CNN104"}),
        (["--select", "CNN1", "--ignore", "CNN104"], {"CNN102"}),
        (["--ignore", "CNN"], set()),
    ],
)
def test_rules_are_selected_and_ignored(run: Run, options: list[str], left: set[str]) -> None:
    answer = json.loads(run("lint", "resnet50", "--format", "json", *options).out)
    assert {one["rule"] for one in answer["findings"]} == left
    assert {one["rule"] for one in answer["rules"]} == left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lint"], "give a net to look at\n  hint: cnncalc lint resnet50, or --rules to list the rules\n"),
        (
            ["lint", "lenet5", "--select", "checkerbord"],
            "unknown rule 'checkerbord'\n  hint: did you mean 'checkerboard'?",
        ),
        (["lint", "lenet5", "--ignore", ""], "unknown rule ''"),
        (["lint", "lenet5", "--select", "CNN9"], "unknown rule 'CNN9'"),
        (["lint", "lennet5"], "there is no such file or shipped net\n  hint: did you mean 'lenet5'?"),
    ],
)
def test_bad_usage(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# cnncalc: ignore", 0),
        ("# cnncalc: ignore[CNN101]", 0),
        ("#cnncalc:ignore[ cnn1 ]", 0),
        ("# cnncalc: ignore[pixels-lost, CNN305] the border is black", 0),
        ("# cnncalc: ignore[CNN102]", 1),
        ("# cnncalc: ignore[]", 1),
        ("# cnncalc: ignored", 1),
        ("# ignore[CNN101]", 1),
    ],
)
def test_a_comment_on_the_line_silences(run: Run, write, comment: str, left: int) -> None:
    path = write(LOSSY.rstrip() + f"   {comment}\n")
    answer = json.loads(run("lint", path, "--format", "json").out)
    assert len(answer["findings"]) == answer["counts"]["warning"] == left
    assert answer["counts"]["silenced"] == 1 - left


def test_a_comment_on_another_line_does_not(run: Run, write) -> None:
    assert "1 warning" in run("lint", write("# cnncalc: ignore\n" + LOSSY)).out


def test_silenced_findings_are_counted(run: Run, write) -> None:
    result = run("lint", write(BLIND.rstrip() + " # cnncalc: ignore[CNN107]\n"))
    assert (result.status, result.out) == (0, "blind: nothing found (1 silenced by comments)\n")


def test_a_comment_in_a_block_silences_every_call() -> None:
    """A pool of 3 with stride 2 leaves one of 70, of 34 and of 16."""
    text = (
        "input: [3, 70, 70]\nblocks:\n  down:\n    layers:\n"
        "      - max_pool: {kernel: 3, stride: 2}  # cnncalc: ignore[CNN101]\n"
        "layers:\n  - down\n  - relu\n  - repeat: {times: 2, layers: [down]}\n"
    )
    everything = lint(load_text(text))
    assert [(one.layer, one.place.line) for one in everything.findings] == [
        ("down1.max_pool1", 5),
        ("down2.max_pool1", 5),
        ("down3.max_pool1", 5),
    ]
    left = lint(load_text(text), silent=silenced(text))
    assert (left.findings, left.silenced) == ((), 3)


def test_standard_input_has_comments_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, words in (
        (LOSSY, "<stdin>:4:5: warning"),
        (LOSSY.rstrip() + " # cnncalc: ignore\n", "nothing found (1 "),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert words in run("lint", "-").out


def test_findings_of_a_repeated_block_are_one_in_the_table_and_all_in_the_json(run: Run) -> None:
    text = run("lint", "resnet50", "--select", "zero-gamma").out
    assert text.count("zero-gamma\n  stage1.bottleneck1.conv_bn3.batch_norm1 and 15 more: the last norm") == 1
    answer = json.loads(run("lint", "resnet50", "--select", "zero-gamma", "--format", "json").out)
    assert len(answer["findings"]) == answer["counts"]["info"] == 3 + 4 + 6 + 3


def test_groups_whose_numbers_differ_say_so(run: Run) -> None:
    text = run("lint", "resnet50", "--select", "CNN102").out
    assert "shortcut1.conv_bn1.conv1 and 2 more: kernel 1 is less than stride 2" in text
    assert "(in the first; the others have numbers of their own)" in text


def test_the_json(run: Run, write) -> None:
    path = write(LOSSY)
    answer = json.loads(run("lint", path, "--format", "json").out)
    assert list(answer) == ["schema_version", "generator", "model", "status", "strict", "counts", "findings", "rules"]
    assert answer["schema_version"] == 1
    assert answer["status"] == "pass"
    assert answer["counts"] == {"error": 0, "warning": 1, "info": 0, "silenced": 0}
    assert answer["model"]["inputs"] == {"input": [3, 32, 32]}
    (finding,) = answer["findings"]
    assert finding == {
        "rule": "CNN101",
        "name": "pixels-lost",
        "severity": "warning",
        "layer": "conv1",
        "file": str(path),
        "line": 4,
        "column": 5,
        "message": finding["message"],
        "numbers": {
            "axes": [
                {"axis": axis, "border": border, "pixels": 1, "size": 32, "input_sizes": [31, 33]}
                for axis, border in (("height", "bottom"), ("width", "right"))
            ],
            "read_elsewhere": False,
        },
    }
    jsonschema.Draft202012Validator(tidy(msgspec.json.schema(LintReport))).validate(answer)
    (rule,) = answer["rules"]
    assert list(rule) == ["rule", "name", "severity", "summary", "why", "mend", "source"]
    assert "arXiv:1603.07285" in rule["source"]


def test_csv_has_every_finding_and_markdown_every_group(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("lint", "resnet50", "--format", "csv").out)))
    assert len(rows) == 24
    assert {row["rule"] for row in rows} == {"CNN102", "CNN104", "CNN304"}
    assert json.loads(rows[0]["numbers"])["axes"][0]["padding_read"] == [3, 2]
    assert rows[0]["file"] == "specs/resnet.yaml"
    lines = run("lint", "resnet50", "--format", "markdown").out.splitlines()
    rows_of_table = [line.split("|") for line in lines if line.startswith("|")]
    assert [cells[3].strip() for cells in rows_of_table] == ["count", "----:", "4", "1", "16", "3"]


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_the_rules_are_listed(run: Run, format: str) -> None:
    result = run("lint", "--rules", "--format", format)
    assert result.status == 0
    assert all(number in result.out and rule.name in result.out for number, rule in RULES.items())
    assert "Odena, Dumoulin & Olah 2016" in result.out.replace("\\", "")


def test_the_page_of_the_rules_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in page.splitlines() if "| CNN" in line]
    assert rows == [
        (f"{one.number} `{one.name}`", one.summary[0].lower() + one.summary[1:-1], one.severity)
        for one in sorted(RULES.values())
    ]


def test_the_rules_that_are_selected_are_listed(run: Run) -> None:
    answer = json.loads(run("lint", "--rules", "--select", "CNN2", "--format", "json").out)
    assert [one["rule"] for one in answer["rules"]] == ["CNN201", "CNN202", "CNN203"]


def test_the_output_goes_to_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    assert run("lint", "lenet5", "--output", path) == (0, "", "")
    assert json.loads(path.read_text())["counts"]["info"] == 3


def test_the_options_of_a_source(run: Run) -> None:
    assert "nothing found" in run("lint", "resnet50", "--input", "3x225x225", "--select", "CNN104").out
    assert "8 notes" in run("lint", "resnet", "--variant", "resnet18", "--select", "zero-gamma").out
    assert "nothing found" in run("lint", "lenet5", "--set", "classes=16", "--ignore", "CNN305").out


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    graph = load("resnet50")
    result = report(graph, lint(graph), RULES.values())
    plain = render(result, width=width).splitlines()
    assert all(len(row) <= width for row in plain if ".yaml:" not in row)
    coloured = render(result, width=width, colour=True)
    assert re.sub(r"\x1b\[\d*m", "", coloured).splitlines() == plain
    assert coloured != "\n".join(plain)


def test_a_hostile_name_is_harmless(run: Run, write) -> None:
    text = LOSSY.replace("name: lossy", 'name: "\\e[31mred"').replace("{out", '{name: "a\\tb", out')
    out = run("lint", write(text)).out
    assert "\x1b" not in out
    assert "\t" not in out


def test_time_grows_with_the_layers() -> None:
    """Ten times the layers take about ten times as long: nothing looks back over the whole net."""

    def seconds(times: int) -> float:
        block = "[{residual: {body: [{conv: {out: 8, kernel: 3, padding: 2, dilation: 2}}, batch_norm]}}, relu]"
        graph = load_text(f"input: [8, 64, 64]\nlayers:\n  - repeat: {{times: {times}, layers: {block}}}\n")
        began = process_time()
        assert len(lint(graph).findings) >= 2 * times
        return process_time() - began

    seconds(10)
    assert seconds(2000) < 40 * max(seconds(200), 0.01)
