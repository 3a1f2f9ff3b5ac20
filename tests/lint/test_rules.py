"""Each rule has a net that it finds something in and a near twin that is clean, and PyTorch confirms its numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.analysis.lint import FINDERS, RULES, Finding, Found, lint, rule
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch import build
from tests.lint.measure import centre, line, outputs_of_ones, paths, span


def spec(shape: list[int], *layers: str) -> str:
    return f"input: {shape}\nlayers:\n" + "".join(f"  - {layer}\n" for layer in layers)


def found(text: str, number: str, **options: Any) -> list[Finding]:
    """What one rule finds."""
    return list(lint(load_text(text, **options), wanted=lambda rule: rule.rule == number).findings)


def only(text: str, number: str, **options: Any) -> Finding:
    (finding,) = found(text, number, **options)
    return finding


# -- the register ----------------------------------------------------------------------------------


def test_every_rule_says_everything():
    for number, one in RULES.items():
        assert one.rule == number
        assert number.startswith("CNN")
        assert all((one.summary, one.why, one.mend, one.source)), number
        assert one.summary.endswith("."), number
        # a year and a place, or a vendor's guide
        assert "19" in one.source or "20" in one.source or "guide" in one.source, number
    assert len({one.name for one in RULES.values()}) == len(RULES) >= 13


def test_a_rule_is_one_function():
    try:

        @rule("CNN999", "has-relu", "error", why="a test", mend="a test", source="a test, 2026")
        def has_relu(design):
            """An activation."""
            for number, node, _ in design.layers():
                if node.path.startswith("relu"):
                    yield Found(number, "is there", {"number": number}, "info" if number > 2 else None)

        findings = found(spec([1, 4], "relu", "relu"), "CNN999")
    finally:
        del RULES["CNN999"], FINDERS["CNN999"]
    assert [(f.layer, f.severity, f.message, f.place.line) for f in findings] == [
        ("relu1", "error", "is there", 3),
        ("relu2", "error", "is there", 4),
    ]


def test_a_clean_net_has_no_findings():
    text = spec(
        [3, 33, 33],
        "conv: {out: 16, kernel: 3, stride: 2, padding: 1, bias: false}",
        "batch_norm",
        "relu",
        "conv: {out: 32, kernel: 3, stride: 2, padding: 1, bias: false}",
        "batch_norm",
        "relu",
    )
    assert lint(load_text(text)).findings == ()


# -- CNN101 and CNN102: what nobody reads ----------------------------------------------------------

SHORT = spec([1, 32, 34], "conv: {out: 8, kernel: 3, stride: 2}")


def test_lost_pixels_have_no_gradient():
    finding = only(SHORT, "CNN101")
    height, width = finding.numbers["axes"]
    assert (height["pixels"], height["border"], width["pixels"], width["border"]) == (1, "bottom", 1, "right")
    unread = paths(SHORT)[0] == 0
    assert unread[-1].all()
    assert unread[:, -1].all()
    assert not unread[:-1, :-1].any()
    assert finding.severity == "warning"


def test_the_sizes_that_are_named_lose_nothing_and_those_between_do():
    """⌊(H − 3)/2⌋ is exact where H is odd."""
    height, width = only(SHORT, "CNN101").numbers["axes"]
    assert (height["input_sizes"], width["input_sizes"]) == ([31, 33], [33, 35])
    for size in (31, 33):
        assert found(SHORT, "CNN101", input=(1, size, size)) == []
        assert not (paths(SHORT, input=(1, size, size)) == 0).any()


def test_the_sizes_that_are_named_are_those_of_the_nets_input():
    """A pool by 3 after a stride of 2 loses something unless ⌊(H − 1)/2⌋ + 1 is a multiple of 3."""
    text = spec([1, 70], "conv: {out: 8, kernel: 3, stride: 2, padding: 1}", "relu", "max_pool: 3")
    (axis,) = only(text, "CNN101").numbers["axes"]
    assert (axis["pixels"], axis["size"]) == (35 % 3, 35)
    smaller, larger = axis["input_sizes"]
    clean = [h for h in range(60, 80) if ((h - 1) // 2 + 1) % 3 == 0]
    assert (smaller, larger) == (max(h for h in clean if h < 70), min(h for h in clean if h > 70))


def test_what_another_branch_reads_is_not_lost():
    branches = "concat: [[{conv: {out: 8, kernel: 3, stride: 2}}], [{%s}]]"
    lossy = spec([8, 32], branches % "max_pool: {kernel: 3, stride: 2}")
    assert {f.severity for f in found(lossy, "CNN101")} == {"warning"}
    whole = spec([8, 32], branches % "conv: {out: 8, kernel: 4, stride: 2, padding: [[0, 1]]}")
    assert [f.severity for f in found(whole, "CNN101")] == ["info"]
    assert not (paths(whole) == 0).any()


def test_a_kernel_below_its_stride_leaves_pixels_without_gradient():
    text = spec([1, 32, 32], "conv: {out: 8, kernel: 1, stride: 2}")
    finding = only(text, "CNN102")
    assert (finding.numbers["read"], finding.numbers["of"], finding.severity) == (16 * 16, 32 * 32, "warning")
    assert int((paths(text) != 0).sum()) == finding.numbers["read"]


def test_a_dilation_that_the_stride_divides_leaves_pixels_out_too():
    text = spec([1, 32], "conv: {out: 1, kernel: 3, stride: 2, padding: 2, dilation: 2}")
    finding = only(text, "CNN102")
    assert finding.message.startswith("dilation 2 and stride 2 leave places out along length: reads 16 of 32 places")
    assert int((line(text) != 0).sum()) == 16
    assert found(text.replace("dilation: 2", "dilation: 1"), "CNN102") == []


def test_a_kernel_of_its_stride_reads_all():
    text = spec([1, 32, 32], "conv: {out: 8, kernel: 2, stride: 2}")
    assert found(text, "CNN102") == []
    assert (paths(text) != 0).all()


def test_a_strided_shortcut_beside_a_body_that_reads_all_is_a_note():
    text = "input: [8, 33, 33]\nlayers:\n  - residual:\n" + (
        "      body: [{conv: {out: 8, kernel: 3, stride: 2, padding: 1}}]\n"
        "      shortcut: [{conv: {out: 8, kernel: 1, stride: 2}}]\n"
    )
    assert [(f.layer, f.severity) for f in found(text, "CNN102")] == [("shortcut1.conv1", "info")]
    assert (paths(text) != 0).all()


@given(
    size=st.integers(1, 24),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 6),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
    mode=st.sampled_from(["zeros", "zeros", "replicate", "circular", "reflect"]),
)
@settings(max_examples=150)
def test_pixels_without_gradient_are_those_of_the_two_rules(size, kernel, stride, padding, dilation, mode):
    text = spec(
        [1, size],
        f"conv: {{out: 1, kernel: {kernel}, stride: {stride}, padding: {padding}, dilation: {dilation}, "
        f"padding_mode: {mode}}}",
    )
    try:
        load_text(text)
    except CnncalcError:
        return  # it does not fit
    told = sum(
        axis["pixels"]
        for number in ("CNN101", "CNN102")
        for finding in found(text, number)
        for axis in finding.numbers["axes"]
    )
    unread = int((line(text) == 0).sum())
    # holes of a dilated kernel with stride 1 are met only where the map is smaller than they are
    assert told == unread or (stride == 1 and told == 0)


# -- CNN103 and CNN104: features that move ---------------------------------------------------------


@pytest.mark.parametrize(("kernel", "padding"), [(4, "same"), (2, "same"), (3, "[[0, 2]]"), (5, "[[4, 1]]")])
def test_a_shift_is_where_the_paths_come_from(kernel, padding):
    text = spec([1, 33], f"conv: {{out: 1, kernel: {kernel}, padding: {padding}}}")
    (axis,) = only(text, "CNN103").numbers["axes"]
    units = load_text(text).nodes[-1].output_shape[1]
    # Against the middle of the input the middle of the output has moved.
    assert centre(line(text, (0, 16))) - (16 + (33 - units) / 2) == axis["shift"]
    assert only(text, "CNN103").severity == "warning"


def test_an_even_kernel_with_equal_padding_lies_between_the_pixels():
    text = spec([1, 33], "conv: {out: 1, kernel: 4, padding: 1}")
    finding = only(text, "CNN103")
    assert finding.severity == "info"
    assert finding.numbers["axes"][0]["shift"] == 0
    assert centre(line(text, (0, 16))) == 16.5


def test_a_shift_counts_in_input_pixels_too():
    text = spec([1, 65], "max_pool: {kernel: 3, stride: 2}", "conv: {out: 1, kernel: 2, padding: same}")
    (axis,) = only(text, "CNN103").numbers["axes"]
    assert (axis["shift"], axis["shift_in_input_pixels"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    "layer",
    [
        "conv: {out: 8, kernel: 3, padding: 1}",
        "conv: {out: 8, kernel: 3, padding: 2, dilation: 2}",
        "conv: {out: 8, kernel: 5}",  # without padding, but the same on both sides
        "conv: {out: 8, kernel: 33}",  # even or odd, one unit that sees all has no place to be out of
        "conv: {out: 8, kernel: 3, padding: [[2, 0]]}",  # causal
        "max_pool: {kernel: 2, stride: 2}",
    ],
)
def test_what_stays_in_its_place(layer):
    assert found(spec([1, 33], layer), "CNN103") == []


@pytest.mark.parametrize(("size", "kernel", "padding"), [(224, 7, 3), (112, 3, 1), (30, 11, 5)])
def test_padding_that_is_read_at_one_side_shows_in_the_sums(size, kernel, padding):
    """Over ones with weights of one, a unit's value is its kernel less the padding that it reads."""
    text = spec([1, size], f"conv: {{out: 1, kernel: {kernel}, stride: 2, padding: {padding}}}")
    finding = only(text, "CNN104")
    (axis,) = finding.numbers["axes"]
    values = outputs_of_ones(text)[0]
    before, after = kernel - values[0], kernel - values[-1]
    assert axis["padding_read"] == [before, after]
    assert finding.message == f"windows reach {before:.0f} beyond the start and {after:.0f} beyond the end of {size}"
    assert axis["shift"] == (after - before) / 2
    assert found(text, "CNN104", input=(1, size + 1)) == []
    twin = outputs_of_ones(text, input=(1, size + 1))[0]
    assert twin[0] == twin[-1]


