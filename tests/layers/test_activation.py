"""Activations against PyTorch; their operations against a count of the formula run on numbers that count."""

from __future__ import annotations

import math
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers import activation as a
from cnncalc.layers.base import REGISTRY
from cnncalc.torch import build_layer
from tests.layers.counting import (
    absolute,
    erf,
    exp,
    larger,
    log,
    negative,
    operations,
    smaller,
    tanh,
    total,
    where,
)
from tests.layers.draws import shapes
from tests.layers.oracle import agree, check_layer, check_rejected


def sigmoid(x):
    return 1 / (1 + exp(negative(x)))


def hardsigmoid(x):
    return smaller(larger(x + 3, 0), 6) / 6


def softshrink(x):
    """Two comparisons choose the summand, one addition."""
    return x + where(x, 0.4, -0.4, where(-x.value, 0.4, 0.4, -x.value))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017

ELEMENTWISE = [
    # The layer, PyTorch's module, and the formula once more, over numbers that count.
    (a.Relu(), nn.ReLU(), lambda x: larger(x, 0)),
    (a.Relu6(), nn.ReLU6(), lambda x: smaller(larger(x, 0), 6)),
    (a.LeakyRelu(negative_slope=0.2), nn.LeakyReLU(0.2), lambda x: where(x, 0, x, x * 0.2)),
    (a.Prelu(), nn.PReLU(), lambda x: where(x, 0, x, x * 0.25)),
    (a.Elu(alpha=0.7), nn.ELU(0.7), lambda x: where(x, 0, x, (exp(x) - 1) * 0.7)),
    (a.Selu(), nn.SELU(), lambda x: where(x, 0, x, (exp(x) - 1) * SELU_ALPHA) * SELU_SCALE),
    (a.Celu(alpha=0.7), nn.CELU(0.7), lambda x: where(x, 0, x, (exp(x / 0.7) - 1) * 0.7)),
    (a.Gelu(), nn.GELU(), lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))),
    (
        a.Gelu(approximate="tanh"),
        nn.GELU("tanh"),
        lambda x: x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi))),
    ),
    (a.Silu(), nn.SiLU(), lambda x: x * sigmoid(x)),
    (a.Mish(), nn.Mish(), lambda x: x * tanh(log(1 + exp(x)))),
    (a.Hardsigmoid(), nn.Hardsigmoid(), hardsigmoid),
    (a.Hardswish(), nn.Hardswish(), lambda x: x * hardsigmoid(x)),
    (a.Hardtanh(min_val=-0.5, max_val=2.0), nn.Hardtanh(-0.5, 2.0), lambda x: smaller(larger(x, -0.5), 2.0)),
    (a.Softsign(), nn.Softsign(), lambda x: x / (1 + absolute(x))),
    (a.Hardshrink(lambd=0.4), nn.Hardshrink(0.4), lambda x: where(x, 0.4, x, where(-x.value, 0.4, x, 0.0))),
    (a.Tanhshrink(), nn.Tanhshrink(), lambda x: x - tanh(x)),
    (a.Threshold(threshold=0.1, value=20.0), nn.Threshold(0.1, 20.0), lambda x: where(x, 0.1, x, 20.0)),
    (a.Sigmoid(), nn.Sigmoid(), sigmoid),
    (a.LogSigmoid(), nn.LogSigmoid(), lambda x: negative(log(1 + exp(negative(x))))),
    (a.Tanh(), nn.Tanh(), tanh),
    (a.Softplus(beta=1.5), nn.Softplus(1.5), lambda x: log(1 + exp(x * 1.5)) / 1.5),
    (a.Softshrink(lambd=0.4), nn.Softshrink(0.4), softshrink),
]


def softmax(values):
    exponentials = [exp(x) for x in values]
    bottom = total(exponentials)
    return [e / bottom for e in exponentials]


def log_softmax(values):
    bottom = log(total([exp(x) for x in values]))
    return [x - bottom for x in values]


def glu(values):
    half = len(values) // 2
    return [x * sigmoid(gate) for x, gate in zip(values[:half], values[half:], strict=True)]


ALONG_AXIS = [
    (a.Softmax, nn.Softmax, softmax),
    (a.Softmin, nn.Softmin, lambda values: softmax([negative(x) for x in values])),
    (a.LogSoftmax, nn.LogSoftmax, log_softmax),
    (a.Glu, nn.GLU, glu),
]

