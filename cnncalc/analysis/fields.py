"""What units see: the numbers of every feature map, and of one unit exactly; the answers of ``cnncalc rf``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis import exact_field, unit_field
from cnncalc.analysis.answer import Answer, Model, Shape
from cnncalc.analysis.answer import model as model_of
from cnncalc.analysis.exact_field import exact_fields
from cnncalc.analysis.receptive_field import (
    GlobalField,
    LocalField,
    Misalignment,
    ScatteredField,
    Track,
    UnknownField,
    receptive_fields,
)
from cnncalc.errors import CnncalcError, unknown_name
from cnncalc.formulas import receptive_field as rf
from cnncalc.formulas.positions import indices
from cnncalc.graph import Graph, Ref
from cnncalc.layers.axes import axis_name, describe

if TYPE_CHECKING:
    from cnncalc.analysis.unit_field import UnitField


WIDTH_SHARE = 0.95
"""What the effective width holds of all paths."""
EXACT = 1 << 53
"""Numbers of paths below this are exact integers."""

Number = int | float


# -- all feature maps ------------------------------------------------------------------------------


class MapField(Struct, frozen=True):
    """What the units of one feature map see of one tensor, ``on``; per-axis lists follow its spatial axes.

    Along an axis that every unit sees as a whole ``size``, ``jump``, ``start`` and ``centre`` are null, as
    are ``jump``, ``start`` and ``centre`` where no index tells where a field lies. ``centre`` is that of
    unit 0 (pixel centres are whole numbers; over the phases of an upsampled map it is the mean).
    ``clipped`` is the largest number of pixels inside the input that a field spans. ``border`` is the
    share of the units whose field, as the recurrence has it, goes on beyond the input: they see padding.
    ``covers``: some unit's field spans the whole input.
    """

    path: str
    type: str
    output_shape: Shape
    on: str
    kind: Literal["local", "global", "unknown"]
    size: tuple[int | None, ...] | None
    jump: tuple[Number | None, ...] | None
    start: tuple[int | None, ...] | None
    centre: tuple[Number | None, ...] | None
    clipped: tuple[int | None, ...] | None
    border: float | None
    covers: bool
    jump_exact: tuple[str | None, ...] | UnsetType = UNSET
    aligned: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Cover(Struct, frozen=True):
    """Where the field first covers the whole of ``on``, and where every unit first sees all of it."""

    on: str
    shape: Shape
    first: str | None
    first_size: tuple[int | None, ...] | None
    first_global: str | None
    largest: str | None
    largest_size: tuple[int | None, ...] | None


class FieldReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``rf`` about a net."""

    model: Model
    covers: tuple[Cover, ...]
    maps: tuple[MapField, ...]
    misaligned: tuple[str, ...] = ()


class _AxisNumbers(NamedTuple):
    """Of one axis: size, jump and centre as fractions, start, clipped size, share of units at the border, covers."""

    size: int
    jump: tuple[int, int]
    start: int | None
    centre: tuple[int, int] | None
    clipped: int
    border: float
    covers: bool


def field_report(graph: Graph, on: str | None = None) -> FieldReport:
    """The fields of every feature map on the net's inputs, or on the tensor of the layer ``on``."""
    model = model_of(graph)
    if on is not None:
        number = find(graph, on, "--from")
        sources = [number]
        graph = seen_from(graph, number)
    else:
        sources = [n for n, node in enumerate(graph.nodes) if node.layer is None and len(node.output_shape) > 1]
    if not sources:
        raise CnncalcError(f"{graph.name or graph.source}: no input has spatial axes, so there are no fields")
    found = receptive_fields(graph)
    maps, covers = [], []
    for source in sources:
        positions = [i for i, axis in enumerate(found.axes) if axis.node == source]
        name, sizes = graph.nodes[source].path, graph.nodes[source].output_shape[1:]
        mine = []
        for node, seen in zip(graph.nodes, found.seen, strict=True):
            tracks = tuple(seen.tracks[i] for i in positions)
            if node.layer is not None and not all(track is None for track in tracks):
                mine.append(_map_field(node.path, node.kind, node.output_shape, name, tracks, sizes, seen.aligned))
        if not mine:
            raise CnncalcError(f"nothing depends on '{name}'\n  hint: --from takes a layer that others come after")
        covers.append(_cover(name, graph.nodes[source].output_shape, mine))
        maps += mine
    order = {node.path: number for number, node in enumerate(graph.nodes)}
    maps.sort(key=lambda one: order[one.path])
    return FieldReport(
        model=model,
        covers=tuple(covers),
        maps=tuple(maps),
        misaligned=_misaligned(graph, found.misalignments),
    )