# -- CNN105: branches ------------------------------------------------------------------------------


def test_branches_that_meet_out_of_line():
    branch = "conv: {out: 1, kernel: 2, padding: same}"
    text = spec([1, 17], f"add: [[{{{branch}}}], []]")
    (axis,) = only(text, "CNN105").numbers["axes"]
    alone = line(spec([1, 17], branch), (0, 8))
    assert centre(alone) - 8 == 0.5
    assert axis["centres_apart"] == "1/2"
    assert found(text.replace("kernel: 2", "kernel: 3"), "CNN105") == []


def test_branches_of_different_jumps():
    stride = "conv: {out: 1, kernel: 3, stride: 2, padding: 1}"
    text = spec([1, 9], f"concat: [[{{{stride}}}], [{{conv: {{out: 1, kernel: 5}}}}]]")
    (axis,) = only(text, "CNN105").numbers["axes"]
    steps = [
        centre(line(spec([1, 9], layer), (0, 3))) - centre(line(spec([1, 9], layer), (0, 2)))
        for layer in (stride, "conv: {out: 1, kernel: 5}")
    ]
    assert axis["jumps"] == [f"{step:.0f}" for step in steps] == ["2", "1"]


# -- CNN106: checkerboards -------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (4, 3), (5, 4), (1, 2)])
def test_a_checkerboard_shows_in_the_sums_over_ones(kernel, stride):
    text = spec([1, 12, 12], f"conv_transpose: {{out: 1, kernel: {kernel}, stride: {stride}}}")
    numbers = only(text, "CNN106").numbers
    values = outputs_of_ones(text)[0]
    inner = values[2 * stride : -2 * stride, 2 * stride : -2 * stride]
    assert (numbers["least"], numbers["most"]) == (inner.min(), inner.max())
    assert numbers["axes"][0]["inputs_in_turn"] == [
        float(v) for v in line_of(f"conv_transpose: {{out: 1, kernel: {kernel}, stride: {stride}}}", stride)
    ]


