"""The spec language: each form against the same net written out by hand, layer by layer."""

from __future__ import annotations

import pytest

from cnncalc.analysis.cost import costs
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text


def net(text, **options):
    return load_text(text, "net.yaml", **options)


def anatomy(graph):
    """All of a net but its paths: layers, how they are wired, shapes, shared weights, costs, results."""
    nodes = [(n.layer, n.inputs, n.input_shapes, n.output_shapes, n.shared) for n in graph.nodes]
    return nodes, costs(graph), [ref for _, ref in graph.outputs]


def same(written, by_hand, **options):
    graph = net(written, **options)
    assert anatomy(graph) == anatomy(net(by_hand))
    return graph


def paths(graph):
    return [node.path for node in graph.nodes if node.layer is not None]


def shapes(graph):
    return [node.output_shape for node in graph.nodes if node.layer is not None]


HEAD = "input: [3, 32, 32]\nlayers:\n"
CONV_BN = """
input: [3, 32, 32]
blocks:
  conv_bn:
    args: {out: required, kernel: 1, stride: 1}
    layers:
      - conv: {out: out, kernel: kernel, stride: stride, padding: kernel // 2, bias: false}
      - batch_norm
"""


def test_a_block_is_its_layers():
    graph = same(
        CONV_BN + "layers:\n  - conv_bn: {out: 8, kernel: 3, stride: 2}\n  - relu\n  - conv_bn: {out: 16}\n",
        HEAD
        + "  - conv: {out: 8, kernel: 3, stride: 2, padding: 1, bias: false}\n  - batch_norm\n  - relu\n"
        + "  - conv: {out: 16, kernel: 1, stride: 1, padding: 0, bias: false}\n  - batch_norm\n",
    )
    assert paths(graph) == ["conv_bn1.conv1", "conv_bn1.batch_norm1", "relu1", "conv_bn2.conv1", "conv_bn2.batch_norm1"]


def test_a_single_value_is_the_first_argument():
    same(CONV_BN + "layers:\n  - conv_bn: 8\n", CONV_BN + "layers:\n  - conv_bn: {out: 8}\n")


def test_defaults_are_expressions_evaluated_where_the_block_is_entered():
    """They see the arguments before them, the file's, and the tensor that comes in."""
    same(
        """
input: [6, 9, 5]
args: {factor: 4}
blocks:
  expand:
    args: {out: required, hidden: out * factor, squeeze: in_channels // 2, tall: in_height, kernel: in_width}
    layers:
      - conv: {out: hidden, kernel: [1, kernel]}
      - conv: {out: squeeze, kernel: [tall, 1]}
      - conv: {out: out, kernel: 1}
layers:
  - expand: {out: 10}
""",
        """
input: [6, 9, 5]
layers:
  - conv: {out: 40, kernel: [1, 5]}
  - conv: {out: 3, kernel: [9, 1]}
  - conv: {out: 10, kernel: 1}
""",
    )


def test_blocks_call_blocks():
    graph = same(
        CONV_BN.replace("blocks:", "blocks:\n  stage: {args: {n: 2}, layers: [conv_bn: {out: n}, relu, conv_bn: n]}")
        + "layers:\n  - stage\n  - stage: {n: 4}\n",
        CONV_BN
        + "layers:\n"
        + "".join(f"  - conv_bn: {{out: {n}}}\n  - relu\n  - conv_bn: {{out: {n}}}\n" for n in (2, 4)),
    )
    assert paths(graph)[0] == "stage1.conv_bn1.conv1"
    assert paths(graph)[-1] == "stage2.conv_bn2.batch_norm1"


def test_block_arguments_hide_the_files():
    same(
        "input: [3, 8, 8]\nargs: {n: 5, m: 7}\n"
        "blocks: {b: {args: {n: n + 1}, layers: [conv: {out: n, kernel: 1}, conv: {out: m, kernel: 1}]}}\n"
        "layers: [b, b: {n: 2}]\n",
        "input: [3, 8, 8]\nlayers:\n" + "".join(f"  - conv: {{out: {n}, kernel: 1}}\n" for n in (6, 7, 2, 7)),
    )


ARGS = """
name: net
input: [3, size, size]
args: {classes: 10, size: 32, act: relu, depths: [1, 2]}
variants:
  small: {}
  large: {depths: [2, 3], size: 64, act: silu}
layers:
  - repeat: {times: "depths[1]", layers: [{conv: {out: 4, kernel: 3}}, {activation: act}]}
  - global_avg_pool
  - flatten
  - linear: classes
"""


