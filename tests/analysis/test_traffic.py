"""What layers must move and compute: against gradients, storages and sums of ones that PyTorch computes."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from math import prod
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.analysis.traffic import traffic, whole_net
from cnncalc.errors import LayerError
from cnncalc.formulas import positions as formulas
from cnncalc.formulas.positions import positions_read
from cnncalc.formulas.receptive_field import Taps, Window
from cnncalc.formulas.traffic import floor_sum, pairs_inside, taps_inside
from cnncalc.layers.attention import ScaledDotProductAttention
from cnncalc.layers.base import Movement
from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.layers.shape import Crop
from cnncalc.sources import load, load_text
from cnncalc.spec.random import random_spec
from cnncalc.torch.monotone import stand_in
from cnncalc.torch.registry import build_layer

pytestmark = pytest.mark.filterwarnings("ignore:dropout3d")

# -- the formulas, by counting


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9), st.integers(1, 3)
)
def test_pairs_and_taps_are_counted_one_by_one(size, out, kernel, stride, before, dilation):
    inside = [(o, k) for o in range(out) for k in range(kernel) if 0 <= o * stride + k * dilation - before < size]
    assert pairs_inside(size, out, kernel, stride, before, dilation) == len(inside)
    assert taps_inside(size, out, kernel, stride, before, dilation) == len({k for _, k in inside})


@given(st.integers(0, 12), st.integers(1, 9), st.integers(-9, 30), st.integers(-30, 30))
def test_floors_are_added_one_by_one(count, divisor, step, offset):
    assert floor_sum(count, divisor, step, offset) == sum((step * i + offset) // divisor for i in range(count))


def places_read(out: int, stride: int, phases: list[Taps]) -> set[int]:
    seen = set()
    for unit in range(out):
        first, last, step = phases[unit % len(phases)]
        seen |= {tap + stride * (unit // len(phases)) for tap in range(first, last + 1, step)}
    return seen


@settings(max_examples=1000)
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 7),
    st.lists(st.builds(Taps, st.integers(-6, 6), st.integers(-6, 16), st.integers(1, 5)), min_size=1, max_size=3),
)
def test_positions_are_counted_one_by_one(size, out, stride, phases):
    window, seen = Window(stride, tuple(phases)), places_read(out, stride, phases) & set(range(size))
    assert positions_read(size, out, window) == len(seen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formulas, "MOST_WORK", -1)
        assert positions_read(size, out, window) <= len(seen)
        assert len(phases) > 1 or positions_read(size, out, window) == len(seen)


@given(
    st.sampled_from(["reflect", "replicate", "circular"]),
    st.integers(1, 8),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_positions_behind_a_border_are_counted_one_by_one(border, size, before, after, kernel, stride, dilation):
    """Against PyTorch's own padding of an axis that holds its positions."""
    most = size - (border == "reflect")
    pads = (before, after) if border == "replicate" else (min(before, most), min(after, most))
    padded = torch.nn.functional.pad(torch.arange(1.0, size + 1).reshape(1, 1, -1), pads, mode=border)[0, 0]
    out = (len(padded) - dilation * (kernel - 1) - 1) // stride + 1
    if out < 1:
        return
    read = {int(padded[unit * stride + tap * dilation]) for unit in range(out) for tap in range(kernel)}
    window = Window(stride, (Taps(-pads[0], -pads[0] + (kernel - 1) * dilation, dilation),))
    assert positions_read(size, out, window, border) == len(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formulas, "MOST_WORK", -1)
        assert positions_read(size, out, window, border) <= len(read)


# -- every layer of random nets


def nodes(seeds: range) -> list:
    graphs = [load_text(random_spec(Random(seed))) for seed in seeds]
    return [node for graph in graphs for node in graph.nodes if node.layer is not None]


NODES = nodes(range(100))


def test_elements_read_have_a_gradient() -> None:
    checked = set()
    for node in NODES:
        inputs = [torch.ones(1, *shape, dtype=torch.float64, requires_grad=True) for shape in node.input_shapes]
        module = stand_in(node.layer, *node.input_shapes).double().eval()
        out = module(*inputs)
        total = out.sum() if isinstance(out, torch.Tensor) else sum(part.sum() for part in out)
        gradients = torch.autograd.grad(total, inputs, allow_unused=True)
        counts = tuple(0 if one is None else int((one != 0).sum()) for one in gradients)
        assert node.layer.elements_read(*node.input_shapes) == counts, node
        checked.add(node.kind)
    assert len(checked) > 60


