"""Answers as documents: one small file per command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncalc.document.blocks import Document

PAGES = {
    "CheckReport": "check",
    "CheckReports": "check",
    "Explanation": "explain",
    "LintReport": "lint",
    "LintReports": "lint",
    "RuleList": "lint",
    "BenchReport": "bench",
    "ConventionsReport": "conventions",
    "ChangesReport": "diff",
    "DiffReport": "diff",
    "FieldReport": "rf",
    "UnitReport": "rf",
    "LayersReport": "layers",
    "Machines": "machines",
    "SizesReport": "sizes",
    "Report": "analyze",
    "CompareReport": "compare",
    "SolveReport": "solve",
    "VerifyReport": "verify",
    "Zoo": "zoo",
}
"""The module of this package that has the page of an answer, by the answer's class."""


def document(answer: Any) -> Document:
    """The page of an answer."""
    module = import_module(f"cnncalc.report.{PAGES[type(answer).__name__]}")
    page: Document = module.document(answer)
    return page
