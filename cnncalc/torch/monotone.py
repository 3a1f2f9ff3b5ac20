"""Stand-ins that depend on just what their layers depend on, with nothing that cancels or dies.

To see what a unit sees, its gradient must be nonzero at every pixel that it depends on. So weights
are positive and biases 0; an activation passes its input on; a maximum becomes a sum over its
window; a normalisation adds the mean that it would subtract; a product of two inputs becomes their
sum. Windows, strides, paddings and dilations are those of the real layer, and PyTorch applies them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from msgspec.structs import replace
from torch import Tensor, nn

from cnncalc.layers.activation import AlongAxis, Glu
from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.layers.base import Elementwise, Layer, Shape
from cnncalc.layers.conv import Conv, FunctionalConv
from cnncalc.layers.merge import Divide, Matmul, Maximum, Minimum, Multiply, Subtract
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from cnncalc.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool, GlobalMaxPool, LpPool, MaxPool
from cnncalc.layers.reduce import Max, Mean, Min, Variance, VectorNorm
from cnncalc.layers.shape import Pad, Take
from cnncalc.layers.tensor import Constant, Parameter
from cnncalc.torch.function import Function
from cnncalc.torch.norm import given_axes
from cnncalc.torch.padding import each, ends, flat
from cnncalc.torch.registry import build_layer, dim, dims


def stand_in(layer: Layer, *shapes: Shape) -> nn.Module:
    """A module with the layer's dependencies, linear, positive and without bias."""
    for kind in type(layer).__mro__:
        if kind in STAND_INS:
            return STAND_INS[kind](layer, *shapes)
    if isinstance(layer, Elementwise):
        return nn.Identity()
    return positive(build_layer(layer, *shapes))


def positive(module: nn.Module) -> nn.Module:
    """Weights that average what they read, biases 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1 / max(prod(parameter.shape[1:]), 1) if parameter.dim() > 1 else 0)
    return module


def window_sum(layer: MaxPool | LpPool, shape: Shape) -> nn.Module:
    """The mean of each channel over the pool's windows, of which there are as many as the pool itself gives."""
    rank, itself = len(shape) - 1, build_layer(layer, shape)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    kernel, dilation = each(layer.kernel, rank), each(getattr(layer, "dilation", 1), rank)
    stride = each(layer.kernel if layer.stride is None else layer.stride, rank)
    # room for a last window that ``ceil_mode`` lets stick out
    room = flat(tuple((0, k * d + s) for k, d, s in zip(kernel, dilation, stride, strict=True)))

    def pool(x: Tensor) -> Tensor:
        units = itself(torch.empty((1, *x.shape[1:]), device="meta")).shape[2:]
        around = flat(ends(getattr(layer, "padding", 0), tuple(x.shape[2:]), kernel, stride, dilation))
        weight = torch.full((shape[0], 1, *kernel), 1 / prod(kernel), dtype=x.dtype, device=x.device)
        padded = F.pad(F.pad(x, around), room)
        out: Tensor = convolve(padded, weight, stride=stride, dilation=dilation, groups=shape[0])
        return out[(slice(None), slice(None), *map(slice, units))]

    return Function(pool)


def with_mean(*axes: int) -> nn.Module:
    """The input plus its mean over ``axes`` (the batch is not one of them)."""
    return Function(_add_mean, axes=dims(axes))


def _add_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x + x.mean(dim=axes, keepdim=True)


def _normalised(layer: LayerNorm | RmsNorm, shape: Shape) -> nn.Module:
    return with_mean(*given_axes(layer.axes, len(shape)))


def _over_space(layer: BatchNorm | InstanceNorm, shape: Shape) -> nn.Module:
    over = range(1, len(shape))
    return nn.Identity() if layer.track_running_stats or not over else with_mean(*over)


