"""The page of ``cnncalc verify``: claims beside measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from cnncalc.analysis.verdict import Row, VerifyReport
from cnncalc.document.blocks import Block, Document, Group, Note, Table, Text
from cnncalc.document.column import Column


def document(report: VerifyReport, *, table: bool = False) -> Document:
    """How many claims hold, of each check how many, what fails, and how it was measured; ``table``: each layer too."""
    layers = Table(columns(report), by_layer(report))
    unmeasured = sum(_unmeasured(row) for row in report.rows)
    failed, count = report.mismatches, report.checked - unmeasured
    verdict = f"✗ {failed} of {count} claims fail" if failed else f"✓ {count} of {count} claims hold"
    more = f"; {unmeasured} not measured" if unmeasured else ""
    made = Counter(_kind(row) for row in report.rows if not _unmeasured(row))
    wrong = Counter(_kind(row) for row in report.rows if row.reason)
    counts = [f"{kind} {f'{wrong[kind]} of {n} fail' if wrong[kind] else n}" for kind, n in made.items()]
    name = report.name or report.source
    blocks: list[Block] = [
        Group([Note(f"{verdict} for {name}{more}", tone="red" if failed else "green"), Text(" · ".join(counts))]),
        *([layers] if table else []),
        Group([*_failures(report), *_notes(report)]),
    ]
    return Document(report, blocks, layers, status=1 if failed else 0)


def _unmeasured(row: Row) -> bool:
    """Whether a row claims nothing: it says in its note why it could not be measured."""
    return not row.claimed and row.holds


def _failures(report: VerifyReport) -> Iterator[Note]:
    for row in report.rows:
        if row.reason:
            yield Note(f"{row.layer or 'the net'}, {row.check}: {row.reason}", mark="error")


def _notes(report: VerifyReport) -> Iterator[Note]:
    """What is worth knowing though the claims hold, once for each check, and how it was measured."""
    notes: dict[str, list[str]] = {}
    for row in report.rows:
        if row.note:
            notes.setdefault(row.check, []).append(f"{row.layer or 'the net'}: {row.note}")
    for check, texts in notes.items():
        more = f" (and {len(texts) - 1} more like it)" if len(texts) > 1 else ""
        yield Note(f"{check}: {texts[0]}{more}", mark="note")
    for remark in report.remarks:
        yield Note(f"measured: {remark}")


class LayerRow(Struct, frozen=True):
    """All checks of one layer, for a table: by kind, the rows of all axes together."""

    layer: str
    checks: dict[str, list[Row]]


def by_layer(report: VerifyReport) -> list[LayerRow]:
    """The rows gathered by layer, in order; the net's totals last."""
    layers: dict[str, dict[str, list[Row]]] = {}
    for row in report.rows:
        layers.setdefault(row.layer, {}).setdefault(_kind(row), []).append(row)
    totals = layers.pop("", None)
    rows = [LayerRow(name, checks) for name, checks in layers.items()]
    return [*rows, LayerRow("total", totals)] if totals else rows


def _kind(row: Row) -> str:
    """The check without the axis: ``field`` of ``field, height``."""
    return row.check.partition(",")[0]


def columns(report: VerifyReport) -> list[Column]:
    """A column for the layer and one for each kind of check that was made."""
    kinds = dict.fromkeys(_kind(row) for row in report.rows)
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
