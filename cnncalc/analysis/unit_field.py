"""How often each input pixel reaches one unit: the number of paths, by an adjoint pass through the graph.

A *path* leads from an input pixel through one tap of every layer on its way to the unit. The number
of paths is the gradient of the unit with respect to the pixel in the net whose weights are all 1,
whose tensors have one channel, and whose layers add up what they read: an activation passes its
input on, a pooling window, an interpolation or a normalisation counts each position that it reads
once, and inputs that meet (added, joined or multiplied) are summed. Divided by their sum, path
counts are the theoretical effective receptive field for uniform weights (Luo et al. 2016,
"Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", §2).

The pass carries an array over the input's spatial axes, each with its size in the current tensor.
A layer is applied axis by axis, so a chain costs as much as a product of axes, and branches,
whose sum is not a product of axes, are exact too.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import CnncalcError
from cnncalc.formulas.positions import FOLDS, position
from cnncalc.formulas.receptive_field import POINT, Taps, Window, taps_of
from cnncalc.graph import Algebra, Graph, Node, Output, Ref, propagate
from cnncalc.layers.base import Movement, Read, Reads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]
    Reached = NDArray[np.bool_]

Place = int | None | frozenset[int]
"""Which tensor axes carry an axis of the input: one; ``None``, if all units see the same of it; or a set of
several axes that decide together.
"""
Frame = tuple[Place, ...]
"""The place of each spatial axis of the input."""

MOST_PIXELS = 1 << 23
"""The most positions of a tensor, over all axes."""
MOST_STEPS = 1 << 30
"""The most reads of one position by one unit in one layer."""
SCALE = 2.0**-512
"""Counts above its inverse are all scaled down: by a power of two, so nothing is rounded."""


class UnknownPaths(Exception):  # noqa: N818  (a reason, not an error)
    """Path counts are unknown, and why."""


class UnitField(NamedTuple):
    """What one unit sees of the input, over all spatial axes together.

    ``counts``: the number of paths from each pixel (times a power of two, where ``scaled``);
    ``reached``: the exact set of pixels that reach the unit.
    """

    counts: Counts
    reached: Reached
    scaled: bool


def frames(graph: Graph, source: int) -> dict[Ref, Frame]:
    """For every tensor that depends on the input node ``source``, where the input's spatial axes run in it."""
    carried = propagate(graph, _Frames(source))
    refs = (Ref(number, port) for number, node in enumerate(graph.nodes) for port in range(len(node.output_shapes)))
    return {ref: frame for ref in refs if (frame := carried.of(ref)) is not None}


def unit_field(
    graph: Graph, source: int, ref: Ref, unit: tuple[int, ...], known: dict[Ref, Frame] | None = None
) -> UnitField:
    """What the unit at ``unit`` (an index for each spatial axis of the input) of tensor ``ref`` sees of ``source``.

    Along an axis of which all units see the same, the index is 0. ``known``: the :func:`frames` of ``source``.

    Raises:
        UnknownPaths: some layer on the way does not say which position reads which.
    """
    import numpy as np

    known = frames(graph, source) if known is None else known
    counts, scaled = _adjoint(graph, source, ref, unit, known, np.float64)
    # A count that scaling rounds to 0 is still a path.
    reached = _adjoint(graph, source, ref, unit, known, np.bool_)[0] if scaled else counts > 0
    return UnitField(counts, reached, scaled)


def centred_width(mass: Counts, centre: float, share: float = 0.95) -> int | None:
    """Pixels of the smallest interval around ``centre`` (a whole or half pixel) that holds ``share`` of ``mass``."""
    import numpy as np

    until = np.concatenate(([0.0], np.cumsum(mass)))  # the sum before each pixel
    total = float(until[-1])
    if total == 0:
        return None

    # A width is odd around a pixel and even around the border of two.
    least = 2 if round(2 * centre) % 2 else 1

    def holds(more: int) -> bool:
        first = round(centre - (least - 1) / 2) - more
        ends = (max(0, min(end, len(mass))) for end in (first, first + least + 2 * more))
        low, high = (float(until[end]) for end in ends)
        return high - low >= share * total * (1 - 1e-12)

    farthest = int(abs(centre)) + len(mass) + 1
    return least + 2 * bisect_left(range(farthest), True, key=holds)


