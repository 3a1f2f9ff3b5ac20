"""Comma-separated values (RFC 4180): exact numbers, one row for each layer, no totals."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.analysis.report import LayerReport, Report
from cnncalc.document.column import Column
from cnncalc.document.csv import table
from cnncalc.report.columns import COLUMNS, section_columns


def render(
    report: Report, *, columns: Sequence[Column] | None = None, rows: Sequence[LayerReport] | None = None
) -> str:
    """The layers as CSV; all columns by default. An unknown number is an empty field."""
    chosen = [*COLUMNS.values(), *section_columns(report)] if columns is None else columns
    return table(chosen, report.layers if rows is None else rows, report)