def line_of(layer: str, stride: int) -> torch.Tensor:
    """The values of one period, far from the borders."""
    return outputs_of_ones(spec([1, 12], layer))[0][4 * stride : 5 * stride]


@pytest.mark.parametrize("fields", ["kernel: 4, stride: 2", "kernel: 2, stride: 2", "kernel: 3, stride: 1"])
def test_a_kernel_that_the_stride_divides_is_even(fields):
    text = spec([1, 12, 12], f"conv_transpose: {{out: 1, {fields}}}")
    assert found(text, "CNN106") == []
    values = outputs_of_ones(text)[0][4:-4, 4:-4]
    assert values.min() == values.max()


# -- CNN107: padding only --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        ["conv: {out: 1, kernel: 1, padding: 1}"],
        ["conv: {out: 1, kernel: 3, padding: 4}"],
        ["conv: {out: 1, kernel: 2, padding: 3, dilation: 2, stride: 2}"],
        ["conv: {out: 1, kernel: 1, stride: 2, padding: 1}"],
        ["conv_transpose: {out: 1, kernel: 2, stride: 2, output_padding: 1}"],
        ["pad: {padding: 3}", "conv: {out: 1, kernel: 3}"],
        ["pad: {padding: 2}", "relu", "max_pool: {kernel: 2, stride: 2}"],
    ],
    ids=lambda layers: layers[-1],
)
def test_units_that_see_padding_alone_have_no_gradient(layers):
    text = spec([1, 8], *layers)
    (axis,) = only(text, "CNN107").numbers["axes"]
    blind = [unit for unit in range(axis["of"]) if not line(text, (0, unit)).any()]
    assert axis["units"] == blind
    assert only(text, "CNN107").severity == "error"


