"""Random nets, captured from their code: the graph has the numbers of the net that was drawn, and computes the same."""

from __future__ import annotations

from random import Random

import pytest
import torch

import cnncalc
from cnncalc.graph import Graph
from cnncalc.sources import load_text
from cnncalc.spec.random import random_spec
from cnncalc.torch import build
from cnncalc.torch.capture import capture, copy_weights
from cnncalc.torch.module import example_inputs
from cnncalc.torch.source import render
from tests.convert.generated import make, outputs

BATCH = 2


def is_read(graph: Graph) -> bool:
    """Whether every layer serves a result: ``torch.export`` leaves out what does not."""
    needed = {ref.node for _, ref in graph.outputs}
    for number in reversed(range(len(graph.nodes))):
        if number in needed:
            needed |= {ref.node for ref in graph.nodes[number].inputs}
    return all(number in needed for number, node in enumerate(graph.nodes) if node.layer is not None)


def check(seed: int) -> None:
    graph = load_text(random_spec(Random(seed)), f"random{seed}")
    if not is_read(graph):
        return
    module = make(render(graph)).eval()
    found = capture(module, list(graph.inputs.values()))
    drawn, captured = (cnncalc.analyze(one, batch=BATCH) for one in (graph, found.graph))
    assert (captured.totals.params, captured.totals.macs) == (drawn.totals.params, drawn.totals.macs), seed
    assert [*captured.model.outputs.values()] == [*drawn.model.outputs.values()], seed
    if captured.totals.status == "partial":  # an operator that has no layer here: said, not passed over
        assert captured.diagnostics, seed
        return
    net = build(found.graph).eval()
    copy_weights(found, module, net)
    inputs = example_inputs(graph, BATCH)
    want, got = (outputs(one, inputs) for one in (module, net))
    assert isinstance(want, str) == isinstance(got, str), seed
    if not isinstance(want, str) and not isinstance(got, str):
        for one, other in zip(want.values(), got.values(), strict=True):
            torch.testing.assert_close(
                other, one, rtol=1e-4, atol=1e-5, equal_nan=True, msg=lambda said: f"{seed}: {said}"
            )


@pytest.mark.parametrize("seed", range(24))
def test_a_random_net_comes_back_from_its_code(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_five_hundred_random_nets_come_back_from_their_code(part: int) -> None:
    for seed in range(24 + 50 * part, 24 + 50 * (part + 1)):
        check(seed)
