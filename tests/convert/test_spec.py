"""Graphs written down as specs load back to equal graphs, and read well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from math import inf
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import cnncalc
from cnncalc.__main__ import run as run_line
from cnncalc.analysis.cost import costs
from cnncalc.convert.scopes import build
from cnncalc.convert.spec import render
from cnncalc.convert.spec.equal import difference
from cnncalc.convert.spec.writing import written
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers import REGISTRY
from cnncalc.layers.activation import Relu
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Add, Concat
from cnncalc.layers.shape import Split
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_spec
from tests.convert.torchvision_names import mobilenet_v3, resnet
from tests.work import at_most

ZOO = zoo_names()


def facts(graph: Graph) -> tuple[object, ...]:
    """All that two equal nets have in common, read off independently of the comparison in the code."""
    nodes = graph.nodes

    def name(ref: Ref) -> str:
        return f"{nodes[ref.node].path}:{ref.port}"

    rows = {}
    for node in nodes:
        inputs = [name(ref) for ref in node.inputs]
        if isinstance(node.layer, Add) or node.kind in ("multiply", "maximum", "minimum"):
            inputs.sort()
        shared = None if node.shared is None else nodes[node.shared].path
        assert node.path not in rows
        rows[node.path] = (repr(node.layer), inputs, sorted(node.input_shapes), node.output_shapes, shared)
    return (
        rows,
        [(label, name(ref)) for label, ref in graph.outputs],
        graph.inputs,
        graph.name,
        graph.citation,
        graph.budget,
    )


def round_trip(graph: Graph) -> str:
    text = render(graph)
    assert facts(load_text(text)) == facts(graph)
    return text


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name):
    """Every shipped net comes back equal, in at most twice the lines of its spec."""
    graph = cnncalc.load(name)
    text = round_trip(graph)
    assert text.count("\n") <= 2 * Path(ZOO[name][0]).read_text(encoding="utf-8").count("\n")
    assert max(map(len, text.splitlines())) <= 120


def test_the_same_text_each_time():
    """Whatever the order of Python's sets."""
    code = "import cnncalc; from cnncalc.convert.spec import render; print(render(cnncalc.load('{}')), end='')"
    for name in ("mobilenet_v3_small", "googlenet"):
        run = [sys.executable, "-c", code.format(name)]
        texts = {
            subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
            for seed in ("1", "2")
        }
        assert texts == {render(cnncalc.load(name)).encode()}


def test_numbers_are_the_same():
    """Parameters and costs of the net that comes back."""
    for name in ("resnet18", "mobilenet_v3_small", "unet"):
        one = cnncalc.load(name)
        other = load_text(render(one))
        assert {n.path: c for n, c in zip(one.nodes, costs(one), strict=True)} == {
            n.path: c for n, c in zip(other.nodes, costs(other), strict=True)
        }


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_random_nets(start):
    for seed in range(start, start + 50):
        round_trip(load_text(random_spec(Random(seed))))


# -- what a reader sees ----------------------------------------------------------------------------


def test_resnet50_with_torchvision_names():
    """He et al. 2015, Table 1: stages of bottlenecks, 3, 4, 6 and 3 of them, of widths 64 to 512."""
    text = round_trip(resnet("resnet50"))
    assert text.count("\n") <= 120
    rows = re.findall(r"- layer: \{width: (\d+), depth: (\d)(?:, stride: (\d))?\}", text)
    assert rows == [("64", "3", ""), ("128", "4", "2"), ("256", "6", "2"), ("512", "3", "2")]
    assert "- repeat: {times: depth - 1, layers: [{bottleneck: {width: width}}]}" in text
    assert "shortcut:" in text


