"""Every command in every format: diagnostics, verdicts and totals stand in all of them, and no line is too wide."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from typer.main import get_command

from cnncalc.__main__ import application
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Layer, Shape
from tests.commands.conftest import Run, run
from tests.report.test_formats import columns_of

__all__ = ["run"]

NET = """\
name: net
input: [3, 17, 17]
args: {classes: 5}
layers:
  - conv: {name: dead, out: 8, kernel: 3}
  - conv: {name: first, from: input, out: 6, kernel: 3}
  - relu
  - mystery
  - conv: {out: 8, kernel: 2, stride: 2}
  - global_avg_pool
  - flatten
  - linear: {name: head, out: classes}
budget: {params: {max: 300}}
"""
DEAD = "layers whose output is never used: the totals count them all the same (dead)"
UNKNOWN = "mystery does not say how many MACs it takes: the totals are a lower bound without it (mystery1)"
# 3·8·9 + 8 + 3·6·9 + 6 + 6·8·4 + 8 + 8·5 + 5
PARAMS = 637


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A net with a layer that nobody reads, one whose costs nobody knows, and a limit that it breaks."""

    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs: Shape) -> Shape:
            return inputs[0]

    (tmp_path / "net.yaml").write_text(NET)
    monkeypatch.chdir(tmp_path)
    yield
    del REGISTRY["mystery"]


def formats(command: str) -> list[str]:
    """The formats of a command that people read, and CSV."""
    (option,) = (one for one in get_command(application([command])).commands[command].params if one.name == "format")
    return [name for name in ("table", "markdown", "html", "csv") if name in option.type.choices]


def words(format: str, text: str) -> str:
    """The words of a page, without what its format adds."""
    if format == "html":
        text = unescape(re.sub("<[^>]*>", " ", text))
    if format == "markdown":
        text = text.replace("\\", "").replace("**", "").replace("|", " ")
    return " ".join(text.split())


SAID: dict[str, tuple[int, list[str], list[str], list[str]]] = {
    "analyze net.yaml": (
        0,
        [f"warning: {DEAD}", f"warning: {UNKNOWN}", "partial: some layers could not be counted; the totals are lower"],
        ["parameters 637", "MACs ≥ 94,498", "FLOPs ≥ 188,996", "elementwise ops ≥ 5,289", "weights 2,548 B"],
        ['"status":"partial","params":637', '"macs":94498', '"weight_bytes":2548', DEAD[:-7], UNKNOWN[:-11]],
    ),
    "analyze net.yaml lenet5": (
        0,
        [f"warning: net: {DEAD}", f"warning: net: {UNKNOWN}", "partial"],
        ["637 2,548 B 94.50 k ?", "61.71 k 241.04 KiB 416.52 k ?"],
        ['"status":"partial","params":637', '"params":61706', DEAD[:-7], UNKNOWN[:-11]],
    ),
    "check net.yaml": (
        1,
        [DEAD, "net: 1 of 1 checks failed"],
        ["params max 637 300 -337 -112.3 fail"],
        ['"status":"fail"', '"value":637', '"bound":300'],
    ),
    "check net.yaml lenet5": (
        1,
        [DEAD, "2 nets: 1 of 1 checks failed, 1 without limits"],
        ["params max 637 300 -337 -112.3 fail"],
        ['"status":"fail"', '"value":637', '"bound":300'],
    ),
    "lint net.yaml --strict": (
        1,
        ["CNN401", "its output is never used", "net: 2 warnings, 4 notes"],
        [],
        ['"status":"fail"', "CNN401"],
    ),
    "diff net.yaml lenet5 --fail-on params>1%": (
        1,
        [DEAD, "so these are lower bounds: MACs, FLOPs, elementwise ops", "637 → 61.71 k, +9,587.0 %"],
        ["parameters 637 61.71 k +61.07 k"],
        ['"status":"fail"', '"before":637,"after":61706'],
    ),
    "explain net.yaml --total macs": (
        0,
        [DEAD, "warning: MACs is a lower bound: unknown in 1 of the layers (mystery1)"],
        ["≥ 94,498"],
        ["94498", '"missing":["mystery1"]'],
    ),
    "rf net.yaml": (
        0,
        [DEAD, "the field first covers the whole 17×17 of 'input' at global_avg_pool1 (global)"],
        [],
        ['"first":"global_avg_pool1"'],
    ),
    "conventions net.yaml": (
        0,
        [DEAD, "warning: fvcore: we cannot tell: mystery1: mystery does not say which PyTorch functions it calls"],
        ["ours: 94,498 MACs = 188,996 FLOPs, 3,547 activations"],
        ["mystery1: mystery does not say which PyTorch functions it calls", '"macs":94498'],
    ),
    "solve conv --in 224 --out 300": (1, ["no conv makes 224 → 300"], [], ['"count":0']),
    "sizes net.yaml --at 3x3x3 --max 20": (
        1,
        ["net does not work at 3×3×3", "kernel 2 is larger"],
        [],
        ['"status":"fails"', "kernel 2 is larger"],
    ),
}
"""By command line: the status, what every page says, the totals (CSV keeps to rows), and what the JSON says."""


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("line", SAID)
def test_every_format_says_every_diagnostic_verdict_and_total(run: Run, line: str) -> None:
    status, sentences, totals, keys = SAID[line]
    for format in formats(line.split()[0]):
        result = run(*line.split(), "--format", format)
        assert result.status == status
        said = words(format, result.out) + " " + " ".join(result.err.split())
        assert [one for one in [*sentences, *(totals if format != "csv" else [])] if one not in said] == []
    result = run(*line.split(), "--format", "json")
    assert result.status == status
    text = json.dumps(json.loads(result.out), separators=(",", ":"), ensure_ascii=False)
    assert [key for key in keys if key not in text] == []


