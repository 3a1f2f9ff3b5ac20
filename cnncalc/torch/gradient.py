"""Size, jump and start of fields: the support of the gradient at the input, for units in the middle of an input that
is large beside every local field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import gcd, prod

import torch
from torch import Tensor

from cnncalc.analysis.exact_field import Anywhere
from cnncalc.analysis.pixels import AT_MOST
from cnncalc.analysis.receptive_field import GlobalField, LocalField, ScatteredField
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Node
from cnncalc.layers.base import EVERYTHING, Reads
from cnncalc.torch.module import Outputs, Values
from cnncalc.torch.monotone import stand_in
from cnncalc.torch.running import precise
from cnncalc.torch.view import View, affected, run_step

MOST_UNITS = 9
MOST_ELEMENTS = 36
MOST_SAMPLES = 64
GRADIENT_ELEMENTS = 1 << 24
"""Elements of all feature maps of the samples together: bounds the memory of what is kept for gradients."""
Ends = tuple[int, int] | None
"""The first and the last pixel that a unit sees; ``None`` where it sees none."""
Pick = Callable[[int], Tensor]
"""Something to take the gradient of, in one sample."""


def gradient_rows(view: View, numbers: list[int], device: str) -> Iterator[Row]:
    """Rows for layers whose field is local, global or scattered.

    Of a *global* field some element must see all that any sees, or all elements have pixels in common. Of a
    field at a place that no index tells the size is that of the largest among elements all over the map.
    """
    if not numbers:
        return
    net, graph = precise(view.graph, device, stand_in), view.graph
    samples = max(1, min(MOST_SAMPLES, GRADIENT_ELEMENTS // sum(prod(node.output_shape) for node in graph.nodes)))
    inputs = [torch.ones((samples, *shape), dtype=torch.float64, device=device) for shape in view.inputs]
    x = inputs[view.source.position].requires_grad_(True)
    values = net.start(*inputs)
    for step, given in net.walk(values, keep=True):
        _, values[step.number] = run_step(net, step, given, samples)
    support = partial(_supports, x=x, axis=view.source.axis + 2)
    units = {number: _middle(view, number) for number in numbers if isinstance(view.tracks[number], LocalField)}
    todo = [(number, unit) for number, some in units.items() for unit in some]
    found: dict[int, list[Ends]] = {number: [] for number in units}
    for (number, _), row in zip(todo, support([_unit(view, values, *one) for one in todo]), strict=True):
        found[number].append(_ends(row))
    less, sure, parts = _seeing_less(view), _reaching_full_size(view), _global_in_part(view)
    for number in numbers:
        track, node = view.tracks[number], graph.nodes[number]
        if isinstance(track, LocalField) and not units[number]:
            yield Row(node.path, view.check, "local", "", note="no unit of the map sees no border")
        elif isinstance(track, LocalField):
            yield _field_row(node, view.check, track.field, units[number], found[number], number in less)
        elif isinstance(track, GlobalField):
            yield _global_row(node, view.check, support(_elements(values[number])), number in less | parts)
        elif isinstance(track, ScatteredField):
            supports = support(_elements(values[number]))
            yield _spread_row(node, view, track.size, supports, number in less or number not in sure)


# -- supports --------------------------------------------------------------------------------------


def _supports(picks: list[Pick], x: Tensor, axis: int) -> Iterator[Tensor]:
    """For each pick, which pixels it has a gradient at; as many at once as there are samples, each in its own."""
    for begin in range(0, len(picks), len(x)):
        part = picks[begin : begin + len(x)]
        loss, gradient = torch.stack([pick(sample) for sample, pick in enumerate(part)]).sum(), None
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, x, retain_graph=True, allow_unused=True)
        reached = (torch.zeros_like(x) if gradient is None else gradient.abs()).movedim(axis, 1) > 0
        yield from reached.reshape(*reached.shape[:2], -1).any(dim=2)[: len(part)]


def _unit(view: View, values: Values, number: int, unit: int) -> Pick:
    """The sum of all that is one unit: everything across its axis, in all outputs."""
    track = view.tracks[number]
    assert isinstance(track, LocalField)
    return lambda sample: torch.stack([out[sample].select(track.axis, unit).sum() for out in values[number]]).sum()


def _elements(outputs: Outputs) -> list[Pick]:
    """The first and the last element of all outputs, and some between."""
    elements = torch.cat([out.reshape(len(out), -1) for out in outputs], dim=1)
    count = elements.shape[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4))[:MOST_ELEMENTS].tolist()
    chosen = list(dict.fromkeys((0, count - 1, *order)))[:MOST_ELEMENTS]
    return [lambda sample, one=one: elements[sample, one] for one in chosen]  # type: ignore[misc]


def _ends(reached: Tensor) -> Ends:
    """The first and the last pixel of a support."""
    found = reached.nonzero().flatten()
    return (int(found[0]), int(found[-1])) if len(found) else None


def _middle(view: View, number: int) -> list[int]:
    """Units from the centre of a map on whose claimed field meets no border: one per phase, and one more."""
    inside, centre, phases = view.inside(number), len(view.clear[number]) // 2, len(view.field(number).bounds)
    middle = [unit for unit in inside if centre <= unit <= centre + phases]
    return (middle or inside)[: min(MOST_UNITS, phases + 1)]


# -- where a claim is an upper bound ---------------------------------------------------------------


def _seeing_less(view: View) -> set[int]:
    """The nodes of which some units see less than is claimed: parts of maps whose parts see differently, and what is
    made of maps that lie all in padding (which the recurrence, ignoring borders, does not know).
    """
    hidden = affected(view.graph, lambda number, _: view.tracks[number] is not None and view.sights[number] == 0)
    return hidden | {n for n, sight in enumerate(view.sights) if not isinstance(sight, int) and not sight.exact}


def _global_in_part(view: View) -> set[int]:
    """The nodes of several inputs, and what is made of them: some of their units may be global, and others not. Also
    those whose units see what no single axis tells.
    """

    def met(number: int, node: Node) -> bool:
        return len(node.inputs) > 1 and not all(isinstance(view.tracks[ref.node], GlobalField) for ref in node.inputs)

    return affected(view.graph, met) | {n for n, sight in enumerate(view.sights) if isinstance(sight, Anywhere)}


def _reaching_full_size(view: View) -> set[int]:
    """The nodes where some elements see all that is claimed of a unit: some units of every phase meet no border,
    and no unit's field is that of several elements together (as where branches are joined).
    """

    def reads_of(node: Node) -> tuple[Reads, ...]:
        return node.layer.reads(*node.input_shapes) if node.layer is not None else ()

    def joins(number: int, node: Node) -> bool:
        across = any(read.across for of_input in reads_of(node) for read in of_input)
        return across or len({view.tracks[ref.node] for ref in node.inputs}) > 1

    def keeps_apart(node: Node) -> bool:
        return any(of_input[:1] != (EVERYTHING,) for of_input in reads_of(node))

    together = affected(view.graph, joins, keeps_apart)
    sure: set[int] = set()
    for number, node in enumerate(view.graph.nodes):
        track = view.tracks[number]
        if isinstance(track, LocalField):
            enough = sum(view.clear[number]) > len(track.field.bounds)
        else:
            enough = all(ref.node in sure for ref in node.inputs)
        if enough and number not in together:
            sure.add(number)
    return sure


# -- rows ------------------------------------------------------------------------------------------


def _global_row(node: Node, check: str, rows: Iterator[Tensor], in_part: bool) -> Row:
    supports: list[Tensor] = []
    for row in rows:
        supports.append(row)
        if len(supports) == MOST_UNITS and row.any() and all(torch.equal(row, one) for one in supports):
            break
    everything = torch.stack(supports).any(dim=0)
    if any(bool((row == everything).all()) for row in supports):
        return Row(node.path, check, "global", f"some see all of {_range(_ends(everything))}")
    common = _ends(torch.stack([row for row in supports if bool(row.any())]).all(dim=0))
    if common is not None:
        return Row(node.path, check, "global", f"all see {_range(common)}")
    if in_part:
        return Row(node.path, check, "global", "parts of it", note=AT_MOST)
    parts = f"{_range(_ends(supports[0]))} and {_range(_ends(supports[-1]))}"
    return Row(node.path, check, "global", parts, f"claimed global, but elements see parts, as {parts}")


def _spread_row(node: Node, view: View, size: int, rows: Iterator[Tensor], in_part: bool) -> Row:
    """The largest field among some elements; one at the border may be cut off, and then proves nothing."""
    ends = [_ends(row) for row in rows]
    sizes = [last - first + 1 for first, last in filter(None, ends) if first > 0 and last < view.pixels - 1]
    largest = max(sizes, default=0)
    wrong = largest > size or (0 < largest < size and not in_part)
    reason = f"claimed size {size}, measured {largest}" if wrong else ""
    return Row(node.path, view.check, f"size {size}", f"size {largest} at {len(ends)} elements", reason)


def _field_row(node: Node, check: str, field: rf.Field, units: list[int], found: list[Ends], at_most: bool) -> Row:
    """Unit for unit, and the numbers that are shown of the field, from what the units were measured to see."""
    start = rf.bounds_of(field, 0)
    shown = _numbers(rf.size(field), rf.jump(field), None if start is None else start[0])
    for unit, sees in zip(units, found, strict=True):
        says = rf.bounds_of(field, unit)
        if says != sees and not (at_most and _within(sees, says)):
            reason = f"unit {unit}: claimed {_range(says)}, measured {_range(sees)}"
            return Row(node.path, check, shown, _range(sees), reason)
    period = len(field.bounds)
    largest = max((last - first + 1 for first, last in filter(None, found)), default=0)
    one = next((k for k, unit in enumerate(units) if unit % period == 0), None)
    steps = [after[0] - before[0] for before, after in zip(found, found[period:], strict=False) if before and after]
    if at_most or one is None or not steps:  # not all phases lie inside
        note = AT_MOST if at_most else ""
        return Row(node.path, check, shown, f"size {largest} at {len(units)} units", note=note)
    first, common = found[one], gcd(steps[0], period)
    begin = None if first is None else first[0] - steps[0] * (units[one] // period)
    return compare(node.path, check, shown, _numbers(largest, (steps[0] // common, period // common), begin))


def _within(inner: Ends, outer: Ends) -> bool:
    return inner is None or (outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1])


def _numbers(size: int, jump: tuple[int, int], start: int | None) -> str:
    top, bottom = jump
    step = str(top) if bottom == 1 else f"{top}/{bottom}"
    return f"size {size}, jump {step}, start {'none' if start is None else start}"


def _range(bounds: Ends) -> str:
    return "nothing" if bounds is None else f"{bounds[0]} to {bounds[1]}"
