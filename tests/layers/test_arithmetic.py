"""Functions of elements, each against the function of that name in PyTorch."""

from __future__ import annotations

import typing

import pytest
import torch

from cnncalc.errors import LayerError
from cnncalc.layers.arithmetic import WITH_VALUE, Math
from cnncalc.reference import evaluate_layer
from cnncalc.torch import build_layer
from tests.layers.oracle import check_layer

FUNCTIONS = typing.get_args(typing.get_type_hints(Math)["function"])
THEIRS = {
    "add": lambda x, v: x + v,
    "multiply": lambda x, v: x * v,
    "divide": lambda x, v: x / v,
    "subtract_from": lambda x, v: v - x,
    "divide_into": lambda x, v: v / x,
    "power": lambda x, v: x**v,
    "maximum": lambda x, v: x.clamp(min=v),
    "minimum": lambda x, v: x.clamp(max=v),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values(function):
    value = 1.5 if function in WITH_VALUE else None
    layer = Math(function=function, value=value)
    x = torch.linspace(0.1, 3.7, 24, dtype=torch.float64).reshape(2, 3, 4)
    expected = getattr(torch, function)(x) if value is None else THEIRS[function](x, value)
    torch.testing.assert_close(build_layer(layer, (3, 4))(x), expected)
    torch.testing.assert_close(torch.as_tensor(evaluate_layer(layer, {}, x.numpy())), expected)
    assert layer.elementwise_ops((3, 4)) == (24 if function == "rsqrt" else 12)


@pytest.mark.parametrize("function", ["exp", "square", "sqrt"])
def test_all_claims(function):
    check_layer(Math(function=function), (3, 4, 2))
    check_layer(Math(function="power", value=2.0), (3, 4))


@pytest.mark.parametrize(
    ("function", "value", "message"), [("exp", 2.0, "takes no value"), ("add", None, "needs a value")]
)
def test_a_value_where_there_is_one(function, value, message):
    with pytest.raises(LayerError, match=f"{function} {message}"):
        Math(function=function, value=value).output_shape((3,))