def test_layers_that_can_be_views_are_views_of_a_plain_input_and_the_others_are_not() -> None:
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for node in NODES:
        inputs = [torch.randn(2, *shape) for shape in node.input_shapes]
        with torch.no_grad():
            out = build_layer(node.layer, *node.input_shapes).eval()(*inputs)
        outputs = [out] if isinstance(out, torch.Tensor) else list(out)
        storages = {one.untyped_storage().data_ptr() for one in inputs}
        shared = {one.untyped_storage().data_ptr() in storages for one in outputs}
        if isinstance(node.layer, Crop):  # F.pad by less than nothing copies; a slice does not
            pass
        elif node.layer.is_view:
            assert shared == {True}, node
        elif isinstance(node.layer, Movement):
            assert shared == {False}, node
        kinds[node.layer.is_view].add(node.kind)
    assert {"flatten", "reshape", "permute", "split", "slice", "crop", "dropout"} <= kinds[True]
    assert {"concat", "pad", "relu"} <= kinds[False]


def ones_through(node) -> tuple[int, int]:
    """With weights and inputs of 1 and no bias, the sum of the outputs counts the products with real input; and how
    many weights have a gradient.
    """
    module = build_layer(node.layer, *node.input_shapes).double().eval()
    for name, parameter in module.named_parameters():
        torch.nn.init.constant_(parameter, 0 if "bias" in name else 1)
    total = module(*(torch.ones(1, *shape, dtype=torch.float64) for shape in node.input_shapes)).sum()
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(total, parameters) if parameters else ()
    return round(float(total.detach())), sum(int((one != 0).sum()) for one in gradients)


def test_real_products_and_weights_of_random_nets() -> None:
    attention = {"multi_head_attention", "scaled_dot_product_attention"}
    products = [node for node in NODES if node.layer.is_product and node.kind not in attention]
    for node in products:
        macs, weights = ones_through(node)
        assert node.layer.direct_macs(*node.input_shapes) == macs, node
        assert node.layer.weights_read(*node.input_shapes) == weights, node
    assert {node.kind for node in products} == {"conv", "conv_transpose", "linear", "matmul"}


class Lone:
    def __init__(self, layer, shape) -> None:
        self.layer, self.input_shapes = layer, (shape,)


