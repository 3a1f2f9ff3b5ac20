"""The JSON Schemas of what ``--format json`` writes, from the structures that are written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec

from cnncalc.spec.schema import DIALECT, tidy

REPORTS = {
    "report": ("analysis.report", "Report"),
    "report-many": ("analysis.compare", "CompareReport"),
    "bench": ("analysis.bench", "BenchReport"),
    "check": ("analysis.check", "CheckReport"),
    "check-many": ("analysis.check", "CheckReports"),
    "conventions": ("analysis.conventions.comparison", "ConventionsReport"),
    "diff": ("analysis.difference", "DiffReport"),
    "diff-git": ("analysis.changes", "ChangesReport"),
    "explain": ("analysis.explain.answer", "ExplainReport"),
    "layers": ("analysis.layers", "LayersReport"),
    "lint": ("analysis.lint.answer", "LintReport"),
    "lint-many": ("analysis.lint.answer", "LintReports"),
    "machines": ("analysis.machines", "Machines"),
    "rf": ("analysis.fields", "FieldReport"),
    "rf-unit": ("analysis.fields", "UnitReport"),
    "sizes": ("analysis.sizes", "SizesReport"),
    "solve": ("analysis.solve", "SolveReport"),
    "verify": ("analysis.verdict", "VerifyReport"),
    "zoo": ("analysis.zoo", "Zoo"),
}
"""What each command's JSON is: the module in this package (or, with a dot, in another), and the structure in it."""


def report_schema(of: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one kind of report. Keys may be added within a version of the schema."""
    module, name = REPORTS[of]
    home = module if "." in module else f"report.{module}"
    described: dict[str, Any] = tidy(msgspec.json.schema(getattr(import_module(f"cnncalc.{home}"), name)))
    return {"$schema": DIALECT, "title": f"cnncalc {of}, schema version 1", **described}
