"""The calculator for convolutional networks: exact shapes, parameters, FLOPs and receptive fields.

>>> import cnncalc
>>> report = cnncalc.analyze("resnet50")
>>> report.totals.params
25557032
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnncalc.analysis.explain.answer import Explanation
    from cnncalc.analysis.report import Report
    from cnncalc.api import analyze, diff, explain, load
    from cnncalc.errors import CnncalcError
    from cnncalc.graph import Graph

__all__ = ["CnncalcError", "Explanation", "Graph", "Report", "__version__", "analyze", "diff", "explain", "load"]

_HOMES = {
    "analyze": "cnncalc.api",
    "diff": "cnncalc.api",
    "explain": "cnncalc.api",
    "load": "cnncalc.api",
    "CnncalcError": "cnncalc.errors",
    "Explanation": "cnncalc.analysis.explain.answer",
    "Graph": "cnncalc.graph",
    "Report": "cnncalc.analysis.report",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that ``import cnncalc`` is instant."""
    from importlib import import_module

    if name == "torch":
        return import_module("cnncalc.torch")
    if name not in _HOMES:
        raise AttributeError(f"module 'cnncalc' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
