"""The layers as PyTorch modules; this package alone imports torch.

One small function per layer class, decorated with :func:`builds`, makes its module.
"""

from __future__ import annotations

from cnncalc.torch import (
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
from cnncalc.torch.registry import BUILDERS, build_layer, builds

__all__ = [
    "BUILDERS",
    "activation",
    "attention",
    "build_layer",
    "builds",
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
