"""Stand-ins that depend on just what their layers depend on, with nothing that cancels or dies.

To see what a unit sees, its gradient must be nonzero at every pixel that it depends on. So weights
are positive and biases 0; an activation passes its input on; a maximum becomes a sum over its
window; a normalisation adds the mean that it would subtract; a product of two inputs becomes their
sum. Windows, strides, paddings and dilations are those of the real layer, and PyTorch applies them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from operator import add

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from msgspec.structs import replace
from torch import Tensor, nn

from cnncalc.layers.activation import AlongAxis, Glu
from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.layers.base import Elementwise, Layer, Shape
from cnncalc.layers.conv import Conv, FunctionalConv
from cnncalc.layers.merge import Matmul, Merge
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from cnncalc.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool, GlobalMaxPool, LpPool, MaxPool
from cnncalc.layers.reduce import Mean, Reduction
from cnncalc.layers.shape import Pad, Take
from cnncalc.layers.tensor import Constant, Parameter
from cnncalc.torch.function import Function
from cnncalc.torch.norm import given_axes
from cnncalc.torch.padding import each, ends, flat
from cnncalc.torch.registry import build_layer, dim, dims

Run = Callable[..., Tensor]
"""A function of the inputs that stands in for a layer."""


def stand_in(layer: Layer, *shapes: Shape) -> nn.Module:
    """A module with the layer's dependencies, linear, positive and without bias."""
    for kind in type(layer).__mro__:
        if kind in STAND_INS:
            made = STAND_INS[kind](layer, *shapes)
            made = build_layer(made, *shapes) if isinstance(made, Layer) else made
            return made if isinstance(made, nn.Module) else Function(made)
    if isinstance(layer, Elementwise):
        return nn.Identity()
    module = build_layer(layer, *shapes)
    with torch.no_grad():
        for parameter in module.parameters():  # weights average what they read
            parameter.fill_(1 / max(prod(parameter.shape[1:]), 1) if parameter.dim() > 1 else 0)
    return module


def _plus_mean(axes: tuple[int, ...]) -> Run:
    """The input plus its mean over axes (the batch is not one of them)."""
    return lambda x: x + x.mean(dim=dims(axes), keepdim=True)


def _over_space(layer: BatchNorm | InstanceNorm, shape: Shape) -> Run:
    over = range(1, len(shape))
    return nn.Identity() if layer.track_running_stats or not over else _plus_mean(tuple(over))


def _across_channels(layer: LocalResponseNorm, shape: Shape) -> Run:
    def run(x: Tensor) -> Tensor:
        padded = F.pad(x.movedim(1, -1), (layer.size // 2, (layer.size - 1) // 2))
        return x + padded.unfold(-1, layer.size, 1).mean(-1).movedim(-1, 1)

    return run


def _over_windows(layer: MaxPool | LpPool, shape: Shape) -> Run:
    """The mean of each channel over the pool's windows, of which there are as many as the pool itself gives."""
    rank, itself = len(shape) - 1, build_layer(layer, shape)
    convolve: Run = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    kernel, dilation = each(layer.kernel, rank), each(getattr(layer, "dilation", 1), rank)
    stride = each(layer.stride or layer.kernel, rank)
    # room for a last window that ``ceil_mode`` lets stick out
    room = flat(tuple((0, k * d + s) for k, d, s in zip(kernel, dilation, stride, strict=True)))

    def run(x: Tensor) -> Tensor:
        units = itself(torch.empty((1, *x.shape[1:]), device="meta")).shape[2:]
        around = flat(ends(getattr(layer, "padding", 0), tuple(x.shape[2:]), kernel, stride, dilation))
        weight = torch.full((shape[0], 1, *kernel), 1 / prod(kernel), dtype=x.dtype, device=x.device)
        out = convolve(F.pad(F.pad(x, around), room), weight, stride=stride, dilation=dilation, groups=shape[0])
        return out[(slice(None), slice(None), *map(slice, units))]

    return run


def _convolved(layer: FunctionalConv, shape: Shape, weight: Shape, bias: Shape = ()) -> Run:
    """The input through weights that average, plus the mean of each filter that comes in."""
    fields = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    convolve = stand_in(Conv(out=weight[0], kernel=weight[2:], bias=False, **fields), shape).double()

    def run(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        out: Tensor = convolve(x)
        return out + reduce(add, bias, weight.flatten(2).mean(2)).reshape(-1, out.shape[1], *(1 for _ in shape[1:]))

    return run


def _attended(layer: ScaledDotProductAttention, *shapes: Shape) -> Run:
    def run(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys = key.mean(-1, keepdim=True) + value
        if layer.is_causal:
            rows = [min(row, keys.shape[-2] - 1) for row in range(query.shape[-2])]
            return query.mean(-1, keepdim=True) + keys.cumsum(-2)[..., rows, :]
        return query.mean(-1, keepdim=True) + keys.mean(-2, keepdim=True)

    return run


def _attended_by_heads(layer: MultiHeadAttention, *shapes: Shape) -> Run:
    def run(query: Tensor, *others: Tensor) -> Tensor:
        whole = sum(x.mean((1, 2), keepdim=True) for x in others or (query,))
        return (query.mean(-1, keepdim=True) + whole).expand(-1, -1, shapes[0][-1])

    return run


def _taken(layer: Take, shape: Shape, index: Shape) -> Run:
    """Each unit in turn, as what the index holds is not known."""
    module, order = build_layer(layer, shape, index), torch.arange(prod(index)).reshape(1, *index)
    return lambda x, chosen: module(x, order)


STAND_INS: dict[type, Callable[..., Layer | Run]] = {
    # the tensor does not depend on the net's input, and products are sums here: nothing
    Parameter: lambda layer: lambda: torch.zeros((1, *layer.shape), dtype=torch.float64),
    Constant: lambda layer: lambda: torch.zeros((1, *layer.shape), dtype=torch.float64),
    FunctionalConv: _convolved,
    Take: _taken,
    MaxPool: _over_windows,
    LpPool: _over_windows,
    AdaptiveMaxPool: lambda layer, shape: AdaptiveAvgPool(output_size=layer.output_size),
    GlobalMaxPool: lambda layer, shape: GlobalAvgPool(),
    LayerNorm: lambda layer, shape: _plus_mean(given_axes(layer.axes, len(shape))),
    RmsNorm: lambda layer, shape: _plus_mean(given_axes(layer.axes, len(shape))),
    GroupNorm: lambda layer, shape: _plus_mean(tuple(range(len(shape)))),
    BatchNorm: _over_space,
    InstanceNorm: _over_space,
    LocalResponseNorm: _across_channels,
    AlongAxis: lambda layer, shape: _plus_mean((layer.axis,)),
    Glu: lambda layer, shape: lambda x: add(*x.chunk(2, dim=dim(layer.axis))),
    Merge: lambda layer, *shapes: lambda *inputs: reduce(add, inputs),
    Reduction: lambda layer, shape: Mean(axes=layer.axes, keepdim=layer.keepdim),
    Matmul: lambda layer, *shapes: lambda a, b: a.mean(-1, keepdim=True) + b.mean(-2, keepdim=True),
    ScaledDotProductAttention: _attended,
    MultiHeadAttention: _attended_by_heads,
    Pad: lambda layer, shape: replace(layer, value=0.0),
}
"""For layers that are not monotone, or read more than their own place: a function, or another layer."""
