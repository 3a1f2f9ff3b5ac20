"""The exact set of input pixels that every unit sees, borders and holes included.

Unlike the recurrence (:mod:`cnncalc.analysis.receptive_field`), which ignores borders, this tracks
for every unit of every feature map the set of input pixels along one axis, as the bits of an
integer: the set of a unit is the union of the sets of the units that it reads. The cost is one
union per unit and tap.

Sets are kept along one axis of a tensor. Units may see fewer pixels along the other axes (the inputs
of a concatenation see different pixels; a unit may lie entirely in padding): such axes are *uneven*, and
the set is what the units along them see together. After a layer that skips some units of an uneven
axis the set is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import NamedTuple

from cnncalc.errors import CnncalcError
from cnncalc.formulas.positions import positions_of
from cnncalc.formulas.receptive_field import POINT
from cnncalc.graph import Algebra, Graph, Node, Output, propagate
from cnncalc.layers.base import Read, Reads, Shape

MOST_BITS = 1 << 30
"""The most bits of all sets of one tensor, and reads of one axis."""
Pixels = int
"""A set of input pixels along one axis: bit ``p`` is set where pixel ``p`` belongs to it."""


class Along(NamedTuple):
    """Unit ``i`` along tensor axis ``axis`` sees the pixels ``units[i]``, at all places along the others together.

    If it is not ``exact``, it sees all or some of them.
    """

    axis: int
    units: tuple[Pixels, ...]
    exact: bool = True


class Anywhere(NamedTuple):
    """Which pixels a unit sees depends on several axes; together the units see ``pixels``.

    If that is not ``exact``, they see all or some of them.
    """

    pixels: Pixels
    exact: bool = True


Sight = Along | Anywhere | Pixels
"""A plain set: every unit of the tensor sees exactly these pixels (none if it does not depend on the input)."""


class _Seen(NamedTuple):
    """What a tensor's units see: unit ``i`` along ``axis`` sees ``sets[i]``; without an axis all see ``sets[0]``.

    ``uneven``: the axes along which units may see less. Not ``exact``: an upper bound.
    """

    axis: int | None
    sets: tuple[Pixels, ...]
    uneven: frozenset[int] = frozenset()
    exact: bool = True


_NOTHING = _Seen(None, (0,))


def exact_fields(graph: Graph, source: int, axis: int) -> list[Sight]:
    """For every node, what its units see of spatial axis ``axis`` (from 0) of the input node ``source``.

    For a node of several outputs it is what all of them see together.

    Raises:
        CnncalcError: there are too many units, taps and pixels to track them one by one.
    """
    size = graph.nodes[source].output_shape[axis + 1]
    _check_few(graph.nodes[source], size * size)
    return [_sight(seen) for seen in propagate(graph, _Sets(source, axis)).nodes]


def pixels_of(sight: Sight) -> Pixels:
    """All pixels that some unit of the tensor sees."""
    if isinstance(sight, Along):
        return _join(sight.units)
    return sight.pixels if isinstance(sight, Anywhere) else sight


def taps_inside(read: Read, unit: int, size: int) -> Iterator[int]:
    """The units, of ``size``, that ``unit`` reads; one in the padding reads what its mode puts there."""
    assert read.window is not None
    return positions_of(read.window, unit, size, read.border)


def _sight(seen: _Seen) -> Sight:
    if seen.axis is not None:
        return Along(seen.axis, seen.sets, seen.exact)
    (pixels,) = seen.sets
    return Anywhere(pixels, seen.exact) if seen.uneven or not seen.exact else pixels


class _Sets(Algebra[_Seen]):
    """The sets of pixels that the units of every tensor see of one axis."""

    def __init__(self, source: int, axis: int) -> None:
        self.source = source
        self.axis = axis

    def begin(self, number: int, node: Node) -> _Seen:
        if number != self.source:
            return _NOTHING
        return _Seen(self.axis + 1, tuple(1 << pixel for pixel in range(node.output_shape[self.axis + 1])))

    def after(self, out: Output, before: list[_Seen]) -> _Seen:
        assert out.reads is not None
        shapes = out.node.input_shapes
        if all(seen == before[0] for seen in before) and _keeps_together(before[0], out.reads, shapes):
            return before[0]
        after = [_through(*parts, out.shape, out.node) for parts in zip(before, out.reads, shapes, strict=True)]
        return reduce(_unite, after)


def _keeps_together(seen: _Seen, reads: tuple[Reads, ...], shapes: tuple[Shape, ...]) -> bool:
    """Whether tensors that see the same are joined along an axis on which a unit's pixels do not depend."""
    joined = {axis for of_input in reads for axis, read in enumerate(of_input) if read.border == "joined"}
    return len(joined) == 1 and seen.axis not in joined and len(set(map(len, shapes))) == 1


