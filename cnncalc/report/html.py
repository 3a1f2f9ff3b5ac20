"""The report as one self-contained piece of HTML, for a notebook or a page; readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cnncalc.analysis.report import LayerReport, Report
from cnncalc.document.column import Column
from cnncalc.document.html import _STYLE, _row, _text, table
from cnncalc.report.columns import default_columns
from cnncalc.report.remarks import noted


def render(
    report: Report, *, columns: Sequence[Column] | None = None, rows: Sequence[LayerReport] | None = None
) -> str:
    """The layers and the totals as a ``<div>`` with its own style."""
    chosen = default_columns(report) if columns is None else columns
    model = report.model
    caption = f"<b>{_text(model.name or model.source)}</b>, batch {model.batch}"
    if model.citation:
        caption += f"<br>{_text(model.citation)}"
    layers = table(chosen, report.layers if rows is None else rows, report, caption=caption, style=_STYLE)
    return layers + _sections(report) + notes([f"{mark}: {text}" for mark, text in noted(report)])


def notes(lines: Sequence[str]) -> str:
    """What is to be said below a table, a line each."""
    return f"<div>{'<br>'.join(map(_text, lines))}</div>\n" if lines else ""


def _sections(report: Report) -> str:
    """What the further analyses have to say, a small table for each."""
    if not report.has_sections:
        return ""
    from cnncalc.report import sections

    kinds = ("", ' class="n"', "")
    text = ""
    for name, facts in sections.facts(report).items():
        body = "".join(f"<tr>{_row(kinds, [escape(part) for part in fact])}</tr>\n" for fact in facts)
        text += f'<table class="cnncalc"><caption><b>{_text(name)}</b></caption><tbody>\n{body}</tbody></table>\n'
    return text