def find(graph: Graph, path: str, option: str) -> int:
    """The number of the node at ``path``, or of the last one of the block there; a pattern (``*``) matches one of them.

    Raises:
        CnncalcError: there is none, and the message has the nearest; or a pattern matches several.
    """
    wanted = path.strip()
    last: dict[str, int] = {}  # of each layer and block
    for number, node in enumerate(graph.nodes):
        parts = node.path.split(".")
        last.update((".".join(parts[:count]), number) for count in range(1, len(parts) + 1))
    if wanted in last:
        return last[wanted]
    found = [one for one in last if fnmatchcase(one, wanted)]
    found = [one for one in found if one.rpartition(".")[0] not in found]
    if len(found) > 1:
        named = ", ".join([*found[:8], *(["…"] if len(found) > 8 else [])])
        raise CnncalcError(f"{option} {wanted}: {len(found)} layers match\n  hint: choose one of {named}")
    if found:
        return last[found[0]]
    top = [path for path in last if "." not in path]
    error = unknown_name("layer", wanted, last, [*top[:8], *(["…"] if len(top) > 8 else [])])
    raise CnncalcError(f"{option}: {error}")


def seen_from(graph: Graph, number: int) -> Graph:
    """The net with a layer's tensor as what is seen.

    Raises:
        CnncalcError: the layer has several, or none with spatial axes.
    """
    node = graph.nodes[number]
    if len(node.output_shapes) > 1:
        raise CnncalcError(f"--from {node.path}: it has several outputs\n  hint: take a layer that comes after it")
    if len(node.output_shape) < 2:
        raise CnncalcError(f"--from {node.path}: {describe(node.output_shape)} has no spatial axes")
    return graph.seen_from(number)


def _map_field(
    path: str, kind: str, shape: Shape, on: str, tracks: tuple[Track, ...], sizes: Shape, aligned: bool
) -> MapField:
    lost = next((track.reason for track in tracks if isinstance(track, UnknownField)), None)
    if lost is not None:
        return MapField(path, kind, shape, on, "unknown", *(None,) * 6, False, reason=lost)
    if all(isinstance(track, GlobalField | None) for track in tracks):
        return MapField(path, kind, shape, on, "global", None, None, None, None, sizes, None, True)
    axes = [
        _axis_numbers(track.field, shape[track.axis], size) if isinstance(track, LocalField) else None
        for track, size in zip(tracks, sizes, strict=True)
    ]
    spans = [track.size if isinstance(track, ScatteredField) else None for track in tracks]
    jumps = [None if axis is None else axis.jump for axis in axes]
    known = [axis for axis in axes if axis is not None]
    inside = 1.0
    for axis in known:
        inside *= 1 - axis.border
    whole = [isinstance(track, GlobalField) for track in tracks]
    return MapField(
        path=path,
        type=kind,
        output_shape=shape,
        on=on,
        kind="local",
        size=tuple(span if axis is None else axis.size for axis, span in zip(axes, spans, strict=True)),
        jump=tuple(None if jump is None else _number(jump) for jump in jumps),
        start=tuple(None if axis is None else axis.start for axis in axes),
        centre=tuple(None if axis is None or axis.centre is None else _number(axis.centre) for axis in axes),
        clipped=tuple(
            axis.clipped if axis else size if all_of_it else min(span or 0, size)
            for axis, size, all_of_it, span in zip(axes, sizes, whole, spans, strict=True)
        ),
        border=1 - inside if len(known) == len(axes) else None,
        covers=all(axis.covers if axis else all_of_it for axis, all_of_it in zip(axes, whole, strict=True)),
        jump_exact=UNSET if all(jump is None or jump[1] == 1 for jump in jumps) else tuple(map(_fraction, jumps)),
        aligned=UNSET if aligned else False,
    )


