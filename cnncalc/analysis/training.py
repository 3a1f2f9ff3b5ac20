"""The cost of a training step: the forward pass, the gradients of activations, the gradients of weights."""

from __future__ import annotations

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
    known: dict[tuple[Layer, Shapes, tuple[bool, ...], int], StepMacs] = {}
    result: list[StepMacs] = []
    for node, times in zip(graph.nodes, graph.samples(batch), strict=True):
        if node.layer is None:
            result.append(NOTHING)
            continue
        key = (node.layer, node.input_shapes, tuple([needs[ref.node] for ref in node.inputs]), times)
        if key not in known:
            known[key] = StepMacs(
                forward=_of_batch(node.layer.macs(*node.input_shapes), times),
                input_gradient=_of_batch(node.layer.input_gradient_macs(key[2], *node.input_shapes), times),
                weight_gradient=_of_batch(node.layer.weight_gradient_macs(*node.input_shapes), times),
            )
        result.append(known[key])
    return result


def _of_batch(macs: int | Unknown, batch: int) -> int | None:
    return None if isinstance(macs, Unknown) else macs * batch


def backward_macs(graph: Graph, batch: int = 1) -> list[int | None]:
    """Multiply-accumulates of each node in one backward pass; ``None`` if unknown."""
    return [macs.backward for macs in step_macs(graph, batch)]
