"""The receptive-field recurrence along one axis, exact for every phase of an upsampled map.

Source: Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks"
(Distill), eqs. 2-4; Dumoulin & Visin 2016 for the jump.

A layer reads its input through a :class:`Window`; a feature map sees the net's input through a
:class:`Field`. Both are periodic in the unit's index, with period 1 for all but upsampling,
transposed convolution and adaptive pooling, and then the recurrence is the classic one:
``J_l = J_{l−1}·S_l``, ``R_l = R_{l−1} + (K_eff − 1)·J_{l−1}``, ``start_l = start_{l−1} − P·J_{l−1}``.
Borders are ignored: a field reaches into the padding as if the input went on.
"""

from __future__ import annotations

from itertools import chain
from math import gcd, lcm
from typing import NamedTuple

from cnncalc.formulas.number import common_divisor, greatest, least
from cnncalc.formulas.size import adaptive_window

MAX_PERIOD = 1 << 16
MAX_STEPS = 1 << 21


class Taps(NamedTuple):
    """The input units ``first, first + step, …, last`` (none where ``last < first``)."""

    first: int
    last: int
    step: int = 1

    @property
    def total(self) -> int:
        """Their number."""
        return max(0, (self.last - self.first) // self.step + 1)


class Window(NamedTuple):
    """What a layer's units read: unit ``i = period·q + r`` reads ``taps[r]`` shifted by ``stride·q``.

    An ordinary convolution has period 1 and its own stride; nearest upsampling by 2 has period 2
    and stride 1. A pattern of more than ``MAX_PERIOD`` units is not listed: ``taps`` is then empty.
    """

    stride: int
    taps: tuple[Taps, ...]


class Field(NamedTuple):
    """What a feature map's units see of one input axis.

    Unit ``i = P·q + r`` (``P = len(bounds)``) sees input pixels ``bounds[r][0] + shift·q`` to
    ``bounds[r][1] + shift·q``; ``None`` where a unit sees nothing.
    """

    shift: int
    bounds: tuple[tuple[int, int] | None, ...]


POINT = Window(1, (Taps(0, 0),))
IDENTITY = Field(1, ((0, 0),))


def sliding_window(kernel: int, stride: int, before: int, dilation: int) -> Window:
    """Convolution or pooling: unit ``i`` reads ``i·S − P_b + D·k`` for ``k = 0 … K−1``."""
    return Window(stride, (Taps(-before, -before + (kernel - 1) * dilation, dilation),))


def transposed_window(kernel: int, stride: int, before: int, dilation: int) -> Window:
    """Transposed convolution: unit ``o`` reads every ``i`` with ``o = i·S − P_b + D·k``, ``0 ≤ k < K``."""

    if stride > MAX_PERIOD:
        return Window(1, ())
    # Taps k and k + alike have the same phase.
    common = common_divisor(dilation, stride)
    alike, step = stride // common, dilation // common
    lowest = {(dilation * k - before) % stride: k for k in range(min(kernel, alike))}

    def taps(phase: int) -> Taps:
        k = lowest.get(phase)
        if k is None:
            return Taps(0, -1)
        more = (kernel - 1 - k) // alike
        last = (phase + before - dilation * k) // stride
        return Taps(last - more * step, last, step if more else 1)

    return Window(1, tuple(taps(phase) for phase in range(stride)))


def adaptive_pool_window(size: int, output_size: int) -> Window:
    """Adaptive pooling: unit ``i`` reads ``⌊i·H/O⌋ … ⌈(i+1)·H/O⌉ − 1``, a pattern that repeats after
    ``O/gcd(H, O)`` units (``torch.nn.AdaptiveAvgPool2d``).
    """
    common = common_divisor(size, output_size)
    if output_size // common > MAX_PERIOD:
        return Window(size // common, ())
    ends = (adaptive_window(unit, size, output_size) for unit in range(output_size // common))
    return Window(size // common, tuple(Taps(first, last - 1) for first, last in ends))


def adaptive_pool_taps(size: int, output_size: int) -> int:
    """Units that the windows of an adaptive pool read along an axis, all together: ``H + O − gcd(H, O)``.

    The O windows cover all H units, and share one at each of the O − gcd(H, O) borders that lie within a
    unit (``torch.nn.AdaptiveAvgPool2d``).
    """
    return size + output_size - common_divisor(size, output_size)


def taps_of(window: Window, unit: int) -> Taps:
    """The input units that ``unit`` reads."""
    q, r = divmod(unit, len(window.taps))
    first, last, step = window.taps[r]
    return Taps(first + window.stride * q, last + window.stride * q, step)


def bounds_of(field: Field, unit: int) -> tuple[int, int] | None:
    """First and last input pixel that ``unit`` sees."""
    q, r = divmod(unit, len(field.bounds))
    bounds = field.bounds[r]
    return None if bounds is None else (bounds[0] + field.shift * q, bounds[1] + field.shift * q)


def compose(field: Field, window: Window) -> Field | None:
    """The recurrence ``J_l = J_{l−1}·S_l``, ``R_l = R_{l−1} + (K_eff − 1)·J_{l−1}``,
    ``start_l = start_{l−1} − P·J_{l−1}`` (Araujo, Norris & Sim 2019, eqs. 2-4).

    The field of a layer's output, from that of its input and the layer's window; with periods above 1
    the same for every phase. ``None`` where the pattern repeats only after more than ``MAX_PERIOD`` units, or
    takes too many steps to find.
    """
    if not window.taps:
        return None
    if len(field.bounds) == 1 and len(window.taps) == 1 and field.bounds[0] is not None:
        (low, high), (first, last, _) = field.bounds[0], window.taps[0]
        return Field(field.shift * window.stride, ((low + first * field.shift, high + last * field.shift),))
    cycles = len(field.bounds) // gcd(len(field.bounds), window.stride)
    period = cycles * len(window.taps)
    if period > MAX_PERIOD or period * len(field.bounds) > MAX_STEPS:
        return None
    bounds = []
    for unit in range(period):
        read = taps_of(window, unit)
        taps = range(read.first, read.last + 1, read.step)
        # The field moves on by a fixed step with each period, so the first and last taps give its ends.
        if read.total > 2 * len(field.bounds):
            ends = chain(taps[: len(field.bounds)], taps[-len(field.bounds) :])
        else:
            ends = chain(taps)
        seen = [b for tap in ends if (b := bounds_of(field, tap)) is not None]
        bounds.append((min(b[0] for b in seen), max(b[1] for b in seen)) if seen else None)
    return _shortest(Field(field.shift * window.stride * cycles // len(field.bounds), tuple(bounds)))


def union(first: Field, second: Field) -> Field | None:
    """The field of a sum or concatenation: for each unit the hull of both.

    ``None`` where the jumps differ (the hull is then not periodic) or the period is too long.
    """
    if first == second:
        return first
    if (
        len(first.bounds) == len(second.bounds) == 1
        and first.shift == second.shift
        and first.bounds[0]
        and second.bounds[0]
    ):
        (low, high), (low2, high2) = first.bounds[0], second.bounds[0]
        return Field(first.shift, ((least(low, low2), greatest(high, high2)),))
    period = lcm(len(first.bounds), len(second.bounds))
    if jump(first) != jump(second) or period > MAX_PERIOD:
        return None
    bounds = []
    for unit in range(period):
        seen = [b for field in (first, second) if (b := bounds_of(field, unit)) is not None]
        bounds.append((min(b[0] for b in seen), max(b[1] for b in seen)) if seen else None)
    return _shortest(Field(first.shift * period // len(first.bounds), tuple(bounds)))


def jump(field: Field) -> tuple[int, int]:
    """Input pixels from one unit to the next, as a fraction in lowest terms (numerator, denominator)."""
    period = len(field.bounds)
    common = gcd(field.shift, period) if period > 1 else 1
    return field.shift // common, period // common


def size(field: Field) -> int:
    """``R = last − first + 1``: the largest over the phases."""
    if len(field.bounds) == 1 and field.bounds[0] is not None:
        return field.bounds[0][1] - field.bounds[0][0] + 1
    return max((b[1] - b[0] + 1 for b in field.bounds if b is not None), default=0)


def centre(field: Field) -> tuple[int, int] | None:
    """Mean over the phases of ``(first + last)/2 − jump·phase``, as (numerator, denominator); ``None``
    where some unit sees nothing.
    """
    period = len(field.bounds)
    total = 0
    for phase, bounds in enumerate(field.bounds):
        if bounds is None:
            return None
        total += (bounds[0] + bounds[1]) * period - 2 * field.shift * phase
    bottom = 2 * period * period
    common = gcd(total, bottom)
    return total // common, bottom // common


def _shortest(field: Field) -> Field:
    """The same field with its shortest period."""
    period = len(field.bounds)
    for shorter in range(1, period // 2 + 1):
        if period % shorter or field.shift * shorter % period:
            continue
        candidate = Field(field.shift * shorter // period, field.bounds[:shorter])
        if all(bounds_of(candidate, unit) == field.bounds[unit] for unit in range(shorter, period)):
            return candidate
    return field
