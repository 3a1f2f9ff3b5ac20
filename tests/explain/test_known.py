"""Formulas as papers and notes write them, and sources that cannot go stale."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod

import pytest

import cnncalc
from cnncalc.analysis.explain.answer import SYMBOLIC, explain
from cnncalc.analysis.explain.costs import account
from cnncalc.analysis.explain.traced import Trace
from cnncalc.formulas import cost
from cnncalc.formulas import receptive_field as rf
from cnncalc.formulas import size as sizes
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.base import EVERYTHING, Positive, ShortForm, Weight, along
from cnncalc.layers.tensor import Opaque
from cnncalc.sources import load_text, zoo_names
from tests.explain.printed import page, read_text
from tests.reference.draws import LAYERS
from tests.test_one_place import registry  # noqa: F401


def lines(source, path=None, **options):
    """``title: equation`` of one layer, as printed."""
    text = page(cnncalc.explain(source, path, compare=False, **options))
    pairs = [
        re.split(r"\s{2,}", line.strip()) for line in text.split("\nsymbols")[0].split("\n") if "  " in line.strip()
    ]
    return {re.sub(r" \[[\d,]+\]$", "", pair[0]): pair[1] for pair in pairs}


def test_the_fields_on_two_inputs_go_by_the_number_of_the_input():
    """x through kernels of 3 and 5 is seen by 3 + 5 − 1 = 7; y, which comes in between, by the 5 of the last alone."""
    text = (
        "input: {x: [1, 9], y: [1, 9]}\nlayers:\n  - conv: {out: 1, kernel: 3, padding: 1, from: x, name: a}\n"
        "  - add: {from: [a, y]}\n  - conv: {out: 1, kernel: 5, padding: 2, name: c}\n"
    )
    shown = lines(load_text(text), "c")
    assert shown["receptive field, x, length"] == (
        "R = R_in,l1 + (K − 1)·D·J_in,l1 = R_in,l1 + (K − 1)·J_in,l1 = 3 + (5 − 1)·1 = 7"
    )
    assert shown["receptive field, y, length"] == (
        "R = R_in,l2 + (K − 1)·D·J_in,l2 = R_in,l2 + (K − 1)·J_in,l2 = 1 + (5 − 1)·1 = 5"
    )


def test_alexnet_by_hand():
    """Krizhevsky et al. 2012 on 227×227: 96 kernels of 11×11×3, stride 4, give 55×55; 34,944 parameters."""
    shown = lines("alexnet_2012", "conv1")
    assert shown["output height and width"] == (
        "H_out = W_out = ⌊(H + 2·P − (K − 1)·D − 1)/S⌋ + 1 = ⌊(H − K)/S⌋ + 1 = ⌊(227 − 11)/4⌋ + 1 = 55"
    )
    assert shown["parameters"] == (
        "params = C_out·(C_in/G)·K² + C_out = C_out·C_in·K² + C_out = 96·3·11² + 96 = 34,944"
    )
    assert shown["MACs"] == (
        "MACs = H_out·W_out·K²·(C_in/G)·C_out = H_out·W_out·K²·C_in·C_out = 55·55·11²·3·96 = 105,415,200"
    )
    assert shown["receptive field"] == "R = R_in + (K − 1)·D·J_in = R_in + (K − 1)·J_in = 1 + (11 − 1)·1 = 11"
    assert shown["jump"] == "J = J_in·S = 1·4 = 4"


def test_the_notes_formulas():
    shown = lines("resnet50", "conv_bn1.conv1")
    assert shown["output height and width"] == (
        "H_out = W_out = ⌊(H + 2·P − (K − 1)·D − 1)/S⌋ + 1 = ⌊(H + 2·P − K)/S⌋ + 1 = ⌊(224 + 2·3 − 7)/2⌋ + 1 = 112"
    )
    assert shown["start"] == "start = start_in − P·J_in = 0 − 3·1 = −3"
    # Araujo et al.: size 7, jump 2; then 3×3 with jump 2
    assert lines("resnet50", "max_pool1")["receptive field"] == (
        "R = R_in + (K − 1)·D·J_in = R_in + (K − 1)·J_in = 7 + (3 − 1)·2 = 11"
    )
    assert lines("lenet5", "f6")["parameters"] == "params = F_out·F_in + F_out = 84·120 + 84 = 10,164"


def test_all_fields_of_a_convolution():
    fields = "{out: 9, kernel: [3, 5], stride: 2, padding: 4, dilation: 2, groups: 3}"
    net = f"input: [6, 30, 40]\nlayers:\n  - conv: {fields}\n"
    shown = lines(load_text(net), batch=5)
    assert shown["output height"] == (
        "H_out = ⌊(H + 2·P − (K_h − 1)·D − 1)/S⌋ + 1 = ⌊(30 + 2·4 − (3 − 1)·2 − 1)/2⌋ + 1 = 17"
    )
    assert shown["parameters"] == "params = C_out·(C_in/G)·K_h·K_w + C_out = 9·(6/3)·3·5 + 9 = 279"
    assert shown["MACs"] == "MACs = H_out·W_out·K_h·K_w·(C_in/G)·C_out·N = 17·20·3·5·(6/3)·9·5 = 459,000"
    assert shown["receptive field, width"] == "R = R_in + (K_w − 1)·D·J_in = 1 + (5 − 1)·2·1 = 9"


def test_same_padding_is_shown():
    """TensorFlow's rule: of 3 pixels over 224 with a stride of 2, one pixel, after."""
    net = "input: [3, 224, 224]\nlayers:\n  - conv: {out: 8, kernel: 3, stride: 2, padding: same}\n"
    read = read_text(page(cnncalc.explain(load_text(net))))[0].values
    assert (read["P_before,h"], read["P_after,h"], read["H_out"]) == (0, 1, 112)


