"""The least time of work, in whole picoseconds, rounded down, so that a lower bound stays one.

Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model", Communications of the
ACM 52(4).
"""

from __future__ import annotations

PICO = 10**12


def picoseconds(amount: int, rate: int) -> int:
    """Time of ``amount`` of work at ``rate`` per second: ``⌊amount·10¹²/rate⌋``."""
    return amount * PICO // rate


def beyond(amount: int, capacity: int) -> int:
    """The part of ``amount`` that a cache of ``capacity`` cannot hold: ``max(amount − capacity, 0)``."""
    more = amount - capacity
    return (more + abs(more)) // 2
