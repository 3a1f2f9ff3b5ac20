"""The shipped machines as a list: the answer of ``cnncalc bench --machines``."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from cnncalc.analysis.answer import SCHEMA_VERSION, Shown
from cnncalc.analysis.roofline import Machine


class MachineEntry(Struct, frozen=True):
    """One machine: its name for ``--machine``, and what its file says. ``caches`` are bytes, the nearest first."""

    name: str
    machine: str
    source: str
    peak: dict[str, int]
    bandwidth: int
    caches: tuple[int, ...]


class Machines(Shown, frozen=True):
    """All of them."""

    schema_version: int
    machines: tuple[MachineEntry, ...]


def listing(machines: Iterable[tuple[str, Machine]]) -> Machines:
    """The list of named machines."""
    return Machines(
        SCHEMA_VERSION,
        tuple(
            MachineEntry(name, one.name, one.source, one.peak, one.bandwidth, tuple(cache.size for cache in one.caches))
            for name, one in machines
        ),
    )