@pytest.mark.parametrize(
    "layers",
    [
        ["conv: {out: 1, kernel: 3, padding: 2}"],
        ["conv: {out: 1, kernel: 3, padding: 4, padding_mode: circular}"],
        ["conv_transpose: {out: 1, kernel: 3, stride: 2, padding: 1, output_padding: 1}"],
        ["pad: {padding: 2}", "conv: {out: 1, kernel: 3}"],
        ["pad: {padding: 3, mode: replicate}", "conv: {out: 1, kernel: 3}"],
        ["max_pool: {kernel: 3, stride: 2, ceil_mode: true}"],
    ],
    ids=lambda layers: layers[-1],
)
def test_units_that_see_some_input(layers):
    text = spec([1, 8], *layers)
    assert found(text, "CNN107") == []
    units = load_text(text).nodes[-1].output_shape[1]
    assert all(line(text, (0, unit)).any() for unit in range(units))


window = st.fixed_dictionaries(
    {
        "kernel": st.integers(1, 4),
        "stride": st.integers(1, 3),
        "padding": st.integers(0, 5),
        "dilation": st.integers(1, 3),
        "padding_mode": st.sampled_from(["zeros", "zeros", "replicate"]),
    }
)


@given(size=st.integers(1, 12), windows=st.lists(window, min_size=1, max_size=3))
@settings(max_examples=100)
def test_blind_units_are_those_without_gradient(size, windows):
    """Those that are told have none; and where nothing is told every unit has one."""
    layers = [f"conv: {{out: 1, {', '.join(f'{k}: {v}' for k, v in one.items())}}}" for one in windows]
    try:
        units = [node.output_shape[1] for node in load_text(spec([1, size], *layers)).nodes[1:]]
    except CnncalcError:
        return  # it does not fit
    findings = found(spec([1, size], *layers), "CNN107")
    for count, total in enumerate(units, start=1):
        prefix = spec([1, size], *layers[:count])
        blind = [unit for unit in range(total) if not line(prefix, (0, unit)).any()]
        told = next((f.numbers["axes"][0]["units"] for f in findings if f.layer == f"conv{count}"), None)
        assert told is None or told == blind
        if not blind:
            continue
        assert any(int(f.layer[4:]) <= count for f in findings)


def test_the_layer_to_blame_is_named_once():
    text = spec([1, 8], "conv: {out: 1, kernel: 1, padding: 2}", "relu", "conv: {out: 1, kernel: 1}")
    assert [f.layer for f in found(text, "CNN107")] == ["conv1"]
    both = spec([1, 8], "conv: {out: 1, kernel: 1, padding: 2}", "relu", "conv: {out: 1, kernel: 1, padding: 1}")
    assert [f.layer for f in found(both, "CNN107")] == ["conv1", "conv2"]


# -- CNN201: gridding ------------------------------------------------------------------------------


