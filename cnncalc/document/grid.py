"""Rows and columns as aligned text: the one renderer of tables on a terminal.

Plain strings and ANSI codes: a table of rich costs 115 ms for a net of 175 layers, which is as much
as everything else that a run does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncalc.document.blocks import Branch
from cnncalc.document.column import Column
from cnncalc.text import display_width, shorten, visible

GAP = "  "
INDENT = "  "
NARROWEST = 14
"""What a column of paths or of settings keeps on a terminal, however narrow."""
_CHANGES = {"added": "green", "removed": "red", "changed": "yellow"}
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def style(text: str, name: str, colour: bool) -> str:
    """``text`` in bold, dim or a colour, where there is colour."""
    return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if colour and text else text


def cells(column: Column, rows: Sequence[Any], whole: Any) -> list[str]:
    """What a column shows for each row."""
    value, text = column.value, column.text
    return [visible(text(value(row, whole))) for row in rows]


def totals_row(columns: Sequence[Column], whole: Any) -> list[str] | None:
    """What each column shows in the last row; ``None`` where no column has a total."""
    if all(column.total is None for column in columns):
        return None
    row = ["" if column.total is None else column.total(whole) for column in columns]
    row[0] = row[0] or "total"
    return row


def grid(
    columns: Sequence[Column],
    rows: Sequence[Any],
    whole: Any = None,
    *,
    width: int | None = None,
    colour: bool = False,
    drop: bool = True,
    tree: Sequence[Branch] | None = None,
) -> list[str]:
    """The lines of a table: header, rule, rows and, where a column has a total, a rule and the totals.

    Args:
        columns: what to show, in order.
        rows: what the columns are asked about.
        whole: passed to the columns with each row.
        width: columns of the terminal; ``None`` for no limit, and then nothing is cut.
        colour: whether to use ANSI codes.
        drop: whether columns of low priority may be left out to fit ``width``.
        tree: the rows in the place of ``rows``, with paths as indented names and open blocks dimmed.
    """
    if tree is not None:
        rows = [branch.row for branch in tree]
    texts = [cells(column, rows, whole) for column in columns]
    if tree is not None:
        for i, column in enumerate(columns):
            if column.path:
                texts[i] = [INDENT * branch.level + visible(branch.name) for branch in tree]
    totals = totals_row(columns, whole)
    widths = [
        max(map(display_width, [column.header, *([totals[i]] if totals else []), *texts[i]]))
        for i, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    if width is not None:
        kept = _fit(columns, widths, width) if drop else kept
        _squeeze(columns, kept, widths, width)
        for i in kept:
            if columns[i].elastic:
                texts[i] = [shorten(text, widths[i]) for text in texts[i]]
    rule = style("─" * (sum(widths[i] for i in kept) + len(GAP) * (len(kept) - 1)), "dim", colour)

    def line(parts: Sequence[str]) -> str:
        return GAP.join([_pad(parts[i], widths[i], columns[i].right) for i in kept]).rstrip()

    heads = [shorten(column.header, room) for column, room in zip(columns, widths, strict=True)]
    lines = [style(line(heads), "bold", colour), rule]
    painted = [[_paint(t, widths[i], columns[i], colour) for t in texts[i]] for i in kept]
    lines += [GAP.join(parts).rstrip() for parts in zip(*painted, strict=True)]
    return [*lines, rule, style(line(totals), "bold", colour)] if totals else lines


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def _paint(text: str, width: int, column: Column, colour: bool) -> str:
    """A cell in its width: the prefix of a path and a zero dimmed, what is unknown or failed in a colour."""
    padded = _pad(text, width, column.right)
    if not colour or not text:
        return padded
    if column.path:
        prefix, dot, _ = text.rpartition(".")
        return style(prefix + dot, "dim", colour) + padded[len(prefix + dot) :]
    name = {"0": "dim", "–": "dim", "?": "yellow", "pass": "green", "fail": "red", **_CHANGES}.get(text)
    return style(padded, name, colour) if name else padded


def _fit(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """The numbers of the columns that fit, the most important ones first; elastic ones at what they need at least."""
    room = width + len(GAP)
    kept: list[int] = []
    for i in sorted(range(len(columns)), key=lambda i: columns[i].priority):
        need = len(GAP) + _least(columns[i], widths[i], width)
        if not kept or need <= room:
            kept.append(i)
            room -= need
    return sorted(kept)


def _least(column: Column, widest: int, width: int) -> int:
    """An elastic column wants its whole width up to a share of the terminal's."""
    return min(widest, max(NARROWEST, width * 2 // 5 if column.path else width // 6)) if column.elastic else widest


def _squeeze(columns: Sequence[Column], kept: list[int], widths: list[int], width: int) -> None:
    """Narrow the elastic columns, the last one first, until the table fits."""
    for i in reversed(kept):
        excess = sum(widths[k] for k in kept) + len(GAP) * (len(kept) - 1) - width
        if columns[i].elastic and excess > 0:
            widths[i] = max(min(NARROWEST, widths[i]), widths[i] - excess)
