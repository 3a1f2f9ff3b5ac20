"""Functions of elements in PyTorch: of one, of several tensors, or of a tensor and a number."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, mul, pow, sub, truediv
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, positional
from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Shape
from cnncalc.layers.merge import Add, Divide, Maximum, Merge, Minimum, Multiply, Subtract
from cnncalc.torch.function import Function, name_of
from cnncalc.torch.registry import builds

SIGNS: dict[Any, str] = {add: "+", sub: "-", mul: "*", truediv: "/", pow: "**"}
"""How Python writes a function of two."""


class Operation(nn.Module):
    """A function of two over any number of tensors from the left, after or before a number if there is one."""

    def __init__(self, function: Callable[..., Any], before: tuple[float, ...] = (), after: tuple[float, ...] = ()):
        super().__init__()
        self.function = function
        self.before = before
        self.after = after

    def forward(self, *inputs: Tensor) -> Tensor:
        """``f(f(f(a, b), c), …)``."""
        operands: tuple[Any, ...] = (*self.before, *inputs, *self.after)
        out: Tensor = reduce(self.function, operands)
        return out

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x + y``, ``2.0 - x``, or ``torch.maximum(torch.maximum(x, y), z)``"""
        before, after = ([Arg("value", number) for number in numbers] for numbers in (self.before, self.after))
        if self.function in SIGNS:
            return Call(SIGNS[self.function], (*before, *positional(*tensors), *after))
        return reduce(lambda first, second: Call(name_of(self.function)[0], positional(first, second)), tensors)


OF_TENSORS: dict[type[Merge], Callable[..., Any]] = {
    Add: add,
    Subtract: sub,
    Multiply: mul,
    Divide: truediv,
    Maximum: torch.maximum,
    Minimum: torch.minimum,
}
WITH_NUMBER: dict[str, Callable[..., Any]] = {"add": add, "multiply": mul, "divide": truediv, "power": pow}
FROM_NUMBER: dict[str, Callable[..., Any]] = {"subtract_from": sub, "divide_into": truediv}


@builds(*OF_TENSORS)
def build_merge(layer: Merge, *shapes: Shape) -> nn.Module:
    """A function of two, over all inputs."""
    return Operation(OF_TENSORS[type(layer)])


@builds(Math)
def build_math(layer: Math, shape: Shape) -> nn.Module:
    """Arithmetic with the number, or the function of that name in ``torch``."""
    if layer.value is None:
        return Function(getattr(torch, layer.function))
    if layer.function in FROM_NUMBER:
        return Operation(FROM_NUMBER[layer.function], before=(layer.value,))
    if layer.function in WITH_NUMBER:
        return Operation(WITH_NUMBER[layer.function], after=(layer.value,))
    return (
        Function(torch.clamp_min, min=layer.value)
        if layer.function == "maximum"
        else Function(torch.clamp_max, max=layer.value)
    )
