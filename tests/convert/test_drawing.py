"""Drawings in DOT and Mermaid, read back by a small parser of each language: they are the graph and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from graphlib import TopologicalSorter
from html import unescape
from random import Random
from typing import NamedTuple

import pytest

import cnncalc
from cnncalc.convert import dot, mermaid
from cnncalc.layers.axes import describe
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_net
from cnncalc.spec.random import render as spec_text

ONE_OF_EACH = list({path: name for name, (path, _) in reversed(zoo_names().items())}.values())


class Picture(NamedTuple):
    """What a drawing says: each node's path (frames and first line) and other lines, and the edges by path."""

    nodes: dict[str, list[str]]
    edges: list[tuple[str, str, str]]


STRING = r'"((?:[^"\\]|\\.)*)"'


def read_dot(text: str) -> Picture:
    """The part of DOT that is written: clusters with labels, nodes, edges; strings as "DOT language" has them."""
    lines = text.split("\n")
    assert re.fullmatch(rf"digraph {STRING} {{", lines[0])
    assert lines[-2:] == ["}", ""]
    frames: list[str] = []
    names, nodes, edges = {}, {}, []
    for line in map(str.strip, lines[1:-2]):
        if re.fullmatch(r"subgraph cluster_\d+ {", line):
            frames.append("")
        elif line == "}":
            frames.pop()
        elif found := re.fullmatch(rf"label={STRING};", line):
            (frames[-1],) = dot_lines(found[1])
        elif found := re.fullmatch(rf"(n\d+) -> (n\d+) \[label={STRING}\];", line):
            edges.append((names[found[1]], names[found[2]], found[3]))
        elif found := re.fullmatch(rf"(n\d+) \[label={STRING}(?:, \w+=\w+)*\];", line):
            first, *others = dot_lines(found[2])
            names[found[1]] = ".".join([*frames, first])
            nodes[names[found[1]]] = others
        else:
            assert re.fullmatch(r"(node|edge) \[.*\];", line), line
    assert not frames
    return Picture(nodes, edges)


def dot_lines(text: str) -> list[str]:
    characters = re.findall(r"\\.|[^\\]", text)
    return "".join("\n" if c == r"\n" else c[-1] for c in characters).split("\n")


def read_mermaid(text: str) -> Picture:
    """The part of Mermaid that is written: subgraphs, nodes, edges; strings with entity codes."""
    lines = text.split("\n")
    assert lines[0] == "flowchart TB"
    frames: list[str] = []
    names, nodes, edges = {}, {}, []
    for line in map(str.strip, lines[1:-1]):
        if found := re.fullmatch(r'subgraph s\d+\["([^"]*)"\]', line):
            frames += mermaid_lines(found[1])
        elif line == "end":
            frames.pop()
        elif found := re.fullmatch(r'(n\d+) -->\|"([^"]*)"\| (n\d+)', line):
            edges.append((names[found[1]], names[found[3]], found[2]))
        else:
            found = re.fullmatch(r'(n\d+)(?:\["|\(\["|\[\["|\(")([^"]*)(?:"\]|"\]\)|"\]\]|"\))', line)
            assert found, line
            first, *others = mermaid_lines(found[2])
            names[found[1]] = ".".join([*frames, first])
            nodes[names[found[1]]] = others
    assert not frames
    return Picture(nodes, edges)


def mermaid_lines(text: str) -> list[str]:
    return [unescape(re.sub(r"#(\d+);", r"&#\1;", line)) for line in text.split("<br/>")]


READERS = {"dot": (dot.render, read_dot), "mermaid": (mermaid.render, read_mermaid)}


@pytest.fixture(params=READERS)
def picture(request):
    """Draws a graph and reads it back."""
    render, read = READERS[request.param]
    return lambda graph, depth=None: read(render(graph, depth))


def edges_of(graph: cnncalc.Graph) -> Counter[tuple[str, str, str]]:
    return Counter(
        (graph.nodes[ref.node].path, node.path, describe(graph.shape(ref)))
        for node in graph.nodes
        for ref in node.inputs
    )


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_drawing_is_the_graph(picture, name):
    graph = cnncalc.load(name)
    drawn = picture(graph)
    assert set(drawn.nodes) == {node.path for node in graph.nodes}
    assert Counter(drawn.edges) == edges_of(graph)
    assert all(lines[0].split()[0] == node.kind for node in graph.nodes[1:] for lines in [drawn.nodes[node.path]])


def test_results_inputs_and_blocks_are_told_by_their_shape():
    graph = load_text("""
input: [3, 8, 8]
blocks: {unit: {layers: [batch_norm, relu]}}
layers: [{conv: {name: a, out: 4, kernel: 1}}, {unit: {name: b}}, {conv: {name: c, out: 2, kernel: 1}}]
outputs: [a, c]
""")
    lines = [line.strip() for line in dot.render(graph, 1).split("\n")]
    marks = dict(re.findall(r'label="(\w+)\\n[^"]*"(.*)\];', "\n".join(lines)))
    assert marks == {
        "input": ", shape=ellipse",
        "a": ", peripheries=2",
        "b": ", fillcolor=lightgrey",
        "c": ", peripheries=2",
    }
    shapes = re.findall(r'n\d+(\W+)"(\w+)<br/>', mermaid.render(graph, 1))
    assert shapes == [("([", "input"), ("(", "a"), ("[[", "b"), ("(", "c")]


