"""``cnncalc conventions`` and ``analyze --convention``: formats, choices, errors, and that the account adds up."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cnncalc.analysis.conventions import CONVENTIONS
from cnncalc.layers.base import REGISTRY, Layer, Positive, Shape, Shapes
from cnncalc.report.schema import report_schema
from tests.commands.conftest import Run

RESNET50 = json.loads((Path(__file__).parent.parent / "data/counters.json").read_text(encoding="utf-8"))["models"][
    "resnet50"
]


def answers(run: Run, *arguments: object) -> dict[str, dict[str, Any]]:
    report = json.loads(run("conventions", *arguments, "--format", "json").out)
    jsonschema.Draft202012Validator(report_schema("conventions")).validate(report)
    return {tool["name"]: tool for tool in report["tools"]}


def test_all_tools_are_asked(run: Run) -> None:
    tools = answers(run, "resnet50")
    assert list(tools) == list(CONVENTIONS)
    assert tools["thop"]["answer"] == RESNET50["thop"]
    assert (tools["torchscan"]["status"], tools["torchscan"]["unknown"]) == ("partial", ["add"])
    assert tools["torchscan-flops"]["macs"] == tools["torchscan-flops"]["answer"] / 2
    assert tools["fvcore-activations"]["macs"] is None


@pytest.mark.parametrize("arguments", [["resnet50"], ["convnext_tiny", "--set", "linear=true"], ["unet", "--batch", 2]])
def test_the_account_adds_up(run: Run, arguments: list[object]) -> None:
    for name, tool in answers(run, *arguments).items():
        # ptflops cuts a fraction off its total, where it divides by the batch
        assert sum(one["difference"] for one in tool["types"]) == pytest.approx(tool["difference"], abs=1), name
        assert all(one["count"] - one["ours"] == one["difference"] and one["because"] for one in tool["types"])


def test_one_tool_has_its_layers(run: Run) -> None:
    tools = answers(run, "resnet50", "--tool", "thop", "--tool", "fvcore")
    assert list(tools) == ["thop", "fvcore"]
    layers = {layer["path"]: layer for layer in tools["thop"]["layers"]}
    assert len(layers) == 175
    assert sum(layer["count"] for layer in layers.values()) == RESNET50["thop"]
    norm = layers["conv_bn1.batch_norm1"]
    assert (norm["count"], norm["because"]) == (4 * 64 * 112 * 112, "4 per input element")


def test_a_miscount_is_called_one(run: Run) -> None:
    tool = answers(run, "convnext_tiny", "--set", "linear=true")["torchinfo"]
    # 18 blocks with two linear layers at H·W positions, of which one is counted; the head is whole
    sizes = zip((96, 192, 384, 768), (56, 28, 14, 7), (3, 3, 9, 3), strict=True)
    pairs = [depth * (8 * width * width * (size * size - 1) - 5 * width) for width, size, depth in sizes]
    assert tool["missed"] == sum(pairs)
    text = run("conventions", "convnext_tiny", "--set", "linear=true", "--tool", "torchinfo").out
    assert "warning: torchinfo miscounts: it misses 4.14 G of 4.46 G multiply-accumulates (92.8%)" in text
    assert "miscount" not in run("conventions", "resnet50").out


def test_the_table_says_what_and_why(run: Run) -> None:
    text = run("conventions", "resnet50").out
    lines = text.splitlines()
    assert lines[0] == "resnet50   3×224×224   batch 1"
    assert "thop             batch_norm × 53   +44.46 M  4 per input element" in lines
    assert "ptflops          relu × 49         +19.22 M  1 per output element, 1 per input element of F.relu" in lines
    assert "ptflops passes over modules in silence: add, flatten" in lines
    assert lines[-1] == "ours: 4,089,184,256 MACs = 8,178,368,512 FLOPs, 11,114,984 activations"


def test_one_tool_says_what_it_counts_and_each_layer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 53 norms of ResNet-50 at 4 per element; a terminal folds the 175 layers into its height."""
    from cnncalc.document import output

    monkeypatch.setattr(output, "screen", lambda _: (80, 40, False))
    lines = run("conventions", "resnet50", "--tool", "thop").out.splitlines()
    start = lines.index("thop 0.1.1.post2209072238")
    assert lines[start + 1].startswith("multiply-accumulates without the bias, 4 per norm element (2 without scale)")
    assert lines[start + 5 : start + 7] == [
        "where it differs",
        "batch_norm × 53    +44.46 M   4 per input element",
    ]
    assert "stage1            block              685,604,864    667,942,912   +17.66 M" in lines
    assert lines[-1] == "175 layers: --depth 2, or --all"
    assert len(lines) <= 40
    every = run("conventions", "resnet50", "--tool", "thop", "--all").out.splitlines()
    assert sum("batch_norm" in line for line in every) == 53 + 2
    assert "    conv_bn1" in [line[:12] for line in every]
    folded = run("conventions", "resnet50", "--tool", "thop", "--depth", 1, "--format", "csv").out.splitlines()
    assert "stage1,block,685604864,667942912,17661952," in folded


