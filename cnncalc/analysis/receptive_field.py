"""The receptive field of every feature map, per axis of the net's input, over any graph.

For each spatial axis of each input a :data:`Track` describes how a tensor's units see it. A layer's
``reads`` moves tracks from its inputs to its output; where inputs meet, tracks are united. The
arithmetic is in :mod:`cnncalc.formulas.receptive_field`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import gcd
from typing import NamedTuple

from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Algebra, Graph, Node, Output, Ref, propagate
from cnncalc.layers.base import SCATTERED, Read, Reads, Shape, Shapes, pointwise


class LocalField(NamedTuple):
    """Units along tensor axis ``axis`` see the input through ``field``."""

    axis: int
    field: rf.Field


class GlobalField(NamedTuple):
    """Every unit sees the whole input axis."""


class ScatteredField(NamedTuple):
    """Each unit sees ``size`` input pixels; the place depends on several indices.

    ``axes``: the tensor axes of those indices.
    """

    size: int
    axes: frozenset[int]


class UnknownField(NamedTuple):
    """Unknown, and why."""

    reason: str


Track = LocalField | GlobalField | ScatteredField | UnknownField | None
"""``None``: the tensor does not depend on that input."""

WHOLE = GlobalField()
MAX_BITS = 512
FAR = UnknownField(f"its units lie more than 2^{MAX_BITS} input pixels apart")
HIDDEN = UnknownField("an operator does not tell what it reads")
LONG = UnknownField(f"the pattern of its units repeats only after more than {rf.MAX_PERIOD} of them")


class TensorField(NamedTuple):
    """What one tensor sees along the ``axes`` axes of the net's inputs, and whether all branches on the way align.

    ``found`` has the tracks along those that it depends on, in order, so that a net of many inputs stays small.
    """

    found: Mapping[int, Track]
    axes: int
    aligned: bool = True

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks along all axes of all inputs."""
        return tuple([self.found.get(axis) for axis in range(self.axes)])


class Misalignment(NamedTuple):
    """Branches that meet at ``node`` with different jumps or centres along an input axis."""

    node: int
    axis: int
    jumps: tuple[str, str]
    offset: str | None
    """The distance of the centres in input pixels, if the jumps are equal."""


class InputAxis(NamedTuple):
    """One spatial axis of one input of the net; ``rank`` of them belong to that input."""

    node: int
    axis: int
    rank: int


# The axes of an image mostly have the same fields and windows.
_compose = lru_cache(maxsize=16)(rf.compose)
Compose = Callable[[rf.Field, rf.Window], rf.Field | None]


class Result(NamedTuple):
    """Results: per node what its outputs see, and where branches do not align."""

    axes: tuple[InputAxis, ...]
    seen: list[TensorField]
    misalignments: list[Misalignment]
    ports: dict[Ref, TensorField]
    """For nodes with several outputs, what each of them sees."""

    def of(self, ref: Ref) -> TensorField:
        """What one tensor sees."""
        return self.ports.get(ref) or self.seen[ref.node]


def receptive_fields(graph: Graph) -> Result:
    """The receptive field of every node of a graph, in one pass."""
    axes = tuple(
        InputAxis(number, axis, len(node.output_shape) - 1)
        for number, node in enumerate(graph.nodes)
        if node.layer is None
        for axis in range(len(node.output_shape) - 1)
    )
    recurrence = Recurrence(axes)
    carried = propagate(graph, recurrence)
    return Result(axes, carried.nodes, recurrence.misalignments, carried.ports)


class Recurrence(Algebra[TensorField]):
    """Fields as the recurrence has them, which ignores borders.

    ``compose`` is :func:`cnncalc.formulas.receptive_field.compose`, with a cache.
    """

    def __init__(self, axes: tuple[InputAxis, ...], compose: Compose | None = None) -> None:
        self.axes = axes
        self.compose = compose or _compose
        self.misalignments: list[Misalignment] = []

    def begin(self, number: int, node: Node) -> TensorField:
        own = {i: LocalField(axis.axis + 1, rf.IDENTITY) for i, axis in enumerate(self.axes) if axis.node == number}
        return TensorField(own, len(self.axes))

    def reads(self, reads: tuple[Reads, ...], shapes: Shapes) -> tuple[Reads, ...] | None:
        """``None`` where each unit only reads its own position."""
        reads = tuple(map(followed, reads))
        return None if reads == tuple(map(pointwise, shapes)) else reads

    def after(self, out: Output, before: list[TensorField]) -> TensorField:
        if out.reads is None:
            after = [seen.found for seen in before]
            if len(after) == 1:
                return before[0]
        else:
            rank = len(out.node.output_shape)
            after = [
                {axis: through(track, read, rank, self.compose) for axis, track in seen.found.items()}
                for seen, read in zip(before, out.reads, strict=True)
            ]
        found = after[0]
        if len(after) == 1:
            return before[0] if found == before[0].found else before[0]._replace(found=found)
        aligned = all(seen.aligned for seen in before)
        met = None
        for other in after[1:]:
            if met is None and other == found:
                continue
            met = met or {**found}
            for axis, theirs in other.items():
                mine = met.get(axis)
                clash = _clash(mine, theirs)
                if clash is not None:
                    self.misalignments.append(Misalignment(out.number, axis, *clash))
                    aligned = False
                met[axis] = _unite(mine, theirs, out.node.output_shape)
        return TensorField(found if met is None else dict(sorted(met.items())), len(self.axes), aligned)


