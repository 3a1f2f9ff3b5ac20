"""A whole net in NumPy: every node of a graph evaluated in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.base import Layer, Shape
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Weights, evaluate_layer


class Step(NamedTuple):
    """One node, by its number, and what came out of it."""

    number: int
    node: Node
    outputs: tuple[Array, ...]


def draw_weights(layer: Layer, *shapes: Shape, seed: int = 0, dtype: str = "float64") -> Weights:
    """Positive weights for a layer, between half and one and a half; a matrix or kernel divided by its fan-in.

    So the values of a deep net neither overflow nor vanish. The same seed gives the same weights.
    """
    generator = np.random.default_rng(seed)

    def draw(shape: Shape) -> Array:
        fan_in = int(np.prod(shape[1:]))
        return np.asarray((generator.random(shape) + 0.5) / fan_in, dtype)

    return {weight.name: draw(weight.shape) for weight in layer.weights(*shapes)}


def node_weights(graph: Graph, number: int, given: Mapping[str, Array] | None, dtype: str = "float64") -> Weights:
    """The weights of node ``number``: those given as ``path.name``, or drawn; shared ones are the first user's.

    Raises:
        CnncalcError: one that is needed is not among those given, or has another shape.
    """
    node = graph.nodes[number]
    assert node.layer is not None
    owner = number if node.shared is None else node.shared
    if given is None:
        return draw_weights(node.layer, *node.input_shapes, seed=owner, dtype=dtype)
    found = {}
    for weight in node.layer.weights(*node.input_shapes):
        name = f"{graph.nodes[owner].path}.{weight.name}"
        if name not in given:
            raise CnncalcError(f"error: there is no weight '{name}' of shape {weight.shape} among those given")
        if given[name].shape != weight.shape:
            raise CnncalcError(f"error: weight '{name}' has the shape {given[name].shape}, it must be {weight.shape}")
        found[weight.name] = given[name]
    return found


def last_uses(graph: Graph) -> list[int]:
    """For each node the number of the last node that reads it (its own where none does)."""
    last = list(range(len(graph.nodes)))
    for number, node in enumerate(graph.nodes):
        for ref in node.inputs:
            last[ref.node] = number
    return last


def execute(graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array] | None = None) -> Iterator[Step]:
    """Evaluate a graph node by node; a tensor is forgotten once its last reader has run.

    Args:
        graph: the net.
        inputs: arrays ``(N, C, *spatial)`` by the names of the graph's inputs.
        weights: all weights by ``path.name``; positive ones are drawn where not given.

    Yields:
        Every node with its outputs, in order.

    Raises:
        CnncalcError: an input or a weight is missing.
        LayerError: an input has a size that some layer cannot take.
    """
    missing = sorted(graph.inputs.keys() - inputs.keys())
    if missing:
        raise CnncalcError(f"error: the net needs an input '{missing[0]}'; its inputs: {', '.join(graph.inputs)}")
    last = last_uses(graph)
    held: dict[Ref, Array] = {}
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            outputs: tuple[Array, ...] = (inputs[node.path],)
        else:
            arguments = [held[ref] for ref in node.inputs]
            kind = np.result_type(*arguments).name if arguments else "float64"
            made = evaluate_layer(node.layer, node_weights(graph, number, weights, kind), *arguments)
            outputs = made if isinstance(made, tuple) else (made,)
        yield Step(number, node, outputs)
        held.update({Ref(number, port): output for port, output in enumerate(outputs)})
        for ref in {*node.inputs, *(Ref(number, port) for port in range(len(outputs)))}:
            if last[ref.node] <= number:
                held.pop(ref, None)


def run(
    graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array] | None = None
) -> list[tuple[Array, ...]]:
    """The outputs of every node, in the graph's order; arguments as for :func:`execute`, which keeps less."""
    return [step.outputs for step in execute(graph, inputs, weights)]