@pytest.mark.parametrize("seed", range(40))
def test_a_drawing_of_a_random_net_is_the_graph(picture, seed):
    graph = load_text(spec_text(random_net(Random(seed))), "random")
    drawn = picture(graph)
    assert set(drawn.nodes) == {node.path for node in graph.nodes}
    assert Counter(drawn.edges) == edges_of(graph)


def folded(path: str, depth: int) -> str:
    return ".".join(path.split(".")[:depth])


def folded_edges(graph: cnncalc.Graph, depth: int) -> Counter[tuple[str, str, str]]:
    """What a layer reads, and once each tensor that a folded block reads from outside."""
    whole, blocks = [], set()
    for node in graph.nodes:
        target = folded(node.path, depth)
        for ref in node.inputs:
            edge = (folded(graph.nodes[ref.node].path, depth), target, describe(graph.shape(ref)))
            if target == node.path:
                whole.append(edge)
            elif edge[0] != target:
                blocks.add((ref, edge))
    return Counter([*whole, *(edge for _, edge in blocks)])


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_folded_drawing_is_the_folded_graph(picture, name, depth):
    """One box for each path of that many parts, an arrow for each tensor between two; no circles."""
    graph = cnncalc.load(name)
    drawn = picture(graph, depth)
    assert set(drawn.nodes) == {folded(node.path, depth) for node in graph.nodes}
    assert Counter(drawn.edges) == folded_edges(graph, depth)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target, _ in drawn.edges:
        sorter.add(target, source)
    assert list(sorter.static_order())


TWO_TENSORS = """
input: [4, 8, 8]
blocks:
  parts: {layers: [{split: {chunks: 2, name: s}}]}
  whole: {layers: [{concat: {from: -1}}, relu]}
layers: [parts, whole, {add: {from: [-1, -1]}}]
"""


def test_two_tensors_between_two_blocks_are_two_arrows(picture):
    """And what a layer reads twice are two, though they are one tensor."""
    drawn = picture(load_text(TWO_TENSORS), 1)
    assert Counter(drawn.edges) == {
        ("input", "parts1", "4×8×8"): 1,
        ("parts1", "whole1", "2×8×8"): 2,
        ("whole1", "add1", "4×8×8"): 2,
    }
    assert drawn.nodes == {"input": ["4×8×8"], "parts1": ["1 layer"], "whole1": ["2 layers"], "add1": ["add"]}


def test_inputs_results_and_folded_blocks_have_shapes_of_their_own():
    """As "Node shapes" of Mermaid's and Graphviz's documentation call them; everything else is a plain box."""
    graph = load_text(TWO_TENSORS)
    flowchart = mermaid.render(graph, 1)
    assert '  n0(["input<br/>4×8×8"])\n' in flowchart  # a stadium
    assert '  n1[["parts1<br/>1 layer"]]\n' in flowchart  # a subroutine
    assert '  n3("add1<br/>add")\n' in flowchart  # round edges
    assert '    n2["concat1<br/>concat"]\n' in mermaid.render(graph)
    picture = dot.render(graph, 1)
    assert '  n0 [label="input\\n4×8×8", shape=ellipse];\n' in picture
    assert '  n1 [label="parts1\\n1 layer", fillcolor=lightgrey];\n' in picture
    assert '  n3 [label="add1\\nadd", peripheries=2];\n' in picture
    assert '    n2 [label="concat1\\nconcat"];\n' in dot.render(graph)


def test_every_result_is_marked():
    """Whichever layer it comes from, and an input too."""
    graph = load_text("{input: [3], layers: [relu, tanh, sigmoid], outputs: [input, relu1]}")
    lines = dot.render(graph).split("\n")
    marked = [line.split('"')[1] for line in lines if "peripheries=2" in line]
    assert marked == [r"input\n3", r"relu1\nrelu"]


def test_an_input_is_no_part_of_a_block_of_its_name():
    graph = load_text("{input: [3], layers: [{relu: {name: input.a}}, {tanh: {name: input.b}}]}")
    text = mermaid.render(graph, 1)
    assert text == 'flowchart TB\n  n0(["input<br/>3"])\n  n1[["input<br/>2 layers"]]\n  n0 -->|"3"| n1\n'


def test_settings_are_on_the_boxes(picture):
    graph = load_text("input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: [1, 3], bias: false}}, relu]\n")
    assert picture(graph).nodes == {
        "input": ["3×8×8"],
        "conv1": ["conv out=4 kernel=[1,3] bias=false"],
        "relu1": ["relu"],
    }


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\\", "<b>", "a;b", "a#b", "`a`", "a|b", "[a]", "a&amp;b", "end", "a%%b"]
)
def test_an_odd_name_means_itself(picture, name):
    """Whatever a name holds, it is shown and never obeyed."""
    written = name.replace("\\", "\\\\").replace('"', '\\"')
    text = f'input: [3, 8, 8]\nlayers: [{{relu: {{name: "{written}"}}}}, relu]\n'
    graph = load_text(text)
    assert list(picture(graph).nodes) == ["input", name, "relu1"]