@lru_cache(maxsize=256)
def _axis_numbers(field: rf.Field, units: int, size: int) -> _AxisNumbers:
    """The numbers of a field of ``units`` units on an axis of ``size`` pixels."""
    beyond, telling = _beyond(field, units, size)
    clipped, covers = 0, False
    for first, last in telling:
        covers |= first <= 0 and last >= size - 1
        clipped = max(clipped, min(last, size - 1) - max(first, 0) + 1)
    start = rf.bounds_of(field, 0)
    return _AxisNumbers(
        size=rf.size(field),
        jump=rf.jump(field),
        start=None if start is None else start[0],
        centre=rf.centre(field),
        clipped=clipped,
        border=beyond / units,
        covers=covers,
    )


def _beyond(field: rf.Field, units: int, size: int) -> tuple[int, list[tuple[int, int]]]:
    """How many units' fields go on beyond the input, and the fields among which the fullest one is.

    Where fields just move on by the jump, that is one of those next to where they enter and leave the input.
    """
    if len(field.bounds) > 1 or field.bounds[0] is None or field.shift < 1:
        every = [bounds for unit in range(units) if (bounds := rf.bounds_of(field, unit)) is not None]
        return sum(first < 0 or last >= size for first, last in every), every
    first, last = field.bounds[0]
    before = min(units, max(0, -(first // field.shift)))
    through = min(units, max(0, (size - 1 - last) // field.shift + 1))
    telling = {0, units - 1, before - 1, before, through - 1, through}
    moved = [(first + field.shift * unit, last + field.shift * unit) for unit in telling if 0 <= unit < units]
    return units - max(0, through - before), moved


def _number(value: tuple[int, int]) -> Number:
    top, bottom = value
    return top if bottom == 1 else top / bottom


def _fraction(value: tuple[int, int] | None) -> str | None:
    return None if value is None else str(value[0]) if value[1] == 1 else f"{value[0]}/{value[1]}"


def _cover(on: str, shape: Shape, maps: list[MapField]) -> Cover:
    first = next((one for one in maps if one.covers), None)
    whole = next((one for one in maps if one.kind == "global"), None)
    sized = [one for one in maps if one.size is not None and None not in one.size]
    largest = max(sized, key=lambda one: prod(size or 0 for size in one.size or ()), default=None)
    return Cover(
        on=on,
        shape=shape,
        first=None if first is None else first.path,
        first_size=None if first is None else first.size,
        first_global=None if whole is None else whole.path,
        largest=None if largest is None else largest.path,
        largest_size=None if largest is None else largest.size,
    )


def _misaligned(graph: Graph, found: list[Misalignment]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(graph.nodes[one.node].path for one in found))


# -- one unit --------------------------------------------------------------------------------------


class UnitAxis(Struct, frozen=True):
    """One axis of what a unit sees. Intervals hold the first and the last pixel.

    ``box``: as the recurrence has it, beyond the input too; null where it is the whole axis or not known.
    ``clipped``: the part of it inside the input (null: none is). ``reached``: the pixels that reach the
    unit, as intervals, whatever their place along the other axes. ``mass``: for each pixel of the axis
    the share of all paths that start there. ``width``: the smallest interval around the box's centre
    that holds 95% of them; of a unit at the border it goes on beyond the input. ``kind``: ``global``
    where every unit sees the whole axis, ``unknown`` where no index tells which pixels a unit sees.
    """

    name: str
    pixels: int
    kind: Literal["local", "global", "unknown"]
    box: tuple[int, int] | None
    clipped: tuple[int, int] | None
    reached: tuple[tuple[int, int], ...] | None
    width: int | None
    mass: tuple[float, ...] | None

    @property
    def count(self) -> int | None:
        """How many pixels of the axis reach the unit."""
        return None if self.reached is None else sum(last - first + 1 for first, last in self.reached)


class UnitReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``rf --layer``.

    ``unit``: its index along each axis; null where every unit of the map sees the same.
    ``reached``: the number of pixels that reach the unit; ``covered``: their share of the clipped box
    (less than 1 where dilated windows leave holes). ``product``: whether that set is all combinations of
    the axes' sets. ``paths``: the number of paths from the input to the unit, an exact integer where
    it is below 2⁵³. Where path counts cannot be given ``reason`` says why, and the numbers are null.
    """

    model: Model
    path: str
    type: str
    output_shape: Shape
    unit: tuple[int, ...] | None
    on: str
    on_shape: Shape
    axes: tuple[UnitAxis, ...]
    reached: int | None
    covered: float | None
    product: bool | None
    paths: Number | None
    reason: str | UnsetType = UNSET


class Unit(NamedTuple):
    """A unit's report with the counts behind it, ``None`` where they cannot be given."""

    report: UnitReport
    field: UnitField | None


def unit_report(graph: Graph, layer: str, unit: str | None = None, on: str | None = None) -> Unit:
    """What one unit of a layer sees of the net's input, or of the tensor of the layer ``on``.

    ``unit``: an index for each spatial axis, ``corner``, or ``None`` for the centre.

    Raises:
        CnncalcError: there is no such layer or unit, or it does not depend on what is to be seen.
    """
    model = model_of(graph)
    number = find(graph, layer, "--layer")
    if on is not None:
        seen = find(graph, on, "--from")
        graph = seen_from(graph, seen)
    known: dict[Ref, unit_field.Frame] = {}
    candidates = [seen] if on is not None else [n for n, node in enumerate(graph.nodes) if node.layer is None]
    for seen in candidates:
        known = unit_field.frames(graph, seen) if len(graph.nodes[seen].output_shape) > 1 else {}
        if Ref(number) in known and seen != number:
            break
    else:
        path, name = graph.nodes[number].path, graph.nodes[candidates[0]].path
        if number in candidates:
            raise CnncalcError(f"--layer {path}: it is what is seen\n  hint: take a layer that comes after it")
        raise CnncalcError(f"{path} does not depend on {'an input with spatial axes' if on is None else repr(name)}")
    node, source = graph.nodes[number], graph.nodes[seen]
    index = unit_index(unit, graph, number, known[Ref(number)])
    field, reason = None, None
    try:
        field = unit_field.unit_field(graph, seen, Ref(number), index, known)
    except unit_field.UnknownPaths as why:
        reason = str(why)
    sizes = source.output_shape[1:]
    axes = []
    for k, (size, track) in enumerate(zip(sizes, _tracks(graph, seen, number), strict=True)):
        if field is None:
            reached, mass = _reached_along(exact_fields(graph, seen, k)[number], index[k]), None
        else:
            others = tuple(axis for axis in range(field.counts.ndim) if axis != k)
            reached = field.reached.any(axis=others, keepdims=True).ravel().nonzero()[0].tolist()
            mass = field.counts.sum(axis=others)
        axes.append(_unit_axis(axis_name(k, len(sizes)), size, track, index[k], reached, mass))
    count = None if field is None else int(field.reached.sum())
    area = prod(0 if axis.clipped is None else axis.clipped[1] - axis.clipped[0] + 1 for axis in axes)
    spans = prod(axis.count or 0 for axis in axes)
    report = UnitReport(
        model=model,
        path=node.path,
        type=node.kind,
        output_shape=node.output_shape,
        unit=index if any(isinstance(place, int) for place in known[Ref(number)]) else None,
        on=source.path,
        on_shape=source.output_shape,
        axes=tuple(axes),
        reached=count,
        covered=None if count is None or not area else count / area,
        product=None if count is None else count == spans,
        paths=None if field is None or field.scaled else _paths(float(field.counts.sum())),
        reason=UNSET if reason is None else reason,
    )
    return Unit(report, field)


def _paths(total: float) -> Number:
    return int(total) if total < EXACT else total


def unit_index(text: str | None, graph: Graph, number: int, frame: unit_field.Frame) -> tuple[int, ...]:
    """The index of a unit along each axis of what it sees; negative ones count from the end.

    Raises:
        CnncalcError: the text is not an index, or there is no such unit.
    """
    node = graph.nodes[number]
    sizes = tuple(node.output_shape[place] if isinstance(place, int) else 1 for place in frame)
    if text is None or text.strip() == "centre":
        return tuple(size // 2 for size in sizes)
    if text.strip() == "corner":
        return tuple(0 for _ in sizes)
    parts = [part.strip() for part in text.replace("×", ",").split(",")]
    numbers = [part.removeprefix("-") for part in parts]
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in numbers):
        raise CnncalcError(
            f"--unit: '{text}' is not a unit\n  hint: an index for each spatial axis, e.g. 3,3; or centre, or corner"
        )
    if len(parts) != len(sizes):
        raise CnncalcError(
            f"--unit {text}: {len(parts)} given for {len(sizes)} spatial {'axis' if len(sizes) == 1 else 'axes'}\n"
            f"  hint: {node.path} has {describe(sizes)} units; write {','.join('0' for _ in sizes)} for the first"
        )
    index = []
    for part, size in zip(parts, sizes, strict=True):
        value = int(part)
        if not -size <= value < size:
            raise CnncalcError(
                f"--unit {text}: {node.path} has {describe(sizes)} units, and none at {value}\n"
                f"  hint: indices count from 0 to {size - 1}, or from -1 backwards"
            )
        index.append(value % size)
    return tuple(index)


def _tracks(graph: Graph, seen: int, number: int) -> list[Track]:
    """What the recurrence says of a map, along each axis of what it sees."""
    found = receptive_fields(graph)
    pairs = zip(found.axes, found.seen[number].tracks, strict=True)
    return [track for axis, track in pairs if axis.node == seen]


def _unit_axis(name: str, size: int, track: Track, unit: int, reached: list[int] | None, mass: Any) -> UnitAxis:
    """One axis of a report; ``mass`` is the number of paths from each of its pixels, where that is known."""
    box = rf.bounds_of(track.field, unit) if isinstance(track, LocalField) else None
    kind: Literal["local", "global", "unknown"] = "local" if isinstance(track, LocalField) else "unknown"
    if isinstance(track, GlobalField):
        kind = "global"
    around = box or (0, size - 1)
    inside = (max(around[0], 0), min(around[1], size - 1))
    total = 0.0 if mass is None else float(mass.sum())
    return UnitAxis(
        name=name,
        pixels=size,
        kind=kind,
        box=box,
        clipped=inside if inside[0] <= inside[1] and (box or kind == "global" or mass is not None) else None,
        reached=None if reached is None else _intervals(reached),
        width=None if mass is None else unit_field.centred_width(mass, (around[0] + around[1]) / 2, WIDTH_SHARE),
        mass=None if mass is None else tuple((mass / (total or 1.0)).tolist()),
    )


def _reached_along(sight: exact_field.Sight, unit: int) -> list[int] | None:
    """The pixels along one axis that a unit sees, where the index along one axis tells them."""
    if isinstance(sight, exact_field.Along):
        return indices(sight.units[min(unit, len(sight.units) - 1)]) if sight.exact else None
    return None if isinstance(sight, exact_field.Anywhere) else indices(sight)


def _intervals(pixels: list[int]) -> tuple[tuple[int, int], ...]:
    """Pixels in order as intervals."""
    found: list[tuple[int, int]] = []
    for pixel in pixels:
        if found and found[-1][1] == pixel - 1:
            found[-1] = (found[-1][0], pixel)
        else:
            found.append((pixel, pixel))
    return tuple(found)
