"""Random nets: no rule trips over any, and units that are told to be blind see nothing by the exact engine."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from cnncalc.analysis.exact_field import Along, exact_fields
from cnncalc.analysis.lint import lint
from cnncalc.graph import Graph
from cnncalc.layers.axes import axis_name
from cnncalc.sources import load_text

drawing = pytest.importorskip("cnncalc.spec.random")


def told_blind(graph: Graph) -> dict[tuple[int, int], list[int]]:
    """For each node and axis of its output the units that see padding alone, as the rule tells."""
    numbers = {node.path: number for number, node in enumerate(graph.nodes)}
    told = {}
    for finding in lint(graph, wanted=lambda rule: rule.rule == "CNN107").findings:
        number = numbers[finding.layer]
        rank = len(graph.nodes[number].output_shape) - 1
        names = [axis_name(axis, rank) for axis in range(rank)]
        for one in finding.numbers["axes"]:
            told[number, names.index(one["axis"]) + 1] = one["units"]
    return told


@pytest.mark.parametrize("seed", range(8))
def test_random_nets(seed: int) -> None:
    for number in range(seed * 50, seed * 50 + 50):
        graph = load_text(drawing.random_spec(Random(number)))
        msgspec.json.encode(lint(graph))
        told = told_blind(graph)
        if not told:
            continue
        inputs = [(n, axis) for n, node in enumerate(graph.nodes) if node.layer is None for axis in range(3)]
        inputs = [(n, axis) for n, axis in inputs if axis < len(graph.nodes[n].output_shape) - 1]
        seen = [exact_fields(graph, *one) for one in inputs]
        for (node, axis), units in told.items():
            sights = [one[node] for one in seen]
            along = [sight.units for sight in sights if isinstance(sight, Along) and sight.axis == axis]
            for unit in units:
                assert not along or any(not pixels[unit] for pixels in along), number