def dilated(*dilations: int) -> list[str]:
    return [f"conv: {{out: 1, kernel: 3, padding: {d}, dilation: {d}}}" for d in dilations]


@pytest.mark.parametrize("dilations", [(2,), (2, 2), (2, 2, 2), (2, 4, 8), (1, 2, 9), (1, 9, 2)])
def test_gaps_are_pixels_without_paths(dilations):
    """[1, 2, 9] is the bad example of Wang et al. 2018, [2, 2, 2] and [2, 4, 8] those with a common factor."""
    text = spec([1, 81], *dilated(*dilations))
    finding = only(text, "CNN201")
    (axis,) = finding.numbers["axes"]
    counts = line(text, (0, 40))
    assert (axis["seen"], axis["span"]) == (int((counts != 0).sum()), span(counts))
    assert axis["seen"] < axis["span"]
    places = counts.nonzero().flatten().tolist()
    assert axis["largest_gap"] == max(b - a - 1 for a, b in pairwise(places))
    assert finding.layer == f"conv{max(i for i, d in enumerate(dilations, 1) if d > 1)}"


@pytest.mark.parametrize(
    "dilations", [(1,), (1, 2), (2, 1), (1, 2, 5), (1, 2, 3), (2, 2, 2, 1), (1, 2, 4, 8), (3, 1, 9)]
)
def test_dilations_that_fill_each_others_gaps(dilations):
    """[1, 2, 5] is the good example of Wang et al. 2018; a last convolution without dilation fills gaps of one."""
    text = spec([1, 81], *dilated(*dilations))
    assert found(text, "CNN201") == []
    counts = line(text, (0, 40))
    assert int((counts != 0).sum()) == span(counts)


def test_a_skip_fills_no_gap_but_its_own():
    text = f"input: [1, 41]\nlayers:\n  - residual: {{body: [{{{dilated(2)[0]}}}]}}\n  - {dilated(4)[0]}\n"
    (axis,) = only(text, "CNN201").numbers["axes"]
    counts = line(text, (0, 20))
    assert (axis["seen"], axis["span"]) == (int((counts != 0).sum()), span(counts))


@pytest.mark.parametrize("after", ["unsqueeze: {axis: 0}", "unflatten: {axis: 0, sizes: [1, -1]}"])
def test_gaps_go_by_the_axis_of_the_layer_that_makes_them(after):
    """A move of axes after it changes neither the gaps nor their name."""
    (axis,) = only(spec([1, 41], *dilated(2, 4), after), "CNN201").numbers["axes"]
    assert (axis["axis"], axis["seen"], axis["span"], axis["largest_gap"]) == ("length", 7, 13, 1)


def test_gaps_do_not_matter_to_a_mean_over_the_map():
    assert found(spec([1, 81], *dilated(2, 2), "global_avg_pool"), "CNN201") == []


# -- CNN202 and CNN203: more and less than there is ------------------------------------------------


def test_layers_that_have_seen_everything():
    """n convolutions of 3 see 2n + 1 pixels: the seventh of them reads units that see 13 of 12."""
    layers = ["conv: {out: 8, kernel: 3, padding: 1}", "relu"] * 8
    text = spec([1, 12], *layers)
    findings = found(text, "CNN202")
    assert [f.layer for f in findings] == ["conv7", "conv8"]
    for finding in findings:
        before = 2 * (int(finding.layer[4:]) - 1)
        wide = spec([1, 64], *layers[:before])
        (axis,) = finding.numbers["axes"]
        assert (axis["field"], axis["input"]) == (span(line(wide, (0, 32))), 12)
    assert found(text, "CNN202", input=(1, 15)) == []


def test_a_skip_keeps_layers_productive():
    """Along the skips a unit sees one pixel only, so every body brings in something new."""
    block = "residual: {body: [{conv: {out: 1, kernel: 3, padding: 1}}, relu]}"
    assert found(spec([1, 12], *[block] * 9), "CNN202") == []


def test_a_pointwise_convolution_needs_no_context():
    layers = ["conv: {out: 8, kernel: 3, padding: 1}", "relu"] * 6
    assert found(spec([1, 12], *layers, "conv: {out: 8, kernel: 1}"), "CNN202") == []


