"""What a layer cannot do without: the products with real input, the input positions it reads, and the least time.

Symbols along one axis: H input size, O output size, K kernel, S stride, P padding before, D dilation. Times are
whole picoseconds, rounded down, so that a lower bound stays one. Source of the roofline: Williams, Waterman &
Patterson 2009, "Roofline: an insightful visual performance model", Communications of the ACM 52(4).
"""

from __future__ import annotations

from collections.abc import Callable

from cnncalc.formulas.receptive_field import Taps, Window

PICO = 10**12


def positive(value: int) -> int:
    """``max(value, 0)``, for arrays too."""
    return (value + abs(value)) // 2


def pairs_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Pairs of an output and a tap that meet the input, not its padding: ``#{(o, k) : 0 ≤ o·S + k·D − P < H}``
    for ``0 ≤ o < O`` and ``0 ≤ k < K``.

    Summed over the taps: tap ``k`` meets the input from ``⌈(P − k·D)/S⌉`` to ``⌊(H − 1 + P − k·D)/S⌋``.
    """
    count = 0
    for tap in range(kernel):
        shift = before - tap * dilation
        first = positive(-(-shift // stride))
        last = (size - 1 + shift) // stride
        last -= positive(last - output_size + 1)
        count += positive(last - first + 1)
    return count


def taps_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Taps that meet the input at one output at least; the others see padding alone."""
    return sum(
        pairs_inside(size, output_size, 1, stride, before - tap * dilation, dilation) > 0 for tap in range(kernel)
    )


def positions_read(size: int, output_size: int, window: Window, border: str = "zeros") -> int:
    """How many of an axis's ``size`` positions the ``output_size`` units read through ``window``, each counted once;
    all of them where the window's pattern is too long to be written out.

    ``border`` says which position stands beyond the ends: the nearest (``replicate``), the one as far from the end
    within (``reflect``), that of the axis repeated (``circular``), or none.
    """
    if not window.taps:
        return size
    if border not in FOLDS:
        return sum(_seen(size, output_size, window))
    low = min(first for first, _, _ in window.taps)
    high = max(last for _, last, _ in window.taps) + window.stride * output_size
    shifted = Window(window.stride, tuple([Taps(first - low, last - low, step) for first, last, step in window.taps]))
    seen = _seen(high - low + 1, output_size, shifted)
    return len({FOLDS[border](place + low, size) for place, found in enumerate(seen) if found})


FOLDS: dict[str, Callable[[int, int], int]] = {
    "replicate": lambda place, size: min(max(place, 0), size - 1),
    "reflect": lambda place, size: size - 1 - abs(size - 1 - abs(place)),
    "circular": lambda place, size: place % size,
}
"""For a place beyond the ends of an axis, the position that stands there (``torch.nn.functional.pad``)."""


def _seen(size: int, output_size: int, window: Window) -> bytearray:
    """For each of ``size`` positions whether some unit reads it."""
    seen = bytearray(size)
    period = len(window.taps)
    for phase, (first, last, step) in enumerate(window.taps):
        units = len(range(phase, output_size, period))
        taps = len(range(first, last + 1, step))
        # The shorter of the two loops; the other runs in a slice.
        if units <= taps:
            for unit in range(units):
                _mark(seen, first + window.stride * unit, step, taps)
        else:
            for tap in range(taps):
                _mark(seen, first + step * tap, window.stride, units)
    return seen


def _mark(seen: bytearray, first: int, step: int, count: int) -> None:
    """Marks ``first, first + step, …`` (``count`` of them) where they lie within ``seen``."""
    if step == 0:  # every unit reads the same position
        step, count = 1, 1
    skipped = positive(-(first // step))
    inside = range(first + skipped * step, min(first + count * step, len(seen)), step)
    if inside:
        seen[inside.start : inside.stop : step] = b"\1" * len(inside)


def picoseconds(amount: int, rate: int) -> int:
    """``amount`` of work at ``rate`` per second, in whole picoseconds: ``⌊amount·10¹²/rate⌋``."""
    return amount * PICO // rate


def beyond(amount: int, capacity: int) -> int:
    """What of ``amount`` a cache of ``capacity`` cannot hold: ``max(amount − capacity, 0)``."""
    return positive(amount - capacity)
