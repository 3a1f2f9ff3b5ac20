"""What one other tool counts, layer by layer; ``cnncalc conventions`` says why."""

from __future__ import annotations

from typing import Any

from cnncalc.analysis.report import Report
from cnncalc.document.blocks import Fact
from cnncalc.document.column import count, human
from cnncalc.report import conventions
from cnncalc.units import show


def facts(report: Report) -> list[Fact]:
    """The tool's answer, and how far it is from ours."""
    totals: Any = report.convention
    name = f"{totals.tool} {totals.version}"
    if totals.answer is None:
        return [Fact(name, "–", "it gives no number, or we cannot tell: see cnncalc conventions")]
    rows = [Fact(name, f"{totals.answer:,}", totals.unit + (" (partial)" if totals.status == "partial" else ""))]
    if totals.difference:
        rows.append(Fact("beyond ours", conventions.signed(totals.difference), "see cnncalc conventions"))
    return rows


def _show(value: Any) -> str:
    return human(int(value)) if value is not None and value == int(value) else "?" if value is None else f"{value:,.1f}"


COLUMNS = (
    count(
        *("counted", "counted", "what the tool of --convention counts, in its unit", 3),
        at="convention.counted",
        show=_show,
        total=lambda report: "?" if report.convention.answer is None else show(report.convention.answer),
    ),
)
