"""Fewer rows: blocks folded into their sums, rows sorted, the first few of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cnncalc.document.column import Column, exact
from cnncalc.report.columns import named_column
from cnncalc.report.model import LayerReport, Report

COUNTS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
BLOCK = "block"


def select(
    report: Report, *, depth: int | None = None, sort: str | None = None, top: int | None = None
) -> tuple[LayerReport, ...]:
    """The rows to show of a report, whose totals stay those of the whole net.

    Args:
        report: what to choose from.
        depth: layers whose path has more than this many parts become one row for each block.
        sort: a column's name; numbers from the largest (unknown ones first), texts by the alphabet.
        top: how many rows to keep.

    Raises:
        CnncalcError: ``sort`` names no column.
    """
    rows = report.layers if depth is None else folded(report.layers, depth)
    if sort is not None:
        rows = sort_rows(rows, report, named_column(sort))
    return tuple(rows[:top])


def folded(layers: Sequence[LayerReport], depth: int) -> list[LayerReport]:
    """One row for each block at ``depth`` levels, and each layer above that, in the order they begin."""
    groups: dict[str, list[LayerReport]] = {}
    for layer in layers:
        groups.setdefault(".".join(layer.path.split(".")[:depth]), []).append(layer)
    return [
        members[0] if len(members) == 1 and members[0].path == path else block(path, members)
        for path, members in groups.items()
    ]


def block(path: str, layers: list[LayerReport]) -> LayerReport:
    """The layers below ``path`` as one row: the first one's input, the last one's output, sums of the counts."""
    first, last = layers[0], layers[-1]
    sums: dict[str, Any] = {name: total([getattr(layer, name) for layer in layers]) for name in COUNTS}
    if first.has_sections:
        from cnncalc.report import sections

        sums |= sections.folded(layers)
    return LayerReport(
        path=path,
        type=BLOCK,
        inputs=first.inputs,
        input_shapes=first.input_shapes,
        output_shape=last.output_shape,
        receptive_field=last.receptive_field,
        receptive_fields=last.receptive_fields,
        settings={"layers": len(layers)},
        **sums,
    )


def total(counts: list[int | None]) -> int | None:
    """The sum, unknown where a part is."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def sort_rows(rows: Sequence[LayerReport], report: Report, column: Column) -> list[LayerReport]:
    """Rows by a column: numbers from the largest, unknown and unbounded ones before all, texts by the alphabet."""

    def key(row: LayerReport) -> list[tuple[int, float, str]]:
        value = column.value(row, report)
        # what a column shows as unknown goes before all, what does not apply to a row after all
        return _natural(exact(value) or ("?" if column.show(value) == "?" else ""))

    return sorted(rows, key=key, reverse=column.right)


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Sort key that reads the numbers in a text as numbers: ``conv2`` before ``conv10``."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text)
    return [
        (0, int(part) if part.isdecimal() else float(part), "") if i % 2 else (1, 0, part)
        for i, part in enumerate(parts)
        if part
    ]
