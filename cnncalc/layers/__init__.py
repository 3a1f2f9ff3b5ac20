"""The layers: one file per family, one class per layer; importing this fills the registry."""

from __future__ import annotations

from cnncalc.layers import (
    activation,
    arithmetic,
    attention,
    conv,
    linear,
    merge,
    norm,
    pool,
    reduce,
    regularization,
    resample,
    shape,
    tensor,
)
from cnncalc.layers.base import REGISTRY, Layer

__all__ = [
    "REGISTRY",
    "Layer",
    "activation",
    "arithmetic",
    "attention",
    "conv",
    "linear",
    "merge",
    "norm",
    "pool",
    "reduce",
    "regularization",
    "resample",
    "shape",
    "tensor",
]
