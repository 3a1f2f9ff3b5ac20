"""Replays give what running the text gives, and what is said to be left out is what no gradient reaches."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cnncalc import sources
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.spec.resize import Resizable, left_out
from tests.sizes.nets import PADDED_UNET

READS_SIZES = """
input: [4, 20, 20]
blocks:
  deep:
    layers: [{conv: {out: 6, kernel: 3}}]
layers:
  - residual:                      # a shortcut only where the body changes the shape: not at size 1
      body: [{conv: {out: 4, kernel: 3, stride: 2, padding: 1}}]
      shortcut: [{conv: {out: 4, kernel: 1, stride: 2}}]
  - if: in_height > 12
    then: [deep, deep]
    else: [{conv: {out: in_channels * 2, kernel: 1}}]
  - repeat: {times: in_width // 8, layers: [relu, {conv: {out: "in_size[0]", kernel: 1}}]}
  - depthwise_conv: {kernel: 3, padding: 1}
"""
SPLITS = """
input: [2, 9, 9]
layers:
  - split: {chunks: 4, axis: 1}
  - concat: {axis: 1}
  - flatten
  - linear: 3
"""
SHORTCUT = """
input: [4, 20, 20]
layers:
  - residual:                      # a shortcut only where the body changes the shape: not at size 1
      body: [{conv: {out: 4, kernel: 3, stride: 2, padding: 1}}]
      shortcut: [{conv: {out: 4, kernel: 1, stride: 2}}]
"""
CHANNELS = "input: [2, 6, 6]\nlayers: [flatten, {linear: {out: in_channels // 2}}, {linear: 3}]\n"
SHARES = """
input: {left: [1, 12, 12], right: [1, 12, 12]}
layers:
  - flatten: {from: left}
  - linear: {out: 3, name: one, share: both}
  - flatten: {from: right}
  - linear: {out: 3, name: other, share: both}
  - concat: {from: [one, other]}
"""
SQUEEZES = "input: [3, 8, 8]\nlayers: [{max_pool: 4}, {squeeze: {}}, {if: 'in_channels == 3', then: [relu]}]\n"
TEXTS = {
    "reads": READS_SIZES,
    "shortcut": SHORTCUT,
    "channels": CHANNELS,
    "splits": SPLITS,
    "shares": SHARES,
    "squeezes": SQUEEZES,
    "unet": PADDED_UNET,
}


def state(net: Resizable, inputs: dict[str, tuple[int, ...]]) -> object:
    """All weights of a run of the text; ``None`` where it fails."""
    try:
        graph = sources.load_text(net.source.text, net.source.name, variant=net.variant, input=inputs)
    except CnncalcError:
        return None
    return [
        (n.path, n.layer.weights(*n.input_shapes)) for n in graph.nodes if n.layer and n.layer.weights(*n.input_shapes)
    ]


def compare(net: Resizable, trials: list[dict[str, tuple[int, ...]]]) -> None:
    """Outcomes of one net that replays against a fresh run for each choice of inputs."""
    weights = {}
    for inputs in trials:
        outcome = net.at(inputs)
        alone = Resizable(net.document, net.variant).at(inputs)
        assert outcome[:3] == alone[:3], inputs
        known = state(net, inputs)
        assert outcome.works == (known is not None), inputs
        if outcome.works:
            attempt = net.attempt(inputs)
            left = [axis for _, axes in net.left_out(attempt.nodes) for axis in enumerate(axes)]
            assert outcome.loses == sum({1 << i for i, one in left if one.pixels})
            assert outcome.leaves == sum({1 << i for i, one in left if any(one)})
            assert weights.setdefault(outcome.weights, known) == known, inputs
    assert len({str(known) for known in weights.values()}) == len(weights)


@pytest.mark.parametrize("name", TEXTS)
def test_replays_of_nets_that_depend_on_their_sizes(name: str) -> None:
    net = sources.resizable_text(TEXTS[name], name)
    draw = random.Random(name)
    trials = [
        {key: (shape[0], draw.randint(1, 30), draw.randint(1, 30)) for key, shape in net.inputs().items()}
        for _ in range(60)
    ]
    trials += [dict.fromkeys(trial, next(iter(trial.values()))) for trial in trials[:20]]
    trials += [{key: (shape[0], size, size) for key, shape in net.inputs().items()} for size in (1, 2, 8)]
    draw.shuffle(trials)
    compare(net, trials)


@pytest.mark.parametrize("name", TEXTS)
def test_graphs_at_other_sizes_are_those_of_the_text(name: str) -> None:
    net = sources.resizable_text(TEXTS[name], name)
    draw = random.Random(name)
    for _ in range(60):
        inputs = {key: (shape[0], draw.randint(1, 30), draw.randint(1, 30)) for key, shape in net.inputs().items()}
        graph = net.graph(inputs)
        assert (graph is None) == (state(net, inputs) is None)
        if graph is not None:
            anew = sources.load_text(net.source.text, net.source.name, input=inputs)
            assert (graph.nodes, graph.outputs) == (anew.nodes, anew.outputs)


@pytest.mark.parametrize("name", ["resnet18", "unet", "lenet5", "mobilenet_v2", "squeezenet1_0"])
def test_replays_of_the_zoo(name: str) -> None:
    net = sources.resizable(name)
    (key, (channels, *_)), *_ = net.inputs().items()
    draw = random.Random(name)
    compare(net, [{key: (channels, draw.randint(1, 400), draw.randint(1, 400))} for _ in range(12)])


def test_every_net_of_the_zoo_works_at_its_own_size_and_at_one_more() -> None:
    for name in sources.zoo_names():
        net = sources.resizable(name)
        ((key, shape),) = net.inputs().items()
        for size in (shape[1], shape[1] + 1):
            inputs = {key: (shape[0], size, shape[2])}
            assert net.at(inputs).works, name
            nodes = net.attempt(inputs).nodes
            loses = any(one.pixels for _, axes in net.left_out(nodes) for one in axes)
            assert loses == bool(net.at(inputs).loses), name


def test_a_net_that_reads_no_size_is_run_once() -> None:
    net = sources.resizable("resnet50")
    for size in range(100, 164):
        net.at({"input": (3, size, 224)})
    assert net.runs == 1


class Counted(str):
    """A name that counts how often it is looked up."""

    hashes = 0

    def __hash__(self) -> int:
        Counted.hashes += 1
        return super().__hash__()


def test_many_layers_with_the_same_weights_are_looked_up_once_each() -> None:
    layers = "".join("  - conv: {out: 4, kernel: 1, share: w}\n" for _ in range(100))
    net = sources.resizable_text(f"input: [4, 16, 16]\nlayers:\n{layers}")
    net.at({"input": (4, 16, 16)})
    (recording,) = net._recordings
    nodes = tuple([replace(node, path=Counted(node.path)) for node in recording.graph.nodes])
    net._recordings = [recording._replace(graph=replace(recording.graph, nodes=nodes))]
    before = Counted.hashes
    assert net.at({"input": (4, 8, 8)}).works
    assert Counted.hashes - before <= 2 * 100


WINDOW = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.integers(1, 24))


@given(window=WINDOW)
def test_what_a_convolution_leaves_out_gets_no_gradient(window: tuple[int, ...]) -> None:
    """The pixels after the last one that PyTorch's gradient reaches, but for those between windows anyway."""
    kernel, stride, padding, dilation, size = window
    extent = (kernel - 1) * dilation + 1
    if extent > size + 2 * padding:
        return
    layer = REGISTRY["conv"](out=1, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    x = torch.zeros(1, 1, size, requires_grad=True)
    y = torch.nn.functional.conv1d(x, torch.ones(1, 1, kernel), None, stride, padding, dilation)
    y.sum().backward()
    ((pixels, rest),) = left_out(layer, ((1, size),), ((1, y.shape[2]),))
    # What the floor of the output size cuts off.
    assert pixels + rest == (size + 2 * padding - extent) % stride
    end = (y.shape[2] - 1) * stride - padding + extent - 1
    if end >= size - 1:
        assert pixels == 0
    else:
        assert x.grad is not None
        unread = size - 1 - max((i for i, one in enumerate(x.grad[0, 0].tolist()) if one), default=end)
        assert pixels == max(0, unread - max(0, stride - extent))


@pytest.mark.parametrize(("size", "kernel", "padding"), [(3, 3, 2), (3, 3, 3), (4, 2, 1), (2, 5, 2)])
def test_a_transposed_convolution_leaves_nothing_out(size: int, kernel: int, padding: int) -> None:
    layer = REGISTRY["conv_transpose"](out=1, kernel=kernel, stride=2, padding=padding)
    assert not any(map(any, left_out(layer, ((1, size),), layer.output_shapes((1, size)))))


def test_ceil_mode_loses_no_pixel_but_may_leave_padding_out() -> None:
    """Kernel 2: at size 6 three windows, at 5 the third sticks out; padded, a fourth would hold padding alone."""
    layer = REGISTRY["max_pool"](kernel=2, ceil_mode=True)
    for size in (5, 6):
        assert left_out(layer, ((1, size),), layer.output_shapes((1, size))) == ((0, 0),)
    padded = REGISTRY["max_pool"](kernel=2, padding=1, ceil_mode=True)
    assert left_out(padded, ((1, 5),), padded.output_shapes((1, 5))) == ((0, 1),)