@pytest.mark.parametrize("head", ["global_avg_pool", "flatten"])
def test_a_head_over_units_that_see_a_part(head):
    layers = ["conv: {out: 8, kernel: 3, padding: 1}", "relu"]
    text = spec([1, 12], *layers * 3, head)
    (axis,) = only(text, "CNN203").numbers["axes"]
    assert (axis["field"], axis["input"]) == (span(line(spec([1, 12], *layers * 3), (0, 6))), 12) == (7, 12)
    assert found(spec([1, 12], *layers * 6, head), "CNN203") == []


def test_a_squeeze_excite_is_no_head():
    excite = "multiply: [[], [global_avg_pool, {conv: {out: 8, kernel: 1}}, sigmoid]]"
    text = spec([1, 12, 12], "conv: {out: 8, kernel: 3, padding: 1}", "relu", excite)
    assert found(text, "CNN203") == []


# -- CNN301 and CNN302: weights for nothing --------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layer", "norm"),
    [
        ([3, 8, 8], "conv: {out: 8, kernel: 3}", "batch_norm"),
        ([3, 8, 8], "conv_transpose: {out: 8, kernel: 3}", "batch_norm"),
        ([3, 8, 8], "conv: {out: 8, kernel: 3}", "instance_norm"),
        ([5], "linear: 8", "batch_norm"),
    ],
)
def test_a_bias_before_a_norm_gets_no_gradient(shape, layer, norm):
    text = spec(shape, layer, norm, "relu")
    assert only(text, "CNN301").numbers["biases"] == 8
    assert gradient_of_bias(text) < 1e-9
    name, _, rest = layer.partition(": ")
    bare = f"{name}: {{out: 8, bias: false}}" if rest == "8" else layer.replace("}", ", bias: false}")
    assert found(spec(shape, bare, norm), "CNN301") == []


def test_a_bias_that_is_used_gets_a_gradient():
    # group_norm mixes channels, so a bias moves them against each other; relu sees it
    for after in (["relu"], ["group_norm: {groups: 2}", "relu"], ["relu", "batch_norm"]):
        text = spec([3, 8, 8], "conv: {out: 8, kernel: 3}", *after)
        assert found(text, "CNN301") == []
        assert gradient_of_bias(text) > 1e-6


def gradient_of_bias(text: str) -> float:
    """The largest gradient of the first layer's bias in training."""
    torch.manual_seed(0)
    graph = load_text(text)
    net = build(graph).double().train()
    (shape,) = graph.inputs.values()
    out = net(torch.randn(4, *shape, dtype=torch.float64))
    bias = next(tensor for name, tensor in net.named_parameters() if name.endswith("1.bias"))
    (grad,) = torch.autograd.grad((out**3).sum(), bias)
    return float(grad.abs().max())


def test_two_linear_layers_are_one_matrix():
    text = spec([20], "linear: {out: 16, bias: false}", "dropout", "linear: {out: 8, bias: false}")
    numbers = only(text, "CNN302").numbers
    net = build(load_text(text)).double().eval()
    first, second = (tensor for _, tensor in net.named_parameters())
    one = second @ first
    assert (numbers["weights"], numbers["weights_as_one"]) == (first.numel() + second.numel(), one.numel())
    x = torch.randn(3, 20, dtype=torch.float64)
    assert torch.allclose(net(x), x @ one.T)
    assert only(text, "CNN302").severity == "warning"
    assert found(text.replace("dropout", "relu"), "CNN302") == []


def test_a_bottleneck_that_saves_weights_is_a_note():
    text = spec([20], "linear: {out: 4, bias: false}", "linear: {out: 20, bias: false}")
    finding = only(text, "CNN302")
    assert (finding.severity, finding.numbers["weights"], finding.numbers["weights_as_one"]) == ("info", 160, 400)


