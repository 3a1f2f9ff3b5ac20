"""Functions of single elements in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnncalc.layers.arithmetic import WITH_VALUE, Math
from cnncalc.layers.base import Shape
from cnncalc.torch.function import Function
from cnncalc.torch.registry import builds

BY_NUMBER: dict[str, Callable[[Tensor, float], Tensor]] = {
    "add": torch.add,
    "multiply": torch.mul,
    "divide": torch.div,
    "subtract_from": lambda x, value: value - x,
    "divide_into": lambda x, value: value / x,
    "power": torch.pow,
    "maximum": torch.clamp_min,
    "minimum": torch.clamp_max,
}


@builds(Math)
def build_math(layer: Math, shape: Shape) -> nn.Module:
    """The function of that name in ``torch``."""
    layer.output_shape(shape)
    if layer.function not in WITH_VALUE:
        return Function(getattr(torch, layer.function))
    function, value = BY_NUMBER[layer.function], layer.value
    assert value is not None
    return Function(lambda x: function(x, value))