def unrolled(size, times, act, classes):
    return (
        f"input: [3, {size}, {size}]\nlayers:\n"
        + f"  - conv: {{out: 4, kernel: 3}}\n  - {act}\n" * times
        + f"  - global_avg_pool\n  - flatten\n  - linear: {classes}\n"
    )


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({}, (32, 2, "relu", 10)),
        ({"variant": "small"}, (32, 2, "relu", 10)),
        ({"variant": "large"}, (64, 3, "silu", 10)),
        ({"args": ["classes=7"]}, (32, 2, "relu", 7)),
        ({"args": ["classes=2*size"]}, None),
        ({"args": {"classes": 7, "act": "gelu"}}, (32, 2, "gelu", 7)),
        ({"args": {"depths": [3, 1]}}, (32, 1, "relu", 10)),
        ({"args": ["depths=[0, 3]"]}, (32, 3, "relu", 10)),
        ({"variant": "large", "args": ["depths=[0, 1]"]}, (64, 1, "silu", 10)),
        ({"args": ["size=16"]}, (16, 2, "relu", 10)),
        ({"input": (3, 20, 20)}, (20, 2, "relu", 10)),
        ({"input": {"input": (3, 20, 20)}}, (20, 2, "relu", 10)),
    ],
)
def test_variants_settings_and_input(options, result):
    """A setting wins over the variant, and the variant over the file; an argument sees those above it."""
    if result is None:
        with pytest.raises(CnncalcError, match="there is no variable 'size' here"):
            net(ARGS, **options)
        return
    graph = same(ARGS, unrolled(*result), **options)
    assert graph.name == options.get("variant", "net")


def test_arguments_are_part_of_the_graph():
    assert net(ARGS, variant="large", args=["classes=3"]).args == {
        "classes": 3,
        "size": 64,
        "act": "silu",
        "depths": (2, 3),
    }


def test_a_required_argument_of_the_file():
    text = "input: [3, 8, 8]\nargs: {n: required}\nvariants: {two: {n: 2}}\nlayers: [conv: {out: n, kernel: 1}]\n"
    assert shapes(net(text, args=["n=5"])) == [(5, 8, 8)]
    assert shapes(net(text, variant="two")) == [(2, 8, 8)]


# Structure.


def test_repeat():
    same(
        HEAD + "  - repeat: {times: 3, layers: [{conv: {out: 4 * (index + 1), kernel: 3}}, relu]}\n",
        HEAD + "".join(f"  - conv: {{out: {4 * i}, kernel: 3}}\n  - relu\n" for i in (1, 2, 3)),
    )


def test_repeat_adds_no_level_to_paths():
    graph = net(HEAD + "  - relu\n  - repeat: {times: 2, layers: [relu]}\n  - relu\n")
    assert paths(graph) == ["relu1", "relu2", "relu3", "relu4"]


def test_index_is_the_innermost_repeats_and_that_of_the_outer_one_comes_back():
    same(
        HEAD
        + "  - repeat:\n      times: 2\n      layers:\n"
        + "        - repeat: {times: 2, layers: [{conv: {out: index + 1, kernel: 1}}]}\n"
        + "        - conv: {out: 10 + index, kernel: 1}\n",
        HEAD + "".join(f"  - conv: {{out: {n}, kernel: 1}}\n" for n in (1, 2, 10, 1, 2, 11)),
    )


def test_a_block_in_a_repeat_gets_the_index_by_its_arguments():
    """Its own layers do not see it: a block is what its arguments make it."""
    blocks = "input: [3, 8, 8]\nblocks: {b: {args: {n: required}, layers: [conv: {out: n, kernel: 1}]}}\n"
    same(
        blocks + "layers:\n  - repeat: {times: 2, layers: [{b: {n: index + 5}}]}\n",
        blocks + "layers:\n  - b: 5\n  - b: 6\n",
    )
    with pytest.raises(CnncalcError, match="there is no variable 'index' here"):
        net(
            "input: [3, 8, 8]\nblocks: {b: {layers: [conv: {out: index + 1, kernel: 1}]}}\n"
            "layers:\n  - repeat: {times: 2, layers: [b]}\n"
        )


@pytest.mark.parametrize("times", ["0", "2 - 2", "false + 0"])
def test_repeat_of_nothing(times):
    same(
        HEAD + f"  - relu\n  - repeat: {{times: {times}, layers: [conv: {{out: 1, kernel: 99}}]}}\n",
        HEAD + "  - relu\n",
    )


@pytest.mark.parametrize(
    ("condition", "layer"),
    [
        ("n > 2", "relu"),
        ("n > 4", "silu"),
        ("in_channels == 3 and not false", "relu"),
        ("null", "silu"),
        ("[]", "silu"),
    ],
)
def test_if(condition, layer):
    text = f"input: [3, 8, 8]\nargs: {{n: 3}}\nlayers:\n  - if: {condition}\n    then: [relu]\n    else: [silu]\n"
    same(text, f"input: [3, 8, 8]\nlayers: [{layer}]\n")


def test_if_without_else():
    same(HEAD + "  - relu\n  - {if: in_channels > 3, then: [conv: {out: 1, kernel: 99}]}\n", HEAD + "  - relu\n")


