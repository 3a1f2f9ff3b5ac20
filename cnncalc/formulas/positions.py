"""Which positions of an axis a layer's units read: the border rule, and sets of positions as the bits of an integer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gcd

from cnncalc.formulas.receptive_field import Taps, Window, taps_of
from cnncalc.formulas.traffic import pairs_inside

FOLDS: dict[str, Callable[[int, int], int]] = {
    "replicate": lambda place, size: min(max(place, 0), size - 1),
    "reflect": lambda place, size: size - 1 - abs(size - 1 - abs(place)),
    "circular": lambda place, size: place % size,
}
"""For a place beyond the ends of an axis, the position read there (``torch.nn.functional.pad``)."""
MOST_WORK = 1 << 28
"""The most bits of all phases of a window, where no closed form counts the positions that are read."""


def position(place: int, size: int, border: str) -> int | None:
    """The border rule: which of ``size`` positions is read at a place; none in a padding of zeros."""
    if 0 <= place < size:
        return place
    return FOLDS[border](place, size) if border in FOLDS else None


def positions_of(window: Window, unit: int, size: int, border: str) -> Iterator[int]:
    """The positions that one unit reads, tap by tap."""
    first, last, step = taps_of(window, unit)
    for place in range(first, last + 1, step):
        found = position(place, size, border)
        if found is not None:
            yield found


def positions(size: int, units: int, window: Window, border: str = "zeros") -> int:
    """The positions that ``units`` units read: bit ``p`` is set where one of them reads position ``p``."""
    read, period = 0, len(window.taps)
    for phase, taps in enumerate(window.taps[:units]):
        if taps.total:
            read |= _positions(size, -(-(units - phase) // period), taps, window.stride, border)
    return read


def _positions(size: int, units: int, taps: Taps, stride: int, border: str) -> int:
    """The same for units, ``stride`` apart, that read through the same taps."""
    if not stride:
        units, stride = 1, 1
    reading = units_reading(size, units, taps, stride, border)
    if not reading:
        return 0
    low = taps.first + stride * reading.start
    cells = repeated(repeated(1, taps.step, taps.total), stride, len(reading))
    read = (cells << low if low >= 0 else cells >> -low) & ((1 << size) - 1)
    if border in FOLDS:
        after = max(0, size - low)
        digits = bytearray(b"0" * size)
        for place in (*indices(cells & ~(-1 << max(0, -low))), *(after + more for more in indices(cells >> after))):
            digits[-1 - FOLDS[border](low + place, size)] = ord("1")
        read |= int(digits, 2)
    return read


def units_reading(size: int, units: int, taps: Taps, stride: int, border: str) -> range:
    """The units, ``stride`` apart, without those at both ends that read a padding of zeros alone."""
    if border in FOLDS:
        return range(units)
    return range(max(0, -(taps.last // stride)), min(units, (size - 1 - taps.first) // stride + 1))


def indices(bits: int) -> list[int]:
    """The members of a set, in order."""
    return [index for index, bit in enumerate(reversed(bin(bits)[2:])) if bit == "1"]


def repeated(bits: int, step: int, count: int) -> int:
    """``bits`` at each of the places ``0, step, …, step·(count − 1)``, in as many doublings as it takes."""
    done = 1
    while done < count:
        more = min(done, count - done)
        bits |= bits << step * more
        done += more
    return bits


def positions_read(size: int, units: int, window: Window, border: str = "zeros") -> int:
    """How many of an axis's ``size`` positions ``units`` units read, each counted once; all of them where the window's
    pattern is too long to list.

    A lower bound where there are several phases, or a border is folded, and that takes more than ``MOST_WORK`` bits.
    """
    if not window.taps:
        return size
    period = len(window.taps)
    span = max(taps.last - taps.first for taps in window.taps) + window.stride * (units // period) + size
    if (period > 1 or border in FOLDS) and period * span <= MOST_WORK:
        return positions(size, units, window, border).bit_count()
    return max(
        _distinct(size, -(-(units - phase) // period), taps, window.stride) for phase, taps in enumerate(window.taps)
    )


def _distinct(size: int, units: int, taps: Taps, stride: int) -> int:
    """How many of ``size`` positions a number of units, ``stride`` apart, read through the same taps.

    Of the pairs of a unit and a tap that meet at one position the one with the first unit counts: units ``D/gcd(S, D)``
    apart meet.
    """
    first, _, step = taps
    count = taps.total
    if not stride:
        units, stride = min(units, 1), 1
    common = gcd(stride, step)
    apart = step // common
    twice = pairs_inside(size, units - apart, count - stride // common, stride, -first - stride * apart, step)
    return pairs_inside(size, units, count, stride, -first, step) - twice
