"""Padding and sliding windows over any number of spatial axes, with their adjoints.

Convolution and pooling are both a product over windows: pad, look through each window, combine.
Backpropagation goes the same way back: the adjoint of each step, in reverse.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncalc.layers.axes import ExplicitPadding, Pair, padding_pairs, per_axis
from cnncalc.reference.array import Array

Sizes = tuple[int, ...]
Mode = Literal["zeros", "constant", "reflect", "replicate", "circular"]

NUMPY_MODES: dict[Mode, Any] = {
    "zeros": "constant",
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def geometry(
    rank: int, stride: int | Sizes, padding: ExplicitPadding, dilation: int | Sizes
) -> tuple[Sizes, tuple[Pair, ...], Sizes]:
    """Stride, ``(before, after)`` padding and dilation for each of ``rank`` spatial axes."""
    return per_axis(stride, rank, "stride"), padding_pairs(padding, rank), per_axis(dilation, rank, "dilation")


def pad(x: Array, pads: tuple[Pair, ...], mode: Mode = "zeros", value: float = 0.0) -> Array:
    """``(N, C, *spatial)`` with units added before and after each spatial axis, as ``torch.nn.functional.pad``."""
    fill = {"constant_values": value} if NUMPY_MODES[mode] == "constant" else {}
    padded: Array = np.pad(x, ((0, 0), (0, 0), *pads), NUMPY_MODES[mode], **fill)
    return padded


def unpad(gradient: Array, pads: tuple[Pair, ...], mode: Mode = "zeros") -> Array:
    """The adjoint of :func:`pad`: every padded unit gives its gradient to the input unit that it copied, if any."""
    for axis, (before, after) in enumerate(pads, start=2):
        size = gradient.shape[axis] - before - after
        along = np.moveaxis(gradient, axis, 0)
        if NUMPY_MODES[mode] == "constant":
            inner = along[before : before + size]
        else:
            source = np.pad(np.arange(size), (before, after), NUMPY_MODES[mode])
            inner = np.zeros((size, *along.shape[1:]), gradient.dtype)
            np.add.at(inner, source, along)
        gradient = np.moveaxis(inner, 0, axis)
    return gradient


def windows(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """What each window sees, as a view: ``v[n, c, p, k] = x[n, c, p·S + D·k]``, shape ``(N, C, *out, *kernel)``.

    There is a window at every ``S``-th unit for as long as all of its ``D·(K − 1) + 1`` units lie within ``x``.
    """
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(x, extent, axis=tuple(range(2, x.ndim)))
    steps = tuple(slice(None, None, step) for step in (*stride, *dilation))
    seen: Array = view[(slice(None), slice(None), *steps)]
    return seen


def fold(gradient: Array, sizes: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The adjoint of :func:`windows`: every unit of ``(N, C, *sizes)`` sums up what the windows that see it give.

    ``x̄[n, c, i] = Σ_{p·S + D·k = i} v̄[n, c, p, k]``
    """
    rank = len(sizes)
    out, kernel = gradient.shape[2 : 2 + rank], gradient.shape[2 + rank :]
    x = np.zeros((*gradient.shape[:2], *sizes), gradient.dtype)
    for tap in np.ndindex(*kernel):
        place: list[Any] = [
            slice(d * k, d * k + s * (o - 1) + 1, s) for k, o, s, d in zip(tap, out, stride, dilation, strict=True)
        ]
        x[(..., *place)] += gradient[(..., *tap)]
    return x


def dilate(x: Array, stride: Sizes) -> Array:
    """``S − 1`` zeros between the units of each spatial axis: ``y[n, c, p·S] = x[n, c, p]``."""
    sizes = (s * (size - 1) + 1 for s, size in zip(stride, x.shape[2:], strict=True))
    y = np.zeros((*x.shape[:2], *sizes), x.dtype)
    y[(slice(None), slice(None), *(slice(None, None, s) for s in stride))] = x
    return y