@pytest.mark.parametrize("kind", ["table", "csv", "markdown", "html"])
def test_every_format_says_what_is_miscounted(run: Run, kind: str) -> None:
    result = run("conventions", "convnext_tiny", "--set", "linear=true", "--format", kind)
    said = result.err if kind == "csv" else result.out
    for text in (
        "torchinfo miscounts: it misses 4.14 G of 4.46 G",
        "says that its answer is partial",
        "ours: 4,455,531",
    ):
        assert text in said


def test_layers_as_functions(run: Run) -> None:
    tools = answers(run, "resnet50", "--functional", "sum_of_two,relu".replace("sum_of_two", "add"))
    assert tools["torchscan"]["status"] == "complete"
    relus = 9_608_704  # elements
    assert tools["ptflops"]["answer"] == RESNET50["ptflops.pytorch"] - relus
    assert "; functions, not modules: add, relu" in run("conventions", "resnet50", "--functional", "add,relu").out


def test_csv_and_markdown_have_the_table(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("conventions", "resnet50", "--format", "csv").out)))
    assert {row["tool"]: row["answer"] for row in rows}["torchprofile"] == str(RESNET50["torchprofile"])
    layers = list(csv.DictReader(io.StringIO(run("conventions", "lenet5", "--tool", "thop", "--format", "csv").out)))
    assert list(layers[0]) == ["layer", "type", "count", "ours", "difference", "because"]
    two = run("conventions", "lenet5", "--tool", "thop", "--tool", "torch", "--format", "csv").out
    assert {row["tool"] for row in csv.DictReader(io.StringIO(two))} == {"thop", "flop_counter"}
    assert run("conventions", "resnet50", "--format", "markdown").out.splitlines()[2].startswith("| tool ")


def test_numbers_of_the_table_are_those_of_the_account(run: Run, tmp_path: Path) -> None:
    """By hand: 27 + 9 MACs for each of two samples; torchscan counts 9 FLOPs more for the ReLU of each, an odd sum."""
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [1, 3, 3]\nlayers: [{linear: {out: 3}}, relu, {conv: {out: 1, kernel: 3}}]\n")
    for batch, macs in ((1, 36), (2, 72)):
        report = json.loads(run("conventions", spec, "--batch", batch, "--format", "json").out)
        assert (report["batch"], report["macs"]) == (batch, macs)
        rows = csv.DictReader(io.StringIO(run("conventions", spec, "--batch", batch, "--format", "csv").out))
        for row, tool in zip(rows, report["tools"], strict=True):
            off = row["difference%"]
            assert float(off) == pytest.approx(100 * tool["difference"] / tool["ours"], abs=0.05)
            assert off[0] == ("+" if tool["difference"] > 0 else "-" if tool["difference"] < 0 else "0")
    one = answers(run, spec)["torchscan-flops"]
    assert (one["answer"], one["macs"]) == (2 * 36 + 9, 40.5)
    table = run("conventions", spec).out
    assert re.search(r"^torchinfo +22  MACs +22 +−14  −38\.9  ", table, re.MULTILINE)
    assert re.search(r"^torchscan-flops +81  FLOPs +40\.5 +\+9  \+12\.5  relu \+9$", table, re.MULTILINE)


