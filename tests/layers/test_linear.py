"""Linear layers against PyTorch."""

from __future__ import annotations

from math import prod

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.linear import Linear
from tests.layers.draws import mostly, shapes
from tests.layers.oracle import agree, check_layer

quick = settings(deadline=None, max_examples=50)


@quick
@given(shapes(least_rank=0), mostly(st.integers(1, 5), -1), st.booleans())
def test_linear_takes_what_pytorch_takes(shape, out, bias):
    fields = {"out": out, "bias": bias}
    agree(Linear, fields, shape, pytorch=lambda x: nn.Linear(shape[-1], out, bias=bias, dtype=torch.float64)(x))


@quick
@given(shapes(least_rank=0), st.integers(1, 5), st.booleans(), st.integers(1, 3))
def test_linear(shape, out, bias, batch):
    layer = Linear(out=out, bias=bias)
    check_layer(layer, shape, batch=batch)
    # By enumeration: every output element is one dot product along the last axis, and one sum with the bias.
    outputs = prod(layer.output_shape(shape))
    assert layer.macs(shape) == sum(shape[-1] for _ in range(outputs))
    assert layer.elementwise_ops(shape) == (outputs if bias else 0)


def test_linear_has_no_output_of_zero_features():
    """PyTorch makes an empty layer of it, with a warning."""
    with pytest.raises(msgspec.ValidationError, match=">= 1"):
        msgspec.convert({"out": 0}, Linear)


def test_linear_needs_an_axis():
    with pytest.raises(LayerError, match="at least one axis, got a scalar"):
        Linear(out=3).output_shape(())
