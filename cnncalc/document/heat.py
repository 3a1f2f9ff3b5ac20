"""A heat map in the terminal: half blocks in colour, two pixels to a character; plain letters without colour."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

VIRIDIS = (
    (68, 1, 84), (72, 26, 108), (71, 47, 125), (65, 68, 135), (57, 86, 140), (49, 104, 142), (42, 120, 142),
    (35, 136, 142), (31, 152, 139), (34, 168, 132), (53, 183, 121), (84, 197, 104), (122, 209, 81),
    (165, 219, 54), (210, 226, 27), (253, 231, 37),
)  # fmt: skip
"""The map of that name (van der Walt & Smith 2015), which reads the same to the colour-blind, in 16 steps."""
OUTSIDE = (28, 28, 28)
"""Outside the box."""
HOLE = (98, 98, 98)
"""Inside the box, but no path leads from there."""
NEAREST = dict(
    zip(
        (*VIRIDIS, OUTSIDE, HOLE),
        (53, 54, 54, 55, 25, 25, 31, 31, 30, 36, 36, 71, 77, 113, 149, 220, 234, 241),
        strict=True,
    )
)
"""The same colours on a terminal of 256: no grey among them, and none darker than the one before."""
RAMP = ":-=+*%#@"
WIDEST, HIGHEST = 72, 48
"""Most cells of a picture: a cell is one column wide and, in colour, half a line high."""

Rgb = tuple[int, int, int]
Shade = TypeVar("Shade")


class Cell(NamedTuple):
    """Some pixels as one spot: their mean, whether any is reached, and whether any lies in the box."""

    value: float
    reached: bool
    boxed: bool


def draw(
    values: Sequence[Sequence[float]],
    box: tuple[tuple[int, int], tuple[int, int]] | None,
    *,
    width: int | None = None,
    colour: bool = False,
) -> list[str]:
    """The lines of a picture of ``values`` (rows of pixels; 0 where no path leads) and what explains it.

    Args:
        values: paths from each pixel, in any unit; the brightness is the square root of a spot's share.
        box: first and last row, first and last column that the unit spans, inside the picture.
        width: columns of the terminal.
        colour: whether to use ANSI codes.
    """
    room = max(8, min(WIDEST, (width or WIDEST) - 2))
    rows, columns = len(values), len(values[0])
    # characters are twice as high as wide, so without half blocks a cell stands for two rows
    tall = 1 if colour else 2
    scale = max(1.0, columns / room, rows / HIGHEST)
    across = max(1, round(columns / scale))
    down = max(1, round(rows / scale / tall))
    cells = [
        [_cell(values, box, _part(r, down, rows), _part(c, across, columns)) for c in range(across)]
        for r in range(down)
    ]
    most = max((cell.value for line in cells for cell in line), default=0.0) or 1.0
    if not colour:
        edge = "+" + "-" * across + "+"
        lines = [
            edge,
            *("|" + "".join(_shade(cell, most, RAMP, ".", " ") for cell in line) + "|" for line in cells),
            edge,
        ]
        return [*lines, *_legend(f"{RAMP} few to many paths", ". in the box, but not reached", width)]
    paint = [[_shade(cell, most, VIRIDIS, HOLE, OUTSIDE) for cell in line] for line in cells]
    if len(paint) % 2:
        paint.append([])
    lines = [_half_blocks(upper, lower) for upper, lower in zip(paint[::2], paint[1::2], strict=True)]
    bar = "".join(_code(rgb, 38) + "█" for rgb in VIRIDIS) + "\x1b[0m"
    hole = f"{_code(HOLE, 38)}█\x1b[0m in the box, but not reached"
    return [*lines, *_legend(f"few {bar} many paths", hole, width)]


def _legend(paths: str, hole: str, width: int | None) -> list[str]:
    """What the signs mean, on one line or on two."""
    return [f"{paths}   {hole}"] if width is None or width >= WIDEST else [paths, hole]


def _part(number: int, of: int, size: int) -> range:
    """The pixels of cell ``number`` of ``of``: at least one."""
    first = number * size // of
    return range(first, max(first + 1, (number + 1) * size // of))


def _cell(
    values: Sequence[Sequence[float]], box: tuple[tuple[int, int], tuple[int, int]] | None, rows: range, columns: range
) -> Cell:
    part = [values[row][columns.start : columns.stop] for row in rows]
    total = sum(map(sum, part))
    boxed = box is not None and all(
        span.stop > first and span.start <= last for span, (first, last) in zip((rows, columns), box, strict=True)
    )
    return Cell(total / (len(rows) * len(columns)), any(map(any, part)), boxed)


def _shade(cell: Cell, most: float, ramp: Sequence[Shade], hole: Shade, outside: Shade) -> Shade:
    """What stands for a cell on a ramp of signs or colours."""
    if not cell.reached:
        return hole if cell.boxed else outside
    return ramp[min(len(ramp) - 1, int((cell.value / most) ** 0.5 * len(ramp)))]


def _half_blocks(upper: list[Rgb], lower: list[Rgb]) -> str:
    """Two rows of cells as one line: the upper one in the foreground of a half block, the lower one behind it."""
    text, before = "", ""
    for column, top in enumerate(upper):
        code = _code(top, 38) + (_code(lower[column], 48) if lower else "")
        text += ("" if code == before else code) + "▀"
        before = code
    return text + "\x1b[0m"


def _code(rgb: Rgb, layer: int) -> str:
    """The ANSI code of a colour; one of 256 where the terminal does not say that it knows more."""
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return f"\x1b[{layer};2;{rgb[0]};{rgb[1]};{rgb[2]}m"
    return f"\x1b[{layer};5;{NEAREST[rgb]}m"