@pytest.mark.usefixtures("net")
def test_rows_of_csv_sum_up_to_the_totals(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("analyze", "net.yaml", "--format", "csv").out)))
    assert sum(int(row["params"]) for row in rows) == PARAMS
    assert [row["macs"] for row in rows if row["layer"] == "mystery1"] == [""]


LINES = [
    *SAID,
    "analyze resnet50",
    "analyze resnet50 --depth 2",
    "analyze resnet50 --all",
    "analyze resnet50 --sort flops --top 9",
    "analyze resnet50 --show all --machine h100_sxm --fit 24GB --images 1M --epochs 90",
    "analyze unet vgg16 resnet50",
    "check net.yaml lenet5 --max params=1k",
    "explain resnet50",
    "explain resnet50 stage1.bottleneck1",
    "explain net.yaml head --sources",
    "explain net.yaml first --compare",
    "lint resnet50",
    "lint --explain CNN101",
    "lint --rules",
    "rf resnet50",
    "rf net.yaml --layer head",
    "diff resnet18 resnet34",
    "diff resnet50 vgg16",
    "sizes resnet18 --max 64",
    "sizes resnet18 --at 3x225x225 --max 64",
    "solve conv --in 224 --out 56",
    "conventions resnet18",
    "zoo",
    "layers",
    "layers conv",
    "bench --machines",
]
SLOW = [
    pytest.param(line, marks=pytest.mark.torch)
    for line in ("verify lenet5 --checks shape,params", "bench lenet5 --repeat 1")
]


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("line", [*LINES, *SLOW])
def test_no_line_is_wider_than_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, line: str, width: int) -> None:
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (width, 40, False))
    result = run(*line.split())
    assert result.out
    assert [text for text in result.out.splitlines() if columns_of(text) > width] == []


@pytest.mark.parametrize("net", ["resnet50", "efficientnet_b7", "densenet201", "vgg16"])
def test_a_net_fits_the_window(run: Run, monkeypatch: pytest.MonkeyPatch, net: str) -> None:
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (100, 50, False))
    lines = run("analyze", net).out.splitlines()
    assert len(lines) < 50
    layers = json.loads(run("analyze", net, "--format", "json").out)["layers"]
    deepest = max(layer["path"].count(".") for layer in layers) + 1
    folded = re.fullmatch(rf"{len(layers)} layers: --depth (\d), or --all", lines[-1])
    assert (int(folded[1]) - 1 if folded else deepest) == max(
        depth for depth in range(1, deepest + 1) if fits(lines, layers, depth)
    )


def fits(lines: list[str], layers: list[dict[str, str]], depth: int) -> bool:
    """Whether a tree of so many levels has room beside the other lines: with a row for each block and layer."""
    rules = [number for number, line in enumerate(lines) if line.startswith("──")]
    others = len(lines) - (rules[1] - rules[0] - 1)
    rows = {".".join(layer["path"].split(".")[:level]) for layer in layers for level in range(1, depth + 1)}
    return depth == 1 or len(rows) + others < 50
