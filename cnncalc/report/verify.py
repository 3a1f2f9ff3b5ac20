"""Claims beside measurements: the report of ``cnncalc verify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from cnncalc import __version__
from cnncalc.analysis.answer import Generator
from cnncalc.analysis.verdict import Row, Verdict
from cnncalc.document.column import Column
from cnncalc.graph import Graph


class VerifyReport(Struct, frozen=True):
    """The whole answer to ``verify``: every row, the remarks on how it was measured, and the counts."""

    schema_version: int
    generator: Generator
    name: str
    source: str
    status: Literal["pass", "fail"]
    checked: int
    mismatches: int
    remarks: tuple[str, ...]
    rows: tuple[Row, ...]


def report(graph: Graph, verdict: Verdict) -> VerifyReport:
    """The report of a verdict about a graph."""
    return VerifyReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        name=graph.name,
        source=graph.source,
        status="pass" if verdict.holds else "fail",
        checked=len(verdict.rows),
        mismatches=len(verdict.mismatches),
        remarks=verdict.remarks,
        rows=verdict.rows,
    )


class LayerRow(Struct, frozen=True):
    """All checks of one layer, for a table: by kind, the rows of all axes together."""

    layer: str
    checks: dict[str, list[Row]]


def by_layer(verdict: Verdict) -> list[LayerRow]:
    """The rows gathered by layer, in order; the net's totals last."""
    layers: dict[str, dict[str, list[Row]]] = {}
    for row in verdict.rows:
        layers.setdefault(row.layer, {}).setdefault(_kind(row), []).append(row)
    totals = layers.pop("", None)
    rows = [LayerRow(name, checks) for name, checks in layers.items()]
    return [*rows, LayerRow("total", totals)] if totals else rows


def _kind(row: Row) -> str:
    """The check without the axis: ``field`` of ``field, height``."""
    return row.check.partition(",")[0]


def columns(verdict: Verdict) -> list[Column]:
    """A column for the layer and one for each kind of check that was made."""
    kinds = dict.fromkeys(_kind(row) for row in verdict.rows)
    return [
        Column("layer", "layer", lambda row, whole: row.layer, path=True, elastic=True),
        *(Column(kind, kind, _cell(kind), right=True, priority=i) for i, kind in enumerate(kinds, 1)),
    ]


def _cell(kind: str) -> Callable[[LayerRow, object], str]:
    def show(row: LayerRow, whole: object) -> str:
        found = row.checks.get(kind, [])
        wrong = next((one for one in found if one.reason), None)
        if wrong is not None:
            return f"{_short(wrong.claimed)} ≠ {_short(wrong.measured) or 'not measured'}"
        claims = dict.fromkeys(_short(one.claimed) for one in found if one.claimed)
        return f"{' / '.join(claims)} ✓" if claims else ""

    return show


def _short(value: str) -> str:
    """Counts with separators; of a list of tensors just the count."""
    count = value.partition(":")[0]
    return f"{int(count):,}" if count.isdigit() else value


def summary(verdict: Verdict) -> list[str]:
    """What is said below the table: mismatches in full, notes, how it was measured, and the verdict."""
    lines = [f"mismatch: {row.layer or 'the net'}, {row.check}: {row.reason}" for row in verdict.mismatches]
    notes: dict[str, list[str]] = {}
    for row in verdict.rows:
        if row.note:
            notes.setdefault(row.check, []).append(f"{row.layer or 'the net'}: {row.note}")
    for check, texts in notes.items():
        more = f" (and {len(texts) - 1} more like it)" if len(texts) > 1 else ""
        lines.append(f"note: {check}: {texts[0]}{more}")
    lines += [f"measured: {remark}" for remark in verdict.remarks]
    # a row that claims nothing says that it could not be measured, in its note
    unmeasured = sum(not row.claimed and row.holds for row in verdict.rows)
    failed, count = len(verdict.mismatches), len(verdict.rows) - unmeasured
    more = f"; {unmeasured} not measured" if unmeasured else ""
    lines.append((f"{failed} of {count} claims fail" if failed else f"all {count} claims hold") + more)
    return lines
