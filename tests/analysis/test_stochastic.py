"""Mean cost under stochastic depth: every outcome of the draws, by PyTorch's own counts and by a walk of the graph."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from random import Random

import pytest
import torch
from msgspec.structs import astuple
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.stochastic import drops, expected_macs
from cnncalc.analysis.training import step_macs
from cnncalc.graph import Graph
from cnncalc.layers.base import Unknown
from cnncalc.sources import load, load_text
from cnncalc.spec.random import random_spec
from cnncalc.torch.module import Net

BLOCKS = """
input: [4, 8, 8]
blocks:
  block:
    args: {p: required}
    layers:
      - residual:
          body:
            - conv: {out: 4, kernel: 3, padding: 1}
            - relu
            - conv: {out: 4, kernel: 3, padding: 1}
            - stochastic_depth: p
layers:
  - conv: {out: 4, kernel: 1}
  - block: 0
  - block: 0.1
  - block: 0.25
  - global_avg_pool
  - flatten
  - linear: 5
"""
AT_THE_INPUT = """
input: [4, 6, 6]
layers:
  - residual: {body: [{conv: {out: 4, kernel: 3, padding: 1}}, {drop_path: 0.3}]}
  - conv: {out: 4, kernel: 1}
  - residual: {body: [{conv: {out: 4, kernel: 3, padding: 1}}, {drop_path: {p: 0.5, mode: batch}}]}
"""
"""Whether anything before the second convolution learns depends on the first draw."""
NESTED = """
input: [4, 6, 6]
layers:
  - conv: {out: 4, kernel: 1}
  - residual:
      body:
        - conv: {out: 4, kernel: 3, padding: 1}
        - residual: {body: [{conv: {out: 4, kernel: 1}}, {drop_path: 0.2}]}
        - drop_path: 0.4
"""
IN_COMMON = """
input: [4, 6, 6]
layers:
  - conv: {out: 4, kernel: 1, name: stem}
  - conv: {out: 4, kernel: 3, padding: 1, name: common}
  - conv: {out: 4, kernel: 1}
  - stochastic_depth: {p: 0.3, name: left}
  - conv: {from: common, out: 4, kernel: 1}
  - stochastic_depth: {p: 0.6, name: right}
  - add: {from: [stem, left, right]}
"""
"""What two branches read runs where either of them is kept."""
ONE_AFTER_THE_OTHER = """
input: [4, 6, 6]
layers: [{conv: {out: 4, kernel: 1}}, {drop_path: 0.5}, {conv: {out: 4, kernel: 1}}, {drop_path: 0.25}]
"""
LEARNS_EITHER_WAY = """
input: [4, 6, 6]
layers:
  - add:
      - [{conv: {out: 4, kernel: 1}}, {drop_path: 0.5}]
      - [{conv: {out: 4, kernel: 1}}, {drop_path: 0.25}]
  - conv: {out: 4, kernel: 1}
