"""What one other tool counts, layer by layer; ``cnncalc conventions`` says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from cnncalc.document.column import Column, human
from cnncalc.graph import Graph
from cnncalc.report import conventions
from cnncalc.report.model import ConventionTotals, LayerConvention, Report
from cnncalc.report.sections import Settings
from cnncalc.units import show


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the counts of the tool.

    Raises:
        CnncalcError: there is no such tool; the message has the nearest.
    """
    (tool,) = conventions.report(graph, report.model.batch, [settings.convention]).tools
    counts = {layer.path: layer.count for layer in tool.layers or ()}
    totals = ConventionTotals(tool.name, tool.version, tool.unit, tool.status, tool.answer, tool.macs, tool.difference)
    layers = tuple([replace(layer, convention=LayerConvention(counts[layer.path])) for layer in report.layers])
    return replace(report, layers=layers, convention=totals)


def folded(parts: Sequence[LayerConvention]) -> LayerConvention:
    """A block's count."""
    counts = [part.counted for part in parts]
    return LayerConvention(None if None in counts else sum(count for count in counts if count is not None))


def facts(report: Report) -> list[tuple[str, str, str]]:
    """The tool's answer, and how far it is from ours."""
    totals: Any = report.convention
    name = f"{totals.tool} {totals.version}"
    if totals.answer is None:
        return [(name, "–", "it gives no number, or we cannot tell: see cnncalc conventions")]
    rows = [(name, f"{totals.answer:,}", totals.unit + (" (partial)" if totals.status == "partial" else ""))]
    if totals.difference:
        rows.append(("beyond ours", conventions.signed(totals.difference), "see cnncalc conventions"))
    return rows


def _show(value: Any) -> str:
    return human(int(value)) if value is not None and value == int(value) else "?" if value is None else f"{value:,.1f}"


COLUMNS = (
    Column(
        "counted",
        "counted",
        lambda row, _: row.convention.counted,
        "what the tool of --convention counts, in its unit",
        _show,
        True,
        3,
        lambda report: "?" if report.convention.answer is None else show(report.convention.answer),
    ),
)
