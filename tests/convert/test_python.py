"""Generated PyTorch code: it runs, means the same as the built module, and reads as a person would write it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

import cnncalc
from cnncalc.convert.code import Tensor, code, flat
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Elementwise, ShortForm
from cnncalc.sources import load_text, zoo_names
from cnncalc.spec.random import random_net
from cnncalc.spec.random import render as spec_text
from cnncalc.torch import build_layer, builds
from cnncalc.torch.function import Function
from cnncalc.torch.registry import BUILDERS
from cnncalc.torch.source import render, text_of
from tests.convert.generated import agree, make, run, shapes

ZOO = list(zoo_names())
ONE_OF_EACH = list({path: name for name, (path, _) in reversed(zoo_names().items())}.values())
SEEDS = 40


def random_graph(seed: int) -> cnncalc.Graph:
    return load_text(spec_text(random_net(Random(seed))), f"random{seed}")


# -- it means the same -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_net_computes_what_the_built_one_does(name):
    """Narrowed: the same code with few channels, bit for bit in evaluation and in training."""
    graph = cnncalc.load(name).narrowed()
    agree(graph, render(graph))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_a_whole_net_computes_what_the_built_one_does(name):
    graph = cnncalc.load(name)
    agree(graph, render(graph))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_state_dict_fits(name):
    graph = cnncalc.load(name)
    with torch.device("meta"):
        assert list(shapes(make(render(graph))).items()) == list(shapes(cnncalc.torch.build(graph)).items())


# In the last one a tuple of one part takes several lines.
@pytest.mark.parametrize("seed", [*range(SEEDS), 390])
def test_a_random_net_computes_what_the_built_one_does(seed):
    graph = random_graph(seed)
    agree(graph, render(graph))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_random_nets_compute_what_the_built_ones_do(part):
    for seed in range(SEEDS + 100 * part, SEEDS + 100 * (part + 1)):
        graph = random_graph(seed)
        agree(graph, render(graph))


def test_every_layer_can_be_written():
    """What a layer's text makes has the built module's tensors, whatever its fields.

    (Those that no random net holds are in the nets below.)
    """
    wanted = {kind for kind, layer in REGISTRY.items() if not issubclass(layer, ShortForm) and layer.drawn}
    simple = [layer for kind, layer in REGISTRY.items() if kind in wanted and issubclass(layer, Elementwise)]
    bare = [layer for layer in simple if len(layer.__struct_fields__) == len(layer.__struct_defaults__)]
    drawn = {(layer(), ((4, 6, 6),)) for layer in bare}
    for seed in range(400):
        drawn |= {(node.layer, node.input_shapes) for node in random_graph(seed).nodes if node.layer is not None}
        if seed >= SEEDS and {layer.kind for layer, _ in drawn} >= wanted:
            break
    assert {layer.kind for layer, _ in drawn} >= wanted
    names = {"torch": torch, "nn": nn, "F": nn.functional}
    for layer, input_shapes in drawn:
        text = text_of(layer, input_shapes)
        helpers = dict(names)
        for _, source in text.helpers:
            exec(source, helpers | {"Tensor": torch.Tensor}, helpers)
        with torch.device("meta"):
            built = build_layer(layer, *input_shapes)
            if text.module is None:
                assert shapes(built) == {}
                continue
            made = eval(flat(code(text.module)), helpers)
        assert shapes(made) == shapes(built)
        assert type(made).__name__ in (type(built).__name__, "MultiheadAttention")


# -- shapes of nets --------------------------------------------------------------------------------

NETS = {
    "names that Python or nn.Module have taken": """
        input: [3, 8, 8]
        blocks:
          b:
            layers: [{conv: {out: 4, kernel: 1, name: type}}, relu, {conv: {out: 4, kernel: 1, name: "1"}}]
        layers:
          - conv: {out: 4, kernel: 1, name: forward}
          - conv: {out: 4, kernel: 1, name: class}
          - conv: {out: 4, kernel: 1, name: a-b}
          - b: {name: double}
          - b: {name: "2"}
          - add: [[], [{b: {name: 3x}}]]
          - b: {name: self}
          - b: {name: torch}
          - b: {name: nn}
    """,
    "a block whose weights are another's": """
        input: {a: [3, 8, 8], b: [3, 8, 8]}
        blocks:
          tower:
            layers: [{conv: {out: 4, kernel: 3}}, relu, {conv: {out: 5, kernel: 3}}, global_avg_pool, flatten]
        layers:
          - tower: {from: a, share: t}
          - tower: {from: b, share: t, name: other}
          - subtract: {from: [tower1, other]}
          - linear: 2
    """,
    "layers of several blocks that share": """
        input: [4, 8, 8]
        layers:
          - repeat:
              times: 5
              layers:
                - conv: {name: "b{index}.conv", out: 4, kernel: 3, padding: 1, share: w}
                - batch_norm: {name: "b{index}.norm"}
    """,
    "several outputs, one twice": """
        input: [3, 8, 8]
        layers:
          - conv: {out: 4, kernel: 1, name: c}
          - repeat: {times: 5, layers: [relu, {conv: {out: 4, kernel: 3, padding: 1}}]}
        outputs: {first: c, last: conv5, again: c}
    """,
    "an input that is the output, and a layer that nobody reads": """
        input: [3, 8, 8]
        layers: [{conv: {out: 2, kernel: 3}}]
        outputs: [input]
    """,
    "a part that nobody reads": """
        input: [3, 8, 8]
        blocks:
          head: {layers: [{conv: {out: 4, kernel: 3}}, {residual: {body: [relu]}}]}
        layers: [{conv: {out: 2, kernel: 3, name: c}}, head]
        outputs: [c]
    """,
    "many parts of which some are read": """
        input: [12, 8, 8]
        layers: [{split: {chunks: 12, name: s}}, {concat: {from: [s.0, s.11, s.3, s.4, s.5, s.0, s.7]}}]
    """,
    "a name that is no name": """
        name: "123 \\"x\\" \\\\"
        source: 'A \"\"\"quote\"\"\" and \\ é × — of a citation that is too long for one line of the file: it has two'
        input: [3, 8, 8]
        layers:
          - conv: {out: 2, kernel: [1, 3], padding: same, stride: [1, 2]}
          - conv_transpose: {out: 3, kernel: 3, padding: [[0, 1], [1, 0]]}
    """,
    "blocks that differ by a step": """
        input: [4, 8, 8]
        blocks:
          b:
            args: {out: required, act: relu, gate: false, wide: 2 * out}
            layers:
              - residual:
                  when: in_channels == out
                  body:
                    - conv: {out: wide, kernel: 3, padding: 1}
                    - act
                    - if: gate
                      then: [{conv: {out: wide, kernel: 1, name: gate}}]
                    - conv: {out: out, kernel: 1}
        layers:
          - b: {out: 4}
          - b: {out: 6, act: hardswish}
          - b: {out: 6, gate: true}
          - b: {out: 6, gate: true, act: silu}
          - b: {out: 8, act: silu, wide: 5}
    """,
    "numbered blocks, as torchvision's": """
        input: [3, 16, 16]
        blocks:
          block:
            args: {out: required, stride: 1}
            layers:
              - residual:
                  body:
                    - conv: {name: conv1, out: out, kernel: 3, stride: stride, padding: 1, bias: false}
                    - batch_norm: {name: bn1}
                    - relu
                    - conv: {name: conv2, out: out, kernel: 3, padding: 1, bias: false}
                  shortcut:
                    - conv: {out: out, kernel: 1, stride: stride}
              - relu
          layer:
            args: {out: required, stride: 2}
            layers: [{block: {name: "0", out: out, stride: stride}}, {block: {name: "1", out: out}}]
          features:
            layers: [{conv: {name: "0", out: 4, kernel: 3}}, {relu: {name: "1"}}, {max_pool: {name: "2", kernel: 2}}]
        layers:
          - features: {name: features}
          - layer: {name: layer1, out: 4, stride: 1}
          - layer: {name: layer2, out: 8}
          - layer: {name: layer3, out: 16}
    """,
    "blocks within blocks of their own name": """
        input: [4, 8, 8]
        blocks:
          inner: {layers: [{conv: {out: 4, kernel: 1}}, relu]}
          outer: {layers: [{inner: {name: a1}}, {inner: {name: a2}}, relu]}
        layers: [{outer: {name: a1}}, {outer: {name: a2}}, {inner: {name: a3}}]
    """,
    "arithmetic with numbers": """
        input: [3, 8, 8]
        layers:
          - conv: {out: 4, kernel: 1, name: c}
          - math: {function: square}
          - math: {function: add, value: 2}
          - math: {function: rsqrt}
          - math: {function: subtract_from, value: 0.5, name: s}
          - math: {function: divide_into, value: 0.5}
          - math: {function: maximum, value: 0.5}
          - math: {function: minimum, value: 2}
          - math: {function: power, value: 2}
          - math: {function: multiply, value: -2}
          - math: {function: divide, value: 3}
          - divide: {from: [-1, c]}
          - subtract: {from: [s, -1]}
          - subtract: {from: [c, -1]}
    """,
    "sums within products and differences": """
        input: [3, 8, 8]
        layers:
          - conv: {out: 4, kernel: 1, name: c}
          - multiply: [[], [{add: [[{conv: {out: 4, kernel: 1}}], [{conv: {out: 4, kernel: 3, padding: 1}}]]}]]
          - subtract: [[relu], [{add: [[tanh], [{conv: {out: 4, kernel: 1}}]]}]]
          - slice: {axis: 1, stop: 3}
          - subtract: [[], [{subtract: [[relu], [{slice: {axis: 2, stop: 1}}]]}]]
    """,
    "tensors of the net's own": """
        input: [3, 8, 8]
        layers:
          - conv: {out: 4, kernel: 1, name: c}
          - parameter: {shape: [4, 1, 1], name: p}
          - constant: {shape: [4, 8, 8], buffer: true, name: k}
          - constant: {shape: [4, 8, 8], name: k2}
          - constant: {shape: [5], name: index}
          - multiply: {from: [c, p]}
          - add: {from: [-1, k, k2]}
          - take: {from: [-1, index], axis: 1}
          - mean: {axes: [1, 2], keepdim: true}
          - broadcast: {shape: [4, 8, 8]}
          - roll: {shifts: [1], axes: [1]}
          - unfold: {kernel: 3}
    """,
    "a loop of an argument that grows": """
        input: [4, 8, 8]
        blocks:
          dense: {layers: [{concat: [[], [{conv: {out: 3, kernel: 3, padding: 1}}, relu]]}]}
          stage: {args: {depth: required}, layers: [{repeat: {times: depth, layers: [dense]}}]}
        layers: [{stage: {depth: 4}}, {stage: {depth: 5}}, {stage: {depth: 3}}]
    """,
}


def net(name: str) -> cnncalc.Graph:
    lines = NETS[name].strip("\n").split("\n")
    return load_text("\n".join(line[8:] for line in lines))


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_this_shape_computes_what_the_built_one_does(name):
    graph = net(name)
    agree(graph, render(graph))


def test_blocks_with_and_without_a_sum_are_one_class():
    """Whether there is one is an argument, and which activation there is another."""
    text = render(net("blocks that differ by a step"))
    assert "ResidualBlock(4, 8, nn.ReLU, 4, has_skip=True)" in text
    assert "ResidualBlock(4, 12, nn.Hardswish, 6)" in text


def test_numbered_blocks_are_classes_and_numbered_layers_a_sequential():
    text = render(net("numbered blocks, as torchvision's"))
    assert re.findall(r"^class (\w+)\(", text, re.MULTILINE)[:2] == ["ResidualBlock", "Layer"]
    assert "nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))" in text
    assert "Layer(4, 8, shortcut=True, stride=2)" in text


def test_a_loop_says_how_an_argument_grows():
    text = render(net("a loop of an argument that grows"))
    assert "for i in range(depth):" in text
    assert len(re.findall(r"^class Stage\w*\(", text, re.MULTILINE)) == 1


def test_the_size_of_the_result_is_an_argument():
    """As ``--set classes=7`` changes the spec."""
    other = cnncalc.load("resnet18", classes=7).narrowed()
    text = render(cnncalc.load("resnet18").narrowed())
    with torch.device("meta"):
        whole = make(render(cnncalc.load("resnet18")), classes=7)
        assert shapes(whole) == shapes(cnncalc.torch.build(cnncalc.load("resnet18", classes=7)))
    assert shapes(make(text)).keys() == shapes(make(render(other))).keys()


# -- it reads as a person would write it -----------------------------------------------------------


def test_no_code_needs_cnncalc():
    for name in ONE_OF_EACH:
        module = run(render(cnncalc.load(name)))
        assert "cnncalc" not in {getattr(value, "__module__", "").partition(".")[0] for value in vars(module).values()}
        assert not re.search(r"^(from|import) (?!torch|collections)", render(cnncalc.load(name)), re.MULTILINE)


# Rows of the papers' tables, in their order, as code: the numbers are the papers'.
TABLES = {
    # Szegedy et al. 2014, Table 1: inception (3a) to (5b)
    "googlenet": [
        "Inception(192, 64, 96, 128, 16, 32, 32)",
        "Inception(256, 128, 128, 192, 32, 96, 64)",
        "Inception(480, 192, 96, 208, 16, 48, 64)",
        "Inception(512, 160, 112, 224, 24, 64, 64)",
        "Inception(512, 128, 128, 256, 24, 64, 64)",
        "Inception(512, 112, 144, 288, 32, 64, 64)",
        "Inception(528, 256, 160, 320, 32, 128, 128)",
        "Inception(832, 256, 160, 320, 32, 128, 128)",
        "Inception(832, 384, 192, 384, 48, 128, 128)",
    ],
    # He et al. 2015, Table 1: 3, 4, 6 and 3 bottlenecks of widths 64, 128, 256 and 512
    "resnet50": [
        "Stage(64, 64, 3)",
        "Stage(256, 128, 4, stride=2)",
        "Stage(512, 256, 6, stride=2)",
        "Stage(1024, 512, 3, stride=2)",
    ],
    # Huang et al. 2016, Table 1: 6, 12, 24 and 16 layers, each of which adds 32 channels
    "densenet121": [
        "DenseLayer(in_channels + i * 32)",
        "DenseBlock(64, 6)",
        "DenseBlock(128, 12)",
        "DenseBlock(256, 24)",
        "DenseBlock(512, 16)",
    ],
    # Howard et al. 2019, Table 1: exp size 64, #out 24, ReLU, stride 2, and others without SE; the sum is an argument
    "mobilenet_v3_large": [
        "Bneck2(16, 64, nn.ReLU, 24, stride=2)",
        "Bneck2(24, 72, nn.ReLU, 24, has_skip=True)",
        "Bneck2(40, 240, nn.Hardswish, 80, stride=2)",
        "Bneck2(80, 200, nn.Hardswish, 80, has_skip=True)",
        "Bneck2(80, 184, nn.Hardswish, 80, has_skip=True)",
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test_the_papers_table_is_in_the_code(name):
    text = render(cnncalc.load(name))
    places = [text.find(row) for row in TABLES[name]]
    assert min(places) > 0, TABLES[name][places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("name", "most"),
    [("resnet50", 120), ("resnet152", 120), ("densenet201", 100), ("vgg19", 60), ("googlenet", 120), ("unet", 100)],
)
def test_code_is_short(name, most):
    """However deep the net is."""
    assert render(cnncalc.load(name)).count("\n") <= most


def test_ruff_would_not_change_a_character(tmp_path: Path):
    """Format and lint with ruff's own settings, and at other line lengths."""
    for name in ONE_OF_EACH:
        (tmp_path / f"{name}.py").write_text(render(cnncalc.load(name)), encoding="utf-8")
    for seed in range(SEEDS):
        (tmp_path / f"random{seed}.py").write_text(render(random_graph(seed)), encoding="utf-8")
    for number, name in enumerate(NETS):
        (tmp_path / f"net{number}.py").write_text(render(net(name)), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for length in ("88", "100", "120"):
        for command in (["format", "--diff"], ["check"]):
            line = [*ruff, *command, "--isolated", "--no-cache", "--line-length", length, str(tmp_path)]
            result = subprocess.run(line, capture_output=True, text=True)
            assert result.returncode == 0, result.stdout + result.stderr


# -- a new layer -----------------------------------------------------------------------------------


@pytest.fixture
def registry():
    """The registries, with what a test defines taken out again."""
    layers, makers = dict(REGISTRY), dict(BUILDERS)
    yield
    for registry, before in ((REGISTRY, layers), (BUILDERS, makers)):
        for key in set(registry) - set(before):
            del registry[key]


def test_a_new_layer_has_a_text_from_its_builder(registry):
    """One class, one builder: nothing else says how it is written."""

    class Rolled(Elementwise, frozen=True):
        """Rolls along the last axis. Elementwise operations: none."""

        ops_per_element = 0
        by: int = 1

    @builds(Rolled)
    def build_rolled(layer, shape):
        return Function(torch.roll, shifts=layer.by, dims=-1)

    graph = load_text("input: [3, 8, 8]\nlayers: [{conv: {out: 2, kernel: 3}}, {rolled: {by: 2}}, relu]\n")
    text = render(graph)
    assert "torch.roll(" in text
    agree(graph, text)


def test_a_module_without_a_text_is_named(registry):
    class Strange(Elementwise, frozen=True):
        """Nobody knows. Elementwise operations: none."""

        ops_per_element = 0

    class StrangeModule(nn.Module):
        def forward(self, x):
            return x

    @builds(Strange)
    def build_strange(layer, shape):
        return StrangeModule()

    graph = load_text("input: [3, 8, 8]\nlayers: [strange]\n")
    with pytest.raises(CnncalcError, match="strange cannot be written as Python code: StrangeModule has no text"):
        render(graph)


def test_what_is_read_as_key_and_as_value_is_computed_once():
    """Twice would be two draws of dropout, and twice the work."""
    unit = "[{conv: {out: 6, kernel: 2, stride: 3}}, dropout]"
    text = f"input: [7, 14]\nlayers:\n  - multi_head_attention: {{name: a, num_heads: 7, branches: [[], {unit}]}}\n"
    graph = load_text(text, "twice")
    net, runs = make(render(graph)), []
    for module in net.modules():
        if not [*module.children()]:
            module.register_forward_hook(lambda module, *_: runs.append(type(module).__name__))
    net(torch.zeros(2, 7, 14))
    assert sorted(runs) == ["Conv1d", "Dropout"]  # the attention runs by functions


def test_a_call_is_one_line_or_one_part_a_line():
    """The layout's own invariant, on a text whose right form is known."""
    text = text_of(REGISTRY["relu"](), ((3, 8, 8),))
    assert flat(code(text.call, ["x"], "self.relu1")) == "self.relu1(x)"
    assert text.call.args[0].value == Tensor(0)
