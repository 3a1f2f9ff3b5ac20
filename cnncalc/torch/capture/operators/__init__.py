"""Functions that turn ATen operators into layers, a file per family as in ``cnncalc.layers``."""

from __future__ import annotations

from cnncalc.torch.capture.operators import (
    activation,
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
)

__all__ = [
    "activation",
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
]
