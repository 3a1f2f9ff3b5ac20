"""Least times: by hand on a machine of round numbers, and what must hold on any."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.analysis.cost import costs
from cnncalc.analysis.roofline import Cache, Machine, backward_bound, layer_time, net_time
from cnncalc.analysis.traffic import Traffic, traffic, whole_net
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.sources import load, load_text

ROUND = Machine("round", "made up", {"float32": 10**9, "float16": 4 * 10**9}, 10**8)
"""A FLOP takes 1000 ps, a byte 10,000."""
LAYER = Traffic(inputs=1000, weights=200, outputs=500, direct_macs=900, bilinear_macs=300)


def test_times_by_hand() -> None:
    time = layer_time(1000, LAYER, ROUND, "float32")
    assert (time.compute, time.memory, time.limit) == (2 * 1000 * 1000, 1700 * 4 * 10_000, "memory")
    assert time.roofline == time.memory == time.bound
    narrow = layer_time(1000, LAYER, ROUND, "float16")
    assert (narrow.compute, narrow.memory) == (500_000, 34_000_000)


def test_caches_take_off_what_they_could_hold() -> None:
    held = Machine("held", "made up", ROUND.peak, ROUND.bandwidth, (Cache(1000), Cache(1000, 10**9)))
    # 4800 bytes read and 2000 written: 1000 of each in the first cache, 1000 more in the second
    (time,) = [layer_time(1000, LAYER, held, "float32")]
    assert time.bound == (4800 - 2000) * 10_000
    quick = Machine("quick", "made up", ROUND.peak, 10**12, (Cache(1000), Cache(1000, 10**9)))
    assert layer_time(1000, LAYER, quick, "float32").bound == max((3800 + 1000) * 1000, 1800 * 1000)
    endless = Machine("endless", "made up", ROUND.peak, ROUND.bandwidth, (Cache(10**9),))
    assert layer_time(1000, LAYER, endless, "float32").bound == 1800 * 1000
    assert layer_time(1000, LAYER, endless, "float32", "fast").bound == 600 * 1000


def test_what_is_unknown_counts_with_nothing_and_a_missing_peak_is_an_error() -> None:
    unknown = Traffic(0, 0, 0, None, None)
    assert layer_time(None, unknown, ROUND, "float32").bound == 0
    assert layer_time(None, unknown, ROUND, "float32").limit == "nothing"
    assert backward_bound(None, None, unknown, ROUND, "float32", "direct") == 0
    with pytest.raises(
        CnncalcError, match=r"round has no peak for int8\n  hint: --dtype can be float32, float16 there"
    ):
        layer_time(1, LAYER, ROUND, "int8")


def test_the_backward_pass_leaves_out_as_large_a_part_as_the_forward_pass() -> None:
    assert backward_bound(2000, 1000, LAYER, ROUND, "float32", "direct") == 2 * 1800 * 1000
    assert backward_bound(2000, 1000, LAYER, ROUND, "float32", "fast") == 2 * 600 * 1000


rates = st.integers(1, 10**15)
machines = st.builds(
    Machine,
    st.just("any"),
    st.just("made up"),
    st.fixed_dictionaries({"float32": rates}),
    rates,
    st.lists(st.builds(Cache, st.integers(1, 10**9)), max_size=3).map(tuple),
)


NETS = {name: load(name, input=(3, 64, 64)) for name in ("resnet18", "mobilenet_v2", "googlenet")}


def times(graph: Graph, machine: Machine, algorithms: Any = "direct", batch: int = 1) -> tuple[list[Any], Any]:
    moved = traffic(graph, batch)
    layers = [
        layer_time(cost.macs, part, machine, "float32", algorithms)
        for cost, part in zip(costs(graph, batch), moved, strict=True)
    ]
    return layers, net_time(layers, whole_net(graph, moved, batch), machine, "float32", algorithms)


@settings(max_examples=40)
@given(st.sampled_from([*NETS]), machines)
def test_on_any_machine(name: str, machine: Machine) -> None:
    layers, net = times(NETS[name], machine)
    fast_layers, fast = times(NETS[name], machine, "fast")
    assert all(fast.bound <= one.bound <= one.roofline for one, fast in zip(layers, fast_layers, strict=True))
    assert fast.bound <= net.bound
    assert net.fused_bound <= net.bound <= net.roofline
    more = Machine("more", "", machine.peak, machine.bandwidth, (*machine.caches, Cache(10**6)))
    assert times(NETS[name], more)[1].bound <= net.bound
    _, twice = times(NETS[name], machine, batch=2)
    assert net.bound <= twice.bound


def test_weights_that_fit_a_cache_one_by_one_need_not_fit_it_together() -> None:
    graph = load_text("input: [1000]\nlayers: [{linear: 1000}, {linear: 1000}, {linear: 1000}]\n")
    machine = Machine("m", "", {"float32": 10**18}, 10**9, (Cache(5_000_000),))
    layers, net = times(graph, machine)
    assert sum(one.bound for one in layers) < 10**6
    # 12 MB of weights, of which 5 can be there
    assert net.bound == net.fused_bound == (3 * 1001 * 1000 * 4 + 4000 - 5_000_000) * 1000
