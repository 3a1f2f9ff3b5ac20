"""What a training step costs on average where layers drop whole tensors (stochastic depth, drop path).

Following Huang et al. 2016 (arXiv:1603.09382, §4), dropped branches are skipped, forwards and backwards. So a layer
runs if some path from it to an output has no tensor that is dropped in that step, and
takes part in the gradients of what still depends on a weight. Drops are drawn independently; whether
one draw is for the whole batch or for each sample makes no difference to the mean, since the cost is proportional
to the samples. PyTorch's and torchvision's modules save none of this: they compute the tensor and zero it.

The probabilities are exact. Whether a layer runs is a Boolean function of the draws, kept as a reduced ordered
decision diagram (Bryant 1986, "Graph-based algorithms for Boolean function manipulation").
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product

from msgspec import Struct

from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Unknown

MAX_DIAGRAM = 1 << 17
"""The most vertices of all decision diagrams of a net; beyond it the mean cost is unknown."""


class ExpectedMacs(Struct, frozen=True):
    """Mean multiply-accumulates of one layer in a training step, for a whole batch, and the probability that it runs;
    ``None`` if a cost is unknown.
    """

    runs: Fraction
    forward: Fraction | None
    input_gradient: Fraction | None
    weight_gradient: Fraction | None


class TooManyDrawsError(Exception):
    """The draws are too entangled."""


NO, YES = 0, 1
_Vertex = tuple[int, int, int]


class _Diagrams:
    """Boolean functions of independent draws; a function is the number of its vertex (``NO``, ``YES`` are the leaves).

    A vertex is (draw, where dropped, where kept).
    """

    def __init__(self, kept: list[Fraction]) -> None:
        self.kept = kept
        self.vertices: list[_Vertex] = [(len(kept), NO, NO), (len(kept), YES, YES)]
        self.numbers: dict[_Vertex, int] = {}
        self.both: dict[tuple[int, int], int] = {}
        self.complements: dict[int, int] = {NO: YES, YES: NO}
        self.chances: dict[int, Fraction] = {NO: Fraction(0), YES: Fraction(1)}

    def make(self, draw: int, dropped: int, kept: int) -> int:
        """The function that is ``kept`` where the draw keeps, else ``dropped``."""
        if dropped == kept:
            return kept
        vertex = (draw, dropped, kept)
        if vertex not in self.numbers:
            if len(self.vertices) >= MAX_DIAGRAM:
                raise TooManyDrawsError
            self.numbers[vertex] = len(self.vertices)
            self.vertices.append(vertex)
        return self.numbers[vertex]

    def conjunction(self, first: int, second: int) -> int:
        """True where both hold."""
        if first == second or second == YES:
            return first
        if first == YES:
            return second
        if NO in (first, second):
            return NO
        key = (min(first, second), max(first, second))
        if key not in self.both:
            a, b = self.vertices[first], self.vertices[second]
            draw = min(a[0], b[0])
            a0, a1 = a[1:] if a[0] == draw else (first, first)
            b0, b1 = b[1:] if b[0] == draw else (second, second)
            self.both[key] = self.make(draw, self.conjunction(a0, b0), self.conjunction(a1, b1))
        return self.both[key]

    def complement(self, function: int) -> int:
        """True where it does not hold."""
        if function not in self.complements:
            draw, dropped, kept = self.vertices[function]
            self.complements[function] = self.make(draw, self.complement(dropped), self.complement(kept))
        return self.complements[function]

    def disjunction(self, first: int, second: int) -> int:
        """True where one of them holds."""
        return self.complement(self.conjunction(self.complement(first), self.complement(second)))

    def probability(self, function: int) -> Fraction:
        """The probability that it holds."""
        if function not in self.chances:
            draw, dropped, kept = self.vertices[function]
            chance = self.kept[draw]
            self.chances[function] = chance * self.probability(kept) + (1 - chance) * self.probability(dropped)
        return self.chances[function]


def drops(graph: Graph) -> dict[int, Fraction]:
    """The nodes that drop their tensor in training, each with its probability."""
    return {
        number: Fraction(*chance)
        for number, node in enumerate(graph.nodes)
        if node.layer is not None and (chance := node.layer.drop_probability()) is not None and chance[0]
    }


def expected_macs(graph: Graph, batch: int = 1) -> list[ExpectedMacs] | None:
    """The mean cost of every node in one training step; ``None`` if the draws are too entangled."""
    dropping = drops(graph)
    diagrams = _Diagrams([1 - chance for chance in dropping.values()])
    draws = {number: draw for draw, number in enumerate(dropping)}
    try:
        keeps = {number: diagrams.make(draw, NO, YES) for number, draw in draws.items()}
        runs, learns = _runs(graph, diagrams, keeps), _learns(graph, diagrams, keeps)
        return [
            _expected(node, diagrams, runs[number], [learns[ref.node] for ref in node.inputs], times)
            for number, (node, times) in enumerate(zip(graph.nodes, graph.samples(batch), strict=True))
        ]
    except (TooManyDrawsError, RecursionError):
        return None


def _runs(graph: Graph, diagrams: _Diagrams, keeps: dict[int, int]) -> list[int]:
    """For every node, when it runs: if it reaches an output without a drop on the way."""
    runs = [NO] * len(graph.nodes)
    for _, ref in graph.outputs:
        runs[ref.node] = YES
    for number in range(len(graph.nodes) - 1, -1, -1):
        wants = diagrams.conjunction(runs[number], keeps.get(number, YES))
        for ref in graph.nodes[number].inputs:
            runs[ref.node] = diagrams.disjunction(runs[ref.node], wants)
    return runs


def _learns(graph: Graph, diagrams: _Diagrams, keeps: dict[int, int]) -> list[int]:
    """For every node, when its output depends on a learnable weight."""
    learns: list[int] = []
    for number, node in enumerate(graph.nodes):
        own = node.layer is not None and any(weight.learnable for weight in node.layer.weights(*node.input_shapes))
        found = YES if own else NO
        for ref in node.differentiable_inputs:
            found = diagrams.disjunction(found, learns[ref.node])
        learns.append(diagrams.conjunction(found, keeps.get(number, YES)))
    return learns


def _expected(node: Node, diagrams: _Diagrams, runs: int, learns: list[int], batch: int) -> ExpectedMacs:
    chance = diagrams.probability(runs)
    if node.layer is None:
        return ExpectedMacs(chance, Fraction(0), Fraction(0), Fraction(0))
    shapes = node.input_shapes

    def mean(macs: int | Unknown, chance: Fraction = chance) -> Fraction | None:
        return None if isinstance(macs, Unknown) else chance * macs * batch

    return ExpectedMacs(
        runs=chance,
        forward=mean(node.layer.macs(*shapes)),
        input_gradient=_input_gradient(node, diagrams, runs, learns, mean),
        weight_gradient=mean(node.layer.weight_gradient_macs(*shapes)),
    )


def _input_gradient(
    node: Node, diagrams: _Diagrams, runs: int, learns: list[int], mean: Callable[..., Fraction | None]
) -> Fraction | None:
    """The mean cost of the gradients of a node's inputs, over all sets of wanted gradients."""
    assert node.layer is not None
    shapes = node.input_shapes
    if node.layer.input_gradient_macs((True,) * len(shapes), *shapes) == 0:
        return Fraction(0)
    total = Fraction(0)
    uncertain = [when for when in dict.fromkeys(learns) if when > YES]
    for answers in product((False, True), repeat=len(uncertain)):
        told = dict(zip(uncertain, answers, strict=True)) | {NO: False, YES: True}
        event = runs
        for when, answer in zip(uncertain, answers, strict=True):
            event = diagrams.conjunction(event, when if answer else diagrams.complement(when))
        wanted = tuple(told[when] for when in learns)
        part = mean(node.layer.input_gradient_macs(wanted, *shapes), diagrams.probability(event))
        if part is None:
            return None
        total += part
    return total
