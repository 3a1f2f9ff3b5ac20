"""The rules' view of a net: what each layer reads along spatial axes, who reads each tensor, what units see.

Everything is computed when the first rule asks for it, once, in one pass over the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from cnncalc.analysis.receptive_field import (
    GlobalField,
    InputAxis,
    LocalField,
    Result,
    Track,
    UnknownField,
    receptive_fields,
    through,
)
from cnncalc.errors import CnncalcError
from cnncalc.formulas import receptive_field as rf
from cnncalc.formulas.positions import positions, units_reading
from cnncalc.formulas.receptive_field import POINT, Window
from cnncalc.graph import Algebra, Graph, Node, Output, Ref, propagate
from cnncalc.layers.axes import axis_name
from cnncalc.layers.base import Layer, Movement, Reads, Shape, Shapes

MOST_UNITS = 1 << 22
"""The most units along an axis, padding included, that are tracked one by one."""
BORDERS = {"height": ("top", "bottom"), "width": ("left", "right"), "depth": ("front", "back")}


class SlidingAxis(NamedTuple):
    """How a layer reads one spatial axis (from 1) of its input number ``position``, through a window.

    The axis has ``size`` units; ``units`` output units lie along ``out_axis``.
    """

    position: int
    axis: int
    name: str
    size: int
    out_axis: int
    units: int
    window: Window
    border: str

    @property
    def sliding(self) -> bool:
        """Whether all units read alike, as those of a convolution or pool do."""
        return len(self.window.taps) == 1 and self.window.stride > 0

    @property
    def first(self) -> int:
        """The first unit that output unit 0 reads (negative: in the padding)."""
        return self.window.taps[0].first

    @property
    def last(self) -> int:
        """The last unit that output unit 0 reads."""
        return self.window.taps[0].last

    @property
    def end(self) -> int:
        """The last unit that the last output unit reads."""
        return self.last + self.window.stride * (self.units - 1)

    @property
    def drift(self) -> int:
        """Twice the distance between the middle of the output units and that of the input, in input units."""
        return self.first + self.end - (self.size - 1)


def sides(name: str) -> tuple[str, str]:
    """Names of the two borders of an axis."""
    return BORDERS.get(name, ("start", "end"))


Resize = Callable[[Mapping[str, Shape]], Graph | None]
"""The net for inputs of other shapes; ``None`` where it does not take them."""


class Design:
    """A graph with facts that several rules need; ``at`` gives the net for inputs of other shapes."""

    def __init__(self, graph: Graph, at: Resize | None = None) -> None:
        self.graph = graph
        self.at: Resize = at or graph.rebuilt
        self._reads: dict[tuple[Layer, Shapes], tuple[Reads, ...]] = {}
        self._slides: dict[tuple[Layer, Shapes], tuple[SlidingAxis, ...]] = {}
        self._read: dict[tuple[Layer, Shapes, int, int], int] = {}

    def layers(self) -> list[tuple[int, Node, Layer]]:
        """All nodes except inputs, with their numbers."""
        return [(number, node, node.layer) for number, node in enumerate(self.graph.nodes) if node.layer is not None]

    def sliding(self) -> Iterator[tuple[int, Node, list[SlidingAxis]]]:
        """All layers that compute, with the axes that they read through a window alike for all units."""
        for number, node, layer in self.layers():
            if not isinstance(layer, Movement):
                yield number, node, [slide for slide in self.slides(node) if slide.sliding]

    def reads(self, node: Node) -> tuple[Reads, ...]:
        """What the layer of a node reads of its inputs."""
        assert node.layer is not None
        key = (node.layer, node.input_shapes)
        if key not in self._reads:
            self._reads[key] = node.layer.reads(*node.input_shapes)
        return self._reads[key]

    def slides(self, node: Node) -> tuple[SlidingAxis, ...]:
        """Every spatial axis that the layer of a node reads through a window, but not unit by unit."""
        assert node.layer is not None
        key = (node.layer, node.input_shapes)
        if key not in self._slides:
            self._slides[key] = tuple(
                SlidingAxis(
                    position,
                    axis,
                    axis_name(axis - 1, len(shape) - 1),
                    shape[axis],
                    read.axis,
                    node.output_shape[read.axis],
                    read.window,
                    read.border,
                )
                for position, (shape, reads) in enumerate(zip(node.input_shapes, self.reads(node), strict=True))
                for axis, read in enumerate(reads)
                if axis > 0 and read.axis is not None and read.window is not None and read.window.taps
                if read.window != POINT or node.output_shape[read.axis] != shape[axis]
            )
        return self._slides[key]

    @cached_property
    def readers(self) -> list[list[tuple[int, int]]]:
        """For every node the nodes that read it, each with the position among that one's inputs."""
        readers: list[list[tuple[int, int]]] = [[] for _ in self.graph.nodes]
        for number, node in enumerate(self.graph.nodes):
            for position, ref in enumerate(node.inputs):
                readers[ref.node].append((number, position))
        return readers

    @cached_property
    def results(self) -> frozenset[int]:
        """The nodes whose tensors are the net's outputs."""
        return frozenset(ref.node for _, ref in self.graph.outputs)

    def only_reader(self, number: int) -> int | None:
        """The one node that reads a node's tensor, if there is exactly one and the tensor is not a result."""
        readers = self.readers[number]
        return readers[0][0] if len(readers) == 1 and number not in self.results else None

    # -- what is read --------------------------------------------------------------------------------

    def pixels_read(self, node: Node, slide: SlidingAxis, units: int | None = None) -> int:
        """The units of an input axis that some output unit reads, as the bits of an integer.

        ``units``: as if there were so many output units.
        """
        (taps,), stride, size = slide.window.taps, slide.window.stride, slide.size
        units = slide.units if units is None else units
        if reading := units_reading(size, units, taps, stride, slide.border):
            low, high = taps.first + stride * reading[0], taps.last + stride * reading[-1]
            self.follow(node, slide, max(size, high + 1) - min(low, 0))
        # a missing unit has no padding
        return positions(size, min(units, slide.units), slide.window, slide.border) | positions(
            size, units, slide.window
        )

    def follow(self, node: Node, slide: SlidingAxis, units: int) -> None:
        """Checks that the units along an axis can be tracked one by one.

        Raises:
            CnncalcError: they are more than ``MOST_UNITS``.
        """
        if units > MOST_UNITS:
            raise CnncalcError(
                f"{node.where}error: {node.path} reads {units:,} positions along {slide.name}, padding included; lint "
                f"checks at most {MOST_UNITS:,}\n"
                "  hint: use a smaller input, or leave out the rules that check each: --ignore CNN101,CNN102,CNN107"
            )

    def read_by_all(self, ref: Ref, axis: int) -> int:
        """The units of a tensor's axis that some layer reads, as bits; a net's output is read whole."""
        size = self.graph.shape(ref)[axis]
        everything = (1 << size) - 1
        if any(result == ref for _, result in self.graph.outputs):
            return everything
        read = 0
        for number, position in self.readers[ref.node]:
            node = self.graph.nodes[number]
            if node.inputs[position] != ref:
                continue
            found = [s for s in self.slides(node) if s.position == position and s.axis == axis]
            if not found or not found[0].sliding or isinstance(node.layer, Movement):
                return everything
            read |= self.pixels_read(node, found[0])
        return read

    # -- what units see ------------------------------------------------------------------------------

    @cached_property
    def fields(self) -> Result:
        """The receptive field of every node."""
        return receptive_fields(self.graph)

    @cached_property
    def smallest(self) -> list[tuple[Track, ...]]:
        """Like ``fields``, but where branches meet the one with the smallest field counts: what a unit sees along
        the shortest path.
        """
        return propagate(self.graph, _Smallest(self.fields.axes)).nodes

    def shortest(self, node: Node, slide: SlidingAxis) -> tuple[int, rf.Field] | None:
        """What the units of the axis that a layer slides along see along the shortest path: which of the axes of
        ``fields`` it is, and the field; ``None`` where the axis is not one of the net's input.
        """
        for index, track in enumerate(self.smallest[node.inputs[slide.position].node]):
            if isinstance(track, LocalField) and track.axis == slide.axis:
                return index, track.field
        return None

    def of_input(self, index: int, name: str, field: rf.Field) -> dict[str, Any]:
        """The size of a field beside that of the input along one of the axes of ``fields``."""
        return {"axis": name, "field": rf.size(field), "input": self.input_size(index)}

    def input_size(self, index: int) -> int:
        """The size of the net's input along one of the axes of ``fields``."""
        axis = self.fields.axes[index]
        return self.graph.nodes[axis.node].output_shape[axis.axis + 1]

    def input_axis(self, index: int) -> str:
        """The name of that axis, with the input's where there are several."""
        axis = self.fields.axes[index]
        name = axis_name(axis.axis, axis.rank)
        return name if len(self.graph.inputs) == 1 else f"{name} of {self.graph.nodes[axis.node].path}"


class _Smallest(Algebra[tuple[Track, ...]]):
    """The tracks along the shortest paths."""

    def __init__(self, axes: tuple[InputAxis, ...]) -> None:
        self.axes = axes

    def begin(self, number: int, node: Node) -> tuple[Track, ...]:
        return tuple(LocalField(axis.axis + 1, rf.IDENTITY) if axis.node == number else None for axis in self.axes)

    def after(self, out: Output, before: list[tuple[Track, ...]]) -> tuple[Track, ...]:
        after = [
            tuple(None if track is None else through(track, reads, len(out.shape)) for track in tracks)
            for tracks, reads in zip(before, out.reads or (), strict=True)
        ]
        return after[0] if len(after) == 1 else tuple(map(_smaller, *after))


def _smaller(*tracks: Track) -> Track:
    """The track with the smallest field; an unknown or missing one only if there is no other."""

    def weight(track: Track) -> tuple[int, int]:
        if isinstance(track, LocalField):
            return 0, rf.size(track.field)
        return 4 if track is None else 3 if isinstance(track, UnknownField) else 2 if isinstance(
            track, GlobalField
        ) else 1, 0

    return min(tracks, key=weight)
