"""What the outputs of a layer read of each axis of an input: said by the layer, or read off its loop nest."""

from __future__ import annotations

from typing import NamedTuple

from cnncalc.formulas.nest import Index, Nest, Operand
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
    """What the elements of a nest's result read of an operand: of each axis the places that share their loops."""
    return tuple(_read(nest, index, size) for index, size in zip(operand.at, operand.shape, strict=True))


def _read(nest: Nest, index: Index, size: int) -> Read:
    axes = [axis for axis, own in enumerate(nest.output) if own.loops() & index.loops()]
    if not axes:
        # a tap that only some units multiply with what lies within the other operand
        skipped = any(index.loops() & other.loops() for _, other in nest.borders())
        return SCATTERED if skipped else EVERYTHING
    (axis,) = axes
    window = _window(nest, index, nest.output[axis])
    if not window.taps:
        return SCATTERED
    return along(axis, window, nest.border if nest.reaches(index, size) else "zeros")


def _window(nest: Nest, index: Index, own: Index) -> Window:
    """The places ``index`` in the rounds that lead to each unit of the result's axis ``own``."""
    if len(own.terms) == 1:  # gathered, by the units of one group through the same taps
        (_, stride, units), *rest = index.terms
        count, step = (nest.loops[rest[0].loop], rest[0].times) if rest else (1, 1)
        return Window(
            stride, () if units > MAX_PERIOD else sliding_window(count, stride, index.before, step).taps * units
        )
    (_, stride, group), tap = own.terms
    if group > 1:  # unit g·O + o of the result meets all of group g
        return Window(group, () if stride > MAX_PERIOD else (Taps(0, group - 1),) * stride)
    return transposed_window(nest.loops[tap.loop], stride, own.before, tap.times)