RESIDUAL = "  - residual:\n      body:\n        - conv: {out: %d, kernel: 3, padding: 1}\n        - relu\n%s"
SHORTCUT = "      shortcut:\n        - conv: {out: %d, kernel: 1}\n"
BODY = "  - conv: {out: %d, kernel: 3, padding: 1}\n  - relu: {name: out}\n"


def test_residual():
    graph = same(HEAD + RESIDUAL % (3, ""), HEAD + BODY % 3 + "  - add: {from: [-1, input]}\n")
    assert paths(graph) == ["conv1", "relu1", "add1"]


def test_residual_as_a_list():
    body = "[{conv: {out: 3, kernel: 3, padding: 1}}, relu]"
    same(HEAD + f"  - residual: {body}\n", HEAD + RESIDUAL % (3, ""))


def test_a_shortcut_is_taken_only_where_the_body_changes_the_shape():
    same(HEAD + RESIDUAL % (3, SHORTCUT % 3), HEAD + RESIDUAL % (3, ""))
    graph = same(
        HEAD + RESIDUAL % (8, SHORTCUT % 8),
        HEAD + BODY % 8 + "  - conv: {out: 8, kernel: 1, from: input}\n  - add: {from: [out, -1]}\n",
    )
    assert paths(graph) == ["conv1", "relu1", "shortcut1.conv1", "add1"]


@pytest.mark.parametrize(("when", "stands"), [("true", True), ("in_channels == 3", True), ("in_height < 9", False)])
def test_residual_when(when, stands):
    """The condition is about the tensor that comes in; without the skip the body stays."""
    text = HEAD + RESIDUAL % (3, f"      when: {when}\n")
    same(text, HEAD + RESIDUAL % (3, "") if stands else HEAD + BODY % 3)


def test_residual_name_and_from():
    graph = same(
        HEAD + "  - relu: {name: a}\n  - silu\n"
        "  - residual: {body: [{conv: {out: 3, kernel: 1}}], from: a, name: sum}\n  - relu: {from: sum}\n",
        HEAD
        + "  - relu: {name: a}\n  - silu\n  - conv: {out: 3, kernel: 1, from: a}\n  - add: {from: [-1, a]}\n  - relu\n",
    )
    assert "sum" in paths(graph)


@pytest.mark.parametrize("merge", ["concat", "add", "multiply", "maximum"])
def test_branches(merge):
    """Each branch starts from the tensor before; an empty one is that tensor."""
    graph = same(
        HEAD
        + f"  - relu\n  - {merge}:\n    - []\n    - - conv: {{out: 3, kernel: 3, padding: 1}}\n      - relu\n"
        + "    - [silu]\n",
        HEAD
        + "  - relu: {name: a}\n  - conv: {out: 3, kernel: 3, padding: 1}\n  - relu: {name: b}\n"
        + f"  - silu: {{from: a}}\n  - {merge}: {{from: [a, b, -1]}}\n",
    )
    assert paths(graph) == ["relu1", "branch2.conv1", "branch2.relu1", "branch3.silu1", f"{merge}1"]


def test_branches_with_fields():
    same(
        HEAD + "  - concat: {axis: 1, branches: [[], [relu]]}\n",
        HEAD + "  - relu\n  - concat: {from: [input, -1], axis: 1}\n",
    )


def test_branches_in_branches():
    graph = net(HEAD + "  - add: [[{concat: [[], [relu]]}], [{conv: {out: 6, kernel: 1}}]]\n")
    assert paths(graph) == ["branch1.branch2.relu1", "branch1.concat1", "branch2.conv1", "add1"]


# Tensors by name.


@pytest.mark.parametrize(
    "source",
    ["a", "relu1", "'a'", "[a]", "input", "-1", "[-1]"],
)
def test_from(source):
    by_name = {"a": 1, "relu1": 2, "'a'": 1, "[a]": 1, "input": 0, "-1": 3, "[-1]": 3}
    graph = net(HEAD + f"  - silu: {{name: a}}\n  - relu\n  - gelu\n  - tanh: {{from: {source}}}\n")
    assert graph.nodes[-1].inputs[0].node == by_name[source]


def test_automatic_paths_lead_into_blocks_and_branches():
    blocks = "input: [3, 8, 8]\nblocks: {b: {layers: [relu, {silu: {name: mid}}, tanh]}}\nlayers:\n  - b\n  - b\n"
    for source, number in [("b1", 3), ("b2", 6), ("b1.relu1", 1), ("b2.mid", 5), ("b2.tanh1", 6)]:
        graph = net(blocks + f"  - gelu: {{from: {source}}}\n")
        assert graph.nodes[-1].inputs[0].node == number
    graph = net(HEAD + "  - concat: [[relu], [silu]]\n  - tanh: {from: branch1.relu1}\n  - gelu: {from: branch2}\n")
    assert [node.inputs[0].node for node in graph.nodes[-2:]] == [1, 2]


