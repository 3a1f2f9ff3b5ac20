"""Nets as PyTorch modules, and what PyTorch measures of them; this package alone imports torch.

:func:`build` makes a module of a whole net. What ``torch.nn`` has under a layer's own ``torch_name`` and fields is
built from those; the module of any other layer by a function decorated with :func:`builds`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnncalc.torch import arithmetic, attention, conv, modules, norm, pool, shape
from cnncalc.torch.module import Net
from cnncalc.torch.registry import BUILDERS, build_layer, builds

if TYPE_CHECKING:
    from cnncalc.api import build

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


def __getattr__(name: str) -> Any:
    """``build`` loads its source, so it stands above this package: it is found where it is asked for."""
    if name == "build":
        return import_module("cnncalc.api").build
    raise AttributeError(f"module 'cnncalc.torch' has no attribute {name!r}")
