"""One column of a table: declared once, shown by every format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import force_setattr, replace

from cnncalc import units
from cnncalc.errors import unknown_name

Value = Any
"""A number, a text, a shape, several shapes; ``None`` for unknown."""


def exact(value: Value) -> str:
    """A value for a machine: all digits, shapes as ``3x224x224``, several apart by a space; unknown is empty."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return (" " if value and isinstance(value[0], tuple) else "x").join(map(exact, value))
    return str(value)


def human(value: Value) -> str:
    """A count with sensible digits; unknown is ``?``."""
    return "?" if value is None else units.show(value)


def percent(value: Value) -> str:
    """A percentage with one decimal; a small one never reads 0."""
    return "?" if value is None else "<0.1" if 0 < value < 0.05 else f"{value:.1f}" if value else "0"


class Column(Struct, frozen=True):
    """One column of a table over rows of any kind.

    ``value`` is exact (CSV and sorting use it): by default the row's attribute ``at`` (dots reach into attributes), or
    the one that is called as the column is, ``None`` where it is unset. ``show`` is for a person, ``none`` stands for
    no value. ``header`` is by default the name in words. A narrow terminal keeps the columns of low ``priority``.
    ``total`` is what the last row shows, by default the attribute ``total_at`` of the whole, where there is one.
    ``path``: the values are dotted paths, whose prefix is dimmed. ``elastic``: on a terminal the middle of a text may
    be left out.
    """

    name: str
    header: str = None  # type: ignore[assignment]  # never None, once it is made
    value: Callable[[Any, Any], Value] = None  # type: ignore[assignment]
    help: str = ""
    show: Callable[[Value], str] = str
    right: bool = False
    priority: int = 0
    total: Callable[[Any], str] | None = None
    exact: Callable[[Value], str] = exact
    path: bool = False
    elastic: bool = False
    at: str = ""
    total_at: str = ""
    none: str = "?"

    def __post_init__(self) -> None:
        if self.header is None:
            force_setattr(self, "header", self.name.replace("_", " "))
        if self.value is None:
            read = attrgetter(self.at or self.name)
            force_setattr(self, "value", lambda row, _: None if (found := read(row)) is UNSET else found)
        if self.total is None and self.total_at:
            last = attrgetter(self.total_at)
            force_setattr(self, "total", lambda whole: "" if (found := last(whole)) is UNSET else self.text(found))

    def text(self, value: Value) -> str:
        """What is shown of a value."""
        return self.none if value is None else self.show(value)


def count(name: str, header: str, help: str = "", priority: int = 0, **more: Any) -> Column:
    """A column of counts."""
    return Column(name, header, help=help, right=True, priority=priority, **{"show": human, **more})


def nth(number: int, name: str, header: str | None = None, **more: Any) -> Column:
    """A column of rows that are tuples: the element of a number."""
    return Column(name, header or name, lambda row, _: row[number], **more)


def second(column: Column) -> Column:
    """The same column for rows that are pairs, of their second parts."""
    return replace(column, value=lambda row, whole: column.value(row[1], whole))


def named(name: str, columns: Sequence[Column]) -> Column:
    """The column of a name, or of a head.

    Raises:
        CnncalcError: there is none; the message has the nearest.
    """
    known = {column.name: column for column in columns}
    found = {**{column.header.lower(): column for column in columns}, **known}.get(name.strip().lower())
    if found is None:
        raise unknown_name("column", name.strip(), known, known)
    return found


def sort_rows(rows: Sequence[Any], column: Column, whole: Any = None) -> list[Any]:
    """Rows by a column: numbers from the largest, unknown and unbounded ones before all, texts by the alphabet."""

    def key(row: Any) -> list[tuple[int, float, str]]:
        value = column.value(row, whole)
        if isinstance(value, (int, float)):
            return [(0, value, "")]
        # what a column shows as unknown goes before all, what does not apply to a row after all
        return _natural(column.exact(value) or ("?" if column.text(value) in ("?", "all") else ""))

    return sorted(rows, key=key, reverse=column.right)


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Sort key that reads the numbers in a text as numbers: ``conv2`` before ``conv10``."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text)
    return [
        (0, int(part) if part.isdecimal() else float(part), "") if i % 2 else (1, 0, part)
        for i, part in enumerate(parts)
        if part
    ]
