"""The order of branches against all orders, and what must hold of any peak."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.memory.inference import peak, steps
from cnncalc.analysis.memory.order import best_order
from cnncalc.analysis.memory.passes import Pass, forward_pass
from cnncalc.graph import Graph
from cnncalc.sources import load, load_text
from cnncalc.spec.random import random_spec
from tests.work import at_most


def inference(graph: Graph, batch: int = 1) -> Pass:
    return forward_pass(graph, batch, training=False, element=4)


def orders(graph: Graph) -> Iterator[list[int]]:
    """All orders in which every layer follows what it reads."""

    def extend(ran: frozenset[int], left: list[int]) -> Iterator[list[int]]:
        if not left:
            yield []
        for number in left:
            reads = {ref.node for ref in graph.nodes[number].inputs if graph.nodes[ref.node].layer is not None}
            if reads <= ran:
                for rest in extend(ran | {number}, [n for n in left if n != number]):
                    yield [number, *rest]

    yield from extend(frozenset(), steps(graph))


BRANCHES = """
input: [4, 8, 8]
layers:
  - concat:
      - [{conv: {out: 32, kernel: 1}}, {conv: {out: 1, kernel: 1}}]
      - [{conv: {out: 2, kernel: 1}}, {conv: {out: 16, kernel: 1}}, {conv: {out: 1, kernel: 1}}]
      - [{max_pool: 2}, {conv: {out: 3, kernel: 1}}, {upsample: {scale_factor: 2}}]
"""


def test_the_best_order_is_that_of_brute_force() -> None:
    better = compared = 0
    graphs = [load_text(BRANCHES), *(load_text(random_spec(Random(seed))) for seed in range(200))]
    for graph in graphs:
        every = list(islice(orders(graph), 500))
        if not steps(graph) or len(every) == 500:
            continue
        run = inference(graph)
        least = min(peak(graph, run, order).bytes for order in every)
        found = best_order(graph, run)
        assert found.proven
        assert found.peak.bytes == least
        assert list(found.nodes) in every
        better += least < peak(graph, run).bytes
        compared += len(every) > 1
    assert compared > 40
    assert better > 2


def test_an_order_that_is_not_proven_says_so() -> None:
    graph = load_text(BRANCHES)
    run = inference(graph)
    found = best_order(graph, run, most_states=2)
    assert not found.proven
    assert best_order(graph, run).peak.bytes <= found.peak.bytes <= peak(graph, run).bytes


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_what_holds_of_every_peak(seed: int, batch: int) -> None:
    graph = load_text(random_spec(Random(seed)))
    run = inference(graph, batch)
    found = peak(graph, run)
    assert found.bytes == sum(run.sizes[storage] for storage in found.alive)
    assert found.bytes >= max(found.highest)
    for number in steps(graph):
        read = {storage for ref in graph.nodes[number].inputs for storage in run.nodes[ref.node].outputs}
        both = read | set(run.nodes[number].outputs)
        assert found.bytes >= found.highest[number] >= sum(run.sizes[storage] for storage in both)
        assert found.after[number] <= found.highest[number]
    outputs = {storage for _, ref in graph.outputs for storage in run.nodes[ref.node].outputs}
    unread = {n for n, node in enumerate(graph.nodes) if node.layer is None} - {
        ref.node for node in graph.nodes for ref in node.inputs
    }
    left = outputs | {storage for number in unread for storage in run.nodes[number].outputs}
    if steps(graph):
        assert found.after[steps(graph)[-1]] == sum(run.sizes[storage] for storage in left)
    assert best_order(graph, run).peak.bytes <= found.bytes


def test_work_grows_with_the_layers_and_not_with_their_square() -> None:
    def calls(times: int) -> int:
        text = (
            f"{{input: [4, 8, 8], layers: [{{repeat: {{times: {times}, layers: [{{residual: "
            "[{conv: {out: 4, kernel: 1}}, relu]}]}}]}"
        )
        graph = load_text(text)
        with at_most(inf) as work:
            run = inference(graph)
            peak(graph, run)
            best_order(graph, run)
        return work.calls

    assert calls(400) < 4.2 * calls(100)


@pytest.mark.parametrize("name", ["inception_v3", "densenet121", "unet"])
def test_the_zoo_is_proven(name: str) -> None:
    graph = load(name)
    assert best_order(graph, inference(graph)).proven