def test_a_name_takes_the_place_of_the_automatic_one():
    text = (
        "input: [3, 8, 8]\nblocks: {b: {layers: [relu]}}\nlayers: [{b: {name: stem}}, b, {relu: {name: act}}, relu]\n"
    )
    assert paths(net(text)) == ["stem.relu1", "b1.relu1", "act", "relu1"]


def test_names_of_the_innermost_scope_go_first():
    graph = net(
        "input: [3, 8, 8]\nblocks: {b: {layers: [{relu: {name: a}}, tanh, {add: {from: [a, outer]}}]}}\n"
        "layers: [{silu: {name: a}}, {gelu: {name: outer}}, b, {elu: {from: a}}]\n"
    )
    assert [ref.node for ref in graph.nodes[5].inputs] == [3, 2]
    assert graph.nodes[-1].inputs[0].node == 1


def test_a_block_argument_may_hold_a_tensors_name():
    graph = same(
        "input: [3, 8, 8]\nblocks: {up: {args: {skip: required}, layers: [relu, {concat: {from: [-1, skip]}}]}}\n"
        "layers: [{silu: {name: enc1}}, tanh, {up: {skip: enc1}}]\n",
        "input: [3, 8, 8]\nlayers: [{silu: {name: enc1}}, tanh, relu, {concat: {from: [-1, enc1]}}]\n",
    )
    assert graph.nodes[-1].output_shape == (6, 8, 8)


def test_a_block_argument_may_hold_a_dotted_path():
    graph = net(
        "input: [3, 8, 8]\nblocks:\n  a: {layers: [relu, silu]}\n"
        "  up: {args: {skip: required}, layers: [{add: {from: [-1, skip]}}]}\n"
        "layers: [a, tanh, {up: {skip: a1.relu1}}]\n"
    )
    assert [ref.node for ref in graph.nodes[-1].inputs] == [3, 1]


def test_names_in_a_repeat_are_numbered():
    graph = net(HEAD + "  - repeat: {times: 3, layers: [{relu: {name: a}}, silu]}\n  - add: {from: [a1, a2, a3]}\n")
    assert paths(graph)[:3] == ["a1", "silu1", "a2"]
    assert [ref.node for ref in graph.nodes[-1].inputs] == [1, 3, 5]


def test_within_a_round_a_name_means_that_rounds_layer():
    graph = net(HEAD + "  - repeat: {times: 2, layers: [{relu: {name: a}}, silu, {add: {from: [-1, a]}}]}\n")
    assert [[ref.node for ref in node.inputs] for node in graph.nodes if node.kind == "add"] == [[2, 1], [5, 4]]


# Inputs and outputs.


def test_several_inputs():
    graph = net(
        "input: {image: [3, 8, 8], depth: [1, 8, 8]}\n"
        "layers: [{conv: {out: 4, kernel: 1, from: image, name: a}}, {concat: {from: [a, depth]}}]\n"
    )
    assert graph.inputs == {"image": (3, 8, 8), "depth": (1, 8, 8)}
    assert graph.nodes[-1].output_shape == (5, 8, 8)
    assert [ref.node for ref in graph.nodes[-1].inputs] == [2, 1]


def test_several_inputs_from_outside():
    text = "input: {a: [3, 8, 8], b: [1, 8, 8]}\nlayers: [{concat: {from: [a, b]}}]\n"
    assert shapes(net(text, input={"b": (2, 8, 8)})) == [(5, 8, 8)]
    assert shapes(net("input: {a: [3, 8, 8]}\nlayers: [relu]\n", input=(1, 4))) == [(1, 4)]


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (None, ["tanh1"]),
        ("[a, b1]", ["a", "b1"]),
        ("{low: a, high: b1.silu1}", ["low", "high"]),
        ("a", ["a"]),
        ("[parts]", ["parts.0", "parts.1"]),
        ("[parts.1]", ["parts.1"]),
    ],
)
def test_outputs(outputs, names):
    text = (
        "input: [4, 8, 8]\nblocks: {b: {layers: [silu]}}\n"
        "layers: [{relu: {name: a}}, {split: {chunks: 2, name: parts, from: a}}, {b: {from: a}}, tanh]\n"
    )
    graph = net(text + (f"outputs: {outputs}\n" if outputs else ""))
    assert [name for name, _ in graph.outputs] == names


# Ranks and padding.


@pytest.mark.parametrize(
    ("shape", "out"),
    [([4, 11], (2, 5)), ([4, 11, 12], (2, 5, 5)), ([4, 11, 12, 13], (2, 5, 5, 6))],
)
def test_the_rank_follows_from_the_input(shape, out):
    assert shapes(net(f"input: {shape}\nlayers: [{{conv: {{out: 2, kernel: 3, stride: 2}}}}]\n")) == [out]


