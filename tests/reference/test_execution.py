"""Whole nets in NumPy: shapes, values beside PyTorch's, weights given or drawn."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.layers.activation import Relu
from cnncalc.reference import execute, run
from cnncalc.reference.execution import node_weights
from cnncalc.sources import load, load_text
from cnncalc.spec.random import random_spec
from cnncalc.torch import build_layer
from tests.reference.compare import assert_same
from tests.reference.nets import GATED, RESIDUAL

ACTIVATIONS = sorted(kind for kind, layer in REGISTRY.items() if layer.__module__ == Relu.__module__)


def inputs_of(graph, batch=2):
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=(batch, *shape)) for name, shape in graph.inputs.items()}


def weights_of(graph):
    """Weights of either sign, variances positive, by ``path.name``."""
    generator = np.random.default_rng(1)
    found = {}
    for node in graph.nodes:
        if node.layer is not None and node.shared is None:
            for w in node.layer.weights(*node.input_shapes):
                drawn = generator.normal(size=w.shape)
                found[f"{node.path}.{w.name}"] = np.abs(drawn) + 0.5 if w.name.endswith("var") else np.asarray(drawn)
    return found


def by_pytorch(graph, inputs, weights):
    """Each node's outputs, its module fed by hand."""
    held = []
    for node in graph.nodes:
        if node.layer is None:
            held.append((torch.from_numpy(inputs[node.path]),))
            continue
        module = build_layer(node.layer, *node.input_shapes).eval().double()
        owner = node.path if node.shared is None else graph.nodes[node.shared].path
        module.load_state_dict({name: torch.from_numpy(weights[f"{owner}.{name}"]) for name in module.state_dict()})
        with torch.no_grad():
            out = module(*(held[ref.node][ref.port] for ref in node.inputs))
        held.append(out if isinstance(out, tuple) else (out,))
    return held


def check(text):
    """The values of every node, up to the first that is no number: there is no mathematics of those."""
    graph = load_text(text)
    inputs, weights = inputs_of(graph), weights_of(graph)
    for node, ours, theirs in zip(
        graph.nodes, run(graph, inputs, weights), by_pytorch(graph, inputs, weights), strict=True
    ):
        if any(other.isnan().any() for other in theirs):
            break
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other, where=f"{node.path} of\n{text}")


@pytest.mark.parametrize("text", [RESIDUAL, GATED])
def test_values_of_every_node(text):
    check(text)


@pytest.mark.parametrize("seed", range(40))
def test_values_of_every_node_of_a_random_net(seed):
    check(random_spec(Random(seed)))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_values_of_every_node_of_five_hundred_random_nets(part):
    for seed in range(40 + 50 * part, 40 + 50 * (part + 1)):
        check(random_spec(Random(seed)))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_what_is_no_number_stays_none(kind):
    """As in PyTorch: an activation hides no fault of the layers before it."""
    fields = {"threshold": {"threshold": 0.5, "value": 2.0}}.get(kind, {})
    graph = load_text(f"input: [2, 4]\nlayers: [{{{kind}: {fields}}}]")
    inputs = {"input": np.array([[[np.nan, 1.0, -0.1, 0.5], [2.0, 0.2, -3.0, 0.7]]])}
    weights = weights_of(graph)
    ours, theirs = run(graph, inputs, weights), by_pytorch(graph, inputs, weights)
    assert_same(ours[-1][0], theirs[-1][0])


@pytest.mark.parametrize(
    ("name", "input"), [("resnet18", (3, 64, 64)), ("mobilenet_v2", (3, 64, 64)), ("lenet5", None)]
)
def test_shapes_of_the_zoo(name, input):
    """With drawn weights, in single precision, and nothing overflows."""
    graph = load(name, input=input)
    inputs = {key: np.ones((1, *shape), np.float32) for key, shape in graph.inputs.items()}
    for step in execute(graph, inputs):
        assert tuple(x.shape[1:] for x in step.outputs) == step.node.output_shapes, step.node.path
        assert {x.dtype for x in step.outputs} == {np.dtype("float32")}, step.node.path
        assert all(np.isfinite(x).all() for x in step.outputs), step.node.path


def test_drawn_weights_are_positive_shared_and_always_the_same():
    graph = load_text(GATED.replace("name: first}", "name: first}\n  - conv: {out: 4, kernel: 1, share: first}", 1))
    sharing = [number for number, node in enumerate(graph.nodes) if node.shared is not None]
    assert sharing
    for number in sharing:
        mine = node_weights(graph, number, None)
        theirs = node_weights(graph, graph.nodes[number].shared, None)
        assert all(np.array_equal(mine[name], theirs[name]) and (mine[name] > 0).all() for name in mine)
    first, second = (run(graph, inputs_of(graph))[-1][0] for _ in range(2))
    assert np.array_equal(first, second)


def test_errors():
    graph = load_text("name: n\ninput: [3, 4]\nlayers:\n- conv: {out: 2, kernel: 1, bias: false}\n")
    x = np.zeros((1, 3, 4))
    with pytest.raises(CnncalcError, match="the net needs an input 'input'; its inputs: input"):
        run(graph, {})
    with pytest.raises(CnncalcError, match=r"there is no weight 'conv1\.weight' of shape \(2, 3, 1\)"):
        run(graph, {"input": x}, {})
    with pytest.raises(CnncalcError, match=r"weight 'conv1\.weight' has the shape \(2, 3\), it must be \(2, 3, 1\)"):
        run(graph, {"input": x}, {"conv1.weight": np.zeros((2, 3))})
