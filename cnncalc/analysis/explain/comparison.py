"""A layer compared with possible replacements from its class, in the same symbols."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cnncalc.analysis.cost import layer_cost
from cnncalc.analysis.explain import tree
from cnncalc.analysis.explain.costs import Account
from cnncalc.analysis.explain.quantity import Quantity, quantity, sources_of
from cnncalc.analysis.explain.traced import expression, via


class Comparison(NamedTuple):
    """The parameters and MACs of a layer's replacement, and their ratios to the layer's."""

    title: str
    quantities: tuple[Quantity, ...]


def comparisons(account: Account) -> list[Comparison]:
    """The replacements that the layer's class offers, each compared with the layer."""
    layer, inputs = account.layer, account.shapes
    own = layer_cost(layer, inputs, 1)
    own_weights = _products(layer.weights(*inputs))
    found = []
    for title, layers in layer.alternatives(*inputs).items():
        for one, shapes in layers:
            one.output_shapes(*shapes)  # its formulas may assume what it has checked
        parts = [layer_cost(one, shapes, 1) for one, shapes in layers]
        weights = sum(_products(one.weights(*shapes)) for one, shapes in layers)
        if own.macs is None or any(part.macs is None for part in parts):
            continue
        params, macs = sum(part.params for part in parts), sum(part.macs or 0 for part in parts)
        made = layers[0][0]
        quantities = [
            quantity("params", "parameters", "params", params, layer=made, method="weights"),
            quantity("macs", "MACs", "MACs", macs, layer=made, method="macs"),
            Quantity(
                "weights_ratio",
                "ratio of weights",
                "ratio_weights",
                tree.ratio(expression(weights), expression(own_weights)),
                note="without biases",
                sources=sources_of(via(macs), made, "macs"),
            ),
            Quantity(
                "macs_ratio",
                "ratio of MACs",
                "ratio_MACs",
                tree.ratio(expression(macs), expression(own.macs)),
                sources=sources_of(via(macs), made, "macs"),
            ),
        ]
        found.append(Comparison(title, tuple(quantities)))
    return found


def _products(weights: object) -> int:
    """Scalars of the tensors that are multiplied with: all learnable ones but those of one axis, the biases."""
    return sum(prod(w.shape) for w in weights if w.learnable and len(w.shape) > 1)  # type: ignore[attr-defined]
