"""Layers that rearrange, cut, extend, join or reduce tensors, in PyTorch. The batch is axis 0 there, so every axis is
one more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, Verbatim, positional
from cnncalc.layers import reduce as reductions
from cnncalc.layers import shape as moves
from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.merge import Concat, Matmul
from cnncalc.torch.function import Function
from cnncalc.torch.padding import each, explicit_ends, flat
from cnncalc.torch.parts import center_crop, per_sample, take
from cnncalc.torch.registry import builds, dim, dims, standard

# -- functions of PyTorch --------------------------------------------------------------------------

FUNCTIONS: dict[type[Layer], Callable[[Any], Function]] = {
    Matmul: lambda layer: Function(torch.matmul),
    moves.Permute: lambda layer: Function(torch.permute, dims=(0, *dims(layer.axes))),
    moves.PerSample: lambda layer: Function(per_sample),
    moves.Roll: lambda layer: Function(torch.roll, shifts=layer.shifts, dims=dims(layer.axes)),
    moves.SlidingWindows: lambda layer: Function(
        Tensor.unfold, dimension=dim(layer.axis), size=layer.size, step=layer.step
    ),
    moves.Split: lambda layer: (
        Function(torch.chunk, chunks=layer.chunks, dim=dim(layer.axis))
        if layer.chunks is not None
        else Function(torch.split, split_size_or_sections=layer.sizes, dim=dim(layer.axis))
    ),
    moves.Take: lambda layer: Function(take, axis=dim(layer.axis)),
    moves.Transpose: lambda layer: Function(torch.transpose, dim0=dim(layer.axis0), dim1=dim(layer.axis1)),
    moves.Unsqueeze: lambda layer: Function(torch.unsqueeze, dim=dim(layer.axis)),
}
REDUCTIONS: dict[type[reductions.Reduction], Callable[..., Any]] = {
    reductions.Mean: torch.mean,
    reductions.Sum: torch.sum,
    reductions.Max: torch.amax,
    reductions.Min: torch.amin,
    reductions.Variance: torch.var,
    reductions.VectorNorm: torch.linalg.vector_norm,
}


@builds(*FUNCTIONS)
def build_function(layer: Layer, *shapes: Shape) -> nn.Module:
    """A function of PyTorch that needs to know nothing of the inputs."""
    return FUNCTIONS[type(layer)](layer)


@builds(*REDUCTIONS)
def build_reduction(layer: reductions.Reduction, shape: Shape) -> nn.Module:
    """``torch.mean`` and its kin."""
    axes = dims(layer.axes)
    arguments: dict[str, Any] = {"dim": axes[0] if len(axes) == 1 else axes}
    if layer.keepdim:
        arguments["keepdim"] = True
    if isinstance(layer, reductions.Variance):
        arguments["correction"] = layer.correction
    return Function(REDUCTIONS[type(layer)], **arguments)


@builds(moves.Unfold)
def build_unfold(layer: moves.Unfold, shape: Shape) -> nn.Module:
    """``nn.Unfold``."""
    return standard(layer, shape, name="Unfold")


@builds(moves.Fold)
def build_fold(layer: moves.Fold, shape: Shape) -> nn.Module:
    """``nn.Fold``."""
    return standard(layer, shape, name="Fold")


@builds(moves.Squeeze)
def build_squeeze(layer: moves.Squeeze, shape: Shape) -> nn.Module:
    """``torch.squeeze``, which must never take the batch."""
    return Function(torch.squeeze, dim=tuple(range(1, len(shape) + 1)) if layer.axes is None else dims(layer.axes))


@builds(moves.Pad)
def build_pad(layer: moves.Pad, shape: Shape) -> nn.Module:
    """``F.pad``."""
    value = layer.value or None  # 0 goes without saying
    return Function(F.pad, pad=flat(explicit_ends(layer.padding, len(shape) - 1)), mode=layer.mode, value=value)


@builds(moves.Crop)
def build_crop(layer: moves.Crop, shape: Shape) -> nn.Module:
    """The middle, or ``F.pad`` by less than nothing."""
    rank = len(shape) - 1
    if layer.cropping is None:
        return Function(center_crop, size=each(layer.size, rank))
    return Function(F.pad, pad=[-end for end in flat(explicit_ends(layer.cropping, rank))])


# -- what Python writes another way ----------------------------------------------------------------


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


@builds(Concat)
def build_concat(layer: Concat, *shapes: Shape) -> nn.Module:
    """``torch.cat``."""
    return Joined(dim(layer.axis))


class SliceAxis(nn.Module):
    """``x[:, …, start:stop:step]`` along one axis (the batch is axis 0)."""

    def __init__(self, axis: int, cut: slice) -> None:
        super().__init__()
        self.index = (slice(None),) * axis + (cut,) if axis >= 0 else (..., cut) + (slice(None),) * (-axis - 1)

    def forward(self, x: Tensor) -> Tensor:
        """The slice."""
        return x[self.index]

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x[:, 2:5]``, without what goes without saying"""
        slices: list[Any] = []
        for one in self.index:
            step = None if one is ... or one.step == 1 else one.step
            slices.append(
                Verbatim("...")
                if one is ...
                else Call(":", (Arg("start", one.start or None), Arg("stop", one.stop), Arg("step", step)))
            )
        return Call("[]", positional(*tensors, *slices))


@builds(moves.Slice)
def build_slice(layer: moves.Slice, shape: Shape) -> nn.Module:
    """Indexing."""
    return SliceAxis(dim(layer.axis), slice(layer.start, layer.stop, layer.step))


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


@builds(moves.Reshape)
def build_reshape(layer: moves.Reshape, shape: Shape) -> nn.Module:
    """``torch.reshape``."""
    return ReshapeSample(layer.shape, layer.output_shape(shape))


class BroadcastSample(nn.Module):
    """``torch.Tensor.expand`` of each sample, with ``new`` axes first."""

    def __init__(self, shape: Shape, new: int) -> None:
        super().__init__()
        self.shape = shape
        self.new = new

    def forward(self, x: Tensor) -> Tensor:
        """The same elements again and again."""
        return x.reshape(x.shape[0], *(1,) * self.new, *x.shape[1:]).expand(-1, *self.shape)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``x.expand(-1, 8, 4)``, after ``x.unflatten(0, (-1, 1))`` where there are new axes."""
        if self.new:
            ones = ", ".join(("-1", *("1",) * self.new))
            tensors = (Call(".unflatten", positional(*tensors, Verbatim("0"), Verbatim(f"({ones})"))),)
        sizes = (Arg("size", size) for size in self.shape)
        return Call(".expand", (*positional(*tensors, Verbatim("-1")), *sizes))


@builds(moves.Broadcast)
def build_broadcast(layer: moves.Broadcast, shape: Shape) -> nn.Module:
    """``torch.Tensor.expand``."""
    return BroadcastSample(layer.shape, len(layer.shape) - len(shape))
