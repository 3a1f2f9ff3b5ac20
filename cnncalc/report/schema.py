"""The JSON Schemas of what ``--format json`` writes, from the structures that are written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec

from cnncalc.analysis.answer import Answer
from cnncalc.report import REPORTS as REPORTS
from cnncalc.spec.schema import DIALECT, tidy


def report_schema(of: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one kind of report. Keys may be added within a version of the schema."""
    module, name, _ = REPORTS[of]
    answer = getattr(import_module(f"cnncalc.analysis.{module}"), name)
    described: dict[str, Any] = tidy(msgspec.json.schema(answer))
    for one in described["$defs"].values():  # an answer's version and generator are filled in, and always there
        if "generator" in one["properties"]:
            one["required"][:0] = Answer.__struct_fields__
    return {"$schema": DIALECT, "title": f"cnncalc {of}, schema version 1", **described}
