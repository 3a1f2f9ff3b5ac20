"""What every report says is odd about a net: an input in another layout, layers whose output is never used."""

from __future__ import annotations

import pytest
import torch

import cnncalc
from cnncalc.sources import load, load_text, zoo_names
from cnncalc.torch import build

PLAIN = """\
input: [3, 64, 48]
layers:
  - conv: {name: a, out: 8, kernel: 3}
  - batch_norm: {name: b}
  - conv: {name: c, from: input, out: 8, kernel: 3}
  - relu
"""
DEAD = "layers whose output is never used: the totals count them all the same"
NET = "input: [3, 64, 48]\nlayers: [{conv: {out: 8, kernel: 3}}, relu]\n"


def of(report):
    return [(one.code, one.message, one.layers) for one in report.diagnostics]


def test_layers_that_no_output_needs():
    """As PyTorch has it: their weights get no gradient from the net's output."""
    graph = load_text(PLAIN)
    assert of(cnncalc.analyze(graph)) == [("unused-layer", DEAD, ("a", "b"))]
    module = build(graph)
    module(torch.zeros(1, 3, 64, 48)).sum().backward()
    without = {name.partition(".")[0] for name, weight in module.named_parameters() if weight.grad is None}
    assert without == {"a", "b"}


def test_an_input_that_no_output_needs():
    graph = load_text("input: {x: [3, 8, 8], y: [2]}\nlayers: [{relu: {from: x}}]\n")
    assert of(cnncalc.analyze(graph)) == [("unused-input", "no output of the net depends on an input", ("y",))]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((64, 48, 3), "3×64×48"),
        ((64, 48), "3×64×48"),
        ((1, 3, 65, 48), "3×65×48"),
        ((2, 3, 65, 48), "3×65×48"),
        ((3, 65, 48), None),
        ((1, 65, 48), None),
        ((3, 48, 3), None),
    ],
)
def test_a_given_input_of_another_layout(given, meant):
    found = of(cnncalc.analyze(load_text(NET, input=given)))
    assert [code for code, _, _ in found] == ["input-shape"] * (meant is not None)
    assert all(f"the source has 3×64×48; was {meant} meant?" in message for _, message, _ in found)


def test_a_given_input_of_another_rank_without_a_guess():
    ((_, message, about),) = of(cnncalc.analyze(load_text("input: [16, 9]\nlayers: [relu]\n", input=(5,))))
    assert (message, about) == ("the input 5 was read as 5 channels, where the source has 16×9", ("input",))


@pytest.mark.parametrize(
    ("own", "meant"),
    [
        ("[224, 224, 3]", "was read as 224 channels, height 224, width 3; was 3×224×224 meant?"),
        ("[28, 30, 1]", "was 1×28×30 meant?"),
        ("[1, 3, 224, 224]", "was read as 1 channel, depth 3, height 224, width 224; was 3×224×224 meant?"),
        ("[2048, 1, 1]", None),
        ("[512, 4, 4]", None),
        ("[3, 16, 112, 112]", None),
        ("[1, 64, 64, 64]", None),
        ("[1000, 1]", None),
    ],
)
def test_the_input_of_the_spec_itself(own, meant):
    found = [message for _, message, _ in of(cnncalc.analyze(load_text(f"input: {own}\nlayers: [relu]\n")))]
    assert len(found) == (meant is not None)
    assert all(meant in message for message in found)


@pytest.mark.parametrize("batch", [1, 8])
def test_the_own_input_behind_a_batch_is_refused(batch):
    message = (
        rf"net\.yaml:1:8: error: the input {batch}×3×64×48 is the spec's own 3×64×48 with a batch in front\n(.|\n)*"
        rf"hint: leave the batch out: 3x64x48; give it with --batch {batch}"
    )
    with pytest.raises(cnncalc.CnncalcError, match=message):
        load_text(NET, "net.yaml", input=(batch, 3, 64, 48))


def test_features_behind_an_axis_are_no_batch():
    """A linear layer works along the last axis; one row is a batch all the same."""
    text = "input: [16]\nlayers: [linear: 4]\n"
    assert load_text(text, input=(5, 16)).nodes[-1].output_shape == (5, 4)
    with pytest.raises(cnncalc.CnncalcError, match="the input 1×16 is the spec's own 16 with a batch in front"):
        load_text(text, input=(1, 16))


@pytest.mark.parametrize("name", zoo_names())
def test_nothing_is_odd_about_the_zoo(name):
    assert {one.code for one in cnncalc.analyze(load(name)).diagnostics} <= {"misaligned"}
