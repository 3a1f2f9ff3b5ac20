"""What one other tool counts, layer by layer; ``cnncalc conventions`` says why."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.analysis.conventions import comparison
from cnncalc.analysis.fold import total
from cnncalc.analysis.report import ConventionTotals, LayerConvention, Report
from cnncalc.analysis.sections import Settings
from cnncalc.graph import Graph


def measured(report: Report, graph: Graph, settings: Settings) -> tuple[ConventionTotals, list[LayerConvention | None]]:
    """The tool's answer, and its count for each node.

    Raises:
        CnncalcError: there is no such tool; the message has the nearest.
    """
    (tool,) = comparison.report(graph, report.model.batch, [settings.convention]).tools
    totals = ConventionTotals(tool.name, tool.version, tool.unit, tool.status, tool.answer, tool.macs, tool.difference)
    counts = iter(tool.layers or ())
    return totals, [None if node.layer is None else LayerConvention(next(counts).count) for node in graph.nodes]


def folded(parts: Sequence[LayerConvention]) -> LayerConvention:
    """A block's count."""
    return LayerConvention(total([part.counted for part in parts]))
