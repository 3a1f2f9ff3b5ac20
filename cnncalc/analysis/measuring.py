"""Input sizes at which to measure what units see: the smallest size that is still exact, or one with an interior."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from cnncalc.analysis.exact_field import exact_fields, pixels_of
from cnncalc.analysis.receptive_field import LocalField, Track, receptive_fields
from cnncalc.errors import CnncalcError
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Algebra, Graph, Node, Output, Ref, propagate
from cnncalc.layers.axes import axis_name
from cnncalc.layers.base import Read, Shape

Resize = Callable[[Mapping[str, Shape]], Graph]
"""The net for inputs of other shapes."""


class Source(NamedTuple):
    """A spatial axis of one of the net's inputs: the input's node and position, and the axis (from 0)."""

    node: int
    position: int
    axis: int


def sources(graph: Graph) -> list[Source]:
    """All spatial axes of all inputs."""
    inputs = [number for number, node in enumerate(graph.nodes) if node.layer is None]
    return [
        Source(number, position, axis)
        for position, number in enumerate(inputs)
        for axis in range(len(graph.nodes[number].output_shape) - 1)
    ]


def source_name(graph: Graph, source: Source) -> str:
    """``height``, or ``height of left`` where the net has several inputs."""
    node = graph.nodes[source.node]
    name = axis_name(source.axis, len(node.output_shape) - 1)
    return f"{name} of {node.path}" if len(graph.inputs) > 1 else name


def narrowed(graph: Graph) -> Graph:
    """The net with as few channels as possible; unchanged if that would change what units see.

    It does where a spatial axis has become the channels, and groups or shuffles work along it.
    """
    small = graph.narrowed()
    pairs = zip(receptive_fields(graph).seen, receptive_fields(small).seen, strict=True)
    for mine, theirs in pairs:
        for one, other in zip(mine.tracks, theirs.tracks, strict=True):
            if isinstance(one, LocalField) and isinstance(other, LocalField) and one != other:
                return graph
    return small


def _with_axis(graph: Graph, source: Source, size: int, others: int | None, at: Resize) -> Graph | None:
    """The narrowed net with another size along the axis, and ``others`` along all other spatial axes.

    Where there are several inputs their sizes along the axis grow in proportion. ``None`` if the net
    cannot take that.
    """
    real = graph.nodes[source.node].output_shape[source.axis + 1]
    inputs: dict[str, Shape] = {}
    for name, before in graph.inputs.items():
        shape = list(before)
        for axis in range(1, len(shape)):
            if axis == source.axis + 1:
                shape[axis] = shape[axis] * size // real
            elif others is not None:
                shape[axis] = others
        inputs[name] = tuple(shape)
    try:
        changed = narrowed(at(inputs))
    except CnncalcError:
        return None
    return changed if _ranks(changed) == _ranks(graph) else None


def _ranks(graph: Graph) -> list[list[int]]:
    """The number of axes of all tensors; e.g. ``squeeze`` makes a different net where a size is 1."""
    return [[len(shape) for shape in node.output_shapes] for node in graph.nodes]


def flattened(graph: Graph, source: Source, at: Resize) -> Graph:
    """The net with all other axes as small as possible, or larger if padding would hide everything."""
    shape = graph.nodes[source.node].output_shape
    size = shape[source.axis + 1]
    rest = [length for axis, length in enumerate(shape[1:]) if axis != source.axis]
    if not rest:
        return graph
    stride = _stride(tracks(graph, source))
    longest = max(rest)
    sizes = {1 << power for power in range(longest.bit_length())} | set(
        range(longest % stride or stride, longest, stride)
    )
    in_part = None
    for others in (*sorted(sizes), None, *(longest + more for more in (1, stride, 2 * stride, 3 * stride))):
        other = graph if others is None else _with_axis(graph, source, size, others, at)
        if other is None or _hides(other, source):
            continue
        if _is_exact(other, source):
            return other
        in_part = in_part or other
    return in_part or graph


def _stride(tracks: Iterable[Track]) -> int:
    """The largest jump, in whole pixels."""
    jumps = [rf.jump(track.field) for track in tracks if isinstance(track, LocalField)]
    return max([1, *(-(-top // bottom) for top, bottom in jumps)])


def tracks(graph: Graph, source: Source) -> list[Track]:
    """What is claimed of every node along the source's axis."""
    claims = receptive_fields(graph)
    position = next(i for i, a in enumerate(claims.axes) if (a.node, a.axis) == (source.node, source.axis))
    return [seen.tracks[position] for seen in claims.seen]


