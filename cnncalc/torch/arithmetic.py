"""Functions of single elements in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, positional
from cnncalc.layers.arithmetic import WITH_VALUE, Math
from cnncalc.layers.base import Shape
from cnncalc.torch.function import Function
from cnncalc.torch.registry import builds

BY_NUMBER: dict[str, Callable[[Any, float], Any]] = {
    "add": lambda x, value: x + value,
    "multiply": lambda x, value: x * value,
    "divide": lambda x, value: x / value,
    "subtract_from": lambda x, value: value - x,
    "divide_into": lambda x, value: value / x,
    "power": lambda x, value: x**value,
}
CLAMPS: dict[str, Callable[..., Any]] = {"maximum": torch.clamp_min, "minimum": torch.clamp_max}
SIGNS = {"add": "+", "multiply": "*", "divide": "/", "subtract_from": "-", "divide_into": "/", "power": "**"}


class WithNumber(nn.Module):
    """Arithmetic of every element with one number."""

    def __init__(self, function: str, value: float) -> None:
        super().__init__()
        self.function = function
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """The result."""
        out: Tensor = BY_NUMBER[self.function](x, self.value)
        return out

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x + 2.0``, or ``2.0 - x``."""
        parts = (*positional(*tensors), Arg("value", self.value))
        return Call(SIGNS[self.function], parts[::-1] if self.function.endswith(("_from", "_into")) else parts)


@builds(Math)
def build_math(layer: Math, shape: Shape) -> nn.Module:
    """The function of that name in ``torch``."""
    layer.output_shape(shape)
    if layer.function not in WITH_VALUE:
        return Function(getattr(torch, layer.function))
    assert layer.value is not None
    if layer.function in CLAMPS:
        bound = "min" if layer.function == "maximum" else "max"
        return Function(CLAMPS[layer.function], **{bound: layer.value})
    return WithNumber(layer.function, layer.value)
