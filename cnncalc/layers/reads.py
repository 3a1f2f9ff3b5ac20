"""What the outputs of a layer read of each axis of an input: said by the layer, or read off its loop nest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cnncalc.formulas.nest import Index, Nest, Operand, Term
from cnncalc.formulas.receptive_field import MAX_PERIOD, POINT, Taps, Window, sliding_window, transposed_window

Shape = tuple[int, ...]


class Read(NamedTuple):
    """How the outputs read one axis of an input.

    ``axis`` and ``window``: output units along ``axis`` read this input axis through ``window``.
    Without them the outputs read the axis as a whole (``EVERYTHING``), or a part of it that depends on
    several output axes (``SCATTERED``); a window without an axis gives, with the taps of all its phases, what they
    then read together.
    ``border`` says what a tap beyond the input reads: nothing (``zeros``), the unit that the padding
    mode puts there, or another input of the layer (``joined``). ``across`` names further output axes
    that decide which part is read: the units along them read the window together. ``partly``: all outputs together
    may read only some of it, depending on values, not on shapes. ``untold``: unknown operator.
    """

    axis: int | None = None
    window: Window | None = None
    whole: bool = False
    border: str = "zeros"
    across: tuple[int, ...] = ()
    partly: bool = False
    untold: bool = False

    def units(self, output: Shape) -> int:
        """How many units read the window: those along the axis, or without an axis one per phase."""
        assert self.window is not None
        return len(self.window.taps) if self.axis is None else output[self.axis]


EVERYTHING = Read(whole=True)
SCATTERED = Read()
UNTOLD = Read(untold=True)
Reads = tuple[Read, ...]
"""One :class:`Read` for each axis of an input, channels first."""


def along(axis: int, window: Window = POINT, border: str = "zeros") -> Read:
    """Output units along ``axis`` read this input axis through ``window``."""
    return Read(axis, window, border=border)


def pointwise(shape: Shape) -> Reads:
    """Each output reads only the input unit at its own position, along every axis."""
    return tuple(along(axis) for axis in range(len(shape)))


def reads_of(nest: Nest, operand: Operand) -> Reads:
    """What the elements of a split nest's result read of an operand: of each axis the places that share their loops."""
    return tuple(_read(nest, index, size) for index, size in zip(operand.at, operand.shape, strict=True))


def _read(nest: Nest, index: Index, size: int) -> Read:
    axes = [axis for axis, own in enumerate(nest.output) if own.loops() & index.loops()]
    if not axes:
        # a tap that only some units multiply with what lies within the other operand
        skipped = any(index.loops() & other.loops() for _, other in nest.borders())
        return SCATTERED if skipped else EVERYTHING
    # the axis whose units each have a window of their own; units along the others read it together
    axis = next((axis for axis in axes if nest.output[axis].loops() <= index.loops()), axes[0])
    window = _window(nest, index, nest.output[axis])
    if window is None:
        return SCATTERED
    border = nest.border if nest.reaches(index, size) else "zeros"
    return Read(axis, window, border=border, across=tuple(other for other in axes if other != axis))


def _window(nest: Nest, index: Index, own: Index) -> Window | None:
    """The places ``index`` in the rounds that lead to each unit of the result's axis ``own``: the loop that moves both
    farthest gives the stride, and the others of ``own`` the phases. ``None`` where there are too many to list.
    """
    if index == own:
        return POINT
    times = {term.loop: term.times for term in index.terms}
    (main, period, _), *rest = sorted(own.terms, key=lambda term: (term.loop not in times, -term.times))
    free = [term for term in index.terms if term.loop not in own.loops()]
    if main not in times or period > MAX_PERIOD:
        return None
    stride = times[main]
    if len(rest) == stride == 1 and not free and rest[0].loop not in times:
        return transposed_window(nest.loops[rest[0].loop], period, own.before, rest[0].times)
    assert _reach(nest, rest) == period - 1, "the phases are counted off"
    count, step = (nest.loops[free[0].loop], free[0].times) if len(free) == 1 else (_reach(nest, free) + 1, 1)
    (taps,) = sliding_window(count, stride, index.before, step).taps

    def moved(phase: int) -> Taps:
        by = sum(times.get(name, 0) * (phase // each % nest.loops[name]) for name, each, _ in rest)
        return Taps(taps.first + by, taps.last + by, taps.step)

    return Window(stride, tuple(map(moved, range(period))))


def _reach(nest: Nest, terms: Iterable[Term]) -> int:
    """How far the terms move together."""
    return sum(times * (nest.loops[name] - 1) for name, times, _ in terms)
