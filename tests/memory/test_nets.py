"""Whole nets against PyTorch: the peak of inference and what autograd keeps, to the byte."""

from __future__ import annotations

from random import Random

import pytest
import torch
from msgspec.structs import replace

from cnncalc.analysis.memory.in_place import in_place_nodes
from cnncalc.analysis.memory.inference import peak
from cnncalc.analysis.memory.order import best_order
from cnncalc.analysis.memory.passes import forward_pass
from cnncalc.analysis.memory.training import kept_by_node
from cnncalc.graph import Graph
from cnncalc.sources import load, load_text, zoo_names
from cnncalc.spec.random import random_spec
from cnncalc.torch.memory import ONLY_IN_TRAINING, measured_kept, measured_peak, several_threads
from cnncalc.torch.module import Net, example_inputs

FAST = {
    "lenet5": (1, 32, 32),
    "resnet18": (3, 64, 64),
    "mobilenet_v3_small": (3, 64, 64),
    "shufflenet_v2_x1_5": (3, 64, 64),
    "googlenet": (3, 64, 64),
    "convnext_tiny": (3, 64, 64),
    "densenet121": (3, 64, 64),
    "unet": (1, 188, 188),
}
SMALLER = {
    "efficientnet_b6": (3, 224, 224),
    "efficientnet_b7": (3, 224, 224),
}
"""At a reduced input, so as to fit a small machine; all others are measured at their own size."""


@pytest.fixture(autouse=True)
def threads():
    with several_threads():
        yield


def assert_exact(graph: Graph, batch: int) -> bool:
    """Whether it could be measured in training too: PyTorch refuses norms over a single value."""
    net = Net(graph)
    run = forward_pass(graph, batch, training=False, element=4)
    assert not run.unknown
    try:
        assert peak(graph, run).bytes == measured_peak(net, example_inputs(graph, batch))
        kept = measured_kept(net, example_inputs(graph, batch))
    except (ValueError, RuntimeError) as error:
        if not any(refusal in str(error) for refusal in ONLY_IN_TRAINING):
            raise
        return False
    assert sum(kept_by_node(graph, forward_pass(graph, batch, training=True, element=4))) == kept
    return True


@pytest.mark.parametrize("name", FAST)
def test_the_zoo(name: str) -> None:
    graph = load(name, input=FAST[name])
    assert all(assert_exact(graph, batch) for batch in (1, 2))


def test_other_dtypes() -> None:
    graph = load("shufflenet_v2_x0_5", input=(3, 64, 64))
    for dtype in (torch.float64, torch.bfloat16):
        net = Net(graph).to(dtype=dtype)
        run = forward_pass(graph, 2, training=True, element=dtype.itemsize)
        assert sum(kept_by_node(graph, run)) == measured_kept(net, example_inputs(graph, 2, dtype=dtype))


OWN_TENSORS = [
    """
    input: [4, 8, 8]
    layers:
      - parameter: {shape: [5, 4, 3, 3], name: w}
      - math: {function: square}
      - math: {function: add, value: 0.5, name: positive}
      - functional_conv: {from: [input, positive], padding: 1}
      - relu
      - parameter: {shape: [5, 1, 1], name: scale}
      - divide: {from: [relu1, scale]}
      - vector_norm: {axes: 0}
    """,
    """
    input: {image: [4, 8, 8], kernels: [5, 4, 3, 3], bias: [5]}
    layers:
      - math: {function: sqrt, from: kernels}
      - prelu
      - functional_conv: {from: [image, prelu1, bias], stride: 2}
      - relu
    """,
    """
    input: [8, 6]
    layers:
      - parameter: {shape: [1, 6], name: token}
      - concat: {from: [token, input]}
      - parameter: {shape: [9, 6], name: positions}
      - add: {from: [concat1, positions]}
      - multi_head_attention: {num_heads: 2}
      - constant: {shape: [9, 6], name: mask}
      - multiply: {from: [multi_head_attention1, mask]}
      - constant: {shape: [3], name: places, buffer: true}
      - take: {from: [multiply1, places], axis: 0}
      - math: {function: divide_into, value: 2}
      - math: {function: exp}
    """,
    "{input: [3, 12, 12], layers: [{conv: {out: 4, kernel: 12, stride: 2, padding: same}}, relu]}",
    "{input: [3, 9, 8], layers: [{conv: {out: 4, kernel: 1}}, {unfold: {kernel: 2, stride: 2}}, {variance: 0}]}",
    "{input: [3, 9, 8], layers: [{conv: {out: 4, kernel: 1}}, {unfold: {kernel: 2, stride: 2}}, relu, "
    "{fold: {size: [9, 8], kernel: 2, stride: 2}}, relu]}",
]
"""Layers that random nets do not have: tensors of the net's own, and what nets from PyTorch are made of."""


