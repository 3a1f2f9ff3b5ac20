"""Tensors that a net holds itself, in PyTorch; they come with a batch of one, which broadcasts."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Shape
from cnncalc.layers.tensor import Constant, Opaque, Parameter
from cnncalc.torch.registry import builds


class LearnedTensor(nn.Module):
    """A learned tensor; positive at first, as a scale or a weight would mostly be."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(shape) * 0.1)

    def forward(self) -> Tensor:
        """The tensor, as a batch of one."""
        return self.weight[None]


class FixedTensor(nn.Module):
    """A tensor that is not learned, kept with the module or (``value``) beside it.

    Its elements count up from 0 until it is given others: as indices they choose each unit in turn.
    """

    def __init__(self, shape: Shape, buffer: bool) -> None:
        super().__init__()
        self.weight: Tensor
        self.value = torch.arange(prod(shape), dtype=torch.get_default_dtype()).reshape(shape)
        if buffer:
            self.register_buffer("weight", self.value.clone())

    def forward(self) -> Tensor:
        """The tensor, as a batch of one."""
        if "weight" in self._buffers:
            return self.weight[None]
        return self.value[None]

    def _apply(self, fn: Any, recurse: bool = True) -> FixedTensor:
        """Moves the value with the module."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.value = fn(self.value)
        return self


@builds(Parameter)
def build_parameter(layer: Parameter) -> nn.Module:
    """``nn.Parameter`` in a module."""
    return LearnedTensor(layer.shape)


@builds(Constant)
def build_constant(layer: Constant) -> nn.Module:
    """A buffer, or a tensor beside the module's state."""
    return FixedTensor(layer.shape, layer.buffer)


@builds(Opaque)
def build_opaque(layer: Opaque, *shapes: Shape) -> nn.Module:
    """None: what is not known cannot be built.

    Raises:
        CnncalcError: always.
    """
    raise CnncalcError(f"{layer.operator} has no layer here, so no module can be built of it")
