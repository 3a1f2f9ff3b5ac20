"""What every single unit sees of the input, pixel for pixel, borders and holes included.

Beside the recurrence (:mod:`cnncalc.analysis.receptive_field`), which ignores borders, this carries
for every unit of every feature map the set of input pixels along one axis, as the bits of an
integer: the set of a unit is the union of the sets of the units that it reads. The cost is one
union per unit and tap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cnncalc.formulas.receptive_field import POINT, Window, taps_of
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Reads

Pixels = int
"""A set of input pixels along one axis: bit ``p`` is set where pixel ``p`` belongs to it."""


class Along(NamedTuple):
    """Unit ``i`` along tensor axis ``axis`` sees the pixels ``units[i]``, whatever its place along the others."""

    axis: int
    units: tuple[Pixels, ...]


class Anywhere(NamedTuple):
    """Which pixels a unit sees is told by no single axis; together the units see ``pixels``."""

    pixels: Pixels


Sight = Along | Anywhere | Pixels
"""A plain set: every unit of the tensor sees just these pixels (none, if it does not depend on the input)."""


def exact_fields(graph: Graph, source: int, axis: int) -> list[Sight]:
    """For every node, what its units see of spatial axis ``axis`` (from 0) of the input node ``source``."""
    size = graph.nodes[source].output_shape[axis + 1]
    result: list[Sight] = []
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            result.append(Along(axis + 1, tuple(1 << pixel for pixel in range(size))) if number == source else 0)
            continue
        reads = node.layer.reads(*node.input_shapes)
        sights = [_through(result[ref.node], read, node) for ref, read in zip(node.inputs, reads, strict=True)]
        united = sights[0]
        for other in sights[1:]:
            united = _unite(united, other)
        result.append(united)
    return result


def pixels_of(sight: Sight) -> Pixels:
    """All pixels that some unit of the tensor sees."""
    if isinstance(sight, Along):
        return _join(sight.units)
    return sight.pixels if isinstance(sight, Anywhere) else sight


def indices(pixels: Pixels) -> list[int]:
    """The pixels of a set in order."""
    return [index for index, bit in enumerate(reversed(bin(pixels)[2:])) if bit == "1"]


def _through(sight: Sight, reads: Reads, node: Node) -> Sight:
    """What a layer's output sees, through one of its inputs."""
    if isinstance(sight, Anywhere):
        return sight
    if not isinstance(sight, Along):
        return sight
    read = reads[sight.axis]
    if read.whole:
        return _join(sight.units)
    if read.window is None or read.axis is None:
        return Anywhere(_join(sight.units))
    units = node.output_shape[read.axis]
    if read.window == POINT and units == len(sight.units):
        return sight if read.axis == sight.axis else Along(read.axis, sight.units)
    seen = (
        _join(sight.units[tap] for tap in _taps(read.window, unit, len(sight.units), read.border))
        for unit in range(units)
    )
    return Along(read.axis, tuple(seen))


def _taps(window: Window, unit: int, size: int, border: str) -> Iterator[int]:
    """The units, of ``size``, that ``unit`` reads; one in the padding reads what its mode puts there."""
    first, last, step = taps_of(window, unit)
    for tap in range(first, last + 1, step):
        if 0 <= tap < size:
            yield tap
        elif border == "circular":
            yield tap % size
        elif border == "replicate":
            yield 0 if tap < 0 else size - 1
        elif border == "reflect":
            yield -tap if tap < 0 else 2 * (size - 1) - tap


def _join(sets: Iterator[Pixels] | tuple[Pixels, ...]) -> Pixels:
    joined = 0
    for pixels in sets:
        joined |= pixels
    return joined


def _unite(mine: Sight, theirs: Sight) -> Sight:
    """What a unit sees that reads its place in both of two tensors."""
    if mine == theirs:
        return mine
    if isinstance(mine, Along) and isinstance(theirs, Along) and mine.axis == theirs.axis:
        return Along(mine.axis, tuple(a | b for a, b in zip(mine.units, theirs.units, strict=True)))
    if isinstance(mine, int) and isinstance(theirs, int):
        return mine | theirs
    if isinstance(mine, Along) and isinstance(theirs, int):
        return Along(mine.axis, tuple(units | theirs for units in mine.units))
    if isinstance(theirs, Along) and isinstance(mine, int):
        return _unite(theirs, mine)
    return Anywhere(pixels_of(mine) | pixels_of(theirs))
