"""What a training step costs on average where layers drop whole tensors (stochastic depth, drop path).

Following Huang et al. 2016 (arXiv:1603.09382, §4), dropped branches are skipped, forwards and backwards. So a layer
runs if some path from it to an output has no tensor that is dropped in that step, and
takes part in the gradients of what still depends on a weight. Drops are drawn independently; whether
one draw is for the whole batch or for each sample makes no difference to the mean, since the cost is proportional
to the samples. PyTorch's and torchvision's modules save none of this: they compute the tensor and zero it.

The probabilities are exact. A layer in a branch runs where all the drops that the branch leads through keep their
tensor. Where a layer runs if one *or* another drop keeps it, no single branch tells, and the mean is unknown.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

from msgspec import Struct

from cnncalc.graph import Graph
from cnncalc.layers.base import Unknown


class ExpectedMacs(Struct, frozen=True):
    """Mean multiply-accumulates of one layer in a training step, for a whole batch, and the probability that it runs;
    ``None`` if a cost is unknown.
    """

    runs: Fraction
    forward: Fraction | None
    input_gradient: Fraction | None
    weight_gradient: Fraction | None


Kept = frozenset[int]
"""What happens where all of these drops keep their tensor."""
When = Kept | None
"""``None``: never."""
ALWAYS: Kept = frozenset()


def drops(graph: Graph) -> dict[int, Fraction]:
    """The nodes that drop their tensor in training, each with its probability."""
    return {
        number: Fraction(*chance)
        for number, node in enumerate(graph.nodes)
        if node.layer is not None and (chance := node.layer.drop_probability()) is not None and chance[0]
    }


def expected_macs(graph: Graph, batch: int = 1) -> list[ExpectedMacs] | Unknown:
    """The mean cost of every node in one training step; unknown where no single branch tells when a layer runs."""
    dropping = drops(graph)
    runs = _runs(graph, dropping)
    if isinstance(runs, Unknown):
        return runs
    learns = _learns(graph, dropping)
    if isinstance(learns, Unknown):
        return learns

    def chance(when: When) -> Fraction:
        return Fraction(0) if when is None else prod((1 - dropping[drop] for drop in when), start=Fraction(1))

    means = []
    for number, (node, times) in enumerate(zip(graph.nodes, graph.samples(batch), strict=True)):
        here, layer, shapes = runs[number], node.layer, node.input_shapes
        often = chance(here)
        if layer is None:
            means.append(ExpectedMacs(often, *[Fraction(0)] * 3))
            continue
        before = [learns[ref.node] for ref in node.inputs]
        wanted = {when for when in before if when is not None and (here is None or not when <= here)}
        if len(wanted) > 1:
            return Unknown(f"the gradients that {node.path} passes on depend on several drops")
        # with the gradients of inputs that learn only where further drops keep them, and without
        more = [layer.input_gradient_macs(tuple([when is not None for when in before]), *shapes)]
        chances = [chance(_both(here, *wanted))]
        if wanted:
            more.append(layer.input_gradient_macs(tuple(w is not None and w not in wanted for w in before), *shapes))
            chances.append(often - chances[0])
        means.append(
            ExpectedMacs(
                runs=often,
                forward=_mean([layer.macs(*shapes)], [often], times),
                input_gradient=_mean(more, chances, times),
                weight_gradient=_mean([layer.weight_gradient_macs(*shapes)], [often], times),
            )
        )
    return means


def _mean(macs: list[int | Unknown], chances: list[Fraction], batch: int) -> Fraction | None:
    total = Fraction(0)
    for cost, chance in zip(macs, chances, strict=True):
        if isinstance(cost, Unknown):
            return None
        total += cost * chance * batch
    return total


def _both(*events: When) -> When:
    """Where all of them happen."""
    return None if None in events else ALWAYS.union(*(event for event in events if event is not None))


def _either(events: list[When]) -> When | Unknown:
    """Where one of them happens: the one that all others imply; unknown where there is none."""
    able = [event for event in events if event is not None]
    widest = min(able, key=len, default=None)
    return widest if widest is None or all(widest <= event for event in able) else Unknown("")


def _runs(graph: Graph, dropping: dict[int, Fraction]) -> list[When] | Unknown:
    """For every node, when it runs: if it reaches an output without a drop on the way. An input is there
    anyway.
    """
    wanted: list[list[When]] = [[] for _ in graph.nodes]
    for _, ref in graph.outputs:
        wanted[ref.node].append(ALWAYS)
    runs: list[When] = []
    for number, node in reversed(list(enumerate(graph.nodes))):
        when = ALWAYS if node.layer is None else _either(wanted[number])
        if isinstance(when, Unknown):
            return Unknown(f"whether {node.path} runs depends on several drops")
        runs.append(when)
        for ref in node.inputs:
            wanted[ref.node].append(_both(when, frozenset({number})) if number in dropping else when)
    return runs[::-1]


def _learns(graph: Graph, dropping: dict[int, Fraction]) -> list[When] | Unknown:
    """For every node, when its output depends on a learnable weight."""
    learns: list[When] = []
    for number, node in enumerate(graph.nodes):
        own = node.layer is not None and any(weight.learnable for weight in node.layer.weights(*node.input_shapes))
        found = _either([learns[ref.node] for ref in node.differentiable_inputs] + ([ALWAYS] if own else []))
        if isinstance(found, Unknown):
            return Unknown(f"whether {node.path} has a gradient depends on several drops")
        learns.append(_both(found, frozenset({number})) if number in dropping else found)
    return learns
