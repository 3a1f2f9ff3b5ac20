"""Reductions against PyTorch."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.reduce import Max, Mean, Min, Sum
from tests.layers.oracle import agree, check_layer, check_reads
from tests.layers.test_shape import any_shapes, axes_of, theirs

quick = settings(deadline=None, max_examples=100)

PYTORCH = {Mean: torch.mean, Sum: torch.sum, Max: torch.amax, Min: torch.amin}


class Negated(nn.Module):
    """``f(−x)``: the oracle's bumps then go down, which a minimum notices as a maximum does those up."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return self.module(*(-x for x in inputs))


@quick
@given(st.sampled_from(list(PYTORCH)), any_shapes(), st.booleans(), st.data())
def test_reduction(layer_class, shape, keepdim, data):
    axes = data.draw(st.one_of(axes_of(shape), st.lists(axes_of(shape), min_size=1, max_size=4)))
    fields = {"axes": axes, "keepdim": keepdim}
    dims = tuple(map(theirs, axes)) if isinstance(axes, list) else theirs(axes)
    if not agree(layer_class, fields, shape, pytorch=lambda x: PYTORCH[layer_class](x, dim=dims, keepdim=keepdim)):
        return
    layer = layer_class(axes=tuple(axes) if isinstance(axes, list) else axes, keepdim=keepdim)
    scalar = layer.output_shape(shape) == ()  # no axis along which the oracle could look at its reads
    module = check_layer(layer, shape, reads=layer_class is not Min and not scalar)
    if layer_class is Min and not scalar:
        check_reads(layer, Negated(module), shape)
    groups = prod(layer.output_shape(shape))
    each = prod(shape) // groups
    # n − 1 additions or comparisons in each group, and a division for the mean
    assert layer.elementwise_ops(shape) == groups * (each - 1 + (layer_class is Mean))


@pytest.mark.parametrize(
    ("axes", "message"),
    [((), "needs at least one axis"), ((0, -3), "axis -3 occurs twice"), (3, "axis 3 is out of range")],
)
def test_errors(axes, message):
    with pytest.raises(LayerError, match=message):
        Mean(axes=axes).output_shape((4, 4, 4))
