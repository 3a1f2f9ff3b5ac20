"""The report as one self-contained piece of HTML, for a notebook or a page; readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from cnncalc.report.columns import Column, default_columns
from cnncalc.report.grid import cells, totals_row
from cnncalc.report.model import LayerReport, Report
from cnncalc.report.remarks import noted
from cnncalc.text import visible

# Only opacity and the text's own colour: both follow the page's theme.
_STYLE = (
    "<style>.cnncalc{font-size:.9em;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    ".cnncalc caption{text-align:left;padding:.3em 0;white-space:normal}"
    ".cnncalc th,.cnncalc td{padding:.15em .6em;text-align:left;border:0;white-space:nowrap}"
    ".cnncalc th,.cnncalc td{background:none;color:inherit}"
    ".cnncalc .n{text-align:right}.cnncalc .p{opacity:.6}"
    ".cnncalc thead th{border-bottom:1px solid currentColor}.cnncalc tfoot td{border-top:1px solid currentColor;"
    "font-weight:bold}.cnncalc tbody tr:hover{outline:1px solid currentColor}</style>"
)


def render(
    report: Report, *, columns: Sequence[Column] | None = None, rows: Sequence[LayerReport] | None = None
) -> str:
    """The layers and the totals as a ``<div>`` with its own style."""
    chosen = default_columns(report) if columns is None else columns
    model = report.model
    caption = f"<b>{_text(model.name or model.source)}</b>, batch {model.batch}"
    if model.citation:
        caption += f"<br>{_text(model.citation)}"
    layers = table(chosen, report.layers if rows is None else rows, report, caption=caption)
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


def table(columns: Sequence[Column], rows: Sequence[Any], whole: Any = None, *, caption: str = "") -> str:
    """Rows of any kind as a ``<div>`` with its own style; ``caption`` is HTML."""
    kinds = [' class="n"' if column.right else "" for column in columns]
    texts = [[_cell(text, column) for text in cells(column, rows, whole)] for column in columns]
    head = "".join(f"<th{kind}>{_text(c.header)}</th>" for c, kind in zip(columns, kinds, strict=True))
    body = "".join(f"<tr>{_row(kinds, row)}</tr>\n" for row in zip(*texts, strict=True))
    totals = totals_row(columns, whole) if whole is not None else None
    foot = f"<tfoot><tr>{_row(kinds, [_text(text) for text in totals])}</tr></tfoot>" if totals else ""
    titled = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div style="overflow-x:auto">{_STYLE}<table class="cnncalc">{titled}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>{foot}</table></div>\n"
    )


def _row(kinds: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(f"<td{kind}>{text}</td>" for kind, text in zip(kinds, texts, strict=True))


def _cell(text: str, column: Column) -> str:
    """A path's prefix is set back, as on a terminal."""
    prefix, dot, last = text.rpartition(".") if column.path else ("", "", text)
    return f'<span class="p">{escape(prefix + dot)}</span>{escape(last)}' if prefix else escape(text)


def _text(text: str) -> str:
    return escape(visible(text))
