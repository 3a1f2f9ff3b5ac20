"""What all equations share: the type of an array, and a matrix applied along one of its axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Floating-point values, batch first: ``(N, C, *spatial)``."""
Mask = NDArray[np.bool_]


def spatial_axes(x: Array) -> tuple[int, ...]:
    """The axes after batch and channels."""
    return tuple(range(2, x.ndim))


def apply_along(x: Array, matrix: Array, axis: int) -> Array:
    """``y[…, i, …] = Σ_h matrix[i, h] · x[…, h, …]`` along ``axis``: H units become as many as the matrix has rows.

    The adjoint is the same with the matrix transposed.
    """
    y = np.tensordot(x, matrix.astype(x.dtype, copy=False), axes=(axis, 1))
    return np.moveaxis(y, -1, axis)


def per_channel(values: Array, x: Array) -> Array:
    """One value per channel, shaped to be broadcast against ``x``: ``(C,)`` to ``(C, 1, …, 1)``."""
    return values.reshape(values.shape + (1,) * (x.ndim - 2))


def sum_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting ``shape`` to the shape of ``gradient``: sums over the axes that were repeated."""
    leading = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(leading)))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    total: Array = gradient.sum(axis=repeated, keepdims=True)
    return total
