"""Layers that rearrange, cut or extend tensors, in PyTorch. The batch is axis 0 there, so every axis is one more."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, Verbatim, positional
from cnncalc.layers.base import Shape
from cnncalc.layers.shape import (
    Broadcast,
    Crop,
    Flatten,
    Fold,
    Pad,
    Permute,
    PerSample,
    Reshape,
    Roll,
    Slice,
    SlidingWindows,
    Split,
    Squeeze,
    Take,
    Transpose,
    Unflatten,
    Unfold,
    Unsqueeze,
)
from cnncalc.torch.dims import dim, dims
from cnncalc.torch.function import Function
from cnncalc.torch.padding import each, explicit_ends, flat
from cnncalc.torch.parts import center_crop, per_sample, take
from cnncalc.torch.registry import builds


@builds(Pad)
def build_pad(layer: Pad, shape: Shape) -> nn.Module:
    """``F.pad``."""
    value = layer.value or None  # 0 goes without saying
    return Function(F.pad, pad=flat(explicit_ends(layer.padding, len(shape) - 1)), mode=layer.mode, value=value)


@builds(Crop)
def build_crop(layer: Crop, shape: Shape) -> nn.Module:
    """The middle, or ``F.pad`` by less than nothing."""
    rank = len(shape) - 1
    if layer.cropping is None:
        return Function(center_crop, size=each(layer.size, rank))
    return Function(F.pad, pad=[-end for end in flat(explicit_ends(layer.cropping, rank))])


def slice_args(cut: slice) -> tuple[Arg, ...]:
    """The three numbers of a slice, without what goes without saying."""
    step = None if cut.step == 1 else cut.step
    return Arg("start", cut.start or None), Arg("stop", cut.stop), Arg("step", step)


class SliceAxis(nn.Module):
    """``x[:, …, start:stop:step]`` along one axis (the batch is axis 0)."""

    def __init__(self, axis: int, start: int, stop: int | None, step: int) -> None:
        super().__init__()
        cut = slice(start, stop, step)
        self.index = (slice(None),) * axis + (cut,) if axis >= 0 else (..., cut) + (slice(None),) * (-axis - 1)

    def forward(self, x: Tensor) -> Tensor:
        """The slice."""
        return x[self.index]

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x[:, 2:5]``"""
        slices = [Verbatim("...") if one is ... else Call(":", slice_args(one)) for one in self.index]
        return Call("[]", positional(*tensors, *slices))


@builds(Slice)
def build_slice(layer: Slice, shape: Shape) -> nn.Module:
    """Indexing."""
    return SliceAxis(dim(layer.axis), layer.start, layer.stop, layer.step)


@builds(Split)
def build_split(layer: Split, shape: Shape) -> nn.Module:
    """``torch.chunk`` or ``torch.split``."""
    if layer.chunks is not None:
        return Function(torch.chunk, chunks=layer.chunks, dim=dim(layer.axis))
    return Function(torch.split, split_size_or_sections=layer.sizes, dim=dim(layer.axis))


@builds(Flatten)
def build_flatten(layer: Flatten, shape: Shape) -> nn.Module:
    """``nn.Flatten``."""
    return nn.Flatten(dim(layer.start_axis), dim(layer.end_axis))


@builds(Unflatten)
def build_unflatten(layer: Unflatten, shape: Shape) -> nn.Module:
    """``nn.Unflatten``."""
    return nn.Unflatten(dim(layer.axis), layer.sizes)


class ReshapeSample(nn.Module):
    """``torch.reshape`` of each sample; ``made`` is the shape with its -1 worked out."""

    def __init__(self, shape: Shape, made: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.made = made

    def forward(self, x: Tensor) -> Tensor:
        """The same elements under other axes."""
        return x.reshape(x.shape[0], *self.shape)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x.reshape(-1, 8, 4)``"""
        return Call(".reshape", (*positional(*tensors, Verbatim("-1")), *(Arg("size", size) for size in self.made)))


@builds(Reshape)
def build_reshape(layer: Reshape, shape: Shape) -> nn.Module:
    """``torch.reshape``."""
    return ReshapeSample(layer.shape, layer.output_shape(shape))


@builds(Permute)
def build_permute(layer: Permute, shape: Shape) -> nn.Module:
    """``torch.permute``."""
    return Function(torch.permute, dims=(0, *dims(layer.axes)))


@builds(Transpose)
def build_transpose(layer: Transpose, shape: Shape) -> nn.Module:
    """``torch.transpose``."""
    return Function(torch.transpose, dim0=dim(layer.axis0), dim1=dim(layer.axis1))


@builds(Squeeze)
def build_squeeze(layer: Squeeze, shape: Shape) -> nn.Module:
    """``torch.squeeze``, which must never take the batch."""
    chosen = tuple(range(1, len(shape) + 1)) if layer.axes is None else dims(layer.axes)
    return Function(torch.squeeze, dim=chosen)


@builds(Unsqueeze)
def build_unsqueeze(layer: Unsqueeze, shape: Shape) -> nn.Module:
    """``torch.unsqueeze``."""
    return Function(torch.unsqueeze, dim=dim(layer.axis))


class BroadcastSample(nn.Module):
    """``torch.Tensor.expand`` of each sample of ``rank`` axes, new axes first."""

    def __init__(self, shape: Shape, rank: int) -> None:
        super().__init__()
        self.shape = shape
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        """The same elements again and again."""
        x = x.reshape(x.shape[0], *(1,) * (len(self.shape) - x.dim() + 1), *x.shape[1:])
        return x.expand(-1, *self.shape)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x.expand(-1, 8, 4)``, after ``x.unflatten(0, (-1, 1))`` where there are new axes."""
        sizes = (Arg("size", size) for size in self.shape)
        new = len(self.shape) - self.rank
        if new:
            shape = ("-1", *("1",) * new)
            tensors = (Call(".unflatten", positional(*tensors, Verbatim("0"), Verbatim(f"({', '.join(shape)})"))),)
        return Call(".expand", (*positional(*tensors, Verbatim("-1")), *sizes))


@builds(Broadcast)
def build_broadcast(layer: Broadcast, shape: Shape) -> nn.Module:
    """``torch.Tensor.expand``."""
    return BroadcastSample(layer.shape, len(shape))


@builds(PerSample)
def build_per_sample(layer: PerSample, shape: Shape, other: Shape) -> nn.Module:
    """``torch.Tensor.expand``, of the batch."""
    return Function(per_sample)


@builds(Roll)
def build_roll(layer: Roll, shape: Shape) -> nn.Module:
    """``torch.roll``."""
    return Function(torch.roll, shifts=layer.shifts, dims=dims(layer.axes))


@builds(Take)
def build_take(layer: Take, shape: Shape, index: Shape) -> nn.Module:
    """Indexing."""
    return Function(take, axis=dim(layer.axis))


@builds(SlidingWindows)
def build_sliding_windows(layer: SlidingWindows, shape: Shape) -> nn.Module:
    """``torch.Tensor.unfold``."""
    return Function(torch.Tensor.unfold, dimension=dim(layer.axis), size=layer.size, step=layer.step)


@builds(Unfold)
def build_unfold(layer: Unfold, shape: Shape) -> nn.Module:
    """``nn.Unfold``."""
    return nn.Unfold(layer.kernel, layer.dilation, layer.padding, layer.stride)


@builds(Fold)
def build_fold(layer: Fold, shape: Shape) -> nn.Module:
    """``nn.Fold``."""
    return nn.Fold(layer.size, layer.kernel, layer.dilation, layer.padding, layer.stride)
