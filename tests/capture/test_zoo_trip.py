"""Every shipped net as a module of our own, captured again: products, shapes and totals are those of the spec."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

import cnncalc
from cnncalc.sources import zoo_names
from cnncalc.torch import build
from cnncalc.torch.capture import capture

QUICK = ("lenet5", "squeezenet1_1", "shufflenet_v2_x0_5")


def check(name):
    """A net and what was captured of its module: totals, and layer by layer what the products take and see."""
    graph = cnncalc.load(name)
    found = capture(build(graph), graph.inputs).graph
    here, there = cnncalc.analyze(graph), cnncalc.analyze(found)
    ours, theirs = here.totals, there.totals
    if any(one.type == "local_response_norm" for one in here.layers):  # it comes back as the operators that it runs
        ours, theirs = replace(ours, elementwise_ops=0), replace(theirs, elementwise_ops=0)
    assert theirs == ours
    assert [*there.model.outputs.values()] == [*here.model.outputs.values()]

    def products(report):
        return [
            (one.type, one.output_shape, one.params, one.macs, one.receptive_field) for one in report.layers if one.macs
        ]

    assert products(there) == products(here)


@pytest.mark.parametrize("name", QUICK)
def test_a_shipped_net_comes_back(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo_names() if name not in QUICK])
def test_every_shipped_net_comes_back(name):
    check(name)
