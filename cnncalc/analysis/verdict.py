"""Claims beside measurements. A verdict *is* its reason: a row holds where ``reason`` is empty."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Row(Struct, frozen=True):
    """One claim about one layer (or, with an empty ``layer``, the net) and what was measured.

    ``reason`` says why the claim fails and is empty where it holds; ``note`` is for what is worth
    knowing though the claim holds.
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
    """All rows of a verification, and what is to be known about how they were measured."""

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
    """A verdict from rows as they come."""
    return Verdict(tuple(rows), tuple(dict.fromkeys(remarks)))
