"""Fans, gains and deviations against torch.nn.init; the split by weight decay; the losses at the start and at best."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnncalc
from cnncalc import torch as cnn
from cnncalc.analysis.initialisation import gain_of, initialisation, last_scales, loss_at_start, smoothed_loss_floor
from cnncalc.layers import REGISTRY
from cnncalc.sources import load_text
from cnncalc.torch.registry import build_layer

NETS = ["resnet50", "mobilenet_v3_large", "convnext_tiny", "shufflenet_v2_x1_0", "unet", "lenet5", "efficientnet_b0"]

# -- gains


@pytest.mark.parametrize(
    ("layer", "fields", "name", "parameter"),
    [
        ("relu", {}, "relu", None),
        ("leaky_relu", {"negative_slope": 0.2}, "leaky_relu", 0.2),
        ("leaky_relu", {}, "leaky_relu", 0.01),
        ("prelu", {"init": 0.25}, "leaky_relu", 0.25),
        ("tanh", {}, "tanh", None),
        ("sigmoid", {}, "sigmoid", None),
        ("selu", {}, "selu", None),
    ],
)
def test_gains_are_those_of_torch(layer: str, fields: dict, name: str, parameter: float | None) -> None:
    assert gain_of(REGISTRY[layer](**fields)) == pytest.approx(nn.init.calculate_gain(name, parameter), rel=1e-15)


@pytest.mark.parametrize(
    ("layer", "fields"),
    [
        ("relu", {}),
        ("leaky_relu", {"negative_slope": 0.3}),
        ("gelu", {}),
        ("gelu", {"approximate": "tanh"}),
        ("silu", {}),
        ("mish", {}),
        ("hardswish", {}),
        ("elu", {}),
        ("elu", {"alpha": 0.3}),
        ("celu", {"alpha": 2.0}),
        ("celu", {"alpha": 1e-3}),
        ("celu", {"alpha": 0.03}),
        ("celu", {"alpha": 1500.0}),
        ("celu", {"alpha": 1e30}),
        ("celu", {"alpha": -0.9}),
    ],
)
def test_gains_keep_the_second_moment_of_a_normal_input(layer: str, fields: dict) -> None:
    """He et al.'s condition, integrated numerically over the function that PyTorch computes."""
    z = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    out = build_layer(REGISTRY[layer](**fields), (1,))(z)
    moment = float(torch.trapezoid(out**2 * density, z))
    assert (gain_of(REGISTRY[layer](**fields)) or 0) ** 2 * moment == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("layer", ["batch_norm", "max_pool", "add", "dropout", "flatten"])
def test_what_is_no_activation_has_no_gain(layer: str) -> None:
    fields = {"kernel": 2} if layer == "max_pool" else {}
    assert gain_of(REGISTRY[layer](**fields)) is None


# -- fans and deviations


@pytest.mark.parametrize("name", NETS)
def test_fans_are_those_of_torch(name: str) -> None:
    graph = cnncalc.load(name)
    net = cnn.build(graph)
    seen = 0
    for node, one in zip(graph.nodes, initialisation(graph), strict=True):
        if one.fan_in is None:
            continue
        weight = net.get_submodule(node.path).weight
        assert (one.fan_in, one.fan_out) == nn.init._calculate_fan_in_and_fan_out(weight), node.path
        seen += 1
    assert seen == sum(isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) for m in net.modules())


SPEC = """
input: [8, 20, 20]
layers:
  - conv: {out: 64, kernel: 3, groups: 2}
  - batch_norm
  - relu
  - conv: {out: 48, kernel: [3, 1]}
  - max_pool: 2
  - leaky_relu: 0.3
  - conv_transpose: {out: 32, kernel: 3, stride: 2}
  - tanh
  - flatten
  - linear: 20
"""


