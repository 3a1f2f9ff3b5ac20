"""Interpolation as one matrix per axis.

Every resizing is linear and separable: ``y = A_h · x · A_wᵀ`` with a matrix ``A`` of as many rows as the
output has units, which holds the weights of the input units that each output unit reads.

Output unit ``i`` samples the input at ``x(i)``. With ``ρ`` input units from one output unit to the
next (``H/O``, or the inverse of a given scale factor) it is ``i·ρ`` (nearest), ``(i + ½)·ρ``
(nearest-exact), ``(i + ½)·ρ − ½`` (linear, cubic) or, with ``align_corners``, ``i·(H − 1)/(O − 1)``.
Positions are exact fractions, so that no rounding decides which unit is near.

Sources: ``torch.nn.functional.interpolate``; Keys 1981, "Cubic Convolution Interpolation for Digital
Image Processing".
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from cnncalc.layers.axes import per_axis
from cnncalc.layers.resample import Upsample, simplest_ratio
from cnncalc.reference.array import Array, apply_along, spatial_axes
from cnncalc.reference.pool import averaging_matrix
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates

HALF = Fraction(1, 2)
KEYS = -0.75
"""The free parameter ``a`` of Keys' kernel, as PyTorch has it."""


def cubic_kernel(s: float) -> float:
    """Keys' kernel: ``(a+2)|s|³ − (a+3)|s|² + 1`` within 1, ``a|s|³ − 5a|s|² + 8a|s| − 4a`` within 2, else 0."""
    s = abs(s)
    if s <= 1:
        return (KEYS + 2) * s**3 - (KEYS + 3) * s**2 + 1
    return KEYS * s**3 - 5 * KEYS * s**2 + 8 * KEYS * s - 4 * KEYS if s < 2 else 0.0


def sample_position(i: int, size: int, out: int, ratio: Fraction, mode: str, align_corners: bool) -> Fraction:
    """``x(i)``, as the module's text has it."""
    if align_corners:
        return i * Fraction(size - 1, out - 1) if out > 1 else Fraction(0)
    if mode == "nearest":
        return i * ratio
    return (i + HALF) * ratio - (0 if mode == "nearest-exact" else HALF)


def taps(position: Fraction, mode: str) -> list[tuple[int, float]]:
    """The input units that a sample at ``position`` reads, with their weights; some may lie beyond the input."""
    whole = floor(position)
    t = float(position - whole)
    if mode.startswith("nearest"):
        return [(whole, 1.0)]
    if mode == "bicubic":
        return [(whole + k, cubic_kernel(t - k)) for k in (-1, 0, 1, 2)]
    return [(whole, 1 - t), (whole + 1, t)]


def sampling_matrix(
    size: int, out: int, mode: str, *, scale_factor: float | None = None, align_corners: bool = False
) -> Array:
    """The weights ``A[i, h]``, ``(O, H)``. A unit beyond the border stands for the one at the border.

    As in PyTorch, linear interpolation to the same size is a copy, whatever the scale factor.
    """
    if mode == "area":
        return averaging_matrix(size, out)
    if mode in ("linear", "bilinear", "trilinear") and size == out:
        return np.eye(size)
    ratio = Fraction(size, out) if scale_factor is None else 1 / Fraction(*simplest_ratio(scale_factor))
    matrix = np.zeros((out, size))
    for i in range(out):
        for unit, weight in taps(sample_position(i, size, out, ratio, mode, align_corners), mode):
            matrix[i, min(max(unit, 0), size - 1)] += weight
    return matrix


def resize(x: Array, matrices: list[Array]) -> Array:
    """``y = A_1 · x · A_2ᵀ``: one matrix for each spatial axis; ``(N, C, *spatial)`` to ``(N, C, *out)``."""
    for axis, matrix in zip(spatial_axes(x), matrices, strict=True):
        x = apply_along(x, matrix, axis)
    return x


# -- the layers ------------------------------------------------------------------------------------


def matrices_of(layer: Upsample, sizes: tuple[int, ...]) -> list[Array]:
    """One sampling matrix per axis. By a scale factor the output has ``⌊size·factor⌋`` units."""
    rank = len(sizes)
    factors: tuple[float | None, ...] = layer.scales(rank) or (None,) * rank
    if layer.size is not None:
        outs = per_axis(layer.size, rank, "size")
    else:
        outs = tuple(int(size * (factor or 1)) for size, factor in zip(sizes, factors, strict=True))
    return [
        sampling_matrix(size, out, layer.mode, scale_factor=factor, align_corners=layer.align_corners)
        for size, out, factor in zip(sizes, outs, factors, strict=True)
    ]


@evaluates(Upsample)
def evaluate_upsample(layer: Upsample, weights: Weights, x: Array) -> Array:
    """:func:`resize`."""
    return resize(x, matrices_of(layer, x.shape[2:]))


@differentiates(Upsample)
def differentiate_upsample(layer: Upsample, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`resize` by the transposed matrices."""
    return (resize(gradient, [matrix.T for matrix in matrices_of(layer, inputs[0].shape[2:])]),), {}