def _hides(graph: Graph, source: Source) -> bool:
    """Whether some map sees nothing only because of borders: along some axis all of it lies in padding."""
    sights = exact_fields(graph, source.node, source.axis)
    return any(
        track is not None and not pixels_of(sight) for track, sight in zip(tracks(graph, source), sights, strict=True)
    )


def _is_exact(graph: Graph, source: Source) -> bool:
    """Whether the claim is exact for every unit."""
    return all(isinstance(sight, int) or sight.exact for sight in exact_fields(graph, source.node, source.axis))


UNITS_INSIDE = 12
"""The least number of units of the deepest map whose fields must lie inside the input."""


def enlarged(narrow: Graph, source: Source, at: Resize) -> Graph | None:
    """The net on an input long enough that in every feature map some units see no border.

    The real size grown by a whole number of the largest jump, so that nothing else about the sizes
    changes; where the net does not take that, by a little more.
    """
    size = narrow.nodes[source.node].output_shape[source.axis + 1]
    seen = tracks(narrow, source)
    fields = [track.field for track in seen if isinstance(track, LocalField)]
    if not fields:
        return None
    stride = _stride(seen)
    more = max(map(rf.size, fields)) + UNITS_INSIDE * stride - size
    grown = size + -(-max(more, 0) // stride) * stride
    for more in (0, *range(1, stride), stride, 2 * stride):
        large = _with_axis(narrow, source, grown + more, None, at)
        if large is not None:
            return flattened(large, source, at)
    return None


def clear_of_borders(graph: Graph, source: Source) -> list[list[bool] | None]:
    """For every node, and every unit along the axis on which its claim stands, whether nothing on the way from the
    input to it is cut off at a border; ``None`` where there is no such axis.
    """
    carried = propagate(graph, _ClearOfBorders(source))
    found = (carried.of(Ref(number)) for number in range(len(graph.nodes)))
    return [None if one is None else one[1] for one in found]


class _ClearOfBorders(Algebra[tuple[int, list[bool]] | None]):
    """Along which axis of a tensor the source's axis runs, and for each unit there whether no border cuts it off."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def begin(self, number: int, node: Node) -> tuple[int, list[bool]] | None:
        axis = self.source.axis + 1
        return (axis, [True] * node.output_shape[axis]) if number == self.source.node else None

    def after(self, out: Output, before: list[tuple[int, list[bool]] | None]) -> tuple[int, list[bool]] | None:
        found: tuple[int, list[bool]] | None = None
        for seen, reads, shape in zip(before, out.reads or (), out.node.input_shapes, strict=True):
            read = None if seen is None else reads[seen[0]]
            if seen is None or read is None or read.axis is None or read.window is None:
                continue
            now = [_is_clear(read, unit, shape[seen[0]], seen[1]) for unit in range(out.shape[read.axis])]
            if found is not None and found[0] == read.axis:
                now = [one and other for one, other in zip(now, found[1], strict=True)]
            found = (read.axis, now)
        return found


def _is_clear(read: Read, unit: int, size: int, before: list[bool]) -> bool:
    assert read.window is not None
    first, last, step = rf.taps_of(read.window, unit)
    return all(0 <= tap < size and before[tap] for tap in range(first, last + 1, step))
