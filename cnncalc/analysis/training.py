"""The cost of a training step: the forward pass, the gradients of activations, the gradients of weights."""

from __future__ import annotations

from functools import cache

from msgspec import Struct

from cnncalc.graph import Graph
from cnncalc.layers.base import Layer, Shapes, Unknown


class StepMacs(Struct, frozen=True):
    """Multiply-accumulates of one layer in one training step, for a whole batch; ``None`` where unknown.

    ``input_gradient`` is the cost of gradients of activations: of the layer's inputs, if something before them
    learns, and of tensors within the layer.
    """

    forward: int | None
    input_gradient: int | None
    weight_gradient: int | None

    @property
    def backward(self) -> int | None:
        """Sum of both gradients."""
        if self.input_gradient is None or self.weight_gradient is None:
            return None
        return self.input_gradient + self.weight_gradient


NOTHING = StepMacs(0, 0, 0)


def needs_gradient(graph: Graph) -> list[bool]:
    """For every node whether its output depends on a learnable weight, and so needs a gradient.

    Nothing before the first trainable layer does: not the net's inputs either.
    """
    needs: list[bool] = []
    for node in graph.nodes:
        own = node.layer is not None and any(weight.learnable for weight in node.layer.weights(*node.input_shapes))
        needs.append(own or any(needs[ref.node] for ref in node.differentiable_inputs))
    return needs


def step_macs(graph: Graph, batch: int = 1) -> list[StepMacs]:
    """Multiply-accumulates of each node in one training step."""
    needs = needs_gradient(graph)

    @cache
    def of(layer: Layer, inputs: Shapes, wanted: tuple[bool, ...], times: int) -> StepMacs:
        counts = (
            layer.macs(*inputs),
            layer.input_gradient_macs(wanted, *inputs),
            layer.weight_gradient_macs(*inputs),
        )
        return StepMacs(*[None if isinstance(count, Unknown) else count * times for count in counts])

    return [
        NOTHING
        if node.layer is None
        else of(node.layer, node.input_shapes, tuple([needs[ref.node] for ref in node.inputs]), times)
        for node, times in zip(graph.nodes, graph.samples(batch), strict=True)
    ]


def backward_macs(graph: Graph, batch: int = 1) -> list[int | None]:
    """Multiply-accumulates of each node in one backward pass; ``None`` if unknown."""
    return [macs.backward for macs in step_macs(graph, batch)]
