"""Nets as PyTorch modules, and what PyTorch measures of them; this package alone imports torch.

:func:`build` makes a module of a whole net. One small function per layer class, decorated with
:func:`builds`, makes the module of a layer.
"""

from __future__ import annotations

from cnncalc.torch import (
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
from cnncalc.torch.module import Net, build
from cnncalc.torch.registry import BUILDERS, build_layer, builds

__all__ = [
    "BUILDERS",
    "Net",
    "activation",
    "arithmetic",
    "attention",
    "build",
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
    "tensor",
]
