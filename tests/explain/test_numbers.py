"""Every explanation, read as it is printed and evaluated as arithmetic, gives the number in the table."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnncalc
from cnncalc.analysis.explain.answer import explain
from cnncalc.analysis.sections import add_wanted
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.tensor import Opaque
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_spec
from tests.explain.printed import agrees, check_latex, page, read_text
from tests.reference.draws import LAYERS


def check(graph, **options):
    """Text and LaTeX of a whole net against its report; how many equations there were."""
    report = cnncalc.analyze(graph, **{k: v for k, v in options.items() if k == "batch"})
    found = explain(graph, **options)
    read = read_text(page(found))
    nodes = [node for node in graph.nodes if node.layer is not None]
    assert len(read) == len(report.layers)
    inputs = {name: shape for name, shape in graph.inputs.items() if len(shape) > 1}
    for one, row, node in zip(read, report.layers, nodes, strict=True):
        agrees(one, row, node, inputs)
    return sum(one.equations for one in read), check_latex(found.to_latex())


FAMILIES = {*{file: name for name, (file, _) in reversed(zoo_names().items())}.values(), "resnet18", "resnext50_32x4d"}
"""The first net of each file, and each kind of residual block; the others repeat their layers in other sizes."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAMILIES)) for name in sorted(zoo_names())]
)
def test_the_zoo(name):
    text, latex = check(cnncalc.load(name))
    assert text > 30
    assert text == latex


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8"])
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "convnext_tiny", "efficientnet_b0"])
def test_bytes(name, dtype):
    """Memory as the section of that name has it: ``analyze --show memory``."""
    graph = cnncalc.load(name)
    report = add_wanted(cnncalc.analyze(graph, batch=3), graph, show="memory", columns=(), settings={"dtype": dtype})
    read = read_text(page(explain(graph, batch=3, dtype=dtype)))
    rows = {row.path: row.memory for row in report.layers}
    for one in read:
        said = next(other for other in read if other.path == one.like).values if one.like else one.values
        assert said["bytes_out"] == rows[one.path].output
        assert said["bytes_params"] + said["bytes_buffers"] == rows[one.path].weights


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "convnext_tiny", "efficientnet_b0"])
def test_a_batch(name):
    check(cnncalc.load(name), batch=3, dtype="float16")


def one_layer(layer, shapes):
    """A net of one layer."""
    inputs = [Node(f"input{i}", None, (), (), (shape,)) for i, shape in enumerate(shapes, start=1)]
    refs = tuple(Ref(i) for i in range(len(inputs)))
    node = Node("layer", layer, refs, shapes, layer.output_shapes(*shapes))
    return Graph("net", (*inputs, node), (("out", Ref(len(inputs))),))


@pytest.mark.parametrize("layer_class", LAYERS, ids=lambda cls: cls.kind)
def test_random_layers(layer_class):
    @settings(max_examples=15)
    @given(LAYERS[layer_class], st.integers(1, 3))
    def run(drawn, batch):
        layer, shapes = drawn
        check(one_layer(layer, shapes), batch=batch)

    run()


def test_an_operator_that_nobody_knows():
    layer = Opaque(operator="aten.fft", shapes=((3, 4), (2, 5)), reason="no layer")
    check(one_layer(layer, ((2, 4, 4), (3, 4))))
    (read,) = read_text(page(explain(one_layer(layer, ((2, 4, 4),)))))
    assert "aten.fft" in read.notes["MACs"]
    assert "MACs" not in read.values


@pytest.mark.parametrize("seed", range(20))
def test_random_nets(seed):
    graph = load_text(random_spec(Random(seed)))
    if any(node.layer is not None for node in graph.nodes):
        check(graph)
