"""The page of ``cnncalc bench --machines``."""

from __future__ import annotations

from cnncalc import units
from cnncalc.analysis.machines import Machines
from cnncalc.analysis.traffic import BYTES
from cnncalc.document.blocks import Document, Table
from cnncalc.document.column import Column, count


def _peak(dtype: str) -> Column:
    priority = 5 if dtype in ("float64", "tf32", "bfloat16") else 3
    return count(dtype, dtype, "", priority, value=lambda row, _: row.peak.get(dtype), show=units.significant, none="–")


COLUMNS = (
    Column("name"),
    Column("machine", priority=1, elastic=True),
    *map(_peak, BYTES),
    count("bandwidth", "B/s", show=units.significant, none="–", priority=2),
    count(
        "caches", "caches", value=lambda row, _: sum(row.caches) or None, show=units.show_bytes, none="–", priority=6
    ),
    Column("source", priority=7, elastic=True),
)
"""FLOP/s by dtype, the memory's bandwidth, what the caches hold together, and where it stands."""


def document(listed: Machines) -> Document:
    """All of them."""
    return Document(listed, [Table(COLUMNS, listed.machines)])