def test_branches_are_a_union():
    shown = lines("resnet18", "stage1.basic1.add1")
    assert "max(start_1 + R_1 − 1, start_2 + R_2 − 1) − min(start_1, start_2) + 1" in shown["receptive field"]
    assert shown["start"].startswith("start = min(start_1, start_2) = ")


def test_upsampling_has_a_fraction_for_a_jump():
    conv = "{conv: {out: 4, kernel: 3}}"
    net = f"input: [3, 8, 8]\nlayers: [{{upsample: {{scale_factor: 2}}}}, {conv}, {conv}]\n"
    first, second, third = read_text(page(cnncalc.explain(load_text(net))))
    assert first.lines["jump"] == second.lines["jump"] == third.lines["jump"] == Fraction(1, 2)
    assert (second.lines["receptive field"], third.lines["receptive field"]) == (2, 3)


def test_global_and_unknown_say_so():
    read = {one.path: one for one in read_text(page(cnncalc.explain("resnet18")))}
    assert read["global_avg_pool1"].notes["receptive field"] == "global: every unit sees the whole input"


# Comparisons.


def versus(layer_text, shape="4, 16, 16"):
    net = load_text(f"input: [{shape}]\nlayers:\n  - conv: {layer_text}\n")
    return read_text(page(cnncalc.explain(net, compare=True)))[0].lines


def test_a_convolution_against_the_others():
    """Howard et al. 2017, §3.1: a separable convolution costs 1/C_out + 1/K² of the standard one."""
    net = load_text("input: [4, 16, 16]\nlayers:\n  - conv: {out: 8, kernel: 3, padding: 1}\n")
    text = page(cnncalc.explain(net, compare=True))
    assert "ratio_MACs = 1/C_out + 1/K² = 1/8 + 1/3² = 17/72   (about 0.236)" in text
    assert "ratio_MACs = 1/K² = 1/3² = 1/9" in text
    assert "ratio_MACs = 1/2   (about 0.5)" in text
    # a dense layer: every output has a weight for every input
    dense = 8 * 16 * 16 * 4 * 16 * 16
    assert f"= {dense + 8 * 16 * 16:,}\n" in text
    assert f"ratio_MACs = H·W/K² = 16·16/3² = {Fraction(256, 9)}" in text


@pytest.mark.parametrize("fields", ["{out: 6, kernel: 3}", "{out: 8, kernel: [1, 5], padding: same, bias: false}"])
def test_the_costs_of_others_are_those_of_their_layers(fields):
    """Each of them is analysed as a net of its own."""
    said = versus(fields)
    conv = load_text(f"input: [4, 16, 16]\nlayers:\n  - conv: {fields}\n")
    out = conv.nodes[1].output_shape
    bias = str(conv.nodes[1].layer.bias).lower()

    def totals(shape, *layers):
        body = "\n".join(f"  - {layer}" for layer in layers)
        return cnncalc.analyze(load_text(f"input: {list(shape)}\nlayers:\n{body}\n")).totals

    inside = fields[1:-1]
    _, kernel = re.split(r"out: \d+, ", inside)
    found = {
        "dense layer of the same shapes": totals((4 * 16 * 16,), f"linear: {{out: {prod(out)}, bias: {bias}}}"),
        "1×1 convolution at the same places": totals(
            (4, *out[1:]), f"conv: {{out: {out[0]}, kernel: 1, bias: {bias}}}"
        ),
        "convolution in 2 groups": totals((4, 16, 16), f"conv: {{{inside}, groups: 2}}"),
        "depthwise-separable convolution": totals((4, 16, 16), f"separable_conv: {{out: {out[0]}, {kernel}}}"),
    }
    own = cnncalc.analyze(conv).totals
    for name, total in found.items():
        assert said[f"{name}: parameters"] == total.params, name
        assert said[f"{name}: MACs"] == total.macs, name
        assert said[f"{name}: ratio of MACs"] == Fraction(total.macs, own.macs), name


