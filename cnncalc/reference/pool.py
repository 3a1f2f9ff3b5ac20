"""Pooling: maximum, mean and power mean over sliding, adaptive and global windows, with their gradients.

Sliding windows are those of :func:`cnncalc.reference.windows.windows`. In the equations a window
``W(p)`` is the set of positions ``i = p·S − P + D·k`` of the padded input.

Sources: Goodfellow, Bengio & Courville 2016, §9.3; ``torch.nn.MaxPool2d``, ``AvgPool2d``,
``LPPool2d`` and ``AdaptiveAvgPool2d`` for padding, divisors, ``ceil_mode`` and adaptive windows.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypedDict

import numpy as np

from cnncalc.layers.axes import ExplicitPadding, Pair
from cnncalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    LpPool,
    MaxPool,
    SlidingPool,
)
from cnncalc.reference.array import Array, apply_along, spatial_axes
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates
from cnncalc.reference.windows import Sizes, fold, geometry, pad, unpad, windows


def overhangs(
    sizes: Sizes, kernel: Sizes, stride: Sizes, pads: tuple[Pair, ...], dilation: Sizes, ceil_mode: bool
) -> tuple[Pair, ...]:
    """Units to add behind each padded axis for the windows that ``ceil_mode`` lets stick out.

    A window starts at every ``S``-th unit. It is there if it fits; with ``ceil_mode`` also if it sticks
    out by less than a stride and starts within the input or the padding before it.
    """

    def overhang(size: int, k: int, s: int, ends: Pair, d: int) -> Pair:
        padded, extent = size + sum(ends), d * (k - 1) + 1
        starts = np.arange(0, padded, s)
        beyond = starts + extent - padded
        there = (beyond <= 0) | ((beyond < s) & (starts < ends[0] + size) & ceil_mode)
        return 0, max(0, int(beyond[there].max(initial=0)))

    return tuple(map(overhang, sizes, kernel, stride, pads, dilation))


def max_pool(
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    ceil_mode: bool = False,
) -> Array:
    """``y[n,c,p] = max_{i ∈ W(p)} x[n,c,i]``; padding is −∞, so it never wins.

    ``(N, C, *spatial)`` to ``(N, C, *out)``.
    """
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, dilation)
    behind = overhangs(x.shape[2:], kernel, strides, pads, dilations, ceil_mode)
    seen = windows(pad(pad(x, pads, value=-np.inf), behind, value=-np.inf), kernel, strides, dilations)
    y: Array = seen.max(axis=tuple(range(x.ndim, seen.ndim)))
    return y


def max_pool_gradient(
    gradient: Array,
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    ceil_mode: bool = False,
) -> Array:
    """``∂L/∂x[n,c,i] = Σ_p g[n,c,p]`` over the windows that ``i`` wins (the first of equals does)."""
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, dilation)
    behind = overhangs(x.shape[2:], kernel, strides, pads, dilations, ceil_mode)
    padded = pad(pad(x, pads, value=-np.inf), behind, value=-np.inf)
    seen = windows(padded, kernel, strides, dilations)
    flat = seen.reshape(*seen.shape[: x.ndim], -1)
    winner = flat.argmax(axis=-1)[..., None] == np.arange(flat.shape[-1])
    shares = (winner * gradient[..., None]).reshape(seen.shape)
    return unpad(unpad(fold(shares, padded.shape[2:], strides, dilations), behind), pads)


def divisors(
    sizes: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: tuple[Pair, ...],
    behind: tuple[Pair, ...],
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """How many elements each window of an average counts, ``(1, 1, *out)``: never those beyond the padding."""
    ones = pad(pad(np.ones((1, 1, *sizes)), pads, value=float(count_include_pad)), behind)
    seen = windows(ones, kernel, stride, (1,) * len(sizes))
    counts: Array = seen.sum(axis=tuple(range(len(sizes) + 2, seen.ndim)))
    return counts if divisor_override is None else np.full_like(counts, divisor_override)


def avg_pool(
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes,
    padding: ExplicitPadding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """``y[n,c,p] = Σ_{i ∈ W(p)} x[n,c,i] / |W(p)|``, where padding is 0.

    ``|W(p)|`` counts the padding or not; ``divisor_override`` stands in for it.
    ``(N, C, *spatial)`` to ``(N, C, *out)``.
    """
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, 1)
    behind = overhangs(x.shape[2:], kernel, strides, pads, dilations, ceil_mode)
    seen = windows(pad(pad(x, pads), behind), kernel, strides, dilations)
    counts = divisors(x.shape[2:], kernel, strides, pads, behind, count_include_pad, divisor_override)
    y: Array = seen.sum(axis=tuple(range(x.ndim, seen.ndim))) / counts.astype(x.dtype)
    return y


def avg_pool_gradient(
    gradient: Array,
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes,
    padding: ExplicitPadding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """``∂L/∂x[n,c,i] = Σ_{p: i ∈ W(p)} g[n,c,p] / |W(p)|``."""
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, 1)
    behind = overhangs(x.shape[2:], kernel, strides, pads, dilations, ceil_mode)
    counts = divisors(x.shape[2:], kernel, strides, pads, behind, count_include_pad, divisor_override)
    share = gradient / counts.astype(x.dtype)
    shares = np.broadcast_to(share.reshape(*share.shape, *(1 for _ in kernel)), (*share.shape, *kernel))
    padded = tuple(size + sum(ends) + more for size, ends, (_, more) in zip(x.shape[2:], pads, behind, strict=True))
    return unpad(unpad(fold(shares, padded, strides, dilations), behind), pads)


def lp_pool(x: Array, kernel: Sizes, norm_type: float, *, stride: int | Sizes, ceil_mode: bool = False) -> Array:
    """``y[n,c,p] = (Σ_{i ∈ W(p)} x[n,c,i]^q)^(1/q)`` with ``q = norm_type``.

    As in PyTorch the sum is the mean times the full kernel's size, so that one over a window which
    ``ceil_mode`` lets stick out is scaled up. ``(N, C, *spatial)`` to ``(N, C, *out)``.
    """
    with np.errstate(invalid="ignore"):  # an uneven power of a negative number is NaN, as in PyTorch
        mean = avg_pool(x**norm_type, kernel, stride=stride, ceil_mode=ceil_mode)
        y: Array = (mean * prod(kernel)) ** (1 / norm_type)
    return y


def lp_pool_gradient(
    gradient: Array, x: Array, kernel: Sizes, norm_type: float, *, stride: int | Sizes, ceil_mode: bool = False
) -> Array:
    """``∂y[p]/∂x[i] = y[p]^(1 − q) · x[i]^(q − 1)`` for ``i ∈ W(p)``, times the same factor as the sum."""
    y = lp_pool(x, kernel, norm_type, stride=stride, ceil_mode=ceil_mode)
    over_mean = gradient * y ** (1 - norm_type) * prod(kernel)
    back: Array = avg_pool_gradient(over_mean, x, kernel, stride=stride, ceil_mode=ceil_mode)
    return back * x ** (norm_type - 1)


def global_avg_pool(x: Array) -> Array:
    """``y[n,c] = (1/|space|) · Σ_i x[n,c,i]``, the spatial axes kept with size 1."""
    y: Array = x.mean(axis=spatial_axes(x), keepdims=True)
    return y


def global_avg_pool_gradient(gradient: Array, x: Array) -> Array:
    """``∂L/∂x[n,c,i] = g[n,c] / |space|``."""
    share: Array = np.broadcast_to(gradient / prod(x.shape[2:]), x.shape)
    return share


def adaptive_ends(size: int, out: int) -> list[Pair]:
    """Unit ``i`` of ``O`` reads ``⌊i·H/O⌋ ≤ h < ⌈(i + 1)·H/O⌉``: all that its share of the axis touches."""
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def averaging_matrix(size: int, out: int) -> Array:
    """``A[i, h] = 1/|W(i)|`` for ``h ∈ W(i)``, else 0, ``(O, H)``: adaptive averaging along one axis."""
    matrix = np.zeros((out, size))
    for i, (first, end) in enumerate(adaptive_ends(size, out)):
        matrix[i, first:end] = 1 / (end - first)
    return matrix


def adaptive_avg_pool(x: Array, output_size: Sizes) -> Array:
    """Mean over adaptive windows, which along several axes is one mean after the other: ``y = A_h · x · A_wᵀ``.

    ``(N, C, *spatial)`` to ``(N, C, *output_size)``.
    """
    for axis, out in zip(spatial_axes(x), output_size, strict=True):
        x = apply_along(x, averaging_matrix(x.shape[axis], out), axis)
    return x


def adaptive_avg_pool_gradient(gradient: Array, sizes: Sizes) -> Array:
    """``x̄ = A_hᵀ · g · A_w``, ``(N, C, *sizes)``."""
    for axis, size in zip(spatial_axes(gradient), sizes, strict=True):
        gradient = apply_along(gradient, averaging_matrix(size, gradient.shape[axis]).T, axis)
    return gradient


def adaptive_max_pool(x: Array, output_size: Sizes) -> Array:
    """Maximum over adaptive windows, one axis after the other; ``(N, C, *spatial)`` to ``(N, C, *output_size)``."""
    for axis, out in zip(spatial_axes(x), output_size, strict=True):
        ends = adaptive_ends(x.shape[axis], out)
        x = np.stack([x.take(range(*pair), axis).max(axis) for pair in ends], axis)
    return x


def adaptive_max_pool_gradient(gradient: Array, x: Array) -> Array:
    """``∂L/∂x[n,c,i] = Σ_p g[n,c,p]`` over the windows that ``i`` wins (the first of equals does)."""
    found = np.zeros_like(x)
    ends = [adaptive_ends(size, out) for size, out in zip(x.shape[2:], gradient.shape[2:], strict=True)]
    for p in np.ndindex(*gradient.shape[2:]):
        place: tuple[Any, ...] = (..., *(slice(*axis[i]) for axis, i in zip(ends, p, strict=True)))
        window = x[place].reshape(*x.shape[:2], -1)
        winner = window.argmax(axis=-1)[..., None] == np.arange(window.shape[-1])
        found[place] += (winner * gradient[(..., *p)][..., None]).reshape(x[place].shape)
    return found


# -- the layers ------------------------------------------------------------------------------------


class Sliding(TypedDict):
    """What all sliding pools have, as the functions above name it."""

    kernel: Sizes
    stride: Sizes
    ceil_mode: bool


def sliding(layer: SlidingPool, x: Array) -> Sliding:
    """A sliding pool's kernel, stride and ``ceil_mode`` in normal form."""
    axes = layer.axes(x.shape[1:])
    return {
        "kernel": tuple(axis.kernel for axis in axes),
        "stride": tuple(axis.stride for axis in axes),
        "ceil_mode": layer.ceil_mode,
    }


