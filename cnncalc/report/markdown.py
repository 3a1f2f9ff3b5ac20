"""A table in GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.analysis.report import LayerReport, Report
from cnncalc.document.column import Column
from cnncalc.document.markdown import escape, table
from cnncalc.report.columns import default_columns
from cnncalc.report.remarks import noted
from cnncalc.text import visible


def render(
    report: Report, *, columns: Sequence[Column] | None = None, rows: Sequence[LayerReport] | None = None
) -> str:
    """A heading, the layers and the totals."""
    chosen = default_columns(report) if columns is None else columns
    heading = f"## {escape(visible(report.model.name or report.model.source))}\n\n"
    citation = f"{escape(visible(report.model.citation))}\n\n" if report.model.citation else ""
    layers = table(chosen, report.layers if rows is None else rows, report)
    said = notes([f"{mark}: {text}" for mark, text in noted(report)])
    return heading + citation + layers + _sections(report) + said


def notes(lines: Sequence[str]) -> str:
    """What is to be said below a table, as a list."""
    return "".join(f"{'' if number else chr(10)}- {escape(visible(line))}\n" for number, line in enumerate(lines))


def _sections(report: Report) -> str:
    """What the further analyses have to say, a small table for each."""
    if not report.has_sections:
        return ""
    from cnncalc.report import sections

    text = ""
    for name, facts in sections.facts(report).items():
        rows = "".join(f"| {' | '.join(escape(part) for part in fact)} |\n" for fact in facts)
        text += f"\n### {name}\n\n|  |  |  |\n| --- | ---: | --- |\n{rows}"
    return text
