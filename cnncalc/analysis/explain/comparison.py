"""A layer compared with possible replacements from its class, in the same symbols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from cnncalc.analysis.cost import layer_cost
from cnncalc.analysis.explain import tree
from cnncalc.analysis.explain.costs import Account
from cnncalc.analysis.explain.quantity import Quantity, quantity, sources_of
from cnncalc.analysis.explain.traced import expression, via
from cnncalc.analysis.fold import total
from cnncalc.layers.base import Layer, Shapes


def comparisons(account: Account) -> Iterator[tuple[str, tuple[Quantity, ...]]]:
    """The replacements that the layer's class offers: each one's parameters and MACs, and their ratios to the
    layer's.
    """
    own_weights, own, _ = _sums([(account.layer, account.shapes)])
    for title, layers in account.layer.alternatives(*account.shapes).items():
        made = layers[0][0]
        for one, shapes in layers:
            one.output_shapes(*shapes)  # its formulas may assume what it has checked
        weights, macs, params = _sums(layers)
        if own is None or macs is None:
            continue
        sources = sources_of(via(macs), made, "macs")
        of_weights, of_macs = (
            tree.ratio(expression(theirs), expression(ours)) for theirs, ours in ((weights, own_weights), (macs, own))
        )
        yield (
            title,
            (
                quantity("params", "parameters", "params", params, layer=made, method="weights"),
                quantity("macs", "MACs", "MACs", macs, layer=made, method="macs"),
                Quantity(
                    "weights_ratio",
                    "ratio of weights",
                    "ratio_weights",
                    of_weights,
                    note="without biases",
                    sources=sources,
                ),
                Quantity("macs_ratio", "ratio of MACs", "ratio_MACs", of_macs, sources=sources),
            ),
        )


def _sums(layers: Sequence[tuple[Layer, Shapes]]) -> tuple[int, int | None, int]:
    """Of layers: scalars that are multiplied with (all learnable ones but those of one axis, the biases), MACs, and
    parameters.
    """
    owned = [weight for one, shapes in layers for weight in one.weights(*shapes) if weight.learnable]
    weights = sum(prod(weight.shape) for weight in owned if len(weight.shape) > 1)
    costs = [layer_cost(one, shapes, 1) for one, shapes in layers]
    return weights, total([cost.macs for cost in costs]), sum(cost.params for cost in costs)