def padding_of(layer: SlidingPool, x: Array) -> tuple[Pair, ...]:
    """Its padding, resolved."""
    return tuple(axis.padding for axis in layer.axes(x.shape[1:]))


@evaluates(MaxPool)
def evaluate_max_pool(layer: MaxPool, weights: Weights, x: Array) -> Array:
    """:func:`max_pool`."""
    return max_pool(x, padding=padding_of(layer, x), dilation=layer.dilation, **sliding(layer, x))


@differentiates(MaxPool)
def differentiate_max_pool(layer: MaxPool, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`max_pool_gradient`."""
    (x,) = inputs
    fields = sliding(layer, x)
    over_x = max_pool_gradient(gradient, x, padding=padding_of(layer, x), dilation=layer.dilation, **fields)
    return (over_x,), {}


@evaluates(AvgPool)
def evaluate_avg_pool(layer: AvgPool, weights: Weights, x: Array) -> Array:
    """:func:`avg_pool`."""
    return avg_pool(
        x,
        padding=padding_of(layer, x),
        count_include_pad=layer.count_include_pad,
        divisor_override=layer.divisor_override,
        **sliding(layer, x),
    )


@differentiates(AvgPool)
def differentiate_avg_pool(layer: AvgPool, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`avg_pool_gradient`."""
    (x,) = inputs
    over_x = avg_pool_gradient(
        gradient,
        x,
        padding=padding_of(layer, x),
        count_include_pad=layer.count_include_pad,
        divisor_override=layer.divisor_override,
        **sliding(layer, x),
    )
    return (over_x,), {}


@evaluates(LpPool)
def evaluate_lp_pool(layer: LpPool, weights: Weights, x: Array) -> Array:
    """:func:`lp_pool`."""
    return lp_pool(x, norm_type=layer.norm_type, **sliding(layer, x))


@differentiates(LpPool)
def differentiate_lp_pool(layer: LpPool, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`lp_pool_gradient`."""
    (x,) = inputs
    return (lp_pool_gradient(gradient, x, norm_type=layer.norm_type, **sliding(layer, x)),), {}


@evaluates(AdaptiveAvgPool)
def evaluate_adaptive_avg_pool(layer: AdaptiveAvgPool, weights: Weights, x: Array) -> Array:
    """:func:`adaptive_avg_pool`."""
    return adaptive_avg_pool(x, tuple(out for _, out in layer.per_axis_sizes(x.shape[1:])))


@differentiates(AdaptiveAvgPool)
def differentiate_adaptive_avg_pool(
    layer: AdaptiveAvgPool, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`adaptive_avg_pool_gradient`."""
    return (adaptive_avg_pool_gradient(gradient, inputs[0].shape[2:]),), {}


@evaluates(AdaptiveMaxPool)
def evaluate_adaptive_max_pool(layer: AdaptiveMaxPool, weights: Weights, x: Array) -> Array:
    """:func:`adaptive_max_pool`."""
    return adaptive_max_pool(x, tuple(out for _, out in layer.per_axis_sizes(x.shape[1:])))


@differentiates(AdaptiveMaxPool)
def differentiate_adaptive_max_pool(
    layer: AdaptiveMaxPool, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`adaptive_max_pool_gradient`."""
    return (adaptive_max_pool_gradient(gradient, inputs[0]),), {}


@evaluates(GlobalAvgPool)
def evaluate_global_avg_pool(layer: GlobalAvgPool, weights: Weights, x: Array) -> Array:
    """:func:`global_avg_pool`."""
    return global_avg_pool(x)


@differentiates(GlobalAvgPool)
def differentiate_global_avg_pool(
    layer: GlobalAvgPool, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`global_avg_pool_gradient`."""
    return (global_avg_pool_gradient(gradient, inputs[0]),), {}


@evaluates(GlobalMaxPool)
def evaluate_global_max_pool(layer: GlobalMaxPool, weights: Weights, x: Array) -> Array:
    """``y[n,c] = max_i x[n,c,i]``, the spatial axes kept with size 1: an adaptive pool to one unit."""
    return adaptive_max_pool(x, (1,) * (x.ndim - 2))


@differentiates(GlobalMaxPool)
def differentiate_global_max_pool(
    layer: GlobalMaxPool, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`adaptive_max_pool_gradient`."""
    return (adaptive_max_pool_gradient(gradient, inputs[0]),), {}
