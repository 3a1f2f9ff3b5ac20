"""What nothing uses: PyTorch gives its weights no gradient, and what sets it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cnncalc.analysis.lint import Finding, lint
from cnncalc.sources import load_text
from cnncalc.torch import build
from tests.commands.conftest import Run

pytestmark = pytest.mark.torch

DEAD = """\
input: [3, 32, 32]
args: {widht: 64, width: 16}
blocks: {never: {layers: [conv: {out: 3, kernel: 1}]}}
layers:
  - conv: {name: a, out: 8, kernel: 3}
  - relu
  - conv: {name: b, from: input, out: width, kernel: 3}
  - relu
"""
SWALLOWED = """\
input: [4, 8, 8]
layers:
  - conv: {name: x, out: 4, kernel: 3, padding: 1}
  - conv: {name: y, out: 4, kernel: 1}
  - multiply: {name: scaled, from: [x, -1]}
  - parameter: {name: gamma, shape: [4, 1, 1]}
  - add: {from: [x, -1]}
"""


def found(text: str, number: str) -> list[Finding]:
    return list(lint(load_text(text), wanted=lambda rule: rule.rule == number).findings)


@pytest.mark.parametrize("text", [DEAD, SWALLOWED, DEAD + "outputs: [relu1, relu2]\n"])
def test_weights_without_gradient_are_those_of_unused_layers(text: str) -> None:
    graph = load_text(text)
    module = build(graph)
    (shape,) = graph.inputs.values()
    out = module(torch.rand(1, *shape))
    sum(one.sum() for one in (out.values() if isinstance(out, dict) else (out,))).backward()
    told = {path for finding in found(text, "CNN401") for path in finding.numbers["layers"]}
    idle = {name.rpartition(".")[0] for name, weight in module.named_parameters() if weight.grad is None}
    assert idle == {path for path in told if any(name.startswith(f"{path}.") for name, _ in module.named_parameters())}
    assert bool(told) == (text in (DEAD, SWALLOWED))


def test_it_says_what_is_read_in_its_place() -> None:
    (dead,) = found(DEAD, "CNN401")
    assert (dead.layer, dead.place.line, dead.severity) == ("relu1", 6, "warning")
    assert dead.message == ("its output is never used, nor what leads to it (a); b, which comes next, reads input")
    (swallowed,) = found(SWALLOWED, "CNN401")
    assert swallowed.message == (
        "its output is never used, nor what leads to it (y); gamma, which comes next, reads no tensor"
    )


def test_an_input_that_no_layer_reads() -> None:
    text = "input: {x: [3, 8, 8], y: [1, 8, 8]}\nlayers:\n  - relu: {from: x}\n"
    (finding,) = found(text, "CNN401")
    assert (finding.layer, finding.message) == ("y", "no layer reads this input")


def test_of_two_ends_the_first_has_what_leads_to_both() -> None:
    text = (
        "input: [3, 8, 8]\nlayers:\n  - relu: {name: a}\n  - tanh: {name: b}\n  - sigmoid: {name: c, from: a}\n"
        "  - relu: {name: d, from: input}\n"
    )
    assert [one.numbers["layers"] for one in found(text, "CNN401")] == [["a", "b"], ["c"]]


def test_names_that_nothing_mentions_change_nothing(run: Run, tmp_path: Path) -> None:
    findings = found(DEAD, "CNN402")
    assert [(one.layer, one.place.line, one.place.column) for one in findings] == [("widht", 2, 8), ("never", 3, 10)]
    assert findings[0].message == "the argument is never used; did you mean 'width'?"
    assert findings[1].message == "the block is never used"
    assert load_text(DEAD, args={"widht": 1}).nodes == load_text(DEAD).nodes
    assert load_text(DEAD, args={"width": 1}).nodes != load_text(DEAD).nodes
    path = tmp_path / "net.yaml"
    path.write_text(DEAD.replace("width: 16}", "width: 16} # cnncalc: ignore[unused-name]"))
    answer = json.loads(run("lint", path, "--select", "CNN402", "--format", "json").out)
    assert (answer["counts"]["silenced"], [one["layer"] for one in answer["findings"]]) == (1, ["never"])


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ([3, 8, 8], "conv: {out: 16, kernel: 3}"),
        ([3, 8, 6], "relu"),
        ([3, 20], "conv: {out: 16, kernel: 3}"),
        ([3, 8, 8], "max_pool: 2"),
    ],
)
def test_a_linear_layer_on_a_map_never_joins_channels(shape: list[int], layers: str) -> None:
    """As PyTorch has it: its features depend on the width alone, and one channel of its input reaches one output."""
    text = f"input: {shape}\nlayers:\n  - {layers}\n  - linear: {{name: head, out: 5}}\n"
    (finding,) = found(text, "CNN306")
    graph = load_text(text)
    before, after = graph.nodes[-2].output_shape, graph.nodes[-1].output_shape
    module = torch.nn.Linear(finding.numbers["size"], 5)
    x = torch.rand(1, *before, requires_grad=True)
    assert module(x)[0].shape == after
    module(x)[0, 0].sum().backward()
    assert not x.grad[0, 1:].any()
    name = "width" if len(shape) == 3 else "length"
    assert finding.message == (
        f"works on the last axis of {'×'.join(map(str, before))} alone, its {name}; is a flatten or a pool missing?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "input: [3, 8, 8]\nlayers: [flatten, linear: 5]\n",
        "input: [3, 8, 8]\nlayers: [global_avg_pool, flatten, linear: 5]\n",
        "input: [784]\nlayers: [linear: 5]\n",
        "input: [16, 9]\nlayers: [linear: 5]\n",  # a sequence of features
        "input: [3, 8, 8]\nlayers: [{permute: [1, 2, 0]}, linear: 5]\n",
    ],
)
def test_a_linear_layer_over_features(text: str) -> None:
    assert found(text, "CNN306") == []
