"""Where a resized map samples its input, along one axis, in exact fractions.

Output unit ``i`` samples the input at position ``x(i)``, in units of input pixels; the ratio
``ρ = n/d`` is the number of input pixels from one output unit to the next (``H/O``, or the inverse
of a given scale factor):

==============  ==========================  =============================================
nearest         ``x = i·ρ``                 reads ``⌊x⌋``
nearest-exact   ``x = (i + ½)·ρ``           reads ``⌊x⌋``
half pixels     ``x = (i + ½)·ρ − ½``       linear and cubic
corners         ``x = i·(H−1)/(O−1)``       linear and cubic with ``align_corners``
==============  ==========================  =============================================

Linear interpolation weights ``⌊x⌋`` and ``⌊x⌋ + 1`` by ``1 − t`` and ``t = x − ⌊x⌋``; cubic convolution
weights ``⌊x⌋ − 1 … ⌊x⌋ + 2``. Where ``t = 0`` all weights but that of ``x`` itself vanish.

Sources: Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing" (eq. 4: the kernel
vanishes at every whole number but 0); ``torch.nn.functional.interpolate`` for the four positions.
"""

from __future__ import annotations

from typing import NamedTuple

from cnncalc.formulas.number import common_divisor
from cnncalc.formulas.receptive_field import MAX_PERIOD, Taps, Window

Pair = tuple[int, int]

NEAREST: Pair = (0, 0)
LINEAR: Pair = (0, 1)
CUBIC: Pair = (1, 2)
"""Taps before and after ``⌊x⌋`` with nonzero weight where ``x`` is not a whole number."""


class Grid(NamedTuple):
    """Sampling positions: ``x(i) = (step·i + offset)/divisor``."""

    step: int
    offset: int
    divisor: int


def floor_grid(numerator: int, denominator: int) -> Grid:
    """``x = i·ρ`` (nearest)."""
    return Grid(numerator, 0, denominator)


def centre_grid(numerator: int, denominator: int) -> Grid:
    """``x = (i + ½)·ρ`` (nearest-exact)."""
    return Grid(2 * numerator, numerator, 2 * denominator)


def half_pixel_grid(numerator: int, denominator: int) -> Grid:
    """``x = (i + ½)·ρ − ½`` (linear and cubic)."""
    return Grid(2 * numerator, numerator - denominator, 2 * denominator)


def corner_grid(size: int, output_size: int) -> Grid:
    """``x = i·(H − 1)/(O − 1)``, and 0 for a single unit (linear and cubic with ``align_corners``)."""
    return Grid((size - 1) * (output_size > 1), 0, output_size - 1 + (output_size == 1))


def sampled_taps(grid: Grid, unit: int, reach: Pair) -> Pair:
    """First and last input unit with weight: ``⌊x⌋ − before`` to ``⌊x⌋ + after``, or ``x`` alone where it is whole."""
    position = grid.step * unit + grid.offset
    floor, between = position // grid.divisor, position % grid.divisor != 0
    return floor - reach[0] * between, floor + reach[1] * between


def sampled_window(grid: Grid, reach: Pair) -> Window | None:
    """What the units of a resized map read; the pattern repeats after ``divisor/gcd(step, divisor)`` units.

    ``None`` where that is more than ``MAX_PERIOD``.
    """
    common = common_divisor(grid.step, grid.divisor)
    period = grid.divisor // common
    if period > MAX_PERIOD:
        return None
    return Window(grid.step // common, tuple(Taps(*sampled_taps(grid, unit, reach)) for unit in range(period)))