def test_an_input_of_channels_alone():
    assert shapes(net("input: [784]\nlayers: [{linear: 10}, relu]\n")) == [(10,), (10,)]


def test_sizes_in_expressions():
    """Each rank has its own names; ``in_size`` has them all."""
    for shape, expression, size in [
        ([5, 7], "in_length", 7),
        ([5, 7, 9], "in_height + in_width", 16),
        ([5, 7, 9, 11], "in_depth * 100 + in_width", 711),
        ([5, 7, 9], "in_size[1] * in_channels", 45),
        ([5], "in_channels + len(in_size)", 5),
    ]:
        block = f"blocks:\n  b:\n    args:\n      n: {expression}\n    layers: [flatten, {{linear: n}}]\n"
        graph = net(f"input: {shape}\n{block}layers: [b]\n")
        assert graph.nodes[-1].output_shape == (size,)


@pytest.mark.parametrize(
    ("padding", "out"),
    [
        ("1", (2, 9, 8)),
        ("[1, 0]", (2, 9, 6)),
        ("[[0, 1], [2, 0]]", (2, 8, 8)),
        ("[1, [0, 1]]", (2, 9, 7)),
        ("same", (2, 9, 8)),
        ("valid", (2, 7, 6)),
        ("kernel // 2", (2, 9, 8)),
        ("pad", (2, 9, 8)),
        ("[pad, [pad, 0]]", (2, 9, 7)),
    ],
)
def test_padding(padding, out):
    layer = f"conv: {{out: 2, kernel: kernel, padding: {padding}}}"
    text = f"input: [1, 9, 8]\nargs: {{kernel: 3, pad: 1}}\nlayers:\n  - {layer}\n"
    assert shapes(net(text)) == [out]


def test_same_padding_is_the_ceiling():
    text = "input: [1, 9, 8]\nlayers: [{conv: {out: 2, kernel: 4, stride: 2, padding: same}}]\n"
    assert shapes(net(text)) == [(2, 5, 4)]


# Names of layers.


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("bn", "batch_norm"),
        ("gap", "global_avg_pool"),
        ("fc: 10", "linear: 10"),
        ("dense: {out_features: 10}", "linear: {out: 10}"),
        ("deconv: {out: 2, kernel: 2}", "conv_transpose: {out: 2, kernel: 2}"),
        ("dwconv: {kernel_size: 3}", "depthwise_conv: {kernel: 3}"),
        ("conv2d: {out_channels: 2, kernel_size: 3}", "conv: {out: 2, kernel: 3}"),
        ("swish", "silu"),
    ],
)
def test_aliases(written, meant):
    """Accepted, and never written: paths and types have the layer's own name."""
    graph = same(HEAD + f"  - {written}\n", HEAD + f"  - {meant}\n")
    assert paths(graph) == paths(net(HEAD + f"  - {meant}\n"))


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("linear: 10", "linear: {out: 10}"),
        ("max_pool: 2", "max_pool: {kernel: 2}"),
        ("max_pool: [2, 3]", "max_pool: {kernel: [2, 3]}"),
        ("dropout: 0.5", "dropout: {p: 0.5}"),
        ("relu: {}", "relu"),
        ("relu:", "relu"),
        ("activation: relu", "relu"),
        ("conv: {out: 8, kernel: '3'}", "conv: {out: 8, kernel: 3}"),
        ("conv: {out: 8.0, kernel: 6 / 2}", "conv: {out: 8, kernel: 3}"),
        ("conv: {out: 0x10, kernel: 010 - 7}", None),
        ("conv: {out: 8, kernel: 3, bias: 1 > 2}", "conv: {out: 8, kernel: 3, bias: false}"),
    ],
)
def test_short_values(short, long):
    if long is None:
        with pytest.raises(CnncalcError, match="not an expression: leading zeros in decimal integer literals"):
            net(HEAD + f"  - {short}\n")
        return
    same(HEAD + f"  - {short}\n", HEAD + f"  - {long}\n")


def test_short_forms_become_what_they_stand_for():
    graph = same(
        HEAD + "  - depthwise_conv: {kernel: 3, multiplier: 2}\n  - separable_conv: {out: 8, kernel: 3}\n",
        HEAD
        + "  - conv: {out: 6, kernel: 3, groups: in_channels}\n"
        + "  - conv: {out: 6, kernel: 3, groups: in_channels}\n  - conv: {out: 8, kernel: 1}\n",
    )
    assert paths(graph) == ["depthwise_conv1", "separable_conv1.conv1", "separable_conv1.conv2"]


def test_a_layers_name_is_a_value():
    same(
        "input: [3, 8, 8]\nargs: {act: relu, norm: batch_norm}\n"
        "blocks: {b: {args: {act: act}, layers: [norm, {activation: act}, {norm: {eps: 0.1}}]}}\n"
        "layers: [b, {b: {act: gelu}}, {activation: act}]\n",
        "input: [3, 8, 8]\nlayers: [batch_norm, relu, {batch_norm: {eps: 0.1}}, batch_norm, gelu, "
        "{batch_norm: {eps: 0.1}}, relu]\n",
    )