def test_mobilenet_v3_large_with_torchvision_names():
    """Howard et al. 2019, Table 1: a row for each block: kernel, expansion, channels out, activation, stride."""
    text = round_trip(mobilenet_v3("mobilenet_v3_large"))
    assert text.count("\n") <= 150
    blocks = yaml.safe_load(text)["blocks"]
    rows = []
    for item in blocks["features"]["layers"]:
        times, inner = (item["repeat"]["times"], item["repeat"]["layers"][0]) if "repeat" in item else (1, item)
        for name, fields in inner.items() if isinstance(inner, dict) else ():
            row = {"kernel": 3, **blocks[name]["args"], **fields}
            if "width" in row:
                rows += [" ".join(str(row[key]) for key in ("kernel", "width", "out", "act", "stride"))] * times
    table = """
        3 64 24 relu 2; 3 72 24 relu 1; 5 72 40 relu 2; 5 120 40 relu 1; 5 120 40 relu 1; 3 240 80 hardswish 2;
        3 200 80 hardswish 1; 3 184 80 hardswish 1; 3 184 80 hardswish 1; 3 480 112 hardswish 1; 3 672 112 hardswish 1;
        5 672 160 hardswish 2; 5 960 160 hardswish 1; 5 960 160 hardswish 1"""
    assert rows == [row.strip() for row in table.split(";")]  # after the first, which does not expand


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet101", "resnet152", "resnext50_32x4d"])
def test_other_resnets_with_torchvision_names(name):
    assert round_trip(resnet(name)).count("\n") <= 60


def test_structure_is_found_in_a_flat_net():
    """Without scopes there are no blocks; residuals, branches and repeats are found all the same."""
    graph = load_text("""
name: flat
input: [8, 16, 16]
layers:
  - conv: {name: a, out: 8, kernel: 3, padding: 1}
  - batch_norm: {name: b}
  - conv: {name: c, from: a, out: 4, kernel: 1}
  - concat: {name: d, from: [b, c]}
  - conv: {name: e, out: 12, kernel: 1}
  - add: {name: f, from: [e, d]}
  - relu
  - relu
  - relu
  - relu
""")
    text = round_trip(graph)
    assert (
        text.split("layers:\n")[1]
        == """\
  - conv: {name: a, out: 8, kernel: 3, padding: 1}
  - concat:
      name: d
      branches:
        - - batch_norm: {name: b}
        - - conv: {name: c, out: 4, kernel: 1}
  - residual:
      name: f
      body:
        - conv: {name: e, out: 12, kernel: 1}
  - repeat: {times: 4, layers: [relu]}
"""
    )


def test_names_that_count_in_a_repeat():
    """What the counter of the language would not give is said with the index."""
    layers = "".join(f"  - block: {{name: up_{i + 4}}}\n" for i in range(5))
    text = round_trip(
        load_text(f"input: [8, 4, 4]\nblocks: {{block: {{layers: [batch_norm, relu, silu]}}}}\nlayers:\n{layers}")
    )
    assert '{name: "up_{index + 4}"}' in text


def test_weights_that_are_shared():
    text = """
name: siamese
input: {left: [3, 8, 8], right: [3, 8, 8]}
blocks:
  tower: {layers: [{conv: {out: 4, kernel: 3}}, relu, {conv: {out: 4, kernel: 3}}]}
layers:
  - tower: {name: one, from: left, share: t}
  - tower: {name: two, from: right, share: t}
  - concat: {from: [one, two]}
outputs: {joined: concat1, single: two.conv2}
"""
    out = round_trip(load_text(text))
    assert out.count("share:") == 2


def test_weights_that_are_shared_within_a_block():
    """Both descriptors of a CBAM go through one MLP, and each of three blocks has its own."""
    text = """
input: [8, 14, 14]
blocks:
  cbam:
    layers:
      - multiply:
          - []
          - - add:
                - [global_avg_pool, {conv: {share: mlp, out: 8, kernel: 1}}]
                - [global_max_pool, {conv: {share: mlp, out: 8, kernel: 1}}]
            - sigmoid
layers: [{repeat: {times: 3, layers: [{conv: {out: 8, kernel: 3, padding: 1}}, cbam]}}]
"""
    assert "cbam:" in (out := round_trip(load_text(text)))
    assert out.count("share:") == 2


