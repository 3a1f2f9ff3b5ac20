"""Layers that rearrange, cut or extend tensors, in PyTorch. The batch is axis 0 there, so every axis is one more."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.layers.base import Shape, normal_axis
from cnncalc.layers.shape import (
    Crop,
    Flatten,
    Pad,
    Permute,
    Reshape,
    Slice,
    Split,
    Squeeze,
    Transpose,
    Unflatten,
    Unsqueeze,
    normal_axes,
)
from cnncalc.torch.conv import pad_argument
from cnncalc.torch.function import Function
from cnncalc.torch.registry import builds


@builds(Pad)
def build_pad(layer: Pad, shape: Shape) -> nn.Module:
    """``F.pad``."""
    value = layer.value if layer.mode == "constant" else None
    return Function(F.pad, pad=pad_argument(layer.pairs(shape)), mode=layer.mode, value=value)


@builds(Crop)
def build_crop(layer: Crop, shape: Shape) -> nn.Module:
    """``F.pad`` with negative pads."""
    return Function(F.pad, pad=[-end for end in pad_argument(layer.pairs(shape))])


class SliceAxis(nn.Module):
    """``x[:, …, start:stop:step]`` along one axis (the batch is axis 0)."""

    def __init__(self, axis: int, start: int, stop: int | None, step: int) -> None:
        super().__init__()
        self.index = (slice(None),) * axis + (slice(start, stop, step),)

    def forward(self, x: Tensor) -> Tensor:
        """The slice."""
        return x[self.index]


@builds(Slice)
def build_slice(layer: Slice, shape: Shape) -> nn.Module:
    """Indexing."""
    return SliceAxis(normal_axis(layer.axis, len(shape)) + 1, layer.start, layer.stop, layer.step)


@builds(Split)
def build_split(layer: Split, shape: Shape) -> nn.Module:
    """``torch.chunk`` or ``torch.split``."""
    dim = normal_axis(layer.axis, len(shape)) + 1
    if layer.chunks is not None:
        return Function(torch.chunk, chunks=layer.chunks, dim=dim)
    return Function(torch.split, split_size_or_sections=layer.sizes, dim=dim)


@builds(Flatten)
def build_flatten(layer: Flatten, shape: Shape) -> nn.Module:
    """``nn.Flatten``."""
    start, end = normal_axes((layer.start_axis,), len(shape)), normal_axes((layer.end_axis,), len(shape))
    return nn.Flatten(start[0] + 1, end[0] + 1)


@builds(Unflatten)
def build_unflatten(layer: Unflatten, shape: Shape) -> nn.Module:
    """``nn.Unflatten``."""
    return nn.Unflatten(normal_axis(layer.axis, len(shape)) + 1, layer.sizes)


class ReshapeSample(nn.Module):
    """``torch.reshape`` of each sample."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """The same elements under other axes."""
        return x.reshape(x.shape[0], *self.shape)


@builds(Reshape)
def build_reshape(layer: Reshape, shape: Shape) -> nn.Module:
    """``torch.reshape``."""
    return ReshapeSample(layer.shape)


@builds(Permute)
def build_permute(layer: Permute, shape: Shape) -> nn.Module:
    """``torch.permute``."""
    return Function(torch.permute, dims=(0, *(axis + 1 for axis in layer.order(shape))))


@builds(Transpose)
def build_transpose(layer: Transpose, shape: Shape) -> nn.Module:
    """``torch.transpose``."""
    dims = (normal_axis(axis, len(shape)) + 1 for axis in (layer.axis0, layer.axis1))
    return Function(torch.transpose, dim0=next(dims), dim1=next(dims))


@builds(Squeeze)
def build_squeeze(layer: Squeeze, shape: Shape) -> nn.Module:
    """``torch.squeeze``, which must never take the batch."""
    axes = range(len(shape)) if layer.axes is None else normal_axes(layer.axes, len(shape))
    return Function(torch.squeeze, dim=tuple(axis + 1 for axis in axes))


@builds(Unsqueeze)
def build_unsqueeze(layer: Unsqueeze, shape: Shape) -> nn.Module:
    """``torch.unsqueeze``."""
    return Function(torch.unsqueeze, dim=normal_axis(layer.axis, len(shape) + 1) + 1)
