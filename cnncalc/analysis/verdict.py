"""Claims and measurements. A row holds if its ``reason`` is empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from cnncalc.analysis.answer import Answer
from cnncalc.graph import Graph


class Row(Struct, frozen=True):
    """One claim about one layer (or, with an empty ``layer``, the net) and what was measured.

    ``reason`` says why the claim fails and is empty if it holds; ``note`` is for what is worth
    knowing although the claim holds.
    """

    layer: str
    check: str
    claimed: str
    measured: str
    reason: str = ""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        return not self.reason


def compare(layer: str, check: str, claimed: object, measured: object, note: str = "") -> Row:
    """A row for two values that must be equal."""
    reason = "" if claimed == measured else f"claimed {claimed}, measured {measured}"
    return Row(layer, check, str(claimed), str(measured), reason, note)


class Verdict(Struct, frozen=True):
    """All rows of a verification, and how they were measured."""

    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    @property
    def mismatches(self) -> tuple[Row, ...]:
        """The rows whose claim fails."""
        return tuple(row for row in self.rows if row.reason)

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        return not self.mismatches


def verdict(rows: Iterable[Row], remarks: Iterable[str] = ()) -> Verdict:
    """A verdict from rows in order."""
    return Verdict(tuple(rows), tuple(dict.fromkeys(remarks)))


class VerifyReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``verify``: every row, the remarks on how it was measured, and the counts."""

    name: str
    source: str
    status: Literal["pass", "fail"]
    checked: int
    mismatches: int
    remarks: tuple[str, ...]
    rows: tuple[Row, ...]


def answer(graph: Graph, found: Verdict) -> VerifyReport:
    """The answer from a verdict about a graph."""
    return VerifyReport(
        name=graph.name,
        source=graph.source,
        status="pass" if found.holds else "fail",
        checked=len(found.rows),
        mismatches=len(found.mismatches),
        remarks=found.remarks,
        rows=found.rows,
    )
