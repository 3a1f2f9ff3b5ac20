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
    GlobalPool,
    LpPool,
    MaxPool,
)
from cnncalc.torch.padding import each, ends, flat, symmetric
from cnncalc.torch.registry import builds, standard

POOLS: dict[type, tuple[Callable[..., Tensor], ...]] = {
    MaxPool: (F.max_pool1d, F.max_pool2d, F.max_pool3d),
    AvgPool: (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
}
IMPLIED: dict[str, Any] = {"stride": None, "ceil_mode": False, "dilation": 1}
"""Arguments of PyTorch's functions that need not be written with these values."""


def uniform(value: Any) -> Any:
    """One number where all axes have the same."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def more_of(layer: MaxPool | AvgPool) -> dict[str, Any]:
    """What one pool has beside what both have; over one axis the mean knows no divisor, not even ``None``."""
    if isinstance(layer, MaxPool):
        return {"dilation": layer.dilation}
    return {} if layer.divisor_override is None else {"divisor_override": layer.divisor_override}


class PaddedPool(nn.Module):
    """A pool with padding of any kind, which is put around the input of spatial sizes ``sizes``: −∞ for a maximum,
    zeros for a mean. A mean over what is not padding is divided by the share of it in each window.

    ``ceil_mode`` starts no window behind the input. PyTorch's own pools see to that where they pad
    themselves; here the padding counts as input there, so such windows are cut off.
    """

    def __init__(self, layer: MaxPool | AvgPool, sizes: Shape) -> None:
        super().__init__()
        self.pool = POOLS[type(layer)][len(sizes) - 1]
        self.fill = -torch.inf if isinstance(layer, MaxPool) else 0.0
        stride, dilation = layer.stride or layer.kernel, getattr(layer, "dilation", 1)
        pads = ends(layer.padding, sizes, layer.kernel, stride, dilation)
        self.padding = tuple(flat(pads))
        steps = zip(sizes, pads, each(stride, len(sizes)), strict=True)
        # how many windows along each axis start in the input or before it
        self.kept = (
            [len(range(0, before + size, step)) for size, (before, _), step in steps] if layer.ceil_mode else None
        )
        self.fields = {
            "kernel_size": layer.kernel,
            "stride": layer.stride,
            "ceil_mode": layer.ceil_mode,
            **more_of(layer),
        }
        self.shares = isinstance(layer, AvgPool) and not layer.count_include_pad and layer.divisor_override is None

    def pooled(self, x: Tensor) -> Tensor:
        """Pad, then pool without padding."""
        return self.pool(F.pad(x, self.padding, value=self.fill), **self.fields)

    def forward(self, x: Tensor) -> Tensor:
        """The windows that do not lie all in the padding."""
        out = self.pooled(x)
        if self.shares:
            out = out / self.pooled(torch.ones_like(x[:1, :1]))
        return out if self.kept is None else out[(slice(None), slice(None), *map(slice, self.kept))]

    def pooled_source(self, x: Any) -> Any:
        """``F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, stride=2)``, without the windows in the padding"""
        fill = Arg("value", self.fill, True, implied=self.fill == 0, default=0.0)
        padded = Call("F.pad", (*positional(x, self.padding), fill))
        fields = {name: uniform(value) for name, value in self.fields.items()}
        kernel = Arg("kernel_size", fields.pop("kernel_size"))
        given = (Arg(name, value, True, value == IMPLIED.get(name, ...)) for name, value in fields.items())
        out = Call(f"F.{self.pool.__name__}", (Arg("", padded), kernel, *given))
        if self.kept is None:
            return out
        cuts = [Call(":", (Arg("", None), Arg("", kept), Arg("", None))) for kept in self.kept]
        return Call("[]", positional(out, Verbatim("..."), *cuts))

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """Where it has to be counted, the share is a second pool, of ones."""
        (x,) = tensors
        out = self.pooled_source(x)
        return (
            Call("/", positional(out, self.pooled_source(Call("torch.ones_like", positional(x)))))
            if self.shares
            else out
        )


@builds(MaxPool, AvgPool)
def build_pool(layer: MaxPool | AvgPool, shape: Shape) -> nn.Module:
    """``nn.MaxPoolNd`` or ``nn.AvgPoolNd``; by hand where the padding is ``same`` or differs between the two ends."""
    padding = symmetric(layer.padding, len(shape) - 1)
    if padding is None:
        return PaddedPool(layer, shape[1:])
    return standard(layer, shape, padding=uniform(padding), **more_of(layer))


@builds(LpPool)
def build_lp_pool(layer: LpPool, shape: Shape) -> nn.Module:
    """``nn.LPPoolNd``; over one axis it takes bare numbers alone."""
    if len(shape) > 2:
        return standard(layer, shape)
    return standard(layer, shape, kernel_size=uniform(layer.kernel), stride=uniform(layer.stride))


@builds(AdaptiveAvgPool, AdaptiveMaxPool)
def build_adaptive_pool(layer: AdaptivePool, shape: Shape) -> nn.Module:
    """``nn.AdaptiveAvgPoolNd`` or ``nn.AdaptiveMaxPoolNd``; PyTorch takes ``None`` for an axis that is kept, but not
    where it is the only one.
    """
    given = each(layer.output_size, len(shape) - 1)
    return nn.Identity() if given == (None,) else standard(layer, shape, output_size=given)


@builds(GlobalAvgPool, GlobalMaxPool)
def build_global_pool(layer: GlobalPool, shape: Shape) -> nn.Module:
    """An adaptive pool to one unit."""
    return standard(layer, shape, output_size=1)
