"""Jumps measured on the real layers: the input moved by the jump moves the map by one unit."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor, nn

from cnncalc.analysis.receptive_field import LocalField, ScatteredField
from cnncalc.analysis.verdict import Row
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Node
from cnncalc.torch.module import Net
from cnncalc.torch.running import precise, relative_difference
from cnncalc.torch.view import View, affected, run_step

CANCELLED = 1e-5
"""Of a map so small, where the net's input is about 1, only the rounding of terms that cancel may be left."""
Move = tuple[int, int]
"""So many input pixels, and as many units as the map moves by then."""


def shift_rows(view: View, numbers: list[int], device: str) -> Iterator[Row]:
    """Rows for layers with a local field: translation equivariance.

    It is no claim where another input, which stays in its place, has a part in the map, or weights that
    differ from unit to unit.
    """
    tied = _tied(view)
    moves: dict[Move, list[int]] = {}
    for number in numbers:
        field = view.field(number)
        if field.shift and number not in tied:
            moves.setdefault((field.shift, len(field.bounds)), []).append(number)
    net = precise(view.graph, device)
    _randomise(net)
    generator = torch.Generator().manual_seed(3)
    wide = [list(shape) for shape in view.inputs]
    wide[view.source.position][view.source.axis + 1] += max((pixels for pixels, _ in moves), default=0)
    drawn = [torch.randn((1, *shape), generator=generator, dtype=torch.float64).to(device) for shape in wide]
    still = _maps(net, _window(view, drawn, 0), {*numbers} - tied)
    for move, moving in moves.items():
        moved = _maps(net, _window(view, drawn, move[0]), {*moving})
        for number in moving:
            yield _row(view, number, move, still[number], moved[number])


def _tied(view: View) -> set[int]:
    """The nodes whose units are no copies of each other along the axis."""

    def begins(number: int, node: Node) -> bool:
        if node.layer is None:
            return number != view.source.node
        before = [view.tracks[ref.node] for ref in node.inputs]
        along_channels = any(
            isinstance(t, ScatteredField) or (isinstance(t, LocalField) and t.axis == 0) for t in before
        )
        return along_channels and bool(node.layer.weights(*node.input_shapes))

    return affected(view.graph, begins)


def _randomise(net: nn.Module) -> None:
    """Random weights, positive scales and variances: a net whose every unit is alive."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.25)
        for module in net.modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.dim() > 1:
                weight.mul_(1.3 / prod(weight.shape[1:])).sub_(0.1 / prod(weight.shape[1:]))


def _window(view: View, drawn: list[Tensor], begin: int) -> list[Tensor]:
    """The inputs, the source's one cut out of the longer one that was drawn, from ``begin`` on."""
    inputs, (_, position, axis) = [*drawn], view.source
    inputs[position] = drawn[position].narrow(axis + 2, begin, view.pixels)
    return inputs


def _maps(net: Net, inputs: list[Tensor], numbers: set[int]) -> dict[int, Tensor]:
    """The first outputs of these nodes."""
    values, kept = net.start(*inputs), {}
    with torch.no_grad():
        for step, given in net.walk(values):
            _, values[step.number] = run_step(net, step, given, 1)
            if step.number in numbers:
                kept[step.number] = values[step.number][0]
    return kept


def _row(view: View, number: int, move: Move, still: Tensor, moved: Tensor) -> Row:
    """Compares the units whose field lies inside both inputs: moved[i] must be still[i + units]."""
    (pixels, units), path, track = move, view.graph.nodes[number].path, view.tracks[number]
    assert isinstance(track, LocalField)
    seeing = {unit for unit in view.inside(number) if rf.bounds_of(track.field, unit) is not None}
    inside = sorted(unit for unit in seeing if unit + units in seeing)
    shown = f"{units} unit{'s' if units > 1 else ''} per {pixels} pixel{'s' if pixels > 1 else ''}"
    check = f"jump, {view.name}"
    if not inside:
        return Row(path, check, shown, "no unit lies inside", note="no unit of the map sees no border")
    index = torch.tensor(inside, device=still.device)
    first, second = moved.index_select(track.axis + 1, index), still.index_select(track.axis + 1, index + units)
    difference = relative_difference(first, second, CANCELLED)
    if difference < 1e-9:
        return Row(path, check, shown, f"{len(inside)} units moved so")
    by = f"differs by {difference:.1e}"
    return Row(path, check, shown, by, f"the map does not move {shown} (it {by})")
