"""Norms in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cnncalc.layers.base import Shape
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from cnncalc.torch.function import Function, Hook
from cnncalc.torch.registry import builds

BATCH_NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
INSTANCE_NORMS: tuple[type[nn.Module], ...] = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


@builds(BatchNorm)
def build_batch_norm(layer: BatchNorm, shape: Shape) -> nn.Module:
    """``nn.BatchNormNd``; the one-dimensional also takes channels alone."""
    return BATCH_NORMS[len(shape) - 1](shape[0], layer.eps, layer.momentum, layer.affine, layer.track_running_stats)


@builds(InstanceNorm)
def build_instance_norm(layer: InstanceNorm, shape: Shape) -> nn.Module:
    """``nn.InstanceNormNd``"""
    make = INSTANCE_NORMS[len(shape) - 2]
    return make(shape[0], layer.eps, layer.momentum, layer.affine, layer.track_running_stats)


@builds(GroupNorm)
def build_group_norm(layer: GroupNorm, shape: Shape) -> nn.Module:
    """``nn.GroupNorm``"""
    return nn.GroupNorm(layer.groups, shape[0], layer.eps, layer.affine)


@builds(LocalResponseNorm)
def build_local_response_norm(layer: LocalResponseNorm, shape: Shape) -> nn.Module:
    """``nn.LocalResponseNorm``, which refuses a tensor whose axes were exchanged unless it is copied into order."""
    module = nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
    module.register_forward_pre_hook(Hook(Function(Tensor.contiguous)))
    return module


def given_axes(axes: int | tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """The axes to normalise over, in the tensor's order; all where none are given."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted(axis % rank for axis in (axes if isinstance(axes, tuple) else (axes,))))


@builds(LayerNorm)
def build_layer_norm(layer: LayerNorm, shape: Shape) -> nn.Module:
    """``nn.LayerNorm``, with the axes moved to the end and back where they are not the last."""
    axes = given_axes(layer.axes, len(shape))
    sizes = [shape[axis] for axis in axes]
    return with_axes_last(nn.LayerNorm(sizes, layer.eps, layer.elementwise_affine, layer.bias), axes, len(shape))


@builds(RmsNorm)
def build_rms_norm(layer: RmsNorm, shape: Shape) -> nn.Module:
    """``nn.RMSNorm``, with the axes moved to the end and back where they are not the last."""
    axes = given_axes(layer.axes, len(shape))
    sizes = [shape[axis] for axis in axes]
    return with_axes_last(nn.RMSNorm(sizes, layer.eps, layer.elementwise_affine), axes, len(shape))


def with_axes_last(module: nn.Module, axes: tuple[int, ...], rank: int) -> nn.Module:
    """Let a module that works on the last axes work on ``axes`` (of ``rank`` without the batch)."""
    own: Any = [axis + 1 for axis in axes]
    last: Any = list(range(-len(axes), 0))
    if axes == tuple(range(rank - len(axes), rank)):
        return module

    own, last = (own[0], last[0]) if len(axes) == 1 else (own, last)
    module.register_forward_pre_hook(Hook(Function(Tensor.movedim, source=own, destination=last)))
    module.register_forward_hook(Hook(Function(Tensor.movedim, source=last, destination=own)))
    return module
