"""Depthwise convolutions followed by pointwise ones, against the standard convolutions they replace.

Source: Howard et al. 2017 (MobileNets, arXiv:1704.04861), §3.1: the cost ratio is
``(K²·C_in + C_in·C_out) / (K²·C_in·C_out) = 1/C_out + 1/K²``.
"""

from __future__ import annotations

from math import gcd, prod
from typing import Any

from cnncalc.analysis.report import SeparablePair
from cnncalc.formulas.cost import conv_macs
from cnncalc.graph import Graph, Node


def separable_pairs(graph: Graph, batch: int) -> list[SeparablePair]:
    """Every depthwise convolution whose one reader, past layers of one input that keep the shape, is pointwise."""
    samples = graph.samples(batch)
    reader: list[int] = [-1] * len(graph.nodes)
    for number, node in enumerate(graph.nodes):
        for ref in node.inputs:
            reader[ref.node] = number if reader[ref.node] == -1 else -2
    pairs = []
    # the depthwise convolution whose channels a node passes on unmixed, if any
    carried: list[Node | None] = [None] * len(graph.nodes)
    for number, node in enumerate(graph.nodes):
        groups = _groups(node)
        if groups > 1 and groups == node.input_shapes[0][0] and _taps(node) > 1:
            carried[number] = node
            continue
        origin = carried[node.inputs[0].node] if len(node.inputs) == 1 else None
        if origin is None or reader[node.inputs[0].node] != number:
            continue
        if groups == 1 and _taps(node) == 1:
            pairs.append(_pair(origin, node, samples[number]))
        elif node.output_shapes == node.input_shapes and node.layer is not None and not node.layer.is_product:
            carried[number] = origin
    return pairs


def _groups(node: Node) -> int:
    """The groups of a convolution, not of a transposed one; 0 of any other layer."""
    layer: Any = node.layer
    fields = layer.__struct_fields__ if layer is not None and layer.is_product else ()
    return layer.groups if "kernel" in fields and "output_padding" not in fields else 0


def _taps(node: Node) -> int:
    """The size of a convolution's window."""
    layer: Any = node.layer
    return prod(layer.weights(*node.input_shapes)[0].shape[2:])


def _pair(depthwise: Node, pointwise: Node, samples: int) -> SeparablePair:
    channels, taps = depthwise.input_shapes[0][0], _taps(depthwise)
    out, *sizes = pointwise.output_shape
    layers: Any = (depthwise, pointwise)
    macs = samples * sum(node.layer.macs(*node.input_shapes) for node in layers)
    standard = samples * conv_macs(prod(sizes), taps, channels, out, 1)
    ratio, rule = (macs, standard), (out + taps, out * taps)
    return SeparablePair(
        depthwise=depthwise.path,
        pointwise=pointwise.path,
        macs=macs,
        standard_macs=standard,
        ratio=ratio[0] / ratio[1],
        ratio_exact=_exactly(*ratio),
        rule=rule[0] / rule[1],
        rule_exact=_exactly(*rule),
    )


def _exactly(top: int, bottom: int) -> str:
    """The fraction in lowest terms."""
    common = gcd(top, bottom)
    return f"{top // common}/{bottom // common}"