"""
BY_HAND = {
    "blocks": BLOCKS,
    "at the input": AT_THE_INPUT,
    "nested": NESTED,
    "one after the other": ONE_AFTER_THE_OTHER,
}


def outcomes(graph: Graph) -> list[tuple[Fraction, set[int]]]:
    """Every set of dropped nodes, with its probability."""
    chances = drops(graph)
    found = []
    for answers in product((False, True), repeat=len(chances)):
        chance, dropped = Fraction(1), set()
        for (number, p), answer in zip(chances.items(), answers, strict=True):
            chance *= p if answer else 1 - p
            dropped |= {number} if answer else set()
        found.append((chance, dropped))
    assert sum(chance for chance, _ in found) == 1
    return found


def counted(graph: Graph, dropped: set[int]) -> tuple[int, int]:
    """FLOPs that PyTorch counts forwards and backwards, where only what an output asks for is run and a dropped tensor
    is a constant 0 that asks for nothing.
    """
    net = Net(graph).eval()
    modules = {step.number: step.module for step in net.steps}
    values: dict[int, torch.Tensor] = {}

    def value(number: int) -> torch.Tensor:
        node = graph.nodes[number]
        if number not in values:
            if node.layer is None:
                values[number] = torch.randn(1, *node.output_shape)
            elif number in dropped:
                values[number] = torch.zeros(1, *node.output_shape)
            else:
                values[number] = modules[number](*(value(ref.node) for ref in node.inputs))
        return values[number]

    with FlopCounterMode(display=False) as forward:
        out = sum(value(ref.node).sum() for _, ref in graph.outputs)
    with FlopCounterMode(display=False) as backward:
        if isinstance(out, torch.Tensor) and out.requires_grad:
            out.backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize("spec", BY_HAND.values(), ids=BY_HAND)
def test_means_are_those_of_every_outcome_in_pytorch(spec: str) -> None:
    graph = load_text(spec)
    forward = backward = Fraction(0)
    for chance, dropped in outcomes(graph):
        ahead, back = counted(graph, dropped)
        forward += chance * ahead
        backward += chance * back
    means = expected_macs(graph)
    assert 2 * sum(one.forward for one in means) == forward
    assert 2 * sum(one.input_gradient + one.weight_gradient for one in means) == backward
    whole = step_macs(graph)
    assert 0 < forward < 2 * sum(one.forward for one in whole)


def walked(graph: Graph, dropped: set[int]) -> list[tuple[bool, int, int, int]]:
    """For every node whether it runs, and its MACs, in one outcome: by walking the graph."""
    runs, learns = set(), {}
    waiting = [ref.node for _, ref in graph.outputs]
    while waiting:
        number = waiting.pop()
        if number not in runs:
            runs.add(number)
            waiting += [] if number in dropped else [ref.node for ref in graph.nodes[number].inputs]
    result = []
    for number, node in enumerate(graph.nodes):
        own = node.layer is not None and any(w.learnable for w in node.layer.weights(*node.input_shapes))
        learns[number] = number not in dropped and (own or any(learns[ref.node] for ref in node.inputs))
        costs = (0, 0, 0)
        if node.layer is not None and number in runs:
            wanted = tuple(learns[ref.node] for ref in node.inputs)
            costs = (
                node.layer.macs(*node.input_shapes),
                node.layer.input_gradient_macs(wanted, *node.input_shapes),
                node.layer.weight_gradient_macs(*node.input_shapes),
            )
            assert not any(isinstance(cost, Unknown) for cost in costs)
        result.append((number in runs, *costs))
    return result


def test_means_of_random_nets_are_those_of_every_outcome() -> None:
    seen = 0
    for seed in range(220):
        text = random_spec(Random(seed))
        if not any(name in text for name in ("stochastic_depth", "drop_path", "droppath")):
            continue
        graph = load_text(text)
        if not 0 < len(drops(graph)) <= 6:
            continue
        found = expected_macs(graph)
        if isinstance(found, Unknown):
            continue
        seen += 1
        sums = [[Fraction(0)] * 4 for _ in graph.nodes]
        for chance, dropped in outcomes(graph):
            for row, costs in zip(sums, walked(graph, dropped), strict=True):
                for place, value in enumerate(costs):
                    row[place] += chance * value
        for node, mean, row in zip(graph.nodes, found, sums, strict=True):
            assert node.layer is None or list(astuple(mean)) == row, text
    assert seen >= 4


def test_without_drops_the_mean_is_the_cost() -> None:
    graph = load("resnet18", input=(3, 64, 64))
    assert drops(graph) == {}
    for mean, cost in zip(expected_macs(graph, 3), step_macs(graph, 3), strict=True):
        assert (mean.forward, mean.input_gradient, mean.weight_gradient) == (
            cost.forward,
            cost.input_gradient,
            cost.weight_gradient,
        )


def test_a_layer_that_says_no_cost_has_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = load_text(BLOCKS)
    for method in ("macs", "weight_gradient_macs", "input_gradient_macs"):
        monkeypatch.setattr(type(graph.nodes[1].layer), method, lambda layer, *shapes: Unknown("not said"))
    means = [one for one in expected_macs(graph) if one.forward is None]
    assert means
    assert {one.input_gradient for one in means} <= {None}


def test_without_drops_the_mean_is_the_cost_where_indices_pass_no_gradient() -> None:
    graph = load_text(
        "input: [8, 32]\nlayers: [{linear: {out: 8}}, {take: {from: [input, -1]}}, {conv: {out: 4, kernel: 1}}]\n"
    )
    means = [(one.forward, one.input_gradient, one.weight_gradient) for one in expected_macs(graph)]
    assert means == [(one.forward, one.input_gradient, one.weight_gradient) for one in step_macs(graph)]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (IN_COMMON, "whether common runs depends on several drops"),
        (LEARNS_EITHER_WAY, "whether add1 has a gradient depends on several drops"),
    ],
)
def test_where_no_single_branch_tells_the_mean_is_unknown(spec: str, reason: str) -> None:
    assert expected_macs(load_text(spec)) == Unknown(reason)