def _channel_window(layer: LocalResponseNorm, shape: Shape) -> nn.Module:
    def across(x: Tensor) -> Tensor:
        padded = F.pad(x.movedim(1, -1), (layer.size // 2, (layer.size - 1) // 2))
        return x + padded.unfold(-1, layer.size, 1).mean(-1).movedim(-1, 1)

    return Function(across)


def _halves(layer: Glu, shape: Shape) -> nn.Module:
    axis = dim(layer.axis)

    def both(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=axis)
        return first + second

    return Function(both)


def _sum(layer: Layer, *shapes: Shape) -> nn.Module:
    def total(*inputs: Tensor) -> Tensor:
        out = inputs[0]
        for other in inputs[1:]:
            out = out + other
        return out

    return Function(total)


def _matmul(layer: Matmul, *shapes: Shape) -> nn.Module:
    return Function(lambda a, b: a.mean(-1, keepdim=True) + b.mean(-2, keepdim=True))


def _attention(layer: ScaledDotProductAttention, *shapes: Shape) -> nn.Module:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys = key.mean(-1, keepdim=True) + value
        if layer.is_causal:
            seen = keys.cumsum(-2)
            rows = [min(row, keys.shape[-2] - 1) for row in range(query.shape[-2])]
            return query.mean(-1, keepdim=True) + seen[..., rows, :]
        return query.mean(-1, keepdim=True) + keys.mean(-2, keepdim=True)

    return Function(attend)


def _multi_head(layer: MultiHeadAttention, *shapes: Shape) -> nn.Module:
    embed = shapes[0][-1]

    def attend(query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        key = query if key is None else key
        value = key if value is None else value
        whole = key.mean((1, 2), keepdim=True) + value.mean((1, 2), keepdim=True)
        return (query.mean(-1, keepdim=True) + whole).expand(-1, -1, embed)

    return Function(attend)


def _held(layer: Parameter | Constant) -> nn.Module:
    """Nothing: the tensor does not depend on the net's input, and products are sums here."""
    return Function(lambda: torch.zeros((1, *layer.shape), dtype=torch.float64))


def _taken(layer: Take, shape: Shape, index: Shape) -> nn.Module:
    """Each unit in turn, as what the index holds is not known."""
    module = build_layer(layer, shape, index)
    order = torch.arange(prod(index)).reshape(1, *index)
    return Function(lambda x, chosen: module(x, order))


def _convolved(layer: FunctionalConv, shape: Shape, weight: Shape, bias: Shape = ()) -> nn.Module:
    convolve = stand_in(
        Conv(
            out=weight[0],
            kernel=weight[2:],
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=False,
        ),
        shape,
    ).double()

    def by_both(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        of_weight = weight.flatten(2).mean(2) if bias is None else weight.flatten(2).mean(2) + bias
        out: Tensor = convolve(x)
        return out + of_weight.reshape(*of_weight.shape, *(1,) * (len(shape) - 1))

    return Function(by_both)


def _mean(layer: Max | Min | Variance | VectorNorm, shape: Shape) -> nn.Module:
    return build_layer(Mean(axes=layer.axes, keepdim=layer.keepdim), shape)


STAND_INS: dict[type, Callable[..., nn.Module]] = {
    Parameter: _held,
    Constant: _held,
    FunctionalConv: _convolved,
    Take: _taken,
    MaxPool: window_sum,
    LpPool: window_sum,
    AdaptiveMaxPool: lambda layer, shape: build_layer(AdaptiveAvgPool(output_size=layer.output_size), shape),
    GlobalMaxPool: lambda layer, shape: build_layer(GlobalAvgPool(), shape),
    LayerNorm: _normalised,
    RmsNorm: _normalised,
    GroupNorm: lambda layer, shape: with_mean(*range(len(shape))),
    BatchNorm: _over_space,
    InstanceNorm: _over_space,
    LocalResponseNorm: _channel_window,
    AlongAxis: lambda layer, shape: with_mean(layer.axis),
    Glu: _halves,
    Subtract: _sum,
    Multiply: _sum,
    Divide: _sum,
    Maximum: _sum,
    Minimum: _sum,
    Max: _mean,
    Min: _mean,
    VectorNorm: _mean,
    Variance: _mean,
    Matmul: _matmul,
    ScaledDotProductAttention: _attention,
    MultiHeadAttention: _multi_head,
    Pad: lambda layer, shape: build_layer(replace(layer, value=0.0), shape),
}