# -- where the axes run ----------------------------------------------------------------------------


class _Frames(Algebra[Frame | None]):
    """Where the axes of ``source`` run; ``None`` in a tensor that does not depend on it."""

    def __init__(self, source: int) -> None:
        self.source = source

    def begin(self, number: int, node: Node) -> Frame | None:
        return tuple(range(1, len(node.output_shape))) if number == self.source else None

    def after(self, out: Output, before: list[Frame | None]) -> Frame | None:
        after = [
            tuple(_place_after(place, reads, len(out.shape)) for place in frame)
            for frame, reads in zip(before, out.reads or (), strict=True)
            if frame is not None
        ]
        return reduce(lambda one, other: tuple(map(_meet, one, other)), after) if after else None


def _place_after(place: Place, reads: Reads, rank: int) -> Place:
    """The place of an input axis after a layer, as far as the layer reads one of its inputs; the output has ``rank``
    axes.
    """
    if place is None:
        return None
    every = frozenset(range(rank))
    if isinstance(place, int):
        read = reads[place]
        if read.whole:
            return None
        if read.axis is not None and read.window is not None and read.window.taps:
            return read.axis
        return every
    mine = [reads[axis] for axis in place]
    if all(read.whole for read in mine):
        return None
    if _point_by_point(place, reads):
        return frozenset(read.axis for read in mine if read.axis is not None)
    return every


def _point_by_point(place: frozenset[int], reads: Reads) -> bool:
    return all(reads[axis].window == POINT and reads[axis].axis is not None for axis in place)


def _meet(mine: Place, theirs: Place) -> Place:
    """The place of an axis in a tensor made from two inputs."""
    if mine == theirs or theirs is None:
        return mine
    if mine is None:
        return theirs
    return _axes(mine) | _axes(theirs)


def _axes(place: int | frozenset[int]) -> frozenset[int]:
    return frozenset({place}) if isinstance(place, int) else place


# -- backwards -------------------------------------------------------------------------------------


def _adjoint(
    graph: Graph, source: int, ref: Ref, unit: tuple[int, ...], known: dict[Ref, Frame], kind: Any
) -> tuple[Any, bool]:
    """The counts at the source (of ``kind`` bool: whether there is a path), and whether they are scaled."""
    import numpy as np

    sizes = graph.nodes[source].output_shape[1:]
    if ref not in known:
        return np.zeros(sizes, kind), False
    if any(isinstance(place, frozenset) for place in known[ref]):
        raise UnknownPaths(f"which pixels reach a unit of {graph.path(ref)} is told by no single axis")
    _check_few(graph.nodes[ref.node], "outputs", prod(_sizes(graph, ref, known[ref])), MOST_PIXELS)
    seed = np.zeros(_sizes(graph, ref, known[ref]), kind)
    seed[unit] = 1
    pending: dict[Ref, Any] = {ref: seed}
    scaled = False
    for number in range(ref.node, source, -1):
        node = graph.nodes[number]
        for port in range(len(node.output_shapes)):
            here = pending.pop(Ref(number, port), None)
            if here is None or node.layer is None:
                continue
            frame = known[Ref(number, port)]
            for before, reads in zip(node.inputs, node.layer.port_reads(port, *node.input_shapes), strict=True):
                if before not in known:
                    continue
                there = _through(graph, here, frame, before, known[before], reads, node, port)
                pending[before] = pending[before] + there if before in pending else there
        if kind != np.bool_ and any(float(array.max(initial=0)) > 1 / SCALE for array in pending.values()):
            scaled = True
            pending = {key: array * SCALE for key, array in pending.items()}
    found = pending.get(Ref(source))
    return (np.zeros(sizes, kind) if found is None else found), scaled


def _sizes(graph: Graph, ref: Ref, frame: Frame) -> tuple[int, ...]:
    """The shape of the count array of a tensor: 1 along the axes that no axis or several axes carry."""
    shape = graph.shape(ref)
    return tuple(shape[place] if isinstance(place, int) else 1 for place in frame)


