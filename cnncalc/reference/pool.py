"""Pooling: maximum, mean and power mean over sliding, adaptive and global windows, with their gradients.

A sliding window ``W(p)`` is the set of positions ``i = p·S − P + D·k`` of the padded input; a maximum over them is
the layer's own equation.

Sources: Goodfellow, Bengio & Courville 2016, §9.3; ``torch.nn.MaxPool2d``, ``AvgPool2d``,
``LPPool2d`` and ``AdaptiveAvgPool2d`` for padding, divisors, ``ceil_mode`` and adaptive windows.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from cnncalc.layers.axes import Pair
from cnncalc.layers.base import Shape
from cnncalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    LpPool,
    SlidingPool,
)
from cnncalc.reference import nest
from cnncalc.reference.array import Array, apply_along, spatial_axes
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


def divisors(layer: SlidingPool, shape: Shape, *, padding: bool, given: int | None = None) -> Array:
    """How many elements each window of an average counts, ``(1, 1, *out)``: with its ``padding`` or not, never those
    beyond it; ``given`` stands in for all.
    """
    out = layer.output_shape(shape)[1:]
    if given is not None:
        return np.full((1, 1, *out), given)
    counts = np.ones((1, 1), int)
    for (size, kernel, stride, (before, after), _), units in zip(layer.axes(shape), out, strict=True):
        place = stride * np.arange(units)[:, None] - before + np.arange(kernel)
        inside = (place >= -before * padding) & (place < size + after * padding)
        counts = np.multiply.outer(counts, inside.sum(axis=1))
    return counts


def averaged(layer: AvgPool, shape: Shape) -> Array:
    """:func:`divisors` of an average pool."""
    return divisors(layer, shape, padding=layer.count_include_pad, given=layer.divisor_override)


def total(layer: SlidingPool, x: Array) -> Array:
    """``Σ_{i ∈ W(p)} x[n,c,i]``, where padding is 0."""
    return nest.evaluate(layer.equation(x.shape[1:])[0], {0: x})


def total_gradient(layer: SlidingPool, x: Array, gradient: Array) -> Array:
    """``∂L/∂x[n,c,i] = Σ_{p: i ∈ W(p)} g[n,c,p]``"""
    return nest.gradients(layer.equation(x.shape[1:])[0], {0: x}, gradient)[0]


@evaluates(AvgPool)
def evaluate_avg_pool(layer: AvgPool, weights: Weights, x: Array) -> Array:
    """``y[n,c,p] = Σ_{i ∈ W(p)} x[n,c,i] / |W(p)|``, where ``|W(p)|`` counts the padding or not."""
    y: Array = total(layer, x) / averaged(layer, x.shape[1:]).astype(x.dtype)
    return y


@differentiates(AvgPool)
def differentiate_avg_pool(layer: AvgPool, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x[n,c,i] = Σ_{p: i ∈ W(p)} g[n,c,p] / |W(p)|``"""
    (x,) = inputs
    return (total_gradient(layer, x, gradient / averaged(layer, x.shape[1:])),), {}


def scale(layer: LpPool, x: Array) -> Array:
    """By what PyTorch multiplies the sum of a window's powers: more than 1 where ``ceil_mode`` lets it stick out."""
    kernel = prod(axis.kernel for axis in layer.axes(x.shape[1:]))
    share: Array = (kernel / divisors(layer, x.shape[1:], padding=True)).astype(x.dtype)
    return share


@evaluates(LpPool)
def evaluate_lp_pool(layer: LpPool, weights: Weights, x: Array) -> Array:
    """``y[n,c,p] = (Σ_{i ∈ W(p)} x[n,c,i]^q)^(1/q)`` with ``q = norm_type``, scaled up where a window sticks out."""
    with np.errstate(invalid="ignore"):  # an uneven power of a negative number is NaN, as in PyTorch
        y: Array = (total(layer, x**layer.norm_type) * scale(layer, x)) ** (1 / layer.norm_type)
    return y


@differentiates(LpPool)
def differentiate_lp_pool(layer: LpPool, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂y[p]/∂x[i] = y[p]^(1 − q) · x[i]^(q − 1)`` for ``i ∈ W(p)``, times the same factor as the sum."""
    (x,), less = inputs, layer.norm_type - 1
    over_total = gradient * evaluate_lp_pool(layer, weights, x) ** -less * scale(layer, x)
    return (total_gradient(layer, x, over_total) * x**less,), {}


def adaptive_ends(size: int, out: int) -> list[Pair]:
    """Unit ``i`` of ``O`` reads ``⌊i·H/O⌋ ≤ h < ⌈(i + 1)·H/O⌉``: all that its share of the axis touches."""
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def averaging_matrix(size: int, out: int) -> Array:
    """``A[i, h] = 1/|W(i)|`` for ``h ∈ W(i)``, else 0, ``(O, H)``: adaptive averaging along one axis."""
    matrix = np.zeros((out, size))
    for i, (first, end) in enumerate(adaptive_ends(size, out)):
        matrix[i, first:end] = 1 / (end - first)
    return matrix


def adaptive_avg_pool(x: Array, output_size: Shape) -> Array:
    """Mean over adaptive windows, which along several axes is one mean after the other: ``y = A_h · x · A_wᵀ``.

    ``(N, C, *spatial)`` to ``(N, C, *output_size)``.
    """
    for axis, out in zip(spatial_axes(x), output_size, strict=True):
        x = apply_along(x, averaging_matrix(x.shape[axis], out), axis)
    return x


def adaptive_avg_pool_gradient(gradient: Array, sizes: Shape) -> Array:
    """``x̄ = A_hᵀ · g · A_w``, ``(N, C, *sizes)``."""
    for axis, size in zip(spatial_axes(gradient), sizes, strict=True):
        gradient = apply_along(gradient, averaging_matrix(size, gradient.shape[axis]).T, axis)
    return gradient


def adaptive_max_pool(x: Array, output_size: Shape) -> Array:
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
    """``y[n,c] = (1/|space|) · Σ_i x[n,c,i]``, the spatial axes kept with size 1."""
    y: Array = x.mean(axis=spatial_axes(x), keepdims=True)
    return y


@differentiates(GlobalAvgPool)
def differentiate_global_avg_pool(
    layer: GlobalAvgPool, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """``∂L/∂x[n,c,i] = g[n,c] / |space|``."""
    (x,) = inputs
    return (np.broadcast_to(gradient / prod(x.shape[2:]), x.shape),), {}
