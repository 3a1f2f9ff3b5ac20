"""Layers of several inputs in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, positional
from cnncalc.layers.base import Shape
from cnncalc.layers.merge import Add, Concat, Divide, Matmul, Maximum, Minimum, Multiply, Subtract
from cnncalc.torch.dims import dim
from cnncalc.torch.function import Function, name_of
from cnncalc.torch.registry import builds


class Joined(nn.Module):
    """``torch.cat`` of the inputs along one axis (the batch is axis 0)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        """One after the other; what is the same for every sample is repeated for each."""
        batch = max(x.shape[0] for x in inputs)
        return torch.cat([x if x.shape[0] == batch else x.expand(batch, *x.shape[1:]) for x in inputs], dim=self.dim)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``torch.cat((x, y), dim=1)``"""
        return Call("torch.cat", (Arg("", Call("(,)", positional(*tensors))), Arg("dim", self.dim, True)))


SIGNS: dict[Any, str] = {torch.add: "+", torch.sub: "-", torch.mul: "*", torch.div: "/"}
"""How Python writes a function of two tensors."""


class Folded(nn.Module):
    """A function of two tensors over any number of them, from the left."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """``f(f(f(a, b), c), …)``."""
        return reduce(self.function, inputs)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x + y``, or ``torch.maximum(torch.maximum(x, y), z)``"""
        if self.function in SIGNS:
            return Call(SIGNS[self.function], positional(*tensors))
        return reduce(lambda first, second: Call(name_of(self.function)[0], positional(first, second)), tensors)


@builds(Concat)
def build_concat(layer: Concat, *shapes: Shape) -> nn.Module:
    """``torch.cat``."""
    return Joined(dim(layer.axis))


@builds(Add)
def build_add(layer: Add, *shapes: Shape) -> nn.Module:
    """``torch.add``."""
    return Folded(torch.add)


@builds(Subtract)
def build_subtract(layer: Subtract, *shapes: Shape) -> nn.Module:
    """``torch.sub``."""
    return Folded(torch.sub)


@builds(Multiply)
def build_multiply(layer: Multiply, *shapes: Shape) -> nn.Module:
    """``torch.mul``."""
    return Folded(torch.mul)


@builds(Divide)
def build_divide(layer: Divide, *shapes: Shape) -> nn.Module:
    """``torch.div``."""
    return Folded(torch.div)


@builds(Maximum)
def build_maximum(layer: Maximum, *shapes: Shape) -> nn.Module:
    """``torch.maximum``."""
    return Folded(torch.maximum)


@builds(Minimum)
def build_minimum(layer: Minimum, *shapes: Shape) -> nn.Module:
    """``torch.minimum``."""
    return Folded(torch.minimum)


@builds(Matmul)
def build_matmul(layer: Matmul, first: Shape, second: Shape) -> nn.Module:
    """``torch.matmul``."""
    return Function(torch.matmul)
