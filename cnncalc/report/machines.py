"""The page of ``cnncalc bench --machines``."""

from __future__ import annotations

from typing import Any

from cnncalc import units
from cnncalc.analysis.machines import Machines
from cnncalc.analysis.traffic import BYTES
from cnncalc.document.blocks import Document, Table
from cnncalc.document.column import Column


def _rate(value: Any) -> str:
    return "–" if value is None else units.significant(value)


def _peak(dtype: str, priority: int) -> Column:
    return Column(dtype, dtype, lambda row, _: row.peak.get(dtype), "", _rate, True, priority)


COLUMNS = (
    Column("name", "name", lambda row, _: row.name),
    Column("machine", "machine", lambda row, _: row.machine, priority=1, elastic=True),
    *(_peak(dtype, 5 if dtype in ("float64", "tf32", "bfloat16") else 3) for dtype in BYTES),
    Column("bandwidth", "B/s", lambda row, _: row.bandwidth, "", _rate, True, 2),
    Column(
        "caches",
        "caches",
        lambda row, _: sum(row.caches) or None,
        "",
        lambda value: "–" if value is None else units.show_bytes(value),
        True,
        6,
    ),
    Column("source", "source", lambda row, _: row.source, priority=7, elastic=True),
)
"""FLOP/s by dtype, the memory's bandwidth, what the caches hold together, and where it stands."""


def document(listed: Machines) -> Document:
    """All of them."""
    return Document(listed, [Table(COLUMNS, listed.machines)])
