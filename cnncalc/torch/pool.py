"""Pools in PyTorch, from the fields as written. Padding that PyTorch's own modules do not take is done by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

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
from cnncalc.torch.padding import Ends, each, ends, flat, symmetric
from cnncalc.torch.registry import builds

MAX_POOLS: tuple[type[nn.Module], ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS: tuple[type[nn.Module], ...] = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LP_POOLS: tuple[type[nn.Module], ...] = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
ADAPTIVE_AVG_POOLS: tuple[type[nn.Module], ...] = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
ADAPTIVE_MAX_POOLS: tuple[type[nn.Module], ...] = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)


def window_fields(layer: MaxPool | AvgPool | LpPool) -> dict[str, Any]:
    """The fields that all sliding pools share, as PyTorch names them."""
    return {"kernel_size": layer.kernel, "stride": layer.stride, "ceil_mode": layer.ceil_mode}


def pads_of(layer: MaxPool | AvgPool, x: Tensor) -> tuple[Ends, ...]:
    """What to put around ``x``; a stride that is not given is the kernel, as PyTorch's pools have it."""
    stride = layer.kernel if layer.stride is None else layer.stride
    return ends(layer.padding, tuple(x.shape[2:]), layer.kernel, stride, getattr(layer, "dilation", 1))


def without_windows_in_padding(out: Tensor, layer: MaxPool | AvgPool, x: Tensor) -> Tensor:
    """``ceil_mode`` starts no window behind the input: of a pool of the padded ``x`` those are cut off.

    PyTorch's own pools do so where they pad themselves; a pool of an input that was padded before
    takes its padding for input.
    """
    rank = x.dim() - 2
    strides = each(layer.kernel if layer.stride is None else layer.stride, rank)
    for axis, (before, _) in enumerate(pads_of(layer, x)):
        starts = range(0, before + x.shape[axis + 2], strides[axis])
        if len(starts) < out.shape[axis + 2]:
            out = out.narrow(axis + 2, 0, len(starts))
    return out


class PaddedMaxPool(nn.Module):
    """Max pool with padding of any kind: −∞ is put around the input."""

    def __init__(self, layer: MaxPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Pad, then pool without padding."""
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
        padded = F.pad(x, flat(pads_of(self.layer, x)), value=-torch.inf)
        out: Tensor = pool(padded, **window_fields(self.layer), dilation=self.layer.dilation)
        return without_windows_in_padding(out, self.layer, x)


class PaddedAvgPool(nn.Module):
    """Average pool with padding of any kind: zeros are put around the input, and the divisor is counted apart."""

    def __init__(self, layer: AvgPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """The mean over each window, divided by the share of it that counts."""
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
        fields, pads = window_fields(self.layer), flat(pads_of(self.layer, x))
        if self.layer.divisor_override is not None:
            fields["divisor_override"] = self.layer.divisor_override
        out: Tensor = pool(F.pad(x, pads), **fields)
        if self.layer.divisor_override is None and not self.layer.count_include_pad:
            out = out / pool(F.pad(torch.ones_like(x[:1, :1]), pads), **fields)
        return without_windows_in_padding(out, self.layer, x)


@builds(MaxPool)
def build_max_pool(layer: MaxPool, shape: Shape) -> nn.Module:
    """``nn.MaxPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    rank = len(shape) - 1
    padding = symmetric(layer.padding, rank)
    if padding is None:
        return PaddedMaxPool(layer)
    return MAX_POOLS[rank - 1](**window_fields(layer), padding=padding, dilation=layer.dilation)


@builds(AvgPool)
def build_avg_pool(layer: AvgPool, shape: Shape) -> nn.Module:
    """``nn.AvgPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    rank = len(shape) - 1
    padding = symmetric(layer.padding, rank)
    if padding is None:
        return PaddedAvgPool(layer)
    divisor = {} if layer.divisor_override is None else {"divisor_override": layer.divisor_override}
    return AVG_POOLS[rank - 1](
        **window_fields(layer), padding=padding, count_include_pad=layer.count_include_pad, **divisor
    )


@builds(LpPool)
def build_lp_pool(layer: LpPool, shape: Shape) -> nn.Module:
    """``nn.LPPoolNd``"""
    fields = window_fields(layer)
    if len(shape) == 2:  # LPPool1d takes bare numbers alone
        fields = {name: value[0] if isinstance(value, tuple) else value for name, value in fields.items()}
    return LP_POOLS[len(shape) - 2](layer.norm_type, **fields)


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
