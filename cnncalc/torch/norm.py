"""Norms in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cnncalc.layers.base import Shape
from cnncalc.layers.norm import LayerNorm, LocalResponseNorm, RmsNorm
from cnncalc.torch.function import Function, Hook
from cnncalc.torch.registry import builds, dims, standard


@builds(LocalResponseNorm)
def build_local_response_norm(layer: LocalResponseNorm, shape: Shape) -> nn.Module:
    """``nn.LocalResponseNorm``, which refuses a tensor whose axes were exchanged unless it is copied into order."""
    module = standard(layer, shape)
    module.register_forward_pre_hook(Hook(Function(Tensor.contiguous)))
    return module


def given_axes(axes: int | tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """The axes to normalise over, in the tensor's order; all where none are given."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted(axis % rank for axis in (axes if isinstance(axes, tuple) else (axes,))))


@builds(LayerNorm, RmsNorm)
def build_norm_of_axes(layer: LayerNorm | RmsNorm, shape: Shape) -> nn.Module:
    """``nn.LayerNorm`` or ``nn.RMSNorm``, with the axes moved to the end and back where they are not the last."""
    axes = given_axes(layer.axes, len(shape))
    module = standard(layer, shape, normalized_shape=[shape[axis] for axis in axes])
    if axes == tuple(range(len(shape) - len(axes), len(shape))):
        return module
    own: Any = list(dims(axes))
    last: Any = list(range(-len(axes), 0))
    own, last = (own[0], last[0]) if len(axes) == 1 else (own, last)
    module.register_forward_pre_hook(Hook(Function(Tensor.movedim, source=own, destination=last)))
    module.register_forward_hook(Hook(Function(Tensor.movedim, source=last, destination=own)))
    return module
