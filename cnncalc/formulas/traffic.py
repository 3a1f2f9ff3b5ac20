"""What a layer needs at least: the products with real input, the input positions it reads, and the time.

Symbols along one axis: H input size, O output size, K kernel, S stride, P padding before, D dilation. Times are
whole picoseconds, rounded down, so that a lower bound stays one. Source of the roofline: Williams, Waterman &
Patterson 2009, "Roofline: an insightful visual performance model", Communications of the ACM 52(4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import gcd

from cnncalc.formulas.receptive_field import Taps, Window, taps_of

PICO = 10**12


def positive(value: int) -> int:
    """``max(value, 0)``, for arrays too."""
    return (value + abs(value)) // 2


def floor_sum(count: int, divisor: int, step: int, offset: int) -> int:
    """``Σ ⌊(step·i + offset)/divisor⌋`` for ``0 ≤ i < count``, in as many rounds as Euclid's algorithm takes (Graham,
    Knuth & Patashnik 1994, "Concrete Mathematics", §3.5).
    """
    total = 0
    while count > 0:
        whole, step = divmod(step, divisor)
        more, offset = divmod(offset, divisor)
        total += count * (count - 1) // 2 * whole + count * more
        # the rest are the lattice points below a line, counted along the other axis
        count, offset = divmod(step * count + offset, divisor)
        divisor, step = step, divisor
    return total


def pairs_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Pairs of an output and a tap that fall on the input, not on its padding: ``#{(o, k) : 0 ≤ o·S + k·D − P < H}``
    for ``0 ≤ o < O`` and ``0 ≤ k < K``.
    """

    def up_to(place: int) -> int:
        """``#{(o, k) : o·S + k·D ≤ place}``: for each output, none to all of the taps."""
        some = min(max(place // stride + 1, 0), output_size)
        every = min(max((place - (kernel - 1) * dilation) // stride + 1, 0), output_size)
        rest = some - every
        return every * kernel + rest + floor_sum(rest, dilation, stride, place - (some - 1) * stride)

    return 0 if min(output_size, kernel) < 1 else up_to(size - 1 + before) - up_to(before - 1)


def taps_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Taps that fall on the input for at least one output; the others only see padding.

    Tap ``k`` does where ``(k·D − P) mod S < H``, unless already the first output lies after the input, or even the
    last one before it.
    """
    first = max(-((stride * (output_size - 1) - before) // dilation), 0)
    last = min((before + size - 1) // dilation, kernel - 1)
    offset = first * dilation - before
    return floor_sum(last - first + 1, stride, dilation, offset) - floor_sum(
        last - first + 1, stride, dilation, offset - min(size, stride)
    )


MOST_PLACES = 1 << 20
"""The most positions to check one by one, where no closed form counts those that are read."""

Stretch = tuple[int, int]
"""The places from the first to the last."""


def positions_read(size: int, output_size: int, window: Window, border: str = "zeros") -> int:
    """How many of an axis's ``size`` positions the ``output_size`` units read through ``window``, each counted once;
    all of them where the window's pattern is too long to list.

    ``border`` says which position a place beyond the ends reads: the nearest (``replicate``), the mirrored one
    (``reflect``), that of the axis repeated (``circular``), or none. Where phases or a folded border leave gaps, at
    most ``MOST_PLACES`` places are checked, and the count is a lower bound.
    """
    if not window.taps:
        return size
    stretches = _stretches(output_size, window)
    if stretches is not None:
        parts = _merged(part for stretch in stretches for part in _folded(stretch, size, border))
        return sum(last - first + 1 for first, last in parts)
    each = max(len(range(first, last + 1, step)) for first, last, step in window.taps)
    if (len(window.taps) > 1 or border in FOLDS) and output_size * each <= MOST_PLACES:
        places = set(_places(output_size, window))
        folded = {FOLDS[border](place, size) for place in places} if border in FOLDS else places
        return sum(0 <= place < size for place in folded)
    return max(
        _distinct(size, -(-(output_size - phase) // len(window.taps)), taps, window.stride)
        for phase, taps in enumerate(window.taps)
    )


def _stretches(output_size: int, window: Window) -> list[Stretch] | None:
    """The ranges that the units read together; ``None`` where they have gaps."""
    rounds, rest = divmod(output_size, len(window.taps))
    by_phase = [
        _stretch(taps, rounds + (phase < rest), window.stride) for phase, taps in enumerate(window.taps[:output_size])
    ]
    if None not in by_phase:
        return [stretch for stretch in by_phase if stretch]
    once = [_stretch(taps, 1, 0) for taps in window.taps]
    if None in once or not rounds:
        return None
    whole = _merged(stretch for stretch in once if stretch)
    if len(whole) != 1 or whole[0][1] - whole[0][0] + 1 < window.stride:
        return None
    beyond = rounds * window.stride
    return [(whole[0][0], whole[0][1] + beyond - window.stride)] + [
        (stretch[0] + beyond, stretch[1] + beyond) for stretch in once[:rest] if stretch
    ]


def _stretch(taps: Taps, units: int, stride: int) -> Stretch | tuple[()] | None:
    """The range that ``units`` units, ``stride`` apart, read through the same taps; ``None`` where it has gaps."""
    count = len(range(taps.first, taps.last + 1, taps.step))
    if not count:
        return ()
    apart = stride if units > 1 else 0
    # neighbouring units fill the gaps between taps, or taps the gaps between units
    if not ((apart == 1 and taps.step <= units) or (apart <= count and taps.step == 1) or (apart <= 1 == count)):
        return None
    return taps.first, taps.first + (count - 1) * taps.step + (units - 1) * apart


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same places as disjoint ranges."""
    merged: list[Stretch] = []
    for first, last in sorted(stretches):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        elif first <= last:
            merged.append((first, last))
    return merged


def _folded(stretch: Stretch, size: int, border: str) -> Iterator[Stretch]:
    """The positions read at a range of places that reaches at most one axis length beyond the axis."""
    first, last = stretch
    yield max(first, 0), min(last, size - 1)
    if border in FOLDS:
        for low, high in ((first, min(last, -1)), (max(first, size), last)):
            if low <= high:
                ends = (FOLDS[border](low, size), FOLDS[border](high, size))
                yield (0, size - 1) if high - low >= size else (min(ends), max(ends))


FOLDS: dict[str, Callable[[int, int], int]] = {
    "replicate": lambda place, size: min(max(place, 0), size - 1),
    "reflect": lambda place, size: size - 1 - abs(size - 1 - abs(place)),
    "circular": lambda place, size: place % size,
}
"""For a place beyond the ends of an axis, the position read there (``torch.nn.functional.pad``)."""


def _places(output_size: int, window: Window) -> Iterator[int]:
    """The places that the units read, one by one."""
    for unit in range(output_size):
        first, last, step = taps_of(window, unit)
        yield from range(first, last + 1, step)


def _distinct(size: int, units: int, taps: Taps, stride: int) -> int:
    """How many of ``size`` positions a number of units, ``stride`` apart, read through the same taps.

    Of the pairs of a unit and a tap that meet at one position the one with the first unit counts: units ``D/gcd(S, D)``
    apart meet.
    """
    first, last, step = taps
    count = len(range(first, last + 1, step))
    if not stride:
        units, stride = min(units, 1), 1
    common = gcd(stride, step)
    apart = step // common
    twice = pairs_inside(size, units - apart, count - stride // common, stride, -first - stride * apart, step)
    return pairs_inside(size, units, count, stride, -first, step) - twice


def picoseconds(amount: int, rate: int) -> int:
    """Time of ``amount`` of work at ``rate`` per second, in whole picoseconds: ``⌊amount·10¹²/rate⌋``."""
    return amount * PICO // rate


def beyond(amount: int, capacity: int) -> int:
    """The part of ``amount`` that a cache of ``capacity`` cannot hold: ``max(amount − capacity, 0)``."""
    return positive(amount - capacity)