def test_a_blocks_name_is_a_value():
    same(
        "input: [3, 8, 8]\nargs: {block: wide}\n"
        "blocks:\n  wide: {args: {n: 8}, layers: [conv: {out: n, kernel: 1}]}\n"
        "  thin: {args: {n: 2}, layers: [linear: n]}\n"
        "layers: [block, {block: {n: 3}}]\n",
        "input: [3, 8, 8]\nlayers: [{linear: 2}, {linear: 3}]\n",
        args=["block=thin"],
    )


@pytest.mark.parametrize("empty", ["null", "~", ""])
def test_null_as_a_layer_is_nothing(empty):
    text = f"input: [3, 8, 8]\nargs: {{act: {empty}}}\nlayers: [relu, {{activation: act}}, act, silu]\n"
    same(text, "input: [3, 8, 8]\nlayers: [relu, silu]\n")


def test_arguments_hide_layer_names():
    same(
        "input: [3, 8, 8]\nargs: {relu: silu, linear: 7}\nlayers: [relu, {conv: {out: linear, kernel: 1}}]\n",
        "input: [3, 8, 8]\nlayers: [silu, {conv: {out: 7, kernel: 1}}]\n",
    )


def test_a_block_may_have_the_name_of_an_alias():
    same("input: [3, 8, 8]\nblocks: {gap: {layers: [relu]}}\nlayers: [gap]\n", "input: [3, 8, 8]\nlayers: [relu]\n")


def test_fixed_choices_go_before_arguments():
    """``nearest`` is the mode even where an argument has that name; other words are expressions."""
    same(
        "input: [3, 8, 8]\nargs: {nearest: bilinear, how: bilinear, same: 0}\n"
        "layers: [{upsample: {scale_factor: 2, mode: nearest}}, {upsample: {scale_factor: 2, mode: how}}, "
        "{conv: {out: 1, kernel: 3, padding: same}}]\n",
        "input: [3, 8, 8]\nlayers: [{upsample: {scale_factor: 2, mode: nearest}}, "
        "{upsample: {scale_factor: 2, mode: bilinear}}, {conv: {out: 1, kernel: 3, padding: 1}}]\n".replace(
            "padding: 1", "padding: same"
        ),
    )


# Split.


def test_split_and_a_branch_for_each_part():
    """ShuffleNet's unit: part k goes through branch k."""
    graph = same(
        "input: [6, 8, 8]\nlayers: [{split: {chunks: 2}}, {concat: [[], [{conv: {out: 5, kernel: 1}}]]}]\n",
        "input: [6, 8, 8]\nlayers: [{split: {chunks: 2, name: s}}, {conv: {out: 5, kernel: 1, from: s.1}}, "
        "{concat: {from: [s.0, -1]}}]\n",
    )
    assert shapes(graph) == [(3, 8, 8), (5, 8, 8), (8, 8, 8)]


def test_split_into_sizes():
    graph = net(
        "input: [6, 8, 8]\nlayers: [{split: {sizes: [1, 2, 3], name: s}}, {relu: {from: s.2}}, {silu: {from: s.0}}]\n"
    )
    assert shapes(graph)[1:] == [(3, 8, 8), (1, 8, 8)]


def test_a_merge_without_branches_takes_all_parts():
    graph = net("input: [6, 8, 8]\nlayers: [{split: {chunks: 3}}, add]\n")
    assert graph.nodes[-1].output_shape == (2, 8, 8)
    assert [(ref.node, ref.port) for ref in graph.nodes[-1].inputs] == [(1, 0), (1, 1), (1, 2)]


def test_branches_that_are_not_one_for_each_part_are_refused():
    with pytest.raises(CnncalcError, match="relu takes 1 input, got 3"):
        net("input: [6, 8, 8]\nlayers: [{split: {chunks: 3}}, {concat: [[relu], [relu]]}]\n")


# Shared weights.


def test_shared_weights_are_counted_once_and_worked_each_time():
    layer = "conv: {out: 3, kernel: 3, padding: 1"
    shared = net(HEAD + f"  - {layer}, share: w}}\n  - relu\n  - {layer}, share: w}}\n")
    apart = net(HEAD + f"  - {layer}}}\n  - relu\n  - {layer}}}\n")
    assert [node.shared for node in shared.nodes] == [None, None, None, 1]
    ours, theirs = costs(shared), costs(apart)
    assert [cost.params for cost in ours] == [0, 84, 0, 0]
    assert [cost.macs for cost in ours] == [cost.macs for cost in theirs]
    assert [cost.elementwise_ops for cost in ours] == [cost.elementwise_ops for cost in theirs]