def followed(reads: Reads) -> Reads:
    """Reads that the recurrence, which ignores borders, can follow; the parts of a concatenation are none."""
    return tuple([SCATTERED if read.border == "joined" else read for read in reads])


def through(track: Track, reads: Reads, rank: int, compose: Compose | None = None) -> Track:
    """A track after a layer with these reads and an output of ``rank`` axes."""
    if isinstance(track, (LocalField, ScatteredField)) and any(read.untold for read in reads):
        return HIDDEN
    if isinstance(track, LocalField):
        read = reads[track.axis]
        if read.window is not None and read.axis is not None:
            if read.window == rf.POINT and read.axis == track.axis:
                return track
            field = (compose or _compose)(track.field, read.window)
            if field is None:
                return LONG
            return FAR if field.shift.bit_length() > MAX_BITS else LocalField(read.axis, field)
        return WHOLE if read.whole else ScatteredField(rf.size(track.field), _told_by(read, reads, rank))
    if not isinstance(track, ScatteredField):
        return track
    mine = [reads[axis] for axis in track.axes]
    if all(read.whole for read in mine):
        return WHOLE
    if all(read.window == rf.POINT or (read.axis is None and not read.whole) for read in mine):
        return ScatteredField(track.size, frozenset().union(*(_told_by(read, reads, rank) for read in mine)))
    return UnknownField("units that lie along no single axis are mixed in part")


def _told_by(read: Read, reads: Reads, rank: int) -> frozenset[int]:
    """The output axes whose indices decide which part of an input axis is read: for a scattered one,
    unless it names them, those that no input axis runs along.
    """
    if read.axis is not None:
        return frozenset((read.axis,))
    free = frozenset(range(rank)) - {other.axis for other in reads if other.axis is not None}
    return frozenset(read.across) or free or frozenset(range(rank))


def _clash(mine: Track, theirs: Track) -> tuple[tuple[str, str], str | None] | None:
    """The jumps of two fields and the distance of their centres, if they do not align."""
    if not isinstance(mine, LocalField) or not isinstance(theirs, LocalField) or mine == theirs:
        return None
    if not mine.field.shift or not theirs.field.shift:
        return None  # one unit for all: a broadcast cannot be misaligned
    jumps = (rf.jump(mine.field), rf.jump(theirs.field))
    if jumps[0] != jumps[1]:
        return (_fraction(jumps[0]), _fraction(jumps[1])), None
    here, there = rf.centre(mine.field), rf.centre(theirs.field)
    if here is None or there is None or here == there:
        return None
    top, bottom = abs(here[0] * there[1] - there[0] * here[1]), here[1] * there[1]
    common = gcd(top, bottom)
    return (_fraction(jumps[0]), _fraction(jumps[1])), _fraction((top // common, bottom // common))


def _fraction(value: tuple[int, int]) -> str:
    return str(value[0]) if value[1] == 1 else f"{value[0]}/{value[1]}"


def _unite(mine: Track, theirs: Track, shape: Shape) -> Track:
    """What a unit sees that reads its own position in two tensors."""
    if mine is None or mine == theirs:
        return theirs
    if theirs is None:
        return mine
    if isinstance(mine, GlobalField) or isinstance(theirs, GlobalField):
        return WHOLE
    if isinstance(mine, LocalField) and isinstance(theirs, LocalField) and mine.axis == theirs.axis:
        field = rf.union(mine.field, theirs.field) or _hull(mine.field, theirs.field, shape[mine.axis])
        return LONG if field is None else LocalField(mine.axis, field)
    return UnknownField("fields along different axes meet") if not isinstance(mine, UnknownField) else mine


def _hull(first: rf.Field, second: rf.Field, units: int) -> rf.Field | None:
    """The union of fields with different jumps, unit by unit of the feature map; its jump is the greater."""
    main = max(first, second, key=lambda field: field.shift * units // len(field.bounds))
    period = -(-units // len(main.bounds)) * len(main.bounds)
    if period > rf.MAX_PERIOD:
        return None
    bounds = []
    for unit in range(period):
        seen = [b for field in (first, second) if (b := rf.bounds_of(field, unit)) is not None]
        bounds.append((min(b[0] for b in seen), max(b[1] for b in seen)) if seen else None)
    return rf.Field(main.shift * period // len(main.bounds), tuple(bounds))
