"""The least traffic of each layer: the elements it reads and writes, each counted once, and the real products."""

from __future__ import annotations

from functools import cache
from math import prod

from msgspec import Struct

from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shapes, Unknown

BYTES = {"float64": 8, "float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
"""Bytes of one element; TF32 is float32 in memory."""


class Traffic(Struct, frozen=True):
    """Elements that one layer must read and write for a whole batch, and the products that it cannot skip.

    ``inputs`` are the elements of its inputs that its outputs depend on, a tensor that is given twice counted once.
    A layer whose output can be a view of its input moves nothing. ``direct_macs`` leaves out products
    with padding's zeros; ``bilinear_macs`` is the least of Winograd's and FFT algorithms. ``None`` where unknown.
    """

    inputs: int
    weights: int
    outputs: int
    direct_macs: int | None
    bilinear_macs: int | None

    @property
    def read(self) -> int:
        """Elements read."""
        return self.inputs + self.weights


NOTHING = Traffic(0, 0, 0, 0, 0)


def traffic(graph: Graph, batch: int = 1) -> list[Traffic]:
    """The least traffic and products of every node."""
    samples, of = graph.samples(batch), cache(_of_layer)
    return [
        NOTHING
        if node.layer is None
        else of(
            node.layer,
            node.input_shapes,
            node.output_shapes,
            tuple([node.inputs.index(ref) for ref in node.inputs]),
            (*[samples[ref.node] for ref in node.inputs], times),
        )
        for node, times in zip(graph.nodes, samples, strict=True)
    ]


def _of_layer(
    layer: Layer, shapes: Shapes, outputs: Shapes, same: tuple[int, ...], samples: tuple[int, ...]
) -> Traffic:
    """Of a layer whose inputs, and at last whose outputs, are of so many samples; ``same``: of each input the number
    of the first that is the same tensor.
    """
    if layer.is_view:
        return NOTHING
    *each, batch = samples
    read = [count * times for count, times in zip(layer.elements_read(*shapes), each, strict=True)]
    once = {first: max(count for count, other in zip(read, same, strict=True) if other == first) for first in same}
    direct, bilinear = layer.direct_macs(*shapes), layer.bilinear_macs(*shapes)
    return Traffic(
        inputs=sum(once.values()),
        weights=layer.weights_read(*shapes),
        outputs=sum(map(prod, outputs)) * batch,
        direct_macs=None if isinstance(direct, Unknown) else direct * batch,
        bilinear_macs=None if isinstance(bilinear, Unknown) else bilinear * batch,
    )


def whole_net(graph: Graph, parts: list[Traffic], batch: int = 1) -> Traffic:
    """The least traffic of the net as a whole, however its layers are fused and whatever stays on the chip: its
    inputs (with tensors of its own) and its weights read once, its outputs written once.

    An input of which some layer takes a view adds 0, and so does an output that is a view.
    """
    inputs, samples = 0, graph.samples(batch)
    for number, node in enumerate(graph.nodes):
        if node.layer is None or (node.layer.is_view and not node.inputs):
            readers = [n for n, other in enumerate(graph.nodes) if any(ref.node == number for ref in other.inputs)]
            if not any(_is_view(graph.nodes[reader]) for reader in readers):
                inputs += (
                    max((_read_of(graph.nodes[reader], number) for reader in readers), default=0) * samples[number]
                )
    outputs = {ref for _, ref in graph.outputs if graph.nodes[ref.node].layer and not _is_view(graph.nodes[ref.node])}
    return Traffic(
        inputs=inputs,
        weights=sum(part.weights for node, part in zip(graph.nodes, parts, strict=True) if node.shared is None),
        outputs=sum(prod(graph.shape(ref)) * samples[ref.node] for ref in outputs),
        direct_macs=sum(part.direct_macs or 0 for part in parts),
        bilinear_macs=sum(part.bilinear_macs or 0 for part in parts),
    )


def _is_view(node: Node) -> bool:
    return node.layer is not None and node.layer.is_view


def _read_of(reader: Node, number: int) -> int:
    """The number of elements of one input that a layer reads."""
    assert reader.layer is not None
    read = reader.layer.elements_read(*reader.input_shapes)
    return max(count for count, ref in zip(read, reader.inputs, strict=True) if ref.node == number)
