"""What a backward pass costs: the gradients of weights and of activations."""

from __future__ import annotations

from cnncalc.graph import Graph
from cnncalc.layers.base import Layer, Shapes, Unknown


def needs_gradient(graph: Graph) -> list[bool]:
    """For every node whether its output depends on a learnable weight, and so needs a gradient.

    Nothing before the first trainable layer does: not the net's inputs either.
    """
    needs: list[bool] = []
    for node in graph.nodes:
        own = node.layer is not None and any(weight.learnable for weight in node.layer.weights(*node.input_shapes))
        needs.append(own or any(needs[ref.node] for ref in node.inputs))
    return needs


def backward_macs(graph: Graph, batch: int = 1) -> list[int | None]:
    """Multiply-accumulates of each node's part in one backward pass; ``None`` where that is unknown."""
    needs = needs_gradient(graph)
    known: dict[tuple[Layer, Shapes, tuple[bool, ...], int], int | None] = {}
    result: list[int | None] = []
    fixed = graph.fixed()
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            result.append(0)
            continue
        times = 1 if number in fixed else batch
        key = (node.layer, node.input_shapes, tuple(needs[ref.node] for ref in node.inputs), times)
        if key not in known:
            macs = node.layer.gradient_macs(key[2], *node.input_shapes)
            known[key] = None if isinstance(macs, Unknown) else macs * times
        result.append(known[key])
    return result