@pytest.mark.parametrize("text", OWN_TENSORS)
def test_tensors_of_the_net_itself(text: str) -> None:
    graph = load_text(text)
    assert all(assert_exact(graph, batch) for batch in (1, 2, 3))


def test_random_nets() -> None:
    graphs = [load_text(random_spec(Random(seed))) for seed in range(40)]
    trained = [assert_exact(graph, batch) for graph in graphs for batch in (1, 2)]
    assert sum(trained) > 70


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo_names())
def test_the_whole_zoo(name: str) -> None:
    graph = load(name, input=SMALLER.get(name))
    assert all(assert_exact(graph, batch) for batch in (1, 2))


@pytest.mark.slow
def test_two_hundred_random_nets() -> None:
    trained = [assert_exact(load_text(random_spec(Random(seed))), b) for seed in range(1000, 1200) for b in (1, 2)]
    assert sum(trained) > 380


def in_order(graph: Graph, order: tuple[int, ...]) -> Graph:
    """The same net with its layers in another order; of layers that share weights the first owns them."""
    numbers = [number for number, node in enumerate(graph.nodes) if node.layer is None] + [*order]
    new = {number: place for place, number in enumerate(numbers)}
    owners: dict[int, int] = {}
    nodes = []
    for number in numbers:
        node = graph.nodes[number]
        owner = owners.setdefault(number if node.shared is None else node.shared, new[number])
        refs = tuple(ref._replace(node=new[ref.node]) for ref in node.inputs)
        nodes.append(replace(node, inputs=refs, shared=None if owner == new[number] else owner))
    outputs = tuple((name, ref._replace(node=new[ref.node])) for name, ref in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def test_the_best_order_is_real() -> None:
    """The net written in the order that is claimed to be the best has the peak that is claimed for it."""
    nets = [load(f"shufflenet_v2_{width}", input=(3, 64, 64)) for width in ("x1_5", "x2_0")]
    nets += [load_text(random_spec(Random(seed))) for seed in range(100)]
    better = 0
    for graph in nets:
        run = forward_pass(graph, 1, training=False, element=4)
        found = best_order(graph, run)
        if found.peak.bytes == peak(graph, run).bytes:
            continue
        better += 1
        reordered = in_order(graph, found.nodes)
        again = forward_pass(reordered, 1, training=False, element=4)
        assert peak(reordered, again).bytes == found.peak.bytes
        assert found.peak.bytes == measured_peak(Net(reordered), example_inputs(reordered))
    assert better > 1


def test_writing_over_the_input_is_real() -> None:
    """The chosen activations in place give the same output, and the claimed peak."""
    nets = [load(name, input=FAST[name]) for name in ("mobilenet_v3_small",)]
    nets += [load_text(random_spec(Random(seed))) for seed in range(40)]
    chosen = better = 0
    for graph in nets:
        run = forward_pass(graph, 2, training=False, element=4)
        nodes = in_place_nodes(graph, run)
        claim = peak(graph, forward_pass(graph, 2, training=False, element=4, in_place=nodes)).bytes
        assert claim <= peak(graph, run).bytes
        outputs = []
        for which in (nodes, frozenset[int]()):
            torch.manual_seed(0)
            net = Net(graph, in_place=which).eval()
            with torch.no_grad():
                out = net(*example_inputs(graph, 2))
            outputs.append(list(out.values()) if isinstance(out, dict) else [out])
        for one, other in zip(*outputs, strict=True):
            torch.testing.assert_close(one, other, equal_nan=True)
        assert claim == measured_peak(Net(graph, in_place=nodes), example_inputs(graph, 2))
        chosen += len(nodes)
        better += claim < peak(graph, run).bytes
    assert chosen > 40
