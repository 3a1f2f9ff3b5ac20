"""Padding over any number of spatial axes, with its adjoint."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from cnncalc.layers.axes import Pair
from cnncalc.reference.array import Array

Mode = Literal["zeros", "constant", "reflect", "replicate", "circular"]

NUMPY_MODES: dict[Mode, Any] = {
    "zeros": "constant",
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


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
