"""The shipped machines as a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from cnncalc import units
from cnncalc.analysis.roofline import Machine
from cnncalc.analysis.traffic import BYTES
from cnncalc.document.column import Column


class MachineEntry(Struct, frozen=True):
    """One machine: its name for ``--machine``, and what its file says. ``caches`` are bytes, the nearest first."""

    name: str
    machine: str
    source: str
    peak: dict[str, int]
    bandwidth: int
    caches: tuple[int, ...]


class Machines(Struct, frozen=True):
    """All of them."""

    schema_version: int
    machines: tuple[MachineEntry, ...]


def listing(machines: Iterable[tuple[str, Machine]]) -> Machines:
    """The list of named machines."""
    return Machines(
        1,
        tuple(
            MachineEntry(name, one.name, one.source, one.peak, one.bandwidth, tuple(cache.size for cache in one.caches))
            for name, one in machines
        ),
    )


def _rate(value: Any) -> str:
    return "–" if value is None else units.significant(value)


def _peak(dtype: str, priority: int) -> Column:
    return Column(dtype, dtype, lambda row, _: row[1].peak.get(dtype), "", _rate, True, priority)


COLUMNS = (
    Column("name", "name", lambda row, _: row[0]),
    Column("machine", "machine", lambda row, _: row[1].name, priority=1, elastic=True),
    *(_peak(dtype, 5 if dtype in ("float64", "tf32", "bfloat16") else 3) for dtype in BYTES),
    Column("bandwidth", "B/s", lambda row, _: row[1].bandwidth, "", _rate, True, 2),
    Column(
        "caches",
        "caches",
        lambda row, _: sum(cache.size for cache in row[1].caches) or None,
        "",
        lambda value: "–" if value is None else units.show_bytes(value),
        True,
        6,
    ),
    Column("source", "source", lambda row, _: row[1].source, priority=7, elastic=True),
)
"""FLOP/s by dtype, the memory's bandwidth, what the caches hold together, and where it stands."""
