"""Axes of a spec as PyTorch's dimensions, where the batch is dimension 0.

An axis from the front (channels = 0) is one further there; one from the end is the same.
"""

from __future__ import annotations


def dim(axis: int) -> int:
    """The dimension that ``axis`` is."""
    return axis + 1 if axis >= 0 else axis


def dims(axes: int | tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of one axis or several."""
    return tuple(map(dim, axes if isinstance(axes, tuple) else (axes,)))