def _check_few(node: Node, number: int) -> None:
    """Checks that the work can be done one by one.

    Raises:
        CnncalcError: it is too much.
    """
    if number > MOST_BITS:
        raise CnncalcError(
            f"{node.where}error: {node.path}: which pixels each unit sees takes {number:,} steps, "
            f"more than {MOST_BITS:,}\n  hint: use a smaller input"
        )


def _through(seen: _Seen, reads: Reads, shape: Shape, out: Shape, node: Node) -> _Seen:
    """What a layer's output sees, through one of its inputs."""
    if not any(seen.sets):
        return _NOTHING
    if any(read.untold or (read.window is not None and not read.window.taps) for read in reads):
        return _Seen(None, (_join(seen.sets),), exact=False)
    exact, uneven, blank = seen.exact, set[int](), dict[int, list[bool]]()
    for number, read in enumerate(reads):
        if number == seen.axis or read.whole:
            continue
        was_uneven = number in seen.uneven
        if was_uneven:
            uneven |= _spread(read, reads, len(out))
        exact = exact and not (was_uneven and read.partly)
        if read.window is None or (read.window == POINT and (read.axis is None or shape[number] == out[read.axis])):
            continue
        _check_few(node, read.units(out) * max(taps.total for taps in read.window.taps))
        taps = [set(taps_inside(read, unit, shape[number])) for unit in range(read.units(out))]
        if was_uneven and len(set[int]().union(*taps)) < shape[number]:
            exact = False
        if read.axis is not None and not all(taps):
            blank[read.axis] = [bool(some) for some in taps]
            if not any(taps):
                return _NOTHING
    axis, sets = seen.axis, seen.sets
    if seen.axis is not None:
        read = reads[seen.axis]
        if read.window is not None:
            widest = max(map(int.bit_length, seen.sets)) + max(taps.total for taps in read.window.taps)
            _check_few(node, read.units(out) * widest)
        uneven |= set(read.across) if read.whole or read.axis is not None else _spread(read, reads, len(out))
        if read.whole or read.window is None:
            axis, sets, exact = None, (_join(sets),), exact and not read.partly
        elif read.axis is None:
            taps = [set(taps_inside(read, phase, shape[seen.axis])) for phase in range(read.units(out))]
            axis, sets = None, (_join(sets[tap] for tap in set[int]().union(*taps)),)
        else:
            if not (read.window == POINT and out[read.axis] == len(sets)):
                sets = tuple(
                    _join(sets[tap] for tap in taps_inside(read, unit, len(sets))) for unit in range(out[read.axis])
                )
            axis = read.axis
    if axis in uneven:
        exact = False
    if axis is None and len(blank) == 1 and not uneven and exact:
        ((partly, sees),) = blank.items()
        return _Seen(partly, tuple(sets[0] if some else 0 for some in sees))
    return _tidy(_Seen(axis, sets, frozenset(uneven | set(blank)) - {axis}, exact))


def _spread(read: Read, reads: Reads, rank: int) -> set[int]:
    """The output axes whose indices decide which part of an input axis is read."""
    if read.axis is not None:
        return {read.axis, *read.across}
    mapped = {other.axis for other in reads if other.axis is not None}
    return set(read.across) or set(range(rank)) - mapped or set(range(rank))


def _tidy(seen: _Seen) -> _Seen:
    return seen if any(seen.sets) else _NOTHING


def _join(sets: Iterable[Pixels]) -> Pixels:
    joined = 0
    for pixels in sets:
        joined |= pixels
    return joined


def _unite(mine: _Seen, theirs: _Seen) -> _Seen:
    """What a unit sees that reads its own position in two tensors."""
    if mine == theirs or theirs is _NOTHING:
        return mine
    if mine is _NOTHING:
        return theirs
    uneven, exact = mine.uneven | theirs.uneven, mine.exact and theirs.exact
    if mine.axis is not None and theirs.axis is not None and mine.axis != theirs.axis:
        return _Seen(None, (_join(mine.sets) | _join(theirs.sets),), uneven | {mine.axis, theirs.axis}, exact)
    axis = theirs.axis if mine.axis is None else mine.axis
    if axis in uneven:
        exact = False
    count = max(len(mine.sets), len(theirs.sets))
    first, second = (seen.sets if seen.axis is not None else seen.sets * count for seen in (mine, theirs))
    return _Seen(axis, tuple(a | b for a, b in zip(first, second, strict=True)), uneven - {axis}, exact)
