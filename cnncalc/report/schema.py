"""The JSON Schemas of what ``--format json`` writes, from the structures that are written."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cnncalc.report.check import CheckReport
from cnncalc.report.model import Report
from cnncalc.report.zoo import Zoo
from cnncalc.spec.schema import DIALECT, tidy

REPORTS: dict[str, type[msgspec.Struct]] = {"report": Report, "check": CheckReport, "zoo": Zoo}


def report_schema(of: Literal["report", "check", "zoo"]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one kind of report. Keys may be added within a version of the schema."""
    described: dict[str, Any] = tidy(msgspec.json.schema(REPORTS[of]))
    return {"$schema": DIALECT, "title": f"cnncalc {of}, schema version 1", **described}