def test_a_shared_block_shares_every_layer_in_it():
    text = (
        "input: [3, 8, 8]\nblocks:\n  inner: {layers: [batch_norm]}\n"
        "  head: {layers: [conv: {out: 3, kernel: 1}, inner, relu]}\n"
        "layers: [{head: {share: h}}, tanh, {head: {share: h}}, head]\n"
    )
    graph = net(text)
    assert [node.shared for node in graph.nodes] == [None] * 5 + [1, 2, None, None, None, None]
    assert [cost.params for cost in costs(graph)] == [0, 12, 6, 0, 0, 0, 0, 0, 12, 6, 0]
    assert sum(cost.buffers for cost in costs(graph)) == 2 * 7


def test_share_in_a_repeat():
    graph = net(HEAD + "  - repeat: {times: 3, layers: [{conv: {out: 3, kernel: 1, share: w}}]}\n")
    assert [node.shared for node in graph.nodes] == [None, None, 1, 1]


def params(graph):
    return sum(cost.params for cost in costs(graph))


CONV = 64 * 64 + 64


def test_a_share_name_with_an_expression():
    """Three pairs of convolutions, each pair with weights of its own."""
    conv = '{conv: {out: 64, kernel: 1, share: "w{index}"}}'
    graph = net(f"input: [64, 14, 14]\nlayers: [{{repeat: {{times: 3, layers: [{conv}, relu, {conv}]}}}}]\n")
    assert [node.shared for node in graph.nodes] == [None, None, None, 1, None, None, 4, None, None, 7]
    assert params(graph) == 3 * CONV


def test_a_share_name_with_a_fault():
    with pytest.raises(CnncalcError, match=r"net\.yaml:3:27: error: in 'w\{indx\}': there is no variable 'indx' here"):
        net(HEAD + '  - conv: {out: 3, share: "w{indx}", kernel: 1}\n')


MLP = """
input: [64, 14, 14]
blocks:
  cbam:
    layers:
      - multiply:
          - []
          - - add:
                - [global_avg_pool, {conv: {share: mlp, out: 64, kernel: 1}}]
                - [global_max_pool, {conv: {share: mlp, out: 64, kernel: 1}}]
            - sigmoid
"""


def test_a_share_name_belongs_to_the_block_call():
    """One MLP for both descriptors of a block (Woo et al. 2018, CBAM), another in the next block."""
    graph = net(MLP + "layers: [{repeat: {times: 3, layers: [cbam]}}]\n")
    assert params(graph) == 3 * CONV
    # and not the name of the net around it
    assert params(net(MLP + "layers: [{conv: {share: mlp, out: 64, kernel: 1}}, cbam]\n")) == 2 * CONV


def test_a_shared_call_shares_the_names_inside_with_its_twin():
    graph = net(MLP + "layers: [{cbam: {share: one}}, {cbam: {share: one}}, {cbam: {share: two}}, cbam]\n")
    assert params(graph) == 3 * CONV


HEADS = """
input: {p3: [16, 32, 32], p4: [16, 16, 16], p5: [16, 8, 8]}
blocks:
  tower:
    layers: [{repeat: {times: 4, layers: [{conv: {out: 16, kernel: 3, padding: 1}}, relu]}}]
  heads:
    layers:
      - tower: {name: class, share: class}
      - conv: {out: 36, kernel: 3, padding: 1, name: last}
      - tower: {name: box, from: class, share: box}
      - tower: {from: box, share: box}
"""


def test_shares_within_shared_calls():
    """The heads of RetinaNet: the same weights on every map, and of those the towers their own."""
    names = ["p3", "p4", "p5"]
    calls = "".join(f"  - heads: {{from: {name}, share: heads}}\n" for name in names)
    tower, last = 4 * (16 * 16 * 9 + 16), 16 * 36 * 9 + 36
    assert params(net(HEADS + f"layers:\n{calls}")) == 2 * tower + last
    calls = "".join(f"  - heads: {{from: {name}}}\n" for name in names)
    assert params(net(HEADS + f"layers:\n{calls}")) == 3 * (2 * tower + last)


def test_a_share_name_is_no_path():
    """A share called as a call, or as a layer of another shared call, is another share."""
    graph = net(
        "input: [3, 8, 8]\nblocks:\n  plain: {layers: [conv: {out: 3, kernel: 1}]}\n"
        "  named: {layers: [conv: {out: 3, kernel: 1, share: w}]}\nlayers:\n"
        "  - plain: {share: h}\n  - conv: {out: 3, kernel: 1, share: h.conv1}\n"
        "  - named\n  - named: {share: named1}\n"
    )
    assert [node.shared for node in graph.nodes] == [None] * 5


def test_a_shared_short_form():
    graph = net(
        HEAD + "  - repeat: {times: 2, layers: [{separable_conv: {out: 3, kernel: 3, padding: 1, share: w}}]}\n"
    )
    assert [node.shared for node in graph.nodes] == [None, None, None, 1, 2]


# YAML 1.2.


