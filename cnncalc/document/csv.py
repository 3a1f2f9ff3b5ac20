"""Comma-separated values (RFC 4180): exact numbers, one line for each row, no totals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cnncalc.document.column import Column
from cnncalc.text import visible

# With the wide forms that East Asian versions take for the same.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SIGNED = re.compile(r"[-+][\d.]")


def table(columns: Sequence[Column], rows: Sequence[Any], whole: Any = None) -> str:
    """Rows of any kind as CSV."""
    lines = [[column.name for column in columns]]
    lines += [[_cell(column, column.exact(column.value(row, whole))) for column in columns] for row in rows]
    return "".join(",".join(map(_field, line)) + "\n" for line in lines)


def _cell(column: Column, text: str) -> str:
    """A cell's text; an apostrophe stands before what a spreadsheet would take for a formula, but for no number."""
    formula = text.lstrip()[:1] in _FORMULA and not (column.right and _SIGNED.match(text))
    return visible(f"'{text}" if text and formula else text)


def _field(text: str) -> str:
    """Quoted where it holds a comma, a quote or an outer space (line ends are written out before)."""
    if "," in text or '"' in text or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