def test_what_a_tool_does_not_answer_is_an_empty_field(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    axes = "  - unsqueeze: {axis: 0}\n" * 3
    spec.write_text(f"input: [2, 3, 4]\nlayers:\n{axes}  - layer_norm: {{axes: [-1]}}\n")
    rows = csv.DictReader(io.StringIO(run("conventions", spec, "--format", "csv").out))
    (row,) = [row for row in rows if row["tool"] == "fvcore"]
    assert (row["answer"], row["difference"], row["difference%"]) == ("", "", "")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from cnncalc.document import output

    monkeypatch.setattr(output, "screen", lambda _: (width, 40, False))
    for line in (["resnet50"], ["resnet50", "--tool", "ptflops"], ["convnext_tiny", "--tool", "ptflops", "--all"]):
        assert max(map(len, run("conventions", *line).out.splitlines())) <= width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conventions", "resnet50", "--tool", "thopp"], "unknown tool 'thopp'\n  hint: did you mean 'thop'?"),
        (["conventions", "resnet50", "--tool", "x"], "choose from flop_counter, fvcore, fvcore-activations, torchinfo"),
        (["conventions", "resnet50", "--functional", "rellu"], "unknown layer 'rellu'\n  hint: did you mean 'relu'?"),
        (["analyze", "resnet50", "--convention", "fvcor"], "unknown tool 'fvcor'\n  hint: did you mean 'fvcore'?"),
    ],
)
def test_errors(run: Run, arguments: list[str], message: str) -> None:
    outcome = run(*arguments)
    assert outcome.status == 2
    assert message in outcome.err


def test_analyze_shows_one_convention(run: Run) -> None:
    report = json.loads(run("analyze", "resnet50", "--convention", "thop", "--format", "json").out)
    jsonschema.Draft202012Validator(report_schema("report")).validate(report)
    assert report["convention"]["answer"] == RESNET50["thop"]
    assert report["convention"]["difference"] == RESNET50["thop"] - report["totals"]["macs"]
    assert sum(layer["convention"]["counted"] for layer in report["layers"]) == RESNET50["thop"]
    text = run("analyze", "resnet50", "--depth", 1, "--columns", "layer,counted", "--convention", "thop").out
    assert "stage1" in text
    assert "4,133,742,592   MACs" in text


def test_the_norm_that_fvcore_fails_at(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    axes = "  - unsqueeze: {axis: 0}\n" * 3
    spec.write_text(f"input: [2, 3, 4]\nlayers:\n{axes}  - layer_norm: {{axes: [-1]}}\n")
    tool = answers(run, spec)["fvcore"]
    assert (tool["status"], tool["answer"]) == ("fails", None)
    assert tool["problem"] == "layer_norm1: AssertionError: [1, 1, 1, 1, 2, 3, 4]"
    assert "warning: fvcore: it fails: layer_norm1: AssertionError" in run("conventions", spec).out


def test_what_a_layer_does_not_say_is_never_zero(run: Run, tmp_path: Path) -> None:
    class Riddle(Layer, frozen=True):
        """A product that does not say what it is in PyTorch. Elementwise operations: none."""

        is_product = True
        out: Positive

        def output_shape(self, *inputs: Shape) -> Shape:
            return (self.out, *inputs[0][1:])

        def macs(self, *inputs: Shape) -> int:
            return self.out * prod(inputs[0])

        def elementwise_ops(self, *inputs: Shape) -> int:
            return 0

        def output_shapes(self, *inputs: Shape) -> Shapes:
            return (self.output_shape(*inputs),)

    spec = tmp_path / "net.yaml"
    spec.write_text("input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, {riddle: 5}]\n")
    try:
        tools = answers(run, spec)
    finally:
        del REGISTRY["riddle"]
    for name in ("flop_counter", "fvcore", "torchprofile", "ptflops", "ptflops-aten"):
        assert (tools[name]["status"], tools[name]["answer"]) == ("unknown", None)
        assert tools[name]["problem"] == "riddle1: riddle does not say which PyTorch functions it calls"
    # what looks at modules does not know this one
    assert tools["thop"]["unknown"] == ["riddle"]
    assert tools["thop"]["missed"] == 5 * 4 * 6 * 6
    assert (tools["torchscan"]["status"], tools["torchscan"]["unknown"]) == ("partial", ["riddle"])


def test_neither_torch_nor_numpy_is_loaded() -> None:
    code = (
        "import sys\nfrom cnncalc.__main__ import run\nassert run(['conventions', 'resnet50']) == 0\n"
        "assert not {'torch', 'numpy', 'fvcore', 'thop'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300)


def test_one_tool_divides_by_the_batch_and_says_so_where_there_is_one(run: Run) -> None:
    note = "divides what it counts for modules by the batch, and nothing else"
    said = [line for line in run("conventions", "resnet18", "--batch", 2).out.splitlines() if "divides" in line]
    assert said == [f"ptflops {note}"]
    assert note not in run("conventions", "resnet18").out