@settings(max_examples=150)
@given(
    st.sampled_from([Conv, ConvTranspose]),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_real_products_of_any_convolution(kind, kernel, stride, padding, dilation, groups, size):
    layer = kind(out=4, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False)
    shape = (2, *size)
    try:
        layer.output_shape(shape)
    except LayerError:
        return
    macs, weights = ones_through(Lone(layer, shape))
    assert (layer.direct_macs(shape), layer.weights_read(shape)) == (macs, weights)
    assert layer.bilinear_macs(shape) <= macs <= layer.macs(shape)

    if kind is Conv:
        by_tensor = FunctionalConv(stride=stride, padding=padding, dilation=dilation, groups=groups)
        both = (shape, (4, 2 // groups, kernel, kernel))
        assert (by_tensor.direct_macs(*both), by_tensor.elements_read(*both)[1]) == (macs, weights)
        assert by_tensor.bilinear_macs(*both) == layer.bilinear_macs(shape)
        assert by_tensor.elements_read(*both)[0] == layer.elements_read(shape)[0]


@pytest.mark.parametrize("tile", [1, 2, 4, 6, 1000])
@pytest.mark.parametrize("size", [7, 8, 56])
def test_no_winograd_tile_needs_fewer_products_than_the_least(tile: int, size: int) -> None:
    layer, shape = Conv(out=5, kernel=3, padding=1), (3, size, size)
    tiles = -(-size // tile)
    of_axis = min(tile, size) + 2
    assert layer.bilinear_macs(shape) <= 15 * (tiles * of_axis) ** 2
    assert layer.direct_macs(shape) > layer.bilinear_macs(shape) == 15 * size**2


def test_masked_scores_need_no_product() -> None:
    for length, keys in ((1, 1), (4, 7), (7, 4), (5, 5)):
        shapes = (2, length, 3), (2, keys, 3), (2, keys, 6)
        seen = int(torch.ones(length, keys).tril().sum())
        causal = ScaledDotProductAttention(is_causal=True)
        assert causal.direct_macs(*shapes) == 2 * seen * (3 + 6)
        assert ScaledDotProductAttention().direct_macs(*shapes) == causal.macs(*shapes) == 2 * length * keys * 9


# -- whole nets


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "size"), [("vgg11", 64), ("alexnet", 96), ("lenet5", None), ("squeezenet1_1", 64), ("mobilenet_v2", 64)]
)
def test_nets_move_what_their_modules_are_given_and_give(name: str, size: int | None) -> None:
    """Where no layer skips any of its input: every tensor of every module once, batch norm's counters left out."""
    from cnncalc.torch import build

    graph = load(name, input=None if size is None else (3, size, size))

    net, seen = build(graph).eval(), [0, 0, 0]
    plain = {id(step.module): graph.nodes[step.number] for step in net.steps}

    def note(module, inputs, out) -> None:
        if id(module) in plain and out.untyped_storage().data_ptr() != inputs[0].untyped_storage().data_ptr():
            tensors = [*module.parameters(), *(one for one in module.buffers() if one.dim())]
            distinct = {id(one): one.numel() for one in inputs}
            for place, count in enumerate((sum(distinct.values()), sum(t.numel() for t in tensors), out.numel())):
                seen[place] += count

    for module in net.modules():
        module.register_forward_hook(note)
    with torch.no_grad():
        net(*(torch.randn(3, *shape) for shape in graph.inputs.values()))
    parts = traffic(graph, 3)
    # alexnet's first pool and the strided first convolutions leave a border unread
    unread = sum(
        3 * (prod(node.input_shapes[0]) - node.layer.elements_read(*node.input_shapes)[0])
        for node in graph.nodes
        if node.layer is not None and not node.layer.is_view
    )
    assert [sum(p.inputs for p in parts) + unread, sum(p.weights for p in parts), sum(p.outputs for p in parts)] == seen


def test_a_tensor_given_twice_is_read_once_and_shared_weights_are_one() -> None:
    graph = load_text("""
input: [4, 6, 6]
layers:
  - conv: {out: 4, kernel: 1, bias: false, share: both, name: a}
  - add: {from: [a, a]}
  - conv: {out: 4, kernel: 1, bias: false, share: both}
""")
    _, first, add, second = traffic(graph, 2)
    assert (add.inputs, add.outputs) == (288, 288)
    assert (first.weights, second.weights) == (16, 16)
    whole = whole_net(graph, traffic(graph, 2), 2)
    assert (whole.inputs, whole.weights, whole.outputs) == (288, 16, 288)


def test_a_strided_pointwise_convolution_reads_a_quarter() -> None:
    (_, conv) = traffic(load_text("input: [8, 14, 14]\nlayers: [{conv: {out: 4, kernel: 1, stride: 2}}]\n"))
    assert Fraction(conv.inputs, 8 * 14 * 14) == Fraction(1, 4)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ("1, 4000000000", "tanh"),
        ("1, 1000000000", "conv: {out: 1, kernel: 1000000000}"),
        ("1, 1000000000", "conv: {out: 1, kernel: 500000000, dilation: 2, stride: 7, padding: 300000000}"),
        ("1, 1000000000", "conv: {out: 1, kernel: 3, stride: 9, padding: 7, padding_mode: reflect}"),
        ("1, 1000000000", "conv_transpose: {out: 1, kernel: 1000000000, stride: 3}"),
        ("1, 4000000000", "upsample: {size: 60000, mode: linear}"),
        ("1000000000, 3, 3", "tanh"),
    ],
)
def test_huge_axes_take_no_loop(shape: str, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays small: no place is written down."""
    tracemalloc.start()
    graph = load_text(
        f"input: [{shape}]\nlayers: [{{{layer}}}]\n" if ":" in layer else f"input: [{shape}]\nlayers: [{layer}]\n"
    )
    (_, part) = traffic(graph)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert 0 < part.inputs <= prod(graph.nodes[0].output_shape)
    assert part.bilinear_macs <= part.direct_macs


@pytest.mark.parametrize(
    ("layers", "inputs", "outputs"),
    [
        ("[flatten, relu]", 0, 64),
        ("[relu, flatten]", 64, 0),
        ("[{max_pool: {kernel: 1, stride: 2, name: a}}, {relu: {from: input, name: b}}]", 64, 64 + 16),
        ("[{relu: {name: b}}, {max_pool: {kernel: 1, stride: 2, from: input, name: a}}]", 64, 64 + 16),
        ("[{relu: {name: a}}, {identity: {from: input, name: b}}]", 0, 64),
    ],
)
def test_what_a_net_cannot_do_without(layers: str, inputs: int, outputs: int) -> None:
    """A view of an input, or as an output, moves nothing; the reader that reads most tells what is read."""
    results = "outputs: {one: a, other: b, again: a}\n" if "name: b" in layers else ""
    graph = load_text(f"input: [4, 4, 4]\n{results}layers: {layers}\n")
    whole = whole_net(graph, traffic(graph, 3), 3)
    assert (whole.inputs, whole.outputs) == (3 * inputs, 3 * outputs)
