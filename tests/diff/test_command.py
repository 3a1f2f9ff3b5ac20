"""``cnncalc diff``: sources, options for each side, formats and exit statuses."""

from __future__ import annotations

import io
import json
from html import unescape
from pathlib import Path

import pytest

from tests.commands.conftest import Run, run

__all__ = ["run"]

SPEC = """
input: [3, 16, 16]
args: {width: 8}
variants: {wide: {width: 16}, narrow: {width: 4}}
layers:
  - conv: {out: width, kernel: 3, bias: false}
  - batch_norm
  - relu
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def params(out: str) -> tuple[int, int]:
    total = next(total for total in json.loads(out)["totals"] if total["metric"] == "params")
    return total["before"], total["after"]


def own(width: int) -> int:
    """3·9 weights for each channel, and the norm's two."""
    return width * (27 + 2)


@pytest.mark.parametrize(
    ("options", "widths"),
    [
        (["--set-b", "width=9"], (8, 9)),
        (["--set", "width=5", "--set-b", "width=9"], (5, 9)),
        (["--set-a", "width=5", "--set-b", "width=9"], (5, 9)),
        (["--variant-b", "wide"], (8, 16)),
        (["--variant", "wide", "--set-b", "width=9"], (16, 9)),
        (["--variant", "wide", "--variant-a", "narrow", "--input-b", "3x9x9"], (4, 16)),
        (["--variant", "wide", "--variant-b", "narrow"], (16, 4)),
        (["--variant-a", "wide", "--input-b", "3x9x9"], (16, 8)),
    ],
)
def test_each_side_has_options_of_its_own(run: Run, spec: Path, options: list[str], widths: tuple[int, int]) -> None:
    result = run("diff", spec, *options, "--format", "json")
    assert (result.status, result.err) == (0, "")
    assert params(result.out) == (own(widths[0]), own(widths[1]))


def test_common_options_hold_for_both(run: Run, spec: Path) -> None:
    answer = json.loads(run("diff", spec, spec, "--input", "3x9x9", "--batch", 2, "--format", "json").out)
    assert answer["same"]
    assert answer["before"]["inputs"] == answer["after"]["inputs"] == {"input": [3, 9, 9]}
    macs = next(total for total in answer["totals"] if total["metric"] == "macs")
    assert macs["before"] == 2 * 27 * 8 * 7 * 7