def _through(
    graph: Graph, counts: Any, frame: Frame, before: Ref, frame_before: Frame, reads: Reads, node: Node, port: int
) -> Any:
    """Counts at an input of a node, from those at its output: along each axis, what reads a position adds up.

    Along an axis that depends on several tensor axes the counts are one number for all positions.
    """
    import numpy as np

    shape = graph.shape(before)
    _check_few(node, "inputs", prod(map(max, counts.shape, _sizes(graph, before, frame_before))), MOST_PIXELS)
    for k, (after, place) in enumerate(zip(frame, frame_before, strict=True)):
        reached = _place_after(place, reads, len(node.output_shapes[port]))
        if reached is None and isinstance(after, int):
            counts = counts.sum(axis=k, keepdims=True, dtype=counts.dtype)
        elif reached != after:
            raise UnknownPaths(f"{node.path} mixes positions that lie along no single axis")
        if isinstance(place, int):
            read = reads[place]
            if reached is None:
                counts = np.repeat(counts, shape[place], axis=k)
            elif isinstance(reached, frozenset):
                _check_all_read_once(node)
                counts = np.repeat(counts, shape[place], axis=k)
            elif not (read.window == POINT and counts.shape[k] == shape[place]):
                counts = _spread_back(counts, k, read, shape[place], node)
        elif isinstance(place, frozenset) and isinstance(reached, frozenset) and not _point_by_point(place, reads):
            _check_all_read_once(node)
    return counts


def _check_all_read_once(node: Node) -> None:
    """A layer that only moves its elements passes one number for all positions on unchanged.

    Raises:
        UnknownPaths: the layer does more than that.
    """
    once = isinstance(node.layer, Movement) and len(node.input_shapes) == len(node.output_shapes) == 1
    if not once or prod(node.input_shapes[0]) != prod(node.output_shape):
        raise UnknownPaths(f"{node.path} does not say which position reads which")


def _check_few(node: Node, what: str, number: int, most: int) -> None:
    """Checks that the work can be done one by one.

    Raises:
        CnncalcError: it is too much.
    """
    if number > most:
        raise CnncalcError(
            f"{node.where}error: {node.path} has {number:,} {what} to count paths through, more than {most:,}\n"
            "  hint: use a smaller input, or leave out --layer: the fields of all maps need no counting"
        )


def _spread_back(counts: Any, k: int, read: Read, size: int, node: Node) -> Any:
    """Counts at ``size`` positions along axis ``k``, from those of the units that read them through a window."""
    import numpy as np

    window = read.window
    assert window is not None
    units = np.moveaxis(counts, k, 0)
    result = np.zeros((size, *units.shape[1:]), counts.dtype)
    period = len(window.taps)
    for phase, taps in enumerate(window.taps):
        part = units[phase::period]
        reading = part.any(axis=tuple(range(1, part.ndim))).nonzero()[0].tolist()
        width = prod(part.shape[1:])
        if read.border in FOLDS or taps.total < len(reading):
            _check_few(node, "reads", taps.total * len(part) * width, MOST_STEPS)
            if reading:
                for tap in range(taps.first, taps.last + 1, taps.step):
                    _add_tap(result, part, tap, window, read.border)
        else:
            _check_few(node, "reads", min(taps.total, size) * len(reading) * width, MOST_STEPS)
            for q in reading:
                _add_unit(result, part[q], taps_of(window, phase + period * q))
    return np.moveaxis(result, 0, k)


def _add_unit(result: Any, unit: Any, taps: Taps) -> None:
    """Add one unit to all positions that it reads."""
    begin = taps.first + max(0, -(taps.first // taps.step)) * taps.step
    result[begin : max(0, taps.last + 1) : taps.step] += unit


def _add_tap(result: Any, part: Any, tap: int, window: Window, border: str) -> None:
    """Add the units ``part``, of which number ``q`` reads position ``tap + stride·q``."""
    size, count, stride = len(result), len(part), window.stride
    if stride == 0:
        here = position(tap, size, border)
        if here is not None:
            result[here] += part.sum(axis=0, dtype=part.dtype)
        return
    begin = min(count, max(0, -(tap // stride)))
    end = max(begin, min(count, (size - 1 - tap) // stride + 1))
    if begin < end:
        result[tap + stride * begin : tap + stride * (end - 1) + 1 : stride] += part[begin:end]
    if border in FOLDS:
        for q in (*range(begin), *range(end, count)):
            result[position(tap + stride * q, size, border)] += part[q]
