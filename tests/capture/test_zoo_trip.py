"""Every shipped net as a module of our own, captured again: shapes and totals are those of the spec."""

from __future__ import annotations

import pytest

import cnncalc
from cnncalc.sources import zoo_names
from cnncalc.torch import build
from cnncalc.torch.capture import capture

pytestmark = pytest.mark.torch
QUICK = ("lenet5", "squeezenet1_1", "shufflenet_v2_x0_5")


def check(name):
    """A net and what was captured of its module: numbers, fields, and layer by layer what has weights."""
    graph = cnncalc.load(name)
    found = capture(build(graph), graph.inputs).graph
    here, there = cnncalc.analyze(graph), cnncalc.analyze(found)
    assert there.totals == here.totals
    assert [*there.model.outputs.values()] == [*here.model.outputs.values()]

    def with_weights(report):
        return [
            (one.type, one.output_shape, one.params, one.macs, one.receptive_field)
            for one in report.layers
            if one.params or one.macs
        ]

    assert with_weights(there) == with_weights(here)


@pytest.mark.parametrize("name", QUICK)
def test_a_shipped_net_comes_back(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo_names() if name not in QUICK])
def test_every_shipped_net_comes_back(name):
    check(name)