VALUES = [-7.0, -3.0, -1.0, -0.3, 0.2, 0.5, 1.0, 2.5, 6.0, 8.0]


def test_every_activation_is_here():
    here = {type(layer) for layer, _, _ in ELEMENTWISE} | {layer_class for layer_class, _, _ in ALONG_AXIS}
    assert here == {cls for cls in REGISTRY.values() if cls.__module__ == a.__name__}


@pytest.mark.parametrize(("layer", "module", "formula"), ELEMENTWISE, ids=lambda v: getattr(v, "kind", ""))
def test_elementwise(layer, module, formula):
    """Shapes, weights and reads; PyTorch's own values; and the operations, from a formula that gives those values."""
    for shape in [(1,), (6,), (4, 7), (3, 5, 4), (2, 3, 2, 4)]:
        check_layer(layer, shape)
    x = torch.tensor([VALUES], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(build_layer(layer, (len(VALUES),)).double()(x), module.double()(x))
        count, values = operations(lambda xs: [formula(v) for v in xs], VALUES)
        torch.testing.assert_close(torch.tensor([values], dtype=torch.float64), module.double()(x))
    assert layer.elementwise_ops((len(VALUES),)) == count
    assert layer.elementwise_ops((3, 4, 5)) * len(VALUES) == count * 60


@pytest.mark.parametrize(("layer_class", "module", "formula"), ALONG_AXIS, ids=lambda v: getattr(v, "kind", ""))
@given(data=st.data(), shape=shapes(least_rank=0))
def test_along_an_axis(layer_class, module, formula, data, shape):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    # PyTorch's axes count the batch, and there axis −1 − rank is the batch itself, which a spec has not.
    dim = axis + 1 if axis >= 0 else axis
    if axis >= -len(shape):
        agreed = agree(layer_class, {"axis": axis}, shape, pytorch=lambda x: module(dim=dim)(x))
        if agreed:
            layer = layer_class(axis=axis)
            check_layer(layer, shape, reads=shape[axis] > 1)  # the softmax of one value is 1 whatever it is
            lines = prod(shape) // shape[axis]
            count, _ = operations(formula, [0.1 * i for i in range(shape[axis])])
            assert layer.elementwise_ops(shape) == count * lines
    else:
        with pytest.raises(LayerError, match=f"axis {axis} is out of range"):
            layer_class(axis=axis).output_shape(shape)


@pytest.mark.parametrize(("layer_class", "module", "formula"), ALONG_AXIS, ids=lambda v: getattr(v, "kind", ""))
def test_the_counted_formulas_are_pytorchs(layer_class, module, formula):
    _, values = operations(formula, VALUES)
    x = torch.tensor([VALUES], dtype=torch.float64)
    torch.testing.assert_close(torch.tensor([values], dtype=torch.float64), module(dim=1)(x))


@given(shapes(least_rank=0), st.integers(-1, 6))
def test_prelu_slopes(shape, count):
    def pytorch(x):
        return nn.PReLU(count).double()(x)

    if count > 0 and agree(a.Prelu, {"num_parameters": count}, shape, pytorch=pytorch):
        check_layer(a.Prelu(num_parameters=count), shape)


@pytest.mark.parametrize(
    ("layer_class", "fields", "module"),
    [
        (a.Hardtanh, {"min_val": 1.0, "max_val": 1.0}, nn.Hardtanh),
        (a.Softshrink, {"lambd": -0.1}, nn.Softshrink),
        (a.Celu, {"alpha": 0}, nn.CELU),
        (a.Gelu, {"approximate": "erf"}, nn.GELU),
        (a.Threshold, {"threshold": 1.0}, nn.Threshold),
        (a.Prelu, {"num_parameters": 2}, nn.PReLU),
        (a.Glu, {}, lambda: nn.GLU(dim=1)),
    ],
)
def test_both_refuse(layer_class, fields, module):
    assert check_rejected(layer_class, fields, (3, 4, 4), pytorch=lambda x: module(**fields).double()(x))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (a.Glu(), "axis 0 has 3 elements, which is odd"),
        (a.Prelu(num_parameters=2), "num_parameters 2 is neither 1 nor the 3 channels"),
        (a.Softmax(axis=3), "axis 3 is out of range for an input of 3 axes"),
        (a.Hardtanh(min_val=2), "min_val 2 must be below max_val 1"),
        (a.Celu(alpha=0), "alpha must not be zero"),
    ],
)
def test_messages(layer, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape((3, 4, 4))
