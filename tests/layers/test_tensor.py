"""Tensors of the net's own, and what is not known."""

from __future__ import annotations

import pytest
import torch

import cnncalc
from cnncalc.analysis.cost import costs
from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Unknown
from cnncalc.layers.tensor import Constant, Opaque, Parameter
from cnncalc.sources import load_text
from cnncalc.torch import build

SPEC = """
input: [4, 6, 6]
layers:
  - conv: {out: 8, kernel: 3, name: map}
  - parameter: {shape: [8, 1, 1], name: scale}
  - math: {function: exp, name: positive}
  - multiply: {from: [map, positive], name: scaled}
  - constant: {shape: [2, 4, 4], buffer: true, name: places}
  - concat: {from: [scaled, places]}
"""


def test_a_spec_can_have_tensors_of_its_own():
    report = cnncalc.analyze(load_text(SPEC), batch=5)
    by_path = {layer.path: layer for layer in report.layers}
    assert by_path["scale"].inputs == ()
    assert (by_path["scale"].params, by_path["places"].params, by_path["places"].buffers) == (8, 0, 32)
    assert by_path["scale"].receptive_field is None
    assert by_path["concat1"].output_shape == (10, 4, 4)
    assert report.totals.status == "complete"


def test_what_depends_on_no_input_is_computed_once_for_a_batch():
    graph = load_text(SPEC)
    ops = {node.path: cost.elementwise_ops for node, cost in zip(graph.nodes, costs(graph, 5), strict=True)}
    assert ops["positive"] == 8
    assert ops["scaled"] == 5 * 8 * 16


def test_pytorch_runs_it_and_agrees_on_shapes_and_weights():
    net = build(load_text(SPEC)).eval()
    assert {name: tuple(p.shape) for name, p in net.named_parameters()} == {
        "map.weight": (8, 4, 3, 3),
        "map.bias": (8,),
        "scale.weight": (8, 1, 1),
    }
    assert net(torch.randn(3, 4, 6, 6)).shape == (3, 10, 4, 4)


@pytest.mark.parametrize(
    "layer", [Parameter(shape=(2, 3)), Constant(shape=(2, 3)), Constant(shape=(2, 3), buffer=True)]
)
def test_they_take_no_input(layer):
    assert layer.arity == (0, 0)
    assert layer.output_shape() == (2, 3)
    assert (layer.macs(), layer.elementwise_ops(), layer.reads()) == (0, 0, ())
    text = f"input: [3, 4, 4]\nlayers: [{{{layer.kind}: {{shape: [2, 3], from: input}}}}]\n"
    with pytest.raises(CnncalcError, match=f"{layer.kind} takes 0 input, got 1"):
        load_text(text)


def test_an_opaque_operator_says_what_is_not_known():
    layer = Opaque(operator="aten.sort", shapes=((4, 36), (4, 36)), reason="no layer")
    found = layer.macs((4, 36))
    assert isinstance(found, Unknown)
    assert found.reason == "the costs of aten.sort, which gives 4×36, 4×36, are not known (no layer)"
    assert layer.output_shapes((4, 36)) == ((4, 36), (4, 36))
    assert layer.elementwise_ops((4, 36)) == layer.activations((4, 36)) == found
