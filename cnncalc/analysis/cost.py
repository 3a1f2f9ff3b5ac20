"""The cost of each layer: parameters, buffers, MACs, elementwise operations, activations."""

from __future__ import annotations

from functools import cache
from math import prod

from msgspec import Struct

from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph
from cnncalc.layers.base import Layer, Shapes, Unknown


class Cost(Struct, frozen=True):
    """The cost of one layer for a whole batch; ``unknown`` says why a number is missing (``None``)."""

    params: int
    buffers: int
    macs: int | None
    elementwise_ops: int | None
    activations: int | None
    unknown: tuple[str, ...] = ()

    @property
    def flops(self) -> int | None:
        """Two for each multiply-accumulate."""
        return None if self.macs is None else flops(self.macs)


NOTHING = Cost(0, 0, 0, 0, 0)


def layer_cost(layer: Layer, inputs: Shapes, batch: int) -> Cost:
    """The cost of one call of a layer with its own weights; everything except the weights grows with the batch."""
    weights = layer.weights(*inputs)
    reasons = []
    counts: list[int | None] = []
    for count in (layer.macs(*inputs), layer.elementwise_ops(*inputs), layer.activations(*inputs)):
        if isinstance(count, Unknown):
            reasons.append(count.reason)
            counts.append(None)
        else:
            counts.append(count * batch)
    return Cost(
        params=sum(prod(weight.shape) for weight in weights if weight.learnable),
        buffers=sum(prod(weight.shape) for weight in weights if not weight.learnable),
        macs=counts[0],
        elementwise_ops=counts[1],
        activations=counts[2],
        unknown=tuple(dict.fromkeys(reasons)),
    )


def costs(graph: Graph, batch: int = 1) -> list[Cost]:
    """The cost of every node; one that reuses another's weights owns none.

    A node that depends on no input is computed once, whatever the batch.
    """

    @cache
    def of(layer: Layer, inputs: Shapes, shared: bool, times: int) -> Cost:
        own = layer_cost(layer, inputs, times)
        return Cost(0, 0, own.macs, own.elementwise_ops, own.activations, own.unknown) if shared else own

    return [
        NOTHING if node.layer is None else of(node.layer, node.input_shapes, node.shared is not None, times)
        for node, times in zip(graph.nodes, graph.samples(batch), strict=True)
    ]
