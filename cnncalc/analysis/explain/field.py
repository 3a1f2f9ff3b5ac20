"""The receptive field of one layer, explained: the step of the analysis, run on traced fields of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from cnncalc.analysis.explain import tree
from cnncalc.analysis.explain.costs import MOST_PHASES, Account
from cnncalc.analysis.explain.quantity import Quantity, cited
from cnncalc.analysis.explain.traced import Trace, Via, expression, via
from cnncalc.analysis.receptive_field import (
    GlobalField,
    LocalField,
    Recurrence,
    Result,
    ScatteredField,
    TensorField,
    Track,
    UnknownField,
)
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph, Output
from cnncalc.layers.axes import axis_name


def field_account(graph: Graph, number: int, result: Result, account: Account) -> tuple[Quantity, ...]:
    """Size, jump and start of what a node's units see, along each axis of each input of the net.

    Args:
        graph: the net.
        number: the node.
        result: what the analysis found for the whole net.
        account: the node's layer and input shapes, traced.
    """
    node = graph.nodes[number]
    befores, after = [result.of(ref) for ref in node.inputs], result.seen[number]
    if account.long or _phases((*befores, after)) > MOST_PHASES:
        found: list[Quantity] = []
        for axis in range(len(result.axes)):
            found += _quantities(graph, result, axis, after.tracks[axis], "its pattern is too long to be written out")
        return tuple(found)
    trace = account.trace
    alike = [len({seen.tracks[axis] for seen in befores}) == 1 for axis in range(len(result.axes))]
    told = _told_apart(result, befores, alike)
    traced = []
    for which, seen in enumerate(befores, start=1):
        found_here = {}
        for axis, track in seen.found.items():
            general = "in" if alike[axis] else str(which)
            found_here[axis] = _traced(trace, track, general + told(general, axis), general)
        traced.append(seen._replace(found=found_here))
    recurrence = Recurrence(result.axes, rf.compose)
    out = Output(number, node, node.output_shape, account.reads)
    seen = recurrence.after(out, traced) if traced else recurrence.begin(number, node)
    found = []
    for axis, track in enumerate(seen.tracks):
        found += _quantities(graph, result, axis, track)
    return tuple(found)


def _phases(seen: tuple[TensorField, ...]) -> int:
    fields = [track.field for one in seen for track in one.tracks if isinstance(track, LocalField)]
    return max((len(field.bounds) for field in fields), default=1)


def _told_apart(result: Result, befores: list[TensorField], alike: list[bool]) -> Callable[[str, int], str]:
    """A symbol's suffix after the number of the layer's input: empty if all axes have the same fields, else the
    letter of the axis, and with several inputs of the net the number of that.
    """
    fields: dict[str, set[object]] = {}
    for which, seen in enumerate(befores, start=1):
        for axis, track in enumerate(seen.tracks):
            if isinstance(track, (LocalField, ScatteredField)):
                fields.setdefault("in" if alike[axis] else str(which), set()).add(_field(track))
    owners = list(dict.fromkeys(place.node for place in result.axes))

    def suffix(general: str, axis: int) -> str:
        if len(fields.get(general, ())) < 2:
            return ""
        place = result.axes[axis]
        owner = str(owners.index(place.node) + 1) if len(owners) > 1 else ""
        return f",{axis_name(place.axis, place.rank)[0]}{owner}"

    return suffix


def _field(track: Track) -> object:
    """The sizes of a track, whatever axis it runs along."""
    return (
        track.field
        if isinstance(track, LocalField)
        else track.size
        if isinstance(track, ScatteredField)
        else type(track)
    )


def _traced(trace: Trace, track: Track, suffix: str, general: str) -> Track:
    """The track with names for its numbers: ``R``, ``J`` and ``start``, or the first and last pixel of each phase."""
    if isinstance(track, ScatteredField):
        return ScatteredField(trace.name(f"R_{suffix}", track.size, f"R_{general}"), track.axes)
    if not isinstance(track, LocalField):
        return track
    field, period = track.field, len(track.field.bounds)
    jump = Fraction(field.shift, period)
    if period == 1 and field.bounds[0] is not None:
        trace.name(f"R_{suffix}", rf.size(field))  # the first of the names in a list of them
    step_name = trace.name(f"J_{suffix}", jump if period > 1 else field.shift, f"J_{general}")
    shift = step_name * period
    bounds: list[tuple[int, int] | None] = []
    for phase, ends in enumerate(field.bounds):
        if ends is None:
            bounds.append(None)
        elif period == 1:
            size = trace.name(f"R_{suffix}", ends[1] - ends[0] + 1, f"R_{general}")
            start = trace.name(f"start_{suffix}", ends[0], f"start_{general}")
            bounds.append((start, start + size - 1))
        else:
            first = trace.name(f"first_{suffix},{phase}", ends[0], f"first_{general},{phase}")
            last = trace.name(f"last_{suffix},{phase}", ends[1], f"last_{general},{phase}")
            bounds.append((first, last))
    return LocalField(track.axis, rf.Field(shift, tuple(bounds)))


def _quantities(graph: Graph, result: Result, axis: int, track: Track, note: str = "") -> list[Quantity]:
    """The numbers of one track."""
    place = result.axes[axis]
    name = axis_name(place.axis, place.rank)
    owner = graph.nodes[place.node].path
    several = len({one.node for one in result.axes}) > 1
    where = f"{owner}, {name}" if several else name

    def quantity(key: str, title: str, symbol: str, value: int) -> Quantity:
        return _quantity(f"{key}_{name}", f"{title}, {where}", symbol, expression(value), where, note, via(value))

    if track is None:
        return []
    if isinstance(track, (GlobalField, UnknownField)):
        why = "global: every unit sees the whole input" if isinstance(track, GlobalField) else track.reason
        return [Quantity(f"rf_size_{name}", f"receptive field, {where}", "R", None, where, why)]
    if isinstance(track, ScatteredField):
        return [quantity("rf_size", "receptive field", "R", track.size)]
    field = track.field
    found = [quantity("rf_size", "receptive field", "R", rf.size(field))]
    period = len(field.bounds)
    jump = tree.ratio(expression(field.shift), tree.const(period))
    found.append(_quantity(f"jump_{name}", f"jump, {where}", "J", jump, where, note, via(field.shift)))
    ends = field.bounds[0]
    if ends is not None:
        found.append(quantity("start", "start", "start", ends[0]))
    return found


def _quantity(name: str, title: str, symbol: str, expr: tree.Expr, axis: str, note: str, formulas: Via) -> Quantity:
    """A quantity; one that is passed on unchanged needs no source."""
    return Quantity(name, title, symbol, expr, axis, note, () if isinstance(expr, tree.Name) else cited(formulas))