@pytest.mark.parametrize("word", ["yes", "no", "on", "off"])
def test_words_of_yaml_1_1_are_no_booleans(word):
    with pytest.raises(CnncalcError, match=r"hint: YAML 1\.2 only has true and false"):
        net(HEAD + f"  - conv: {{out: 8, kernel: 3, bias: {word}}}\n")
    text = f"input: [3, 8, 8]\nargs: {{{word}: 4}}\nlayers: [{{conv: {{out: {word}, kernel: 1}}}}]\n"
    assert shapes(net(text)) == [(4, 8, 8)]


def test_numbers_of_yaml_1_1():
    """``010`` is ten, and ``1:30`` is no number."""
    assert shapes(net(HEAD + "  - conv: {out: 010, kernel: 1}\n")) == [(10, 32, 32)]
    with pytest.raises(CnncalcError, match="not an expression"):
        net("input: [3, 8, 8]\nlayers:\n  - conv:\n      out: 1:30\n      kernel: 1\n")


def test_a_budget_is_read():
    text = HEAD + "  - relu\nbudget: {params: {max: 26M}, macs: {max: 4.2G, min: 1_000}, flops: {min: 0}}\n"
    assert net(text).budget == {
        "params": {"max": 26_000_000},
        "macs": {"max": 4_200_000_000, "min": 1000},
        "flops": {"min": 0},
    }
    text = HEAD + "  - relu\nbudget: {peak: {max: 16MiB}, memory: {max: 2G}, weights: {max: 4000}, rf: {min: 33}}\n"
    assert net(text).budget == {
        "peak": {"max": 16 * 2**20},
        "memory": {"max": 2 * 10**9},
        "weights": {"max": 4000},
        "rf": {"min": 33},
    }
    with pytest.raises(CnncalcError, match="'16MiB' is not a count"):
        net(HEAD + "  - relu\nbudget: {params: {max: 16MiB}}\n")


# -- names -----------------------------------------------------------------------------------------


def test_a_name_is_a_word_a_number_or_several():
    graph = net(HEAD + "  - relu: {name: 0}\n  - relu: {name: features.3.conv}\n  - relu: {name: '{{x}}', from: '0'}\n")
    assert paths(graph) == ["0", "features.3.conv", "{x}"]
    assert graph.nodes[3].inputs[0].node == 1


def test_an_expression_in_a_name():
    """Read where the layer stands: the index of a repeat, an argument, the channels coming in."""
    graph = net("""
input: [3, 8, 8]
blocks:
  tower:
    args: {number: required, act: relu}
    layers:
      - conv: {name: "conv{number}_{in_channels}", out: 4 * number, kernel: 1}
      - relu: {name: "{act}"}
layers:
  - repeat:
      times: 2
      layers:
        - tower: {name: "layer{index + 1}.{2 * index}", number: index + 1}
  - relu: {from: layer1.0}
""")
    assert paths(graph) == ["layer1.0.conv1_3", "layer1.0.relu", "layer2.2.conv2_4", "layer2.2.relu", "relu1"]
    assert graph.nodes[-1].inputs[0].node == 2


def test_a_numbered_scope():
    """What has no name is called 0, 1, 2, …; a given number is counted on from; blocks have numbers of their own."""
    graph = net("""
input: [3, 8, 8]
numbered: true
blocks:
  unit: {numbered: true, layers: [{conv: {out: 4, kernel: 1}}, {relu: {name: act}}, batch_norm]}
  plain: {layers: [relu]}
layers:
  - unit
  - relu: {name: 3}
  - plain
  - repeat: {times: 2, layers: [unit]}
  - relu: {name: 8.inner}
  - residual: [relu]
  - residual: {body: [relu], shortcut: []}
""")
    assert paths(graph) == [
        *("0.0", "0.act", "0.1", "3", "4.relu1", "5.0", "5.act", "5.1", "6.0", "6.act", "6.1"),
        *("8.inner", "9", "10", "11", "12"),
    ]


def test_flat_branches():
    """Branches and shortcuts add no level: the same net with shorter paths, names told apart by their counters."""
    text = """
input: [4, 8, 8]
layers:
  - concat:
      - - conv: {out: 4, kernel: 1}
      - - conv: {out: 2, kernel: 1}
        - relu: {name: deep.relu}
  - residual:
      body:
        - conv: {out: 8, kernel: 1}
      shortcut:
        - conv: {out: 8, kernel: 1}
  - relu: {from: conv2}
"""
    graph = net("flat_branches: true" + text)
    assert paths(graph) == ["conv1", "conv2", "deep.relu", "concat1", "conv3", "conv4", "add1", "relu1"]
    nested = net(text.replace("from: conv2", "from: branch2.conv1"))
    assert paths(nested)[:3] == ["branch1.conv1", "branch2.conv1", "branch2.deep.relu"]
    assert anatomy(graph) == anatomy(nested)