def test_a_grouped_one_is_held_against_the_ordinary():
    said = versus("{out: 8, kernel: 3, groups: 4}")
    assert said["ordinary convolution: ratio of MACs"] == 4
    assert not any(title.startswith("depthwise-separable") for title in said)


def test_layers_without_alternatives_have_none():
    assert "in its place" not in page(cnncalc.explain("resnet18", "max_pool1", compare=True))
    assert "in its place" not in page(cnncalc.explain("resnet18", "conv_bn1", compare=False))


# A layer that the package has never heard of.


def test_a_new_layer_is_explained(registry):  # noqa: F811
    class EveryOther(Layer, frozen=True):
        """Reads ``reach`` pixels, every second one. Elementwise operations: three per output element."""

        symbols = {"reach": "q"}  # noqa: RUF012
        is_product = True

        out: Positive
        reach: Positive = 2
        lanes: Positive = 1

        def output_shape(self, *inputs):
            if inputs[0][0] % self.lanes:
                raise ValueError
            return (self.out, *((size - self.reach) // 2 + 1 for size in inputs[0][1:]))

        def weights(self, *inputs):
            return (Weight("w", (self.out, inputs[0][0] // self.lanes, self.reach)), Weight("n", (), learnable=False))

        def macs(self, *inputs):
            return prod(self.output_shape(*inputs)) * self.reach * inputs[0][0]

        def elementwise_ops(self, *inputs):
            return 3 * prod(self.output_shape(*inputs))

        def reads(self, *inputs):
            return ((EVERYTHING, *(along(i, rf.sliding_window(self.reach, 2, 0, 1)) for i in (1, 2))),)

    found = explain(load_text("input: [6, 9, 9]\nlayers:\n  - every_other: {out: 4, reach: 5, lanes: 3}\n"))
    text = page(found)
    (read,) = read_text(text)
    assert "⌊(H − q)/2⌋ + 1 = ⌊(9 − 5)/2⌋ + 1 = 3" in text
    assert "params = C_out·(C_in/lanes)·q = 4·(6/3)·5 = 40" in text
    assert (read.values["MACs"], read.values["ops"], read.values["buffers"]) == (4 * 9 * 5 * 6, 3 * 4 * 9, 1)
    assert read.lines["receptive field"] == 5
    assert "every_other: Elementwise operations: three per output element." in found.sources
    assert "every_other: Reads reach pixels, every second one." in found.sources


def test_a_layer_without_a_cost_says_why(registry):  # noqa: F811
    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs):
            return inputs[0]

    (read,) = read_text(page(explain(load_text("input: [3, 8, 8]\nlayers: [mystery]\n"))))
    assert "mystery does not say how many MACs it takes" in read.notes["MACs"]
    assert "MACs" not in read.values
    total = cnncalc.explain(
        load_text("name: net\ninput: [3, 8, 8]\nlayers: [{conv: {out: 2, kernel: 3}}, mystery]\n"), total="macs"
    )
    assert total.totals[0].missing == ("mystery1",)
    assert str(total) == (
        "net\n\n"
        "  macs  MACs ≥ 1,944\n\n"
        "part      MACs      %\n"
        "─────────────────────\n"
        "conv1    1,944  100.0\n"
        "─────────────────────\n"
        "total  ≥ 1,944\n\n"
        "warning: MACs is a lower bound: unknown in 1 of the layers (mystery1)"
    )


# Sources.


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0", "unet", "convnext_tiny"])
def test_every_formula_has_a_source(name):
    """Numbers that were computed say where the formula is from; those that are given or handed on need not."""
    found = cnncalc.explain(name)
    assert all(text.strip() for text in found.sources)
    for part in found.parts:
        for entry in part.entries:
            assert entry.sources or entry.quantity.note, (part.path, entry.title)
    used = {number for part in found.parts for entry in (*part.entries, *part.field) for number in entry.sources}
    assert used == set(range(1, len(found.sources) + 1))


def test_sources_are_the_formulas_that_ran():
    def sources(layer, name, *shapes):
        (one,) = [q for q in account(layer, shapes).quantities if q.name == name]
        return " ".join(one.sources)

    conv = REGISTRY["conv"](out=4, kernel=3, stride=2)
    assert "Dumoulin & Visin 2016, eq. 15" in sources(conv, "output_height", (3, 9, 9))
    assert "Howard et al. 2017" in sources(conv, "macs", (3, 9, 9))
    pool = REGISTRY["max_pool"](kernel=3, ceil_mode=True)
    assert "Pooling with ceil_mode" in sources(pool, "output_height", (3, 10, 10))
    assert "eq. 15" not in sources(pool, "output_height", (3, 10, 10))


def test_every_formula_of_sizes_and_costs_names_its_source():
    from cnncalc.analysis.explain.quantity import CITATION, cited

    for module in (sizes, cost, rf):
        for function in vars(module).values():
            if getattr(function, "__module__", None) == module.__name__ and hasattr(function, "__code__"):
                if function.__name__.startswith("_"):
                    continue
                assert any(map(CITATION.search, cited((function,)))), function.__name__


def test_all_that_sources_can_say_is_known_to_latex():
    """Every docstring that may be cited has only characters that are written in plain TeX."""
    from cnncalc.analysis.explain.notation import escaped
    from cnncalc.analysis.explain.quantity import counting, described, paragraph

    texts = [text for cls in REGISTRY.values() for text in (counting(cls), described(cls, "output_shapes"))]
    texts += [paragraph(f.__doc__) for m in (sizes, cost, rf) for f in vars(m).values() if getattr(f, "__code__", None)]
    for text in texts:
        written = escaped(text)
        assert written.isascii()
        assert r"\symbol" not in written, text


def test_every_layer_is_drawn():
    """So that the random tests see each of them."""
    assert {cls for cls in REGISTRY.values() if not issubclass(cls, (ShortForm, Opaque))} <= set(LAYERS)


# Traced numbers are numbers.


def test_a_traced_number_is_the_number():
    trace = Trace()
    h, k = trace.name("H", 224), trace.name("K", 7)
    assert (h + 1) // k == 225 // 7
    assert divmod(h, k) == divmod(224, 7)
    assert [h % k, -h, abs(-h), h**2, 2**k] == [224 % 7, -224, 224, 224**2, 2**7]
    assert {224: "x"}[h] == "x"
    assert list(range(k)) == list(range(7))
    assert ("a",) * k == ("a",) * 7
    assert h.bit_length() == 8


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (lambda h, k: h + k - h, "K"),
        (lambda h, k: (k - 1) * 1 + 1, "K"),
        (lambda h, k: h * k // k, "H"),
        (lambda h, k: -(-h // k), "⌈H/K⌉"),
        (lambda h, k: h // k * k, "⌊H/K⌋·K"),
        (lambda h, k: 3 * (h + k) * h, "3·(H + K)·H"),
        (lambda h, k: (h - 1) * k + k, "H·K"),
        (lambda h, k: h - (k >= 7), "H − [K ≥ 7]"),
        (lambda h, k: (h - k + abs(h - k)) // 2, "max(H − K, 0)"),
        (lambda h, k: h * h * k, "H²·K"),
        (lambda h, k: h % k + 1, "(H mod K) + 1"),
        (lambda h, k: h - (k - h), "2·H − K"),
        (lambda h, k: 1 - h, "1 − H"),
    ],
)
def test_expressions_are_tidy(make, written):
    trace = Trace()
    made = make(trace.name("H", 224), trace.name("K", 7))
    assert SYMBOLIC.write(made.expr) == written
    assert int(made) == make(224, 7) == made.expr.value


def test_division_is_exact_where_the_layer_asks():
    trace = Trace()
    c, g = trace.name("C", 12), trace.name("G", 3)
    assert SYMBOLIC.write((c // g).expr) == "⌊C/G⌋"
    if c % g:
        raise AssertionError
    assert SYMBOLIC.write((c // g).expr) == "C/G"
    assert SYMBOLIC.write((c // g * g).expr) == "(C/G)·G"


def test_the_zoo_is_as_large_as_it_was_found():
    assert len(zoo_names()) > 40
