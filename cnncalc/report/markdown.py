"""A table in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cnncalc.report.columns import Column, default_columns
from cnncalc.report.grid import cells, totals_row
from cnncalc.report.model import LayerReport, Report
from cnncalc.report.remarks import noted
from cnncalc.text import display_width, visible

# An underscore inside a word is no markup.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~&$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


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


def table(columns: Sequence[Column], rows: Sequence[Any], whole: Any = None) -> str:
    """Rows of any kind as a Markdown table, aligned in the source too."""
    texts = [[escape(text) for text in cells(column, rows, whole)] for column in columns]
    totals = totals_row(columns, whole) if whole is not None else None
    if totals:
        for text, column in zip(totals, texts, strict=True):
            column.append(f"**{escape(text)}**" if text else "")
    heads = [escape(column.header) for column in columns]
    widths = [max(3, display_width(head), *map(display_width, text)) for head, text in zip(heads, texts, strict=True)]
    rules = ["-" * (width - 1) + ":" if c.right else "-" * width for c, width in zip(columns, widths, strict=True)]
    lines = [heads, rules, *map(list, zip(*texts, strict=True))]
    return "".join(f"| {' | '.join(_pad(columns, widths, line))} |\n" for line in lines)


def _pad(columns: Sequence[Column], widths: Sequence[int], line: Sequence[str]) -> list[str]:
    padded = []
    for column, width, text in zip(columns, widths, line, strict=True):
        space = " " * (width - display_width(text))
        padded.append(space + text if column.right else text + space)
    return padded


def escape(text: str) -> str:
    """``text`` so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", text)
