"""Answers as documents: one small file per command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncalc.document.blocks import Document

REPORTS = {
    "report": ("report", "Report", "analyze"),
    "report-many": ("compare", "CompareReport", "compare"),
    "bench": ("bench", "BenchReport", "bench"),
    "check": ("check", "CheckReport", "check"),
    "check-many": ("check", "CheckReports", "check"),
    "conventions": ("conventions.comparison", "ConventionsReport", "conventions"),
    "diff": ("difference", "DiffReport", "diff"),
    "diff-git": ("changes", "ChangesReport", "diff"),
    "explain": ("explain.answer", "ExplainReport", "explain"),
    "layers": ("layers", "LayersReport", "layers"),
    "lint": ("lint.answer", "LintReport", "lint"),
    "lint-many": ("lint.answer", "LintReports", "lint"),
    "machines": ("machines", "Machines", "machines"),
    "rf": ("fields", "FieldReport", "rf"),
    "rf-unit": ("fields", "UnitReport", "rf"),
    "sizes": ("sizes", "SizesReport", "sizes"),
    "solve": ("solve", "SolveReport", "solve"),
    "verify": ("verdict", "VerifyReport", "verify"),
    "zoo": ("zoo", "Zoo", "zoo"),
}
"""What each command's JSON is: the module of the analyses, the structure in it, and the module here with its page."""
PAGES = {name: page for _, name, page in REPORTS.values()} | {"Explanation": "explain", "RuleList": "lint"}
"""The module of the page by the answer's class."""


def document(answer: Any) -> Document:
    """The page of an answer."""
    module = import_module(f"cnncalc.report.{PAGES[type(answer).__name__]}")
    page: Document = module.document(answer)
    return page
