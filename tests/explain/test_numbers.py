"""Every explanation, read as it is printed and evaluated as arithmetic, gives the number in the table."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnncalc
from cnncalc.graph import Graph, Node, Ref
from cnncalc.report.explain import explain
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_spec
from tests.explain.printed import agrees, check_latex, read_text
from tests.reference.draws import LAYERS


def check(graph, **options):
    """Text and LaTeX of a whole net against its report; how many equations there were."""
    report = cnncalc.analyze(graph, **{k: v for k, v in options.items() if k == "batch"})
    found = explain(graph, **options)
    read = read_text(found.to_text())
    nodes = [node for node in graph.nodes if node.layer is not None]
    assert len(read) == len(report.layers)
    inputs = {name: shape for name, shape in graph.inputs.items() if len(shape) > 1}
    for one, row, node in zip(read, report.layers, nodes, strict=True):
        agrees(one, row, node, inputs)
    return sum(one.equations for one in read), check_latex(found.to_latex())


LARGEST = {"densenet161", "densenet169", "densenet201", "resnet152", "resnet101"}
NETS = sorted(zoo_names())


@pytest.mark.parametrize("name", NETS)
def test_the_zoo(name):
    text, latex = check(cnncalc.load(name))
    assert text > 30
    assert text == latex


def test_a_batch_and_another_type():
    graph = cnncalc.load("alexnet")
    check(graph, batch=32, dtype="float16")


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


@pytest.mark.parametrize("seed", range(20))
def test_random_nets(seed):
    graph = load_text(random_spec(Random(seed)))
    if any(node.layer is not None for node in graph.nodes):
        check(graph)
