"""Pools in PyTorch, from the fields as written. Padding that PyTorch's own modules do not take is done by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, Verbatim, positional
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


def uniform(value: Any) -> Any:
    """One number where all axes have the same."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def pads_of(layer: MaxPool | AvgPool, sizes: Shape) -> tuple[Ends, ...]:
    """What to put around an input; a stride that is not given is the kernel, as PyTorch's pools have it."""
    stride = layer.kernel if layer.stride is None else layer.stride
    return ends(layer.padding, sizes, layer.kernel, stride, getattr(layer, "dilation", 1))


def starts_in_input(layer: MaxPool | AvgPool, sizes: Shape) -> tuple[int, ...]:
    """How many windows along each axis start in the input or before it.

    ``ceil_mode`` starts no window behind the input. PyTorch's own pools see to that where they pad
    themselves; a pool of an input that was padded before takes its padding for input.
    """
    strides = each(layer.kernel if layer.stride is None else layer.stride, len(sizes))
    pads = pads_of(layer, sizes)
    return tuple(
        len(range(0, before + size, stride)) for size, stride, (before, _) in zip(sizes, strides, pads, strict=True)
    )


def without_windows_in_padding(out: Tensor, kept: tuple[int, ...]) -> Tensor:
    """The windows that start in the input or before it."""
    for axis, count in enumerate(kept, 2):
        if count < out.shape[axis]:
            out = out.narrow(axis, 0, count)
    return out


class PaddedPool(nn.Module):
    """A pool with padding of any kind, which is put around the input; the input has spatial sizes ``sizes``."""

    functions: tuple[Callable[..., Tensor], ...]
    fill: float

    def __init__(self, layer: MaxPool | AvgPool, sizes: Shape) -> None:
        super().__init__()
        self.layer = layer
        self.rank = len(sizes)
        self.padding = pads_of(layer, sizes)
        self.kept = starts_in_input(layer, sizes)

    def fields(self) -> dict[str, Any]:
        """What the pool takes beside the padded input."""
        return window_fields(self.layer)

    def padded(self, x: Tensor) -> Tensor:
        """The input with what is put around it."""
        return F.pad(x, flat(self.padding), value=self.fill)

    def pooled(self, x: Tensor) -> Tensor:
        """The pool of an input that is padded already."""
        return self.functions[self.rank - 1](x, **self.fields())

    def forward(self, x: Tensor) -> Tensor:
        """Pad, then pool without padding."""
        return without_windows_in_padding(self.pooled(self.padded(x)), self.kept)

    def padded_source(self, x: Any) -> Call:
        """``F.pad(x, (0, 1, 0, 1))``"""
        fill = Arg("value", self.fill, True, implied=self.fill == 0, default=0.0)
        return Call("F.pad", (*positional(x, tuple(flat(self.padding))), fill))

    def pooled_source(self, x: Any) -> Call:
        """``F.max_pool2d(x, 3, stride=2)``"""
        fields = {name: uniform(value) for name, value in self.fields().items()}
        implied = {"stride": None, "ceil_mode": False, "dilation": 1}
        kernel = Arg("kernel_size", fields.pop("kernel_size"))
        given = (Arg(name, value, True, name in implied and value == implied[name]) for name, value in fields.items())
        return Call(f"F.{self.functions[self.rank - 1].__name__}", (Arg("", x), kernel, *given))

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """Of several calls, the padding innermost."""
        return self.kept_source(self.pooled_source(self.padded_source(tensors[0])))

    def kept_source(self, out: Any) -> Any:
        """Without the windows in the padding, where there are any."""
        if not self.layer.ceil_mode:
            return out
        cuts = [Call(":", (Arg("", None), Arg("", kept), Arg("", None))) for kept in self.kept]
        return Call("[]", positional(out, Verbatim("..."), *cuts))


class PaddedMaxPool(PaddedPool):
    """Max pool: −∞ is put around the input."""

    functions = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
    fill = -torch.inf

    def fields(self) -> dict[str, Any]:
        assert isinstance(self.layer, MaxPool)
        return {**window_fields(self.layer), "dilation": self.layer.dilation}


class PaddedAvgPool(PaddedPool):
    """Average pool: zeros are put around the input, and the divisor is counted apart."""

    functions = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
    fill = 0.0

    def fields(self) -> dict[str, Any]:
        assert isinstance(self.layer, AvgPool)
        fields = window_fields(self.layer)
        if self.layer.divisor_override is not None:
            fields["divisor_override"] = self.layer.divisor_override
        return fields

    @property
    def divides(self) -> bool:
        """Whether what lies in the padding does not count."""
        assert isinstance(self.layer, AvgPool)
        return self.layer.divisor_override is None and not self.layer.count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        """The mean over each window, divided by the share of it that counts."""
        out = self.pooled(self.padded(x))
        if self.divides:
            out = out / self.pooled(self.padded(torch.ones_like(x[:1, :1])))
        return without_windows_in_padding(out, self.kept)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """Where it has to be counted, the share is a second pool, of ones."""
        (x,) = tensors
        out = self.pooled_source(self.padded_source(x))
        if not self.divides:
            return self.kept_source(out)
        ones = Call("torch.ones_like", positional(x))
        share = self.pooled_source(self.padded_source(ones))
        return Call("/", positional(self.kept_source(out), self.kept_source(share)))


@builds(MaxPool)
def build_max_pool(layer: MaxPool, shape: Shape) -> nn.Module:
    """``nn.MaxPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    rank = len(shape) - 1
    padding = symmetric(layer.padding, rank)
    if padding is None:
        return PaddedMaxPool(layer, shape[1:])
    return MAX_POOLS[rank - 1](**window_fields(layer), padding=uniform(padding), dilation=layer.dilation)


@builds(AvgPool)
def build_avg_pool(layer: AvgPool, shape: Shape) -> nn.Module:
    """``nn.AvgPoolNd``, or by hand where the padding is ``same`` or differs between the two ends."""
    rank = len(shape) - 1
    padding = symmetric(layer.padding, rank)
    if padding is None:
        return PaddedAvgPool(layer, shape[1:])
    divisor = {} if layer.divisor_override is None else {"divisor_override": layer.divisor_override}
    return AVG_POOLS[rank - 1](
        **window_fields(layer), padding=uniform(padding), count_include_pad=layer.count_include_pad, **divisor
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