def test_a_layer_that_shares_with_one_in_a_block():
    """No share name is known in both, so that the block goes."""
    graph = load_text("""
input: [3, 8, 8]
layers: [{conv: {out: 3, kernel: 1, name: a.one}}, {relu: {name: a.two}}, {conv: {out: 3, kernel: 1}}]
""")
    out = round_trip(changed(graph, 3, shared=1))
    assert out.count("share:") == 2


def test_parts_of_a_split():
    text = round_trip(
        load_text("""
input: [8, 4, 4]
layers:
  - split: {name: parts, sizes: [2, 2, 4]}
  - concat: {from: [parts.2, parts.0]}
  - add: {from: [-1, -1]}
outputs: [add1, parts.1]
""")
    )
    assert "from: [parts.2, parts.0]" in text


def test_what_reads_by_name_is_in_no_repeat():
    """The first of equal blocks that reads another tensor than the one before stands alone: only it reads that."""
    text = """
input: [4, 8, 8]
blocks:
  unit: {layers: [{conv: {out: 4, kernel: 3, padding: 1}}, batch_norm, relu, silu]}
  stage: {args: {other: required}, numbered: true, layers: [{conv: {out: 4, kernel: 1}}, {batch_norm: {name: norm}},
    {unit: {from: other}}, {repeat: {times: 3, layers: [unit]}}, {concat: {from: [-1, norm]}}]}
layers:
  - relu: {name: start}
  - stage: {name: one, other: start}
  - stage: {name: two, other: one.norm}
"""
    out = round_trip(load_text(text))
    assert "      - conv_bn_relu_silu: {from: skip}\n      - repeat: {times: 3, layers: [conv_bn_relu_silu]}\n" in out


# -- what can happen to names ----------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=6).filter(
    lambda text: "." not in text
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3).map(".".join), min_size=1, max_size=5, unique=True), st.text())
def test_any_names(paths, citation):
    """Quotes, braces, spaces, numbers, words of YAML: every path comes back as it was."""
    layer = Relu()
    nodes = [Node("input", None, (), (), ((4, 2),))]
    # no layer stands within another
    outer = [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]
    for number, path in enumerate(path for path in outer if path != "input"):
        nodes.append(Node(path, layer, (Ref(number),), ((4, 2),), ((4, 2),)))
    if len(nodes) == 1:
        return
    graph = Graph("odd", tuple(nodes), ((nodes[-1].path, Ref(len(nodes) - 1)),))
    assert facts(load_text(render(graph))) == facts(graph)


@pytest.mark.parametrize(
    "paths",
    [
        ("0", "1", "2"),
        ("0.0", "0.1", "1.0"),
        ("true", "null", "yes"),
        ("a", "b.a", "b.c.a"),
        ("1e3", "0x1", "~"),
        ("relu2", "relu1", "relu3"),
        ("branch1.relu1", "shortcut1.relu1", "branch2.x"),
        ("index", "in_channels", "name"),
        ("{", "}", "{index}"),
    ],
)
def test_awkward_names(paths):
    layer = Relu()
    nodes = [Node("input", None, (), (), ((4, 2),))]
    nodes += [Node(path, layer, (Ref(number),), ((4, 2),), ((4, 2),)) for number, path in enumerate(paths)]
    last = len(nodes)
    nodes.append(Node("sum", Add(), (Ref(last - 1), Ref(1), Ref(0)), ((4, 2),) * 3, ((4, 2),)))
    round_trip(Graph("odd", tuple(nodes), (("sum", Ref(last)), (paths[0], Ref(1)))))


def test_modules_that_are_entered_twice():
    """What stands under one path level is no block where something outside lies between its layers."""
    layer, shape = Relu(), ((4, 2),)
    paths = ["m.first", "outside", "m.second", "n.first", "m.third", "n.second"]
    nodes = [Node("input", None, (), (), shape)]
    nodes += [Node(path, layer, (Ref(number),), shape, shape) for number, path in enumerate(paths)]
    round_trip(Graph("knot", tuple(nodes), (("n.second", Ref(len(paths))),)))


