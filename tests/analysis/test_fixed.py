"""What depends on no input is computed once for a whole batch: every analysis counts it so, as PyTorch runs it."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import cnncalc
from cnncalc.analysis import sections
from cnncalc.analysis.conventions import comparison
from cnncalc.analysis.cost import costs
from cnncalc.analysis.explain.answer import explain
from cnncalc.analysis.stochastic import expected_macs
from cnncalc.analysis.traffic import traffic, whole_net
from cnncalc.analysis.training import step_macs
from cnncalc.graph import Graph
from cnncalc.sources import load_text
from cnncalc.torch import Net

pytestmark = pytest.mark.torch

BATCH = 8
SPEC = """
input: [4, 8, 8]
layers:
  - parameter: {shape: [4, 8, 8], name: own}
  - linear: {out: 8, bias: false, name: fixed}
  - stochastic_depth: {p: 0.0}
  - conv: {out: 4, kernel: 2, name: less}
  - upsample: {size: 8, name: map}
  - add: {from: [input, map], name: sum}
  - conv: {out: 3, kernel: 1, name: each}
"""


@pytest.fixture
def graph() -> Graph:
    return load_text(SPEC)


@pytest.fixture
def ran(graph: Graph) -> tuple[dict[str, tuple[int, int, int, int]], int]:
    """By path the elements that each module is given, holds and gives in PyTorch (0 where it hands its input on), and
    its FLOPs; and the FLOPs of the net's step of training.
    """
    net, seen = Net(graph).train(), {}
    paths = {id(step.module): graph.nodes[step.number].path for step in net.steps}

    def note(module, inputs, out):
        if id(module) not in paths:
            return
        there = {tensor.untyped_storage().data_ptr() for tensor in [*inputs, *module.parameters()]}
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module.forward(*inputs)
        elements = (sum(map(torch.numel, inputs)), sum(map(torch.numel, module.parameters())), out.numel())
        moved = (0, 0, 0) if out.untyped_storage().data_ptr() in there else elements
        seen[paths[id(module)]] = (*moved, counter.get_total_flops())

    for module in net.modules():
        module.register_forward_hook(note)
    inputs = [torch.randn(BATCH, *shape) for shape in graph.inputs.values()]
    out = net(*inputs)
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    return seen, counter.get_total_flops()


def test_each_layer_moves_and_computes_what_pytorchs_module_does(graph, ran):
    parts = dict(zip((node.path for node in graph.nodes), traffic(graph, BATCH), strict=True))
    for path, (given, held, made, flops) in ran[0].items():
        part = parts[path]
        assert (part.inputs, part.weights, part.outputs, 2 * part.direct_macs) == (given, held, made, flops), path
        assert part.bilinear_macs <= part.direct_macs
    assert len(ran[0]) == len(graph.nodes) - 1


def test_the_net_reads_its_inputs_and_its_own_tensors_once(graph):
    net = Net(graph)
    whole = whole_net(graph, traffic(graph, BATCH), BATCH)
    own = net.own.weight.numel()
    assert whole.inputs == BATCH * 4 * 8 * 8 + own
    assert whole.weights == sum(map(torch.numel, net.parameters())) - own
    assert whole.outputs == BATCH * 3 * 8 * 8
    assert 2 * whole.direct_macs == sum(2 * cost.macs for cost in costs(graph, BATCH))


def test_an_output_that_depends_on_no_input_is_written_once():
    graph = load_text("input: [4]\nlayers: [{parameter: {shape: [4]}}, relu]\n")
    assert whole_net(graph, traffic(graph, BATCH), BATCH).outputs == 4


def test_the_mean_of_a_step_is_the_step_where_nothing_is_dropped(graph, ran):
    flops, backward = sum(counts[3] for counts in ran[0].values()), ran[1]
    for macs in (step_macs(graph, BATCH), expected_macs(graph, BATCH)):
        assert 2 * sum(one.forward for one in macs) == flops
        assert 2 * sum(one.input_gradient + one.weight_gradient for one in macs) == backward


def test_reports_say_so_too(graph, ran):
    report = sections.add(cnncalc.analyze(graph, batch=BATCH), graph, ["memory"], sections.Settings())
    by_path = {layer.path: layer for layer in report.layers}
    explained = {
        part.path: {one.name: one.value for one in (*(m for e in part.entries for m in e.members), *part.zeros)}
        for part in explain(graph, batch=BATCH).parts
    }
    (tool,) = comparison.report(graph, BATCH, ["flop_counter"]).tools
    answered = {layer.path: layer.count for layer in tool.layers}
    for path, (_, _, made, flops) in ran[0].items():
        assert by_path[path].memory.output == 4 * made or made == 0
        assert by_path[path].flops == explained[path]["flops"] == answered[path] == flops, path
        assert explained[path]["output_bytes"] == by_path[path].memory.output


def test_a_separable_pair_that_depends_on_no_input_is_computed_once():
    report = cnncalc.analyze(
        load_text(
            "input: [4]\nlayers: [{parameter: {shape: [4, 8, 8]}}, {depthwise_conv: {kernel: 3, name: d}},"
            " {conv: {out: 3, kernel: 1, name: p}}]\n"
        ),
        batch=BATCH,
    )
    macs = {layer.path: layer.macs for layer in report.layers}
    assert [pair.macs for pair in report.separable] == [macs["d"] + macs["p"]]
