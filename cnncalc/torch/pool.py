"""Pools in PyTorch. Padding that PyTorch's own modules do not take is done by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.layers.axes import Axis, Pair
from cnncalc.layers.base import Shape
from cnncalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AdaptivePool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    LpPool,
    MaxPool,
)
from cnncalc.torch.conv import is_plain, pad_argument
from cnncalc.torch.registry import builds

MAX_POOLS: tuple[type[nn.Module], ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS: tuple[type[nn.Module], ...] = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LP_POOLS: tuple[type[nn.Module], ...] = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
ADAPTIVE_AVG_POOLS: tuple[type[nn.Module], ...] = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
ADAPTIVE_MAX_POOLS: tuple[type[nn.Module], ...] = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)


def takes_padding(layer: MaxPool | AvgPool, axes: tuple[Axis, ...]) -> bool:
    """Whether PyTorch's own module can do the padding: the same at both ends, whatever the input's size."""
    return layer.padding != "same" and is_plain(tuple(axis.padding for axis in axes))


def window_fields(axes: tuple[Axis, ...]) -> dict[str, Any]:
    """Kernel and stride as PyTorch's pools name them."""
    return {"kernel_size": tuple(axis.kernel for axis in axes), "stride": tuple(axis.stride for axis in axes)}


def overhang(layer: MaxPool | AvgPool | LpPool, shape: Shape) -> tuple[Pair, ...]:
    """What to add behind the padded input so that the last window ends just there.

    Positive where ``ceil_mode`` lets it stick out, negative where the stride leaves pixels unread.
    """
    sizes = layer.output_shape(shape)[1:]
    ends = ((out - 1) * axis.stride + axis.effective_kernel for out, axis in zip(sizes, layer.axes(shape), strict=True))
    return tuple((0, end - axis.size - sum(axis.padding)) for end, axis in zip(ends, layer.axes(shape), strict=True))


class PaddedMaxPool(nn.Module):
    """Max pool with padding of any kind: −∞ is put around the input."""

    def __init__(self, layer: MaxPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Pad, then pool without padding."""
        shape = tuple(x.shape[1:])
        axes = self.layer.axes(shape)
        x = F.pad(x, pad_argument(tuple(axis.padding for axis in axes)), value=-torch.inf)
        x = F.pad(x, pad_argument(overhang(self.layer, shape)), value=-torch.inf)
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(axes) - 1]
        out: Tensor = pool(x, **window_fields(axes), dilation=tuple(axis.dilation for axis in axes))
        return out


class PaddedAvgPool(nn.Module):
    """Average pool with padding of any kind: zeros are put around the input, and the divisor is counted apart."""

    def __init__(self, layer: AvgPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """The mean over full windows, divided by the share of each window that counts."""
        shape = tuple(x.shape[1:])
        axes = self.layer.axes(shape)
        pads, rest = pad_argument(tuple(axis.padding for axis in axes)), pad_argument(overhang(self.layer, shape))
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(axes) - 1]
        fields = window_fields(axes)
        mean: Tensor = pool(F.pad(F.pad(x, pads), rest), **fields)
        if self.layer.divisor_override is not None:
            taps = torch.tensor(fields["kernel_size"]).prod().item()
            return mean * (taps / self.layer.divisor_override)
        counts = F.pad(torch.ones_like(x[:1, :1]), pads, value=float(self.layer.count_include_pad))
        share: Tensor = pool(F.pad(counts, rest), **fields)
        return mean / share


@builds(MaxPool)
def build_max_pool(layer: MaxPool, shape: Shape) -> nn.Module:
    """``nn.MaxPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    axes = layer.axes(shape)
    if not takes_padding(layer, axes):
        return PaddedMaxPool(layer)
    return MAX_POOLS[len(axes) - 1](
        **window_fields(axes),
        padding=tuple(axis.padding[0] for axis in axes),
        dilation=tuple(axis.dilation for axis in axes),
        ceil_mode=layer.ceil_mode,
    )


@builds(AvgPool)
def build_avg_pool(layer: AvgPool, shape: Shape) -> nn.Module:
    """``nn.AvgPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    axes = layer.axes(shape)
    if not takes_padding(layer, axes):
        return PaddedAvgPool(layer)
    divisor = {} if layer.divisor_override is None else {"divisor_override": layer.divisor_override}
    return AVG_POOLS[len(axes) - 1](
        **window_fields(axes),
        padding=tuple(axis.padding[0] for axis in axes),
        ceil_mode=layer.ceil_mode,
        count_include_pad=layer.count_include_pad,
        **divisor,
    )


@builds(LpPool)
def build_lp_pool(layer: LpPool, shape: Shape) -> nn.Module:
    """``nn.LPPoolNd``"""
    fields = window_fields(layer.axes(shape))
    if len(shape) == 2:  # LPPool1d takes bare numbers alone
        fields = {name: value[0] for name, value in fields.items()}
    return LP_POOLS[len(shape) - 2](layer.norm_type, **fields, ceil_mode=layer.ceil_mode)


def adaptive(layer: AdaptivePool, shape: Shape, pools: tuple[type[nn.Module], ...]) -> nn.Module:
    """An adaptive pool; PyTorch takes ``None`` for an axis that is kept, but not where it is the only one."""
    given = layer.output_size if isinstance(layer.output_size, tuple) else (layer.output_size,) * (len(shape) - 1)
    return nn.Identity() if given == (None,) else pools[len(given) - 1](given)


@builds(AdaptiveAvgPool)
def build_adaptive_avg_pool(layer: AdaptiveAvgPool, shape: Shape) -> nn.Module:
    """``nn.AdaptiveAvgPoolNd``"""
    return adaptive(layer, shape, ADAPTIVE_AVG_POOLS)


@builds(AdaptiveMaxPool)
def build_adaptive_max_pool(layer: AdaptiveMaxPool, shape: Shape) -> nn.Module:
    """``nn.AdaptiveMaxPoolNd``"""
    return adaptive(layer, shape, ADAPTIVE_MAX_POOLS)


@builds(GlobalAvgPool)
def build_global_avg_pool(layer: GlobalAvgPool, shape: Shape) -> nn.Module:
    """``nn.AdaptiveAvgPoolNd(1)``"""
    return ADAPTIVE_AVG_POOLS[len(shape) - 2](1)


@builds(GlobalMaxPool)
def build_global_max_pool(layer: GlobalMaxPool, shape: Shape) -> nn.Module:
    """``nn.AdaptiveMaxPoolNd(1)``"""
    return ADAPTIVE_MAX_POOLS[len(shape) - 2](1)