def test_standard_input_is_one_of_the_two(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(SPEC.replace("width: 8", "width: 6").encode())

    monkeypatch.setattr("sys.stdin", Stdin())
    result = run("diff", "-", spec, "--format", "json")
    assert params(result.out) == (own(6), own(8))
    assert "standard input can be only one of the two" in run("diff", "-", "-").err


def test_conditions_decide_the_exit_status_and_every_format_says_which(run: Run, spec: Path) -> None:
    line = ("diff", spec, "--set-b", "width=9")
    assert run(*line, "--fail-on", "params>+13%").status == 0
    both = (*line, "--fail-on", "params>+12%", "--fail-on", "layers!=")
    failed = run(*both)
    assert failed.status == 1
    said = ["✗ params>+12%: 232 → 261, +12.5 %", "✓ layers!=: 3 → 3", "layers: 1 changed, 2 affected, 1 the same"]
    assert failed.out.splitlines()[-3:] == said
    for kind, mark in (("csv", ""), ("html", "<p>"), ("markdown", "- ")):
        result = run(*both, "--format", kind)
        assert result.status == 1
        lines = unescape(result.err if kind == "csv" else result.out).replace("\\>", ">").splitlines()
        assert all(any(one.startswith(mark + text) for one in lines) for text in said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg11"], "there is nothing to compare with\n  hint: cnncalc diff A B"),
        (["vgg11", "vgg99"], "vgg99: error: there is no such file or shipped net"),
        (["vgg11", "vgg13", "--fail-on", "params+1"], "--fail-on params+1: is not a condition"),
        (["vgg11", "resnet50", "--set-a", "block=2"], "cannot set 'block'"),
    ],
)
def test_wrong_usage_is_one_message(run: Run, arguments: list[str], message: str) -> None:
    result = run("diff", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_rows_by_depth_and_all_of_them(run: Run) -> None:
    rows = [line.split()[:2] for line in run("diff", "vgg11", "vgg13", "--depth", 1).out.splitlines()]
    assert ["changed", "stage1"] in rows
    every = run("diff", "vgg11", "vgg13", "--all").out
    assert "affected" in every
    assert "other layers" not in every
    answer = json.loads(run("diff", "vgg11", "vgg13", "--depth", 1, "--format", "json").out)
    assert {"stage1", "stage2"} <= {row["path"] for row in answer["layers"]}


def test_rows_are_sorted_cut_and_in_columns(run: Run) -> None:
    """The two pairs that VGG-13 has more: 64·64·9 + 64 and 128·128·9 + 128 parameters."""
    line = ("diff", "vgg11", "vgg13", "--sort", "params", "--top", 2, "--columns", "layer,params")
    out = run(*line).out.splitlines()
    at = out.index("2 of the 25 layers that differ")
    rows = [row.split() for row in out[at + 3 : at + 5]]
    assert rows == [["stage2.conv2", "+147.58", "k"], ["stage1.conv2", "+36.93", "k"]]
    csv = run(*line, "--format", "csv").out.splitlines()
    assert csv == ["layer,params", "stage2.conv2,147584", "stage1.conv2,36928"]
    answer = json.loads(run("diff", "vgg11", "vgg13", "--sort", "params", "--top", 1, "--format", "json").out)
    assert [row["path"] for row in answer["layers"]] == ["stage2.conv2"]
    assert "unknown column 'size'" in run("diff", "vgg11", "vgg13", "--sort", "size").err
    # what was taken away comes last
    rows = run(
        "diff", "vgg13", "vgg11", "--sort", "params", "--columns", "layer,params", "--format", "csv"
    ).out.splitlines()
    assert rows[-1] == "stage2.conv2,-147584"


def test_the_ending_of_the_file_chooses_the_format(run: Run, spec: Path, tmp_path: Path) -> None:
    run("diff", spec, "--variant-b", "wide", "--output", tmp_path / "change.md")
    assert (tmp_path / "change.md").read_text().startswith("## net")


@pytest.mark.torch
def test_a_spec_and_the_module_that_it_describes_differ_in_names_alone(run: Run, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "from torch import nn\n\n\n"
        "def build(width=8):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())\n"
    )
    module = f"torch:{tmp_path}/model.py:build"
    line = ("diff", spec, module, "--input", "3x16x16", "--format", "json")
    answer = json.loads(run(*line).out)
    assert {row["status"] for row in answer["layers"]} <= {"renamed"}
    assert params(run(*line).out) == (own(8), own(8))
    for wider in (["--kwargs", '{"width": 9}'], ["--kwargs-b", '{"width": 9}']):
        assert params(run(*line, *wider).out) == (own(8), own(9))
    assert "--kwargs and --input-dtype are for torch: sources" in run(*line, "--kwargs-a", '{"width": 9}').err


def test_the_field_is_that_before_the_map_of_one_unit(run: Run, tmp_path: Path) -> None:
    """Global pooling to 1×1 sees everything in any net: what tells nets apart is the field before it."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "input: [3, 16, 16]\nargs: {k: 3}\nlayers: [{conv: {out: 4, kernel: k}}, global_avg_pool, flatten]\n"
    )
    for condition, status in (("rf>6", 1), ("rf>7", 0), ("rf!=", 1), ("rf>=+4", 1), ("rf>+4", 0)):
        result = run("diff", path, "--set-b", "k=7", "--fail-on", condition, "--format", "markdown")
        assert (result.status, "3 → 7" in result.out) == (status, True)


def test_the_totals_stand_before_and_after(run: Run, tmp_path: Path) -> None:
    """4·2 and 4·3 weights: half as many more."""
    for name, out in (("a", 2), ("b", 3)):
        (tmp_path / f"{name}.yaml").write_text(f"input: [4]\nlayers: [{{linear: {{out: {out}, bias: false}}}}]\n")
    rows = [line.split() for line in run("diff", tmp_path / "a.yaml", tmp_path / "b.yaml").out.splitlines()]
    assert ["parameters", "8", "12", "+4", "+50.0"] in rows
