"""How to initialise weights: fans, the gain of the next activation, the standard deviations of He and Xavier.

He et al. 2015 (arXiv:1502.01852, eqs. 10 and 14): ``σ = g/√n`` with n the fan-in, or the fan-out to keep the
gradients' scale instead. Glorot & Bengio 2010 (eq. 12): ``σ = g·√(2/(n_in + n_out))``. The gain g is that of the
first activation that reads the layer's output, through norms, pools and sums, and 1 where another
product or the net's end comes first.

For a classifier of C classes the loss is ``ln C`` before training, while all are equally likely; with label
smoothing ε (Szegedy et al. 2016, arXiv:1512.00567, §7) it never falls below the entropy of the smoothed target.
"""

from __future__ import annotations

from math import log, prod, sqrt
from typing import Any

from cnncalc.analysis.report import LayerInitialisation
from cnncalc.formulas.initialisation import fan_in, fan_out
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Activation, Layer

LINEAR = 1.0
"""The gain where no activation follows."""


NO_FANS: dict[str, Any] = dict.fromkeys(
    ("fan_in", "fan_out", "gain", "activation", "he_std", "he_fan_out_std", "xavier_std")
)
"""Of what has no weight that multiplies its input."""
NOTHING = LayerInitialisation(0, 0, **NO_FANS, zero_init=False)


def initialisation(graph: Graph) -> list[LayerInitialisation]:
    """For every node; one that reuses another's weights has none."""
    follows = _activations_after(graph)
    zeros = last_scales(graph)
    return [
        NOTHING if node.layer is None or node.shared is not None else _of(graph, node, follows[number], number in zeros)
        for number, node in enumerate(graph.nodes)
    ]


def _of(graph: Graph, node: Node, activation: int | None, zero: bool) -> LayerInitialisation:
    assert node.layer is not None
    learned = [weight for weight in node.layer.weights(*node.input_shapes) if weight.learnable]
    if not learned:
        return NOTHING
    decayed = sum(prod(weight.shape) for weight in learned if weight.decays)
    not_decayed = sum(prod(weight.shape) for weight in learned) - decayed
    shape = next((weight.shape for weight in learned if weight.decays), None)
    if shape is None:
        return LayerInitialisation(decayed, not_decayed, **NO_FANS, zero_init=zero)
    after = None if activation is None else graph.nodes[activation].layer
    gain = gain_of(after)
    gain = LINEAR if gain is None else gain
    n_in, n_out = fan_in(shape), fan_out(shape)
    return LayerInitialisation(
        decayed,
        not_decayed,
        fan_in=n_in,
        fan_out=n_out,
        gain=gain,
        activation=None if activation is None else graph.nodes[activation].path,
        he_std=gain / sqrt(n_in),
        he_fan_out_std=gain / sqrt(n_out),
        xavier_std=gain * sqrt(2 / (n_in + n_out)),
        zero_init=zero,
    )


def gain_of(layer: Layer | None) -> float | None:
    """An activation's gain, where it has one."""
    return layer.gain() if isinstance(layer, Activation) else None


def _activations_after(graph: Graph) -> list[int | None]:
    """For every node the first activation that reads its output before another product does."""
    found: list[int | None] = [None] * len(graph.nodes)
    for number in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[number]
        if node.layer is None:
            continue
        here = number if gain_of(node.layer) is not None else None if node.layer.is_product else found[number]
        for ref in node.inputs:
            # readers are visited from last to first: the first one that leads to an activation stays
            found[ref.node] = found[ref.node] if here is None else here
    return found


def last_scales(graph: Graph) -> dict[int, int]:
    """The nodes whose scale (a norm's γ) is the last of a residual's body, each with its sum: added straight (or
    through dropout) to the skip, and behind more products than the skip. It best starts at 0 (Goyal et al. 2017,
    arXiv:1706.02677, §5.1).
    """
    depth: list[int] = []
    found: dict[int, int] = {}
    for number, node in enumerate(graph.nodes):
        own = node.layer is not None and node.layer.is_product
        depth.append(max((depth[ref.node] for ref in node.inputs), default=0) + own)
        if node.layer is None or node.layer.role != "sum" or len(node.inputs) != 2:
            continue
        skip, body = sorted((ref.node for ref in node.inputs), key=lambda one: depth[one])
        if depth[skip] == depth[body]:
            continue
        while (layer := graph.nodes[body].layer) is not None and layer.role == "pass-through":
            body = graph.nodes[body].inputs[0].node
        if _only_scales(graph.nodes[body]):
            found[body] = number
    return found


def _only_scales(node: Node) -> bool:
    """Whether the layer has a learned scale and no other weight that multiplies its input."""
    if node.layer is None or node.layer.is_product or gain_of(node.layer) is not None:
        return False
    learned = [weight for weight in node.layer.weights(*node.input_shapes) if weight.learnable]
    return any(weight.name == "weight" for weight in learned) and not any(weight.decays for weight in learned)


def loss_at_start(classes: int) -> float:
    """Cross-entropy in nats when all C classes are equally likely: ``ln C``."""
    return log(classes)


def smoothed_loss_floor(classes: int, smoothing: float) -> float:
    """Label smoothing's minimum loss: the entropy of the target in nats,
    ``−(1 − ε + ε/C)·ln(1 − ε + ε/C) − (C − 1)·ε/C·ln(ε/C)``.
    """
    rest = smoothing / classes
    return -sum(part * log(part) * count for part, count in ((1 - smoothing + rest, 1), (rest, classes - 1)) if part)
