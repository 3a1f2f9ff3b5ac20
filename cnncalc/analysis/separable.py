"""Depthwise convolutions followed by pointwise ones, against the standard convolutions they replace.

Source: Howard et al. 2017 (MobileNets, arXiv:1704.04861), §3.1: the cost ratio is
``(K²·C_in + C_in·C_out) / (K²·C_in·C_out) = 1/C_out + 1/K²``.
"""

from __future__ import annotations

from math import gcd, prod
from typing import NamedTuple

from cnncalc.formulas import cost
from cnncalc.graph import Graph, Node
from cnncalc.layers.conv import Conv


class Separable(NamedTuple):
    """Node numbers of a pair, its MACs (per sample), those of the convolution it replaces, and the rule's value.

    ``ratio`` (of the MACs) and ``rule`` (``1/C_out + 1/(K_h·K_w)``) are fractions in lowest terms.
    """

    depthwise: int
    pointwise: int
    macs: int
    standard_macs: int
    ratio: tuple[int, int]
    rule: tuple[int, int]


def separable_pairs(graph: Graph) -> list[Separable]:
    """Every depthwise convolution whose one reader, past layers of one input that keep the shape, is pointwise."""
    reader: list[int] = [-1] * len(graph.nodes)
    for number, node in enumerate(graph.nodes):
        for ref in node.inputs:
            reader[ref.node] = number if reader[ref.node] == -1 else -2
    pairs = []
    # the depthwise convolution whose channels a node passes on unmixed, if any
    carried: list[int] = [-1] * len(graph.nodes)
    for number, node in enumerate(graph.nodes):
        if _is_depthwise(node):
            carried[number] = number
            continue
        if len(node.inputs) != 1 or reader[node.inputs[0].node] != number:
            continue
        origin = carried[node.inputs[0].node]
        if origin == -1:
            continue
        if _is_pointwise(node):
            pairs.append(_pair(graph, origin, number))
        elif node.output_shapes == node.input_shapes and node.layer is not None and not node.layer.is_product:
            carried[number] = origin
    return pairs


def _kernel(node: Node) -> tuple[int, ...] | None:
    if not isinstance(node.layer, Conv):
        return None
    return node.layer.weights(*node.input_shapes)[0].shape[2:]


def _is_depthwise(node: Node) -> bool:
    if not isinstance(node.layer, Conv) or not node.layer.groups == node.input_shapes[0][0] > 1:
        return False
    return prod(_kernel(node) or ()) > 1


def _is_pointwise(node: Node) -> bool:
    kernel = _kernel(node)
    return kernel is not None and isinstance(node.layer, Conv) and node.layer.groups == 1 and prod(kernel) == 1


def _pair(graph: Graph, depthwise: int, pointwise: int) -> Separable:
    first, second = graph.nodes[depthwise], graph.nodes[pointwise]
    assert isinstance(first.layer, Conv)
    assert isinstance(second.layer, Conv)
    taps = prod(_kernel(first) or ())
    channels = first.input_shapes[0][0]
    macs = first.layer.macs(*first.input_shapes) + second.layer.macs(*second.input_shapes)
    standard = cost.conv_macs(prod(second.output_shape[1:]), taps, channels, second.layer.out, 1)
    return Separable(
        depthwise,
        pointwise,
        macs,
        standard,
        _lowest(macs, standard),
        _lowest(second.layer.out + taps, second.layer.out * taps),
    )


def _lowest(top: int, bottom: int) -> tuple[int, int]:
    common = gcd(top, bottom)
    return top // common, bottom // common
