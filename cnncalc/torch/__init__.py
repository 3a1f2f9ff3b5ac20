"""Nets as PyTorch modules, and what PyTorch measures of them; this package alone imports torch.

:func:`build` makes a module of a whole net. What ``torch.nn`` has under a layer's own ``torch_name`` and fields is
built from those; the module of any other layer by a function decorated with :func:`builds`.
"""

from __future__ import annotations

from cnncalc.torch import arithmetic, attention, conv, modules, norm, pool, shape
from cnncalc.torch.module import Net, build
from cnncalc.torch.registry import BUILDERS, build_layer, builds

__all__ = [
    "BUILDERS",
    "Net",
    "arithmetic",
    "attention",
    "build",
    "build_layer",
    "builds",
    "conv",
    "modules",
    "norm",
    "pool",
    "shape",
]