def test_draws_of_torch_have_the_stated_deviation(tmp_path) -> None:
    graph = load_text(SPEC)
    net = cnn.build(graph)
    rules = {
        "conv1": ("relu", 0),
        "conv2": ("leaky_relu", 0.3),
        "conv_transpose1": ("tanh", 0),
        "linear1": ("linear", 0),
    }
    torch.manual_seed(0)
    stated = {node.path: one for node, one in zip(graph.nodes, initialisation(graph), strict=True) if one.fan_in}
    assert set(stated) == set(rules)
    for path, (rule, parameter) in rules.items():
        weight = net.get_submodule(path).weight.data.double()
        one = stated[path]

        def deviation(draw, weight: torch.Tensor = weight) -> tuple[float, float]:
            """Of many draws, and how far it can be off by chance (5 standard errors)."""
            times = max(1, 400_000 // weight.numel())
            drawn = torch.stack([draw(torch.empty_like(weight)) for _ in range(times)])
            return float(drawn.square().mean().sqrt()), 5 / math.sqrt(2 * drawn.numel())

        gain = nn.init.calculate_gain(rule, parameter)
        for claim, draw in (
            (one.he_std, lambda w, r=rule, p=parameter: nn.init.kaiming_normal_(w, a=p, nonlinearity=r)),
            (one.he_fan_out_std, lambda w, r=rule, p=parameter: nn.init.kaiming_uniform_(w, p, "fan_out", r)),
            (one.xavier_std, lambda w, g=gain: nn.init.xavier_normal_(w, g)),
            (one.xavier_std, lambda w, g=gain: nn.init.xavier_uniform_(w, g)),
        ):
            measured, error = deviation(draw)
            assert measured == pytest.approx(claim, rel=error), path


def test_activations_are_found_through_norms_pools_and_sums_but_not_through_products() -> None:
    graph = cnncalc.load("resnet18")
    found = {node.path: one.activation for node, one in zip(graph.nodes, initialisation(graph), strict=True)}
    assert found["conv_bn1.conv1"] == "relu1"
    assert found["stage1.basic1.conv_bn2.conv1"] == "stage1.basic1.relu2"
    assert found["stage2.basic1.shortcut1.conv_bn1.conv1"] == "stage2.basic1.relu2"
    assert found["linear1"] is None


def test_of_two_activations_the_first_to_read_gives_the_gain() -> None:
    text = "input: [4, 8, 8]\nlayers:\n  - conv: {{out: 4, kernel: 1, name: both}}\n{}  - add: {{from: [a, b]}}\n"
    one, other = "  - tanh: {name: a, from: both}\n", "  - relu: {name: b, from: both}\n"
    for branches, kind in ((one + other, "tanh"), (other + one, "relu")):
        found = initialisation(load_text(text.format(branches)))[1]
        assert found.gain == pytest.approx(nn.init.calculate_gain(kind))
        assert found.activation == {"tanh": "a", "relu": "b"}[kind]


def test_shared_weights_are_initialised_once_and_branches_of_equal_depth_have_no_skip() -> None:
    graph = load_text("""
input: [4, 8, 8]
layers:
  - conv: {out: 4, kernel: 1, share: one, name: first}
  - batch_norm: {name: a}
  - conv: {out: 4, kernel: 1, share: one, name: second, from: input}
  - batch_norm: {name: b}
  - add: {from: [a, b]}
""")
    found = {node.path: one for node, one in zip(graph.nodes, initialisation(graph), strict=True)}
    assert sum(one.decayed for one in found.values()) == decay_split(cnn.build(graph))[0]
    assert found["second"].fan_in is None
    assert last_scales(graph) == {}


# -- weight decay


def decay_split(net: nn.Module) -> tuple[int, int]:
    """Weights of products, and all the rest, by the kind of module that holds them."""
    products = (nn.modules.conv._ConvNd, nn.Linear)
    decayed = sum(m.weight.numel() for m in net.modules() if isinstance(m, products))
    return decayed, sum(p.numel() for p in net.parameters()) - decayed


@pytest.mark.parametrize("name", NETS)
def test_the_split_by_weight_decay_is_by_kind_of_module(name: str) -> None:
    parts = initialisation(cnncalc.load(name))
    assert (sum(one.decayed for one in parts), sum(one.not_decayed for one in parts)) == decay_split(cnn.build(name))


def test_a_norm_over_several_axes_does_not_decay() -> None:
    graph = load_text("input: [4, 5, 6]\nlayers: [layer_norm, {prelu: 4}, {layer_scale: 0.1}]\n")
    assert [(one.decayed, one.not_decayed) for one in initialisation(graph)] == [(0, 0), (0, 240), (0, 4), (0, 4)]


# -- the last scale of a residual


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "convnext_tiny", "efficientnet_b0"])
def test_with_the_last_scales_at_zero_every_residual_hands_its_skip_on(name: str) -> None:
    graph = cnncalc.load(name, input=(3, 64, 64))
    net = cnn.build(graph).eval()
    chosen = last_scales(graph)
    for number in chosen:
        module = net.get_submodule(graph.nodes[number].path)
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
    sums = [node for node in graph.nodes if node.kind == "add"]
    regular = {"stochastic_depth", "dropout"}  # nothing in evaluation
    assert len(chosen) == len(sums) > 0
    values: dict[str, torch.Tensor] = {}
    for path, module in net.named_modules():
        module.register_forward_hook(lambda m, i, out, path=path: values.__setitem__(path, out))
    with torch.no_grad():
        net(torch.randn(2, 3, 64, 64))
    for node in sums:
        behind = [ref.node for ref in node.inputs]
        while any(graph.nodes[number].kind in regular for number in behind):
            behind = [graph.nodes[n].inputs[0].node if graph.nodes[n].kind in regular else n for n in behind]
        (skip,) = (graph.nodes[number].path for number in behind if number not in chosen)
        assert torch.equal(values[node.path], values[skip]), node.path


# -- losses


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
def test_losses_are_those_of_torch(classes: int, smoothing: float) -> None:
    labels = torch.arange(classes)
    start = F.cross_entropy(torch.zeros(classes, classes, dtype=torch.float64), labels, label_smoothing=smoothing)
    assert loss_at_start(classes) == pytest.approx(float(start), rel=1e-12)
    # The loss is convex in the logits, so where its gradient vanishes it is least.
    target = (1 - smoothing) * F.one_hot(labels, classes).double() + smoothing / classes
    logits = target.clamp(min=1e-300).log().requires_grad_()
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(gradient.abs().max()) < 1e-12
    assert smoothed_loss_floor(classes, smoothing) == pytest.approx(float(loss.detach()), rel=1e-9, abs=1e-12)