@pytest.mark.parametrize(
    "layers",
    [
        ["conv: {out: 6, kernel: 3}", "conv: {out: 5, kernel: 3}"],
        ["conv: {out: 6, kernel: 3, stride: 2}", "batch_norm", "conv: {out: 5, kernel: 3}"],
        ["conv: {out: 6, kernel: 3}", "instance_norm: {track_running_stats: true}", "conv: {out: 5, kernel: 3}"],
        ["depthwise_conv: {kernel: 3}", "conv: {out: 5, kernel: 1}"],
        ["conv: {out: 6, kernel: 3, groups: 2}", "conv: {out: 8, kernel: 1, groups: 2}"],
        ["conv: {out: 6, kernel: 3}", "conv_transpose: {out: 5, kernel: 2, stride: 2}"],
        ["conv_transpose: {out: 6, kernel: 4, stride: 2}", "conv: {out: 5, kernel: 3}"],
        ["conv_transpose: {out: 6, kernel: 4, stride: 2}", "conv_transpose: {out: 5, kernel: 3, stride: 2}"],
    ],
    ids=lambda layers: layers[-1],
)
def test_two_convolutions_are_one_with_so_many_weights(layers):
    """The weights of the one are the responses to a single pixel: each output channel, place and input channel."""
    text = spec([4, 24], *layers)
    numbers = only(text, "CNN302").numbers
    graph = load_text(text)
    torch.manual_seed(1)
    net = build(graph).double().eval()
    responses = 0
    for channel in range(4):
        still = torch.zeros(1, 4, 24, dtype=torch.float64)
        # each weight of a convolution with a stride meets one of two neighbouring pixels
        strided = any("stride: 2" in layer and layer.startswith("conv:") for layer in layers)
        for pixel in (12, 13) if strided else (12,):
            lit = still.clone()
            lit[0, channel, pixel] = 1
            responses += int(((net(lit) - net(still)).abs() > 1e-12).sum())
    assert numbers["weights_as_one"] == responses


# -- CNN303 to CNN305: channels --------------------------------------------------------------------


def test_a_stage_without_more_channels():
    def stages(second):
        conv = "conv: {out: %d, kernel: 3, padding: 1}"
        return spec([1, 33, 33], conv % 64, "relu", "max_pool: {kernel: 3, stride: 2, padding: 1}", conv % second)

    assert [(f.layer, f.severity) for f in found(stages(64), "CNN303")] == [("conv2", "info")]
    assert [(f.layer, f.severity) for f in found(stages(32), "CNN303")] == [("conv2", "warning")]
    assert only(stages(32), "CNN303").numbers == {"channels": 32, "channels_before": 64, "jump": "2"}
    assert found(stages(128), "CNN303") == []


def test_a_decoder_is_no_such_stage():
    up = "conv_transpose: {out: 8, kernel: 2, stride: 2}"
    down = "conv: {out: 16, kernel: 2, stride: 2}"
    assert found(spec([8, 32], "conv: {out: 8, kernel: 3, padding: 1}", "relu", down, "relu", up), "CNN303") == []


BLOCK = """input: [8, 9, 9]
layers:
  - residual:
      body:
        - conv: {out: 8, kernel: 3, padding: 1, bias: false}
        - relu
        - conv: {out: 8, kernel: 3, padding: 1, bias: false}
        - batch_norm
"""


def test_with_a_last_weight_of_zero_the_block_is_the_identity():
    finding = only(BLOCK, "CNN304")
    net = build(load_text(BLOCK)).double().eval()
    x = torch.randn(1, 8, 9, 9, dtype=torch.float64)
    assert not torch.equal(net(x), x)
    with torch.no_grad():
        dict(net.named_parameters())[f"{finding.layer}.weight"].zero_()
    assert torch.equal(net(x), x)


@pytest.mark.parametrize("last", ["relu", "layer_scale", "batch_norm: {affine: false}"])
def test_a_branch_that_ends_in_no_scaled_norm(last):
    assert found(BLOCK.replace("batch_norm", last), "CNN304") == []


def test_of_two_norms_that_meet_the_one_of_the_body_is_named():
    text = BLOCK + "      shortcut:\n        - conv: {out: 16, kernel: 1}\n        - batch_norm\n"
    text = text.replace(
        "{out: 8, kernel: 3, padding: 1, bias: false}\n        - batch", "{out: 16, kernel: 1}\n        - batch"
    )
    assert [f.layer for f in found(text, "CNN304")] == ["batch_norm1"]


def test_channels_off_the_multiples_of_eight():
    text = spec(
        [3, 9, 9], "conv: {out: 12, kernel: 3}", "relu", "depthwise_conv: {kernel: 3}", "conv: {out: 16, kernel: 1}"
    )
    assert [(f.layer, f.numbers) for f in found(text, "CNN305")] == [("conv1", {"channels": 12, "rounded_up": 16})]
    assert found(text.replace("12", "24"), "CNN305") == []
