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
from cnncalc.analysis.lint.answer import LintReport, report, rule_list
from cnncalc.api import load
from cnncalc.document.terminal import render
from cnncalc.report.lint import document, explained
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
    assert result.out.splitlines() == [
        f"{path}:4:5: CNN101 warning conv1: does not read 1 row of 32 at the bottom and 1 column of 32 at the right; "
        "an input of size 31 or 33 loses none here",
        "",
        "lossy: 1 warning",
        "how to fix: cnncalc lint --explain CNN101",
    ]
    assert run("lint", path, "--strict").status == 1
    assert run("lint", path, "--strict", "--ignore", "CNN101").status == 0


def test_an_error_fails(run: Run, write) -> None:
    result = run("lint", write(BLIND))
    assert result.status == 1
    assert "net.yaml:4:5: CNN107 error conv1: " in result.out
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
        (LOSSY, "<stdin>:4:5: CNN101 warning"),
        (LOSSY.rstrip() + " # cnncalc: ignore\n", "nothing found (1 "),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert words in run("lint", "-").out


def test_each_rule_that_was_broken_can_be_explained(run: Run, write) -> None:
    upsampled = "  - conv_transpose: {out: 8, kernel: 3, stride: 2}\n"
    lines = run("lint", write(LOSSY.rstrip() + "\n" + upsampled), "--select", "CNN101,CNN106").out.splitlines()
    assert lines[-2:] == ["lossy: 2 warnings", "how to fix: cnncalc lint --explain CNN101,CNN106"]


def test_findings_of_a_repeated_block_are_one_in_the_table_and_all_in_the_json(run: Run) -> None:
    text = run("lint", "resnet50", "--select", "zero-gamma").out
    assert text.splitlines() == [
        "specs/resnet.yaml:23:9: CNN304 note stage1.bottleneck1.conv_bn3.batch_norm1 and 15 more: "
        "the last norm of a residual branch; its weight could start at 0",
        "",
        "resnet50: 16 notes",
        "how to fix: cnncalc lint --explain CNN304",
    ]
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


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown", "html"])
def test_the_rules_are_listed(run: Run, format: str) -> None:
    result = run("lint", "--rules", "--format", format)
    assert result.status == 0
    assert all(number in result.out and rule.name in result.out for number, rule in RULES.items())


def test_the_list_has_a_line_for_each_rule(run: Run) -> None:
    *lines, empty, hint = run("lint", "--rules").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(RULES)
    assert lines[6] == "CNN107 padding-only                error   Output units that see nothing but padding."
    assert (empty, hint) == ("", "why, and how to fix it: cnncalc lint --explain CNN101")


@pytest.mark.parametrize("choice", ["CNN106", "checkerboard"])
def test_a_rule_is_explained(run: Run, choice: str) -> None:
    assert run("lint", "--explain", choice).out.splitlines() == [
        "CNN106 checkerboard (warning)",
        "",
        "A transposed convolution whose output units sum over different numbers of input units.",
        "",
        "why: Where the kernel is no multiple of the stride, neighbouring output units are sums over different numbers "
        "of input units: the output has a pattern of that period before anything is learned, strongest in two "
        "dimensions.",
        "how to fix: use a kernel that the stride divides (4 with stride 2), or upsample first and convolve with "
        "stride 1",
        "source: Odena, Dumoulin & Olah 2016, Deconvolution and checkerboard artifacts, Distill, "
        "doi:10.23915/distill.00003",
    ]


def test_several_rules_are_explained_and_an_unknown_one_is_an_error(run: Run) -> None:
    out = run("lint", "--explain", "CNN101,gridding", "--format", "markdown").out
    assert [line for line in out.splitlines() if line.startswith("#")] == [
        "### CNN101 pixels-lost (warning)",
        "### CNN201 gridding (warning)",
    ]
    assert "arXiv:1603.07285" in out
    answer = json.loads(run("lint", "--explain", "CNN2", "--format", "json").out)
    assert [one["rule"] for one in answer["rules"]] == ["CNN201", "CNN202", "CNN203"]
    result = run("lint", "--explain", "CNN999")
    assert (result.status, result.out) == (2, "")
    assert "unknown rule 'CNN999'" in result.err


def test_the_page_of_the_rules_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands" / "lint.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in page.splitlines() if "| CNN" in line]
    assert [(rule, severity) for rule, _, severity in rows] == [
        (f"{one.rule} `{one.name}`", one.severity) for _, one in sorted(RULES.items())
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
    found = report(graph, lint(graph), RULES.values())
    for page in (document(found), document(rule_list(RULES.values())), explained(rule_list(RULES.values()))):
        plain = render(page, width=width).splitlines()
        assert max(map(len, plain)) <= width
        coloured = render(page, width=width, colour=True)
        assert re.sub(r"\x1b\[\d*m", "", coloured).splitlines() == plain
        assert coloured != "\n".join(plain)


def test_a_line_that_wraps_is_indented() -> None:
    graph = load("resnet50")
    lines = render(document(report(graph, lint(graph), RULES.values())), width=60).splitlines()
    end = lines.index("")
    assert [line for line in lines[:end] if not line.startswith("    ")] == [
        "specs/resnet.yaml:22:9: CNN104 note conv_bn1.conv1 and 3",
        "specs/resnet.yaml:57:5: CNN104 note max_pool1: windows reach",
        "specs/resnet.yaml:23:9: CNN304 note",
        "specs/resnet.yaml:22:9: CNN102 note",
    ]


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
