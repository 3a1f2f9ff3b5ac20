"""Tensors that a net holds itself, in PyTorch; they come with a batch of one, which broadcasts."""

from __future__ import annotations

from torch import nn

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Shape
from cnncalc.layers.tensor import Constant, Opaque, Parameter
from cnncalc.torch import parts
from cnncalc.torch.registry import builds


@builds(Parameter)
def build_parameter(layer: Parameter) -> nn.Module:
    """``nn.Parameter`` in a module."""
    return parts.LearnedTensor(layer.shape)


@builds(Constant)
def build_constant(layer: Constant) -> nn.Module:
    """A buffer, or a tensor beside the module's state."""
    return parts.FixedTensor(layer.shape, layer.buffer)


@builds(Opaque)
def build_opaque(layer: Opaque, *shapes: Shape) -> nn.Module:
    """Always fails: an unknown operator cannot be built.

    Raises:
        CnncalcError: always.
    """
    raise CnncalcError(f"{layer.operator} has no layer here, so no module can be built of it")
