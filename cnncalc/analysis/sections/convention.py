"""What one other tool counts, layer by layer; ``cnncalc conventions`` says why."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cnncalc.analysis.conventions import comparison
from cnncalc.analysis.report import ConventionTotals, LayerConvention, Report
from cnncalc.analysis.sections import Settings
from cnncalc.graph import Graph


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the counts of the tool.

    Raises:
        CnncalcError: there is no such tool; the message has the nearest.
    """
    (tool,) = comparison.report(graph, report.model.batch, [settings.convention]).tools
    counts = {layer.path: layer.count for layer in tool.layers or ()}
    totals = ConventionTotals(tool.name, tool.version, tool.unit, tool.status, tool.answer, tool.macs, tool.difference)
    layers = tuple([replace(layer, convention=LayerConvention(counts[layer.path])) for layer in report.layers])
    return replace(report, layers=layers, convention=totals)


def folded(parts: Sequence[LayerConvention]) -> LayerConvention:
    """A block's count."""
    counts = [part.counted for part in parts]
    return LayerConvention(None if None in counts else sum(count for count in counts if count is not None))
