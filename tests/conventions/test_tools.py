"""What we say that other tools answer, against those tools: the real libraries on the module that cnncalc builds."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from random import Random

import pytest
import torch

import cnncalc
from cnncalc.analysis.conventions import CONVENTIONS, answer
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import ShortForm
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_net, render
from cnncalc.torch.module import Net, example_inputs
from tests.conventions.tools import TOOLS, ask, built, can_take

pytestmark = pytest.mark.filterwarnings("ignore")

COUNTERS = json.loads((Path(__file__).parent.parent / "data/counters.json").read_text(encoding="utf-8"))["models"]
MORE = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "lenet5",
    "mnasnet1_0",
    "mobilenet_v1",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def wrong(graph, batch=1, net=None):
    """The tools whose answer is not what we say: with their answer and ours."""
    net = net or built(graph)
    inputs = example_inputs(graph, batch)
    found = {}
    for tool in TOOLS:
        if not can_take(tool, inputs):
            continue
        theirs, ours = ask(tool, net, inputs), answer(graph, CONVENTIONS[tool], batch)
        if (theirs.count, theirs.partial) != (ours.count, ours.partial):
            found[tool] = (theirs, ours.count, ours.partial, ours.problem)
    return found


def test_every_convention_has_its_tool():
    assert set(TOOLS) == set(CONVENTIONS)


def test_the_versions_are_those_that_are_reproduced():
    for convention in CONVENTIONS.values():
        package = convention.tool.split()[0].split(".")[0]
        if package != "torch":
            assert version(package).replace("-", ".post") == convention.version


@pytest.mark.parametrize("name", [*COUNTERS, *MORE])
def test_the_answers_for_the_zoo(name):
    assert wrong(cnncalc.load(name)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(zoo_names()) - set(COUNTERS) - set(MORE)))
def test_the_answers_for_the_rest_of_the_zoo(name):
    assert wrong(cnncalc.load(name)) == {}


@pytest.mark.parametrize(
    ("name", "shape", "batch", "args"),
    [
        ("lenet5", (1, 32, 32), 3, {}),
        ("resnet18", (3, 97, 130), 2, {}),
        ("mobilenet_v3_small", (3, 65, 33), 5, {}),
        ("shufflenet_v2_x0_5", (3, 224, 224), 2, {}),
        ("unet", (1, 188, 204), 2, {"width": 8}),
    ],
)
def test_other_batches_and_sizes(name, shape, batch, args):
    assert wrong(cnncalc.load(name, input=shape, **args), batch) == {}


@pytest.mark.parametrize("batch", [1, 2])
def test_linear_layers_over_positions(batch):
    """ConvNeXt with linear layers, where torchinfo misses nearly all."""
    graph = cnncalc.load("convnext_tiny", linear=True, depths=[1, 1, 2, 1], input=(3, 96, 64))
    assert wrong(graph, batch) == {}
    assert answer(graph, CONVENTIONS["torchinfo"]).count < answer(graph, CONVENTIONS["fvcore"]).count // 3


# Every kind of layer, at every rank, alone; and in random nets.

SETTINGS = {
    "adaptive_avg_pool": {"output_size": 4},
    "adaptive_max_pool": {"output_size": 4},
    "avg_pool": {"kernel": 3, "padding": 1, "count_include_pad": False},
    "conv": {"out": 6, "kernel": 3, "groups": 2},
    "conv_transpose": {"out": 6, "kernel": 3, "stride": 2, "groups": 2},
    "lp_pool": {"kernel": 2, "norm_type": 2.0},
    "mean": {"axes": [0]},
    "multi_head_attention": {"num_heads": 2},
    "threshold": {"threshold": 0.5, "value": 0.0},
    "layer_norm": {"axes": [0], "bias": False},
    "linear": {"out": 3},
    "pixel_unshuffle": {"downscale_factor": 3},
}
MORE_SETTINGS = [
    ("adaptive_avg_pool", {"output_size": [None] * 3}),
    ("avg_pool", {"kernel": 3, "padding": [[1, 0]] * 3, "count_include_pad": False}),
    ("batch_norm", {"affine": False}),
    ("batch_norm", {"track_running_stats": False}),
    ("conv", {"out": 4, "kernel": 3, "padding": "same", "padding_mode": "circular", "bias": False}),
    ("conv_transpose", {"out": 4, "kernel": 3, "padding": [[0, 1]] * 3}),
    ("group_norm", {"groups": 2, "affine": False}),
    ("instance_norm", {"affine": True}),
    ("layer_norm", {"axes": [-1], "elementwise_affine": False}),
    *(("math", fields) for fields in ({"function": "exp"}, {"function": "multiply", "value": 2.0})),
    ("max_pool", {"kernel": [3] * 3, "padding": "same"}),
    *(("upsample", {"scale_factor": 1.5, "mode": mode}) for mode in ("linear", "bicubic", "area", "nearest-exact")),
    ("upsample", {"scale_factor": [2.0, 1.5, 1.0]}),
    ("upsample", {"size": [4, 5, 6]}),
]


def every_layer(rank):
    """A net of so many spatial axes with each layer in a branch and an output of its own, where it can be."""
    shape = (4, 6, 6, 6)[: rank + 1]
    wanted = [(kind, settings(layer)) for kind, layer in REGISTRY.items()] + MORE_SETTINGS
    layers = []
    for kind, fields in wanted:
        cut = {
            name: value[:rank] if isinstance(value, list) and len(value) == 3 else value
            for name, value in fields.items()
        }
        count = REGISTRY[kind].arity[0] or 1
        item = (
            f"  - {kind}: {json.dumps({'from': ['x'] * count if count > 1 else 'x', 'name': f't{len(layers)}', **cut})}"
        )
        try:
            load_text(f"input: {{x: {list(shape)}}}\nlayers:\n{item.replace(f't{len(layers)}', 't')}\n")
        except CnncalcError:
            continue
        layers.append(item)
    outputs = [f"t{number}" for number in range(len(layers))]
    return load_text(
        f"input: {{x: {list(shape)}}}\nlayers:\n" + "\n".join(layers) + f"\noutputs: {json.dumps(outputs)}\n"
    )


def settings(layer):
    """Fields for a layer: those above, else 2 for each that must be given."""
    required = layer.__struct_fields__[: len(layer.__struct_fields__) - len(layer.__struct_defaults__)]
    return SETTINGS.get(layer.kind, {name: [0] if name == "axes" else 2 for name in required})


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_layer_at_every_rank(rank, batch):
    graph = every_layer(rank)
    assert len(graph.nodes) > 50
    assert wrong(graph, batch) == {}


def test_no_entry_of_a_table_goes_untested():
    seen = set()
    for graph in map(every_layer, (1, 2, 3)):
        for node in graph.nodes[1:]:
            seen.add(node.layer.torch_module(*node.input_shapes))
            for call in node.layer.torch_calls(*node.input_shapes):
                seen |= {call.patched, f"aten::{call.name}"}
    seen |= {re.sub("[123]d$", "Nd", name) for name in seen}
    for convention in CONVENTIONS.values():
        assert set(convention.modules or ()) | set(convention.functions or ()) <= seen, convention.name


def checked(seeds):
    """The random nets of these seeds: what is wrong, and the kinds of layers that were compared."""
    found, kinds = {}, set()
    for seed in seeds:
        graph = load_text(render(random_net(Random(seed))), f"seed {seed}")
        batch = 1 + seed % 3
        net = Net(graph).eval()  # with real weights: PyTorch may refuse the net
        try:
            with torch.no_grad():
                net(*example_inputs(graph, batch))
        except (RuntimeError, ValueError):  # PyTorch refuses a few where a norm has but one value
            continue
        if faults := wrong(graph, batch, net):
            found[seed] = faults
        kinds |= {node.kind for node in graph.nodes}
    return found, kinds


def test_random_nets():
    found, _ = checked(range(80))
    assert found == {}


@pytest.mark.slow
def test_many_random_nets():
    found, kinds = checked(range(1000, 2000))
    assert found == {}
    # short forms are in no graph
    drawn = {kind for kind, layer in REGISTRY.items() if layer.drawn and not issubclass(layer, ShortForm)}
    assert drawn <= kinds