def test_the_plain_form_is_equal_too():
    """What is left where nothing compact is: every layer with its whole name and what it reads."""
    for name in ("unet", "shufflenet_v2_x0_5"):
        graph = cnncalc.load(name)
        assert facts(load_text(written(build(graph, nested=False, plain=True)))) == facts(graph)


# -- refusals --------------------------------------------------------------------------------------


def test_a_layer_that_the_language_does_not_have():
    class Mystery(Layer, frozen=True):
        """No such thing."""

        def output_shape(self, *inputs):
            return inputs[0]

    del REGISTRY[Mystery.kind]
    nodes = (Node("input", None, (), (), ((4,),)), Node("deep.inside", Mystery(), (Ref(0),), ((4,),), ((4,),)))
    with pytest.raises(CnncalcError, match=r"the spec language has no layer for deep\.inside \(mystery\)"):
        render(Graph("odd", nodes, (("deep.inside", Ref(1)),)))


def test_a_net_without_layers():
    with pytest.raises(CnncalcError, match="the net has no layers, and a spec needs one"):
        render(Graph("odd", (Node("input", None, (), (), ((4,),)),), (("input", Ref(0)),)))


# -- the comparison itself -------------------------------------------------------------------------


def changed(graph: Graph, number: int, **fields: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[number] = replace(nodes[number], **fields)
    return replace(graph, nodes=tuple(nodes))


def test_every_difference_is_seen():
    """The comparison that keeps unequal specs from being written notices whatever is changed."""
    graph = load_text("""
name: small
input: [4, 4, 4]
layers:
  - conv: {out: 4, kernel: 1, bias: false}
  - conv: {out: 4, kernel: 1}
  - split: {chunks: 2}
  - concat: {from: [split1.1, split1.0, conv1]}
""")
    assert difference(graph, graph) is None
    conv = graph.nodes[1].layer
    assert isinstance(graph.nodes[3].layer, Split)
    assert isinstance(graph.nodes[4].layer, Concat)
    others = [
        (changed(graph, 1, path="other"), "'conv1' is missing"),
        (changed(graph, 1, layer=replace(conv, stride=(1,))), r"'conv1' is Conv\(.*stride=\(1,\)"),
        (changed(graph, 1, layer=replace(conv, bias=0)), r"bias=0.* instead of .*bias=False"),
        (changed(graph, 2, inputs=(Ref(0),)), "'conv2' reads"),
        (changed(graph, 4, inputs=(Ref(3, 0), Ref(3, 1), Ref(1))), "'concat1' reads"),
        (changed(graph, 2, shared=1), "'conv2' shares the weights of conv1"),
        (changed(graph, 0, output_shapes=((4, 5, 4),)), "'input' has another shape"),
        (replace(graph, name="big"), "the name is 'big'"),
        (replace(graph, citation="x"), "the source differs"),
        (replace(graph, budget={"params": {"max": 1}}), "the budget differs"),
        (replace(graph, outputs=(("other", Ref(4)),)), "the outputs differ"),
        (replace(graph, nodes=graph.nodes[:-1]), "'concat1' is missing"),
    ]
    for other, words in others:
        assert re.search(words, difference(graph, other) or ""), words
    assert re.search("'concat1' is too much", difference(replace(graph, nodes=graph.nodes[:-1]), graph) or "")


def test_an_argument_of_a_tensors_name():
    """Arguments stand in the way of tensors of the same name, so they get another."""
    text = """
input: [4, 4, 4]
blocks:
  unit:
    args: {kind: relu, skip: null}
    layers:
      - conv: {out: 4, kernel: 1}
      - batch_norm
      - activation: kind
      - add: {from: [-1, act]}
layers:
  - relu: {name: act}
  - unit: {name: one}
  - unit: {name: two, kind: silu}
  - unit: {name: three}
"""
    out = round_trip(load_text(text))
    assert "- add: {from: [-1, act]}" in out or "residual" in out
    assert len(re.findall(r"  - \w+: \{name: (?:one|two|three)", out)) == 3


def test_a_name_that_means_something_else_in_a_block():
    """What does not load back equal with blocks is written with fewer of them: here 'conv1' is another one within."""
    text = """
input: [4, 4, 4]
blocks:
  unit:
    args: {other: required}
    layers:
      - batch_norm
      - relu
      - conv: {name: conv1, out: 4, kernel: 1}
      - subtract: {from: [-1, other]}
  fine: {layers: [batch_norm, relu, silu, sigmoid, {conv: {out: 4, kernel: 3, padding: 1}}]}
layers:
  - conv: {out: 4, kernel: 1}
  - unit: {name: one, other: conv1}
  - unit: {name: two, other: conv1}
  - repeat: {times: 3, layers: [fine]}
"""
    out = round_trip(load_text(text))
    assert "- repeat: {times: 3, layers: [fine]}" in out


def test_a_free_text_in_a_field():
    class Labelled(Relu, frozen=True):
        """A layer with a text of its own."""

        label: str = ""

    try:
        for label in ("aten::relu.default", "it's", 'a "b" {c}', "1", "true", "a\nb"):
            layer = Labelled(label=label)
            nodes = (Node("input", None, (), (), ((4, 2),)), Node("x", layer, (Ref(0),), ((4, 2),), ((4, 2),)))
            round_trip(Graph("odd", nodes, (("x", Ref(1)),)))
    finally:
        del REGISTRY[Labelled.kind]


# -- the command -----------------------------------------------------------------------------------


def test_the_command(tmp_path, monkeypatch, capsys):
    """A converted net is a source like any other, and gives the same numbers."""
    monkeypatch.chdir(tmp_path)
    assert run_line(["convert", "resnet18", "mine.yaml"]) == 0
    assert run_line(["convert", "resnet18", "-", "--to", "yaml"]) == 0
    assert capsys.readouterr().out == Path("mine.yaml").read_text(encoding="utf-8")
    assert cnncalc.analyze("mine.yaml").totals == cnncalc.analyze("resnet18").totals
    assert run_line(["convert", "mine.yaml", "again.yaml"]) == 0
    assert Path("again.yaml").read_text(encoding="utf-8") == Path("mine.yaml").read_text(encoding="utf-8")


def test_the_work_grows_with_the_net_and_not_with_its_square():
    unit = "  - residual: [unit]\n"

    def calls(length):
        layers = "".join(f"  - conv: {{out: {8 + i % 7}, kernel: 3, padding: 1}}\n  - relu\n" for i in range(length))
        blocks = "{unit: {layers: [batch_norm, relu, silu]}}"
        graph = load_text(f"input: [8, 8, 8]\nblocks: {blocks}\nlayers:\n{layers}{unit * length}")
        with at_most(inf) as work:
            out = round_trip(graph)
        assert out.count("\n") < 100
        return work.calls

    assert calls(400) < 4.2 * calls(100)


def test_tensors_without_inputs_and_unknown_operators():
    """What PyTorch's nets have beside layers: parameters, constants, and operators that nobody knows."""
    text = """
name: odd
input: [4, 8, 8]
layers:
  - parameter: {name: unused, shape: [3]}
  - conv: {name: a, from: input, out: 4, kernel: 1}
  - parameter: {name: gamma, shape: [4, 1, 1]}
  - multiply: {from: [gamma, a]}
  - opaque: {name: b, operator: "'aten::strange.default'", shapes: [[4, 8, 8], [2]], reason: "'it is \\\\'new\\\\''"}
  - constant: {name: c, shape: [2], buffer: true}
  - add: {from: [c, b.1]}
outputs: [add1, b.0]
"""
    out = round_trip(load_text(text))
    assert "- - parameter: {name: gamma, shape: [4, 1, 1]}" in out
