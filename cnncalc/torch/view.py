"""A net along one spatial axis of one of its inputs, and what is claimed there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from torch import Tensor

from cnncalc.analysis.exact_field import Sight, exact_fields
from cnncalc.analysis.measuring import Source, clear_of_borders, tracks
from cnncalc.analysis.receptive_field import LocalField, Track
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Shape
from cnncalc.torch.module import Net, Outputs, Step
from cnncalc.torch.running import Plan, as_claimed, run_module


class View:
    """The net, the axis and its name in rows."""

    def __init__(self, graph: Graph, source: Source, name: str) -> None:
        self.graph = graph
        self.source = source
        self.name = name
        self.check = f"field, {name}"
        self.inputs: list[Shape] = list(graph.inputs.values())
        self.pixels = self.inputs[source.position][source.axis + 1]

    @cached_property
    def tracks(self) -> list[Track]:
        """The claim about every node."""
        return tracks(self.graph, self.source)

    @cached_property
    def sights(self) -> list[Sight]:
        """Exactly the pixels that the units of every node are claimed to see."""
        return exact_fields(self.graph, self.source.node, self.source.axis)

    @cached_property
    def clear(self) -> list[list[bool]]:
        """For every node and unit whether nothing on the way to it is cut off at a border."""
        return [clear or [] for clear in clear_of_borders(self.graph, self.source)]

    def wanted(self, plan: Plan, kinds: tuple[type, ...]) -> list[int]:
        """The wanted layers with a claim of one of these kinds."""
        nodes = enumerate(self.graph.nodes)
        return [number for number, node in nodes if plan.wants(node) and isinstance(self.tracks[number], kinds)]

    def field(self, number: int) -> rf.Field:
        """The local field that is claimed of a node."""
        track = self.tracks[number]
        assert isinstance(track, LocalField)
        return track.field

    def inside(self, number: int) -> list[int]:
        """The units of a node whose claimed field meets no border."""
        bounds = [rf.bounds_of(self.field(number), unit) for unit in range(len(self.clear[number]))]
        return [
            unit
            for unit, (clear, seen) in enumerate(zip(self.clear[number], bounds, strict=True))
            if clear and (seen is None or (seen[0] >= 0 and seen[1] < self.pixels))
        ]


def affected(
    graph: Graph, begins: Callable[[int, Node], bool], passes: Callable[[Node], bool] = lambda node: True
) -> set[int]:
    """The nodes with which something begins, and all that it reaches through nodes that it passes."""
    found: set[int] = set()
    for number, node in enumerate(graph.nodes):
        if begins(number, node) or (any(ref.node in found for ref in node.inputs) and passes(node)):
            found.add(number)
    return found


def run_step(net: Net, step: Step, inputs: list[Tensor], batch: int) -> tuple[Outputs, Outputs]:
    """What came out of one node (nothing, if PyTorch refuses it), and the same in the claimed shapes.

    What depends on no input of the net is given to each of ``batch`` samples.
    """
    found = run_module(step.module, inputs)
    outputs = () if isinstance(found, str) else found
    if not inputs:
        outputs = tuple(out.expand(batch, *out.shape[1:]) for out in outputs)
        return outputs, outputs
    return outputs, as_claimed(outputs, net.graph.nodes[step.number], inputs[0])
