"""The lines that people read, whole, with numbers computed by hand."""

from __future__ import annotations

from html import unescape

import cnncalc
from cnncalc.sources import load_text
from tests.explain.printed import page
from tests.test_one_place import registry  # noqa: F401

CONV = """\
resnet50, conv_bn1.conv1

conv_bn1.conv1   conv   3×224×224 → 64×112×112
out=64 kernel=7 stride=2 padding=3 bias=false
  with C_in=3, H=W=224, K=7, S=2, P=3, D=1, G=1, R_in=1, J_in=1, start_in=0
  output channels          C_out = 64
  output height and width  H_out = W_out = ⌊(H + 2·P − (K − 1)·D − 1)/S⌋ + 1
                             = ⌊(H + 2·P − K)/S⌋ + 1
                             = ⌊(224 + 2·3 − 7)/2⌋ + 1 = 112
  parameters               params = C_out·(C_in/G)·K²
                             = C_out·C_in·K²
                             = 64·3·7² = 9,408
                           (weight C_out×C_in×K×K)
  MACs                     MACs = H_out·W_out·K²·(C_in/G)·C_out
                             = H_out·W_out·K²·C_in·C_out
                             = 112·112·7²·3·64 = 118,013,952
  FLOPs                    FLOPs = 2·MACs = 2·118013952 = 236,027,904
  receptive field          R = R_in + (K − 1)·D·J_in
                             = R_in + (K − 1)·J_in
                             = 1 + (7 − 1)·1 = 7
  jump                     J = J_in·S = 1·2 = 2
  start                    start = start_in − P·J_in = 0 − 3·1 = −3

symbols
C: channels; H: height; W: width; K: kernel; S: stride; P: padding; D: dilation;
G: groups; R: receptive field; J: jump, input pixels from one unit to the next;
start: first input pixel that unit 0 sees; an index in, 1, 2, … is that of the
layer's inputs
"""


def test_a_convolution_fits_a_window():
    """112 = ⌊(224 + 6 − 7)/2⌋ + 1; 64·3·49 weights; as many products at each of 112² places."""
    text = page(cnncalc.explain("resnet50", "conv_bn1.conv1"), width=80, all=False)
    assert text == CONV
    assert text.count("\n") < 40


def test_all_adds_memory_and_what_is_zero():
    """802,816 outputs of 2 bytes each; 9,408 weights of 2 bytes."""
    lines = page(cnncalc.explain("resnet50", "conv_bn1.conv1", dtype="float16")).split("\n")
    assert lines[0] == "resnet50, conv_bn1.conv1   float16"
    assert [line for line in lines if line.startswith(("  activ", "  output in", "  parameters in", "  zero"))] == [
        "  activations              acts = C_out·H_out·W_out = 64·112·112 = 802,816",
        "  output in memory         bytes_out = C_out·H_out·W_out·b = 64·112·112·2 = 1,605,632",
        "  parameters in memory     bytes_params = C_out·(C_in/G)·K²·b = C_out·C_in·K²·b = 64·3·7²·2 = 18,816",
        "  zero                     buffers = ops = bytes_buffers = 0",
    ]


def test_a_layer_without_products_says_its_elementwise_operations():
    lines = page(cnncalc.explain("resnet50", "relu1", batch=3), all=False).split("\n")
    assert lines[:5] == [
        "resnet50, relu1   batch 3",
        "",
        "relu1   relu   64×112×112 → 64×112×112",
        "  with C=64, H=W=112, N=3, R_in=7, J_in=2, start_in=−3",
        "  output channels          C_out = C = 64",
    ]
    assert "  elementwise ops          ops = C·H·W·N = 64·112·112·3 = 2,408,448" in lines
    assert "  zero                     params = MACs = FLOPs = 0" in lines
    assert lines[-2].startswith("C: channels; H: height; W: width; N: batch; R: receptive field; J: jump")


def test_sources_are_those_of_the_formulas_that_are_shown():
    lines = page(cnncalc.explain("resnet50", "conv_bn1.conv1"), all=False, sources=True).split("\n")
    assert "  output channels [1]          C_out = 64" in lines
    assert "  FLOPs [5]                    FLOPs = 2·MACs = 2·118013952 = 236,027,904" in lines
    listed = lines[lines.index("sources") + 1 : -1]
    assert listed[1].startswith("[2] Convolution and pooling: ⌊(H + P_b + P_a − D(K−1) − 1)/S⌋ + 1 (Dumoulin & Visin")
    titles = [line.split("[")[1].split("]")[0] for line in lines if line.startswith("  ") and " [" in line]
    marks = {number for title in titles for number in title.split(",")}
    assert [line.split("]")[0] for line in listed] == [f"[{number}" for number in sorted(marks, key=int)]


def test_comparisons():
    """A separable convolution of 3×3 for 8 maps of 4: 4·9 + 8·4 = 68 weights for 288, which is 1/8 + 1/9 = 17/72."""
    net = load_text("name: net\ninput: [4, 16, 16]\nlayers:\n  - conv: {out: 8, kernel: 3, padding: 1, bias: false}\n")
    *_, separable, _ = page(cnncalc.explain(net, compare=True), all=False).split("\n\n")
    assert separable.split("\n") == [
        "  in its place: depthwise-separable convolution (ratios are to this layer)",
        "  parameters        params = C_in·K² + C_out·C_in = 4·3² + 8·4 = 68",
        "  MACs              MACs = H_out·W_out·K²·C_in + H_out·W_out·C_in·C_out = 16·16·3²·4 + 16·16·4·8 = 17,408",
        "  ratio of weights  ratio_weights = 1/C_out + 1/K² = 1/8 + 1/3² = 17/72   (about 0.236; without biases)",
        "  ratio of MACs     ratio_MACs = 1/C_out + 1/K² = 1/8 + 1/3² = 17/72   (about 0.236)",
    ]


def test_a_net_is_a_table_folded_to_the_window():
    """AlexNet's first layer has 64·3·121 + 64 = 23,296 parameters and takes 2·55²·64·363 = 140,553,600 FLOPs."""
    found = cnncalc.explain("resnet18")
    low = page(found, width=80, height=22, all=False).split("\n")
    assert len(low) <= 22
    assert low[4] == "conv_bn1          2 layers         64×112×112     9,536  236.03 M"
    assert low[-5:] == ["", "formulas: --layer conv_bn1.conv1, or --all", "", "69 layers: --depth 2", ""]
    high = page(found, width=80, height=220, all=False)
    assert "      conv1" in high
    assert "--depth" not in high
    pipe = page(found, all=False)
    assert pipe.count("\nstage") == 62
    assert "23.30 k  140.55 M" in page(cnncalc.explain("alexnet"), all=False)


def test_depth_folds_in_every_format():
    found = cnncalc.explain("resnet50")
    text = page(found, all=False, depth=1)
    assert "\nstage1            32 layers        256×56×56   215.81 k    1.34 G\n" in text
    assert "stage1." not in text
    assert "stage1.bottleneck1 " in page(found, all=False, depth=2)


def test_a_total_that_is_partial_says_which_and_why(registry):  # noqa: F811
    from cnncalc.layers import Layer

    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs):
            return inputs[0]

    net = load_text("name: net\ninput: [3, 8, 8]\nlayers: [{conv: {out: 2, kernel: 3}}, mystery, relu]\n")
    lines = page(cnncalc.explain(net), all=False).split("\n")
    assert lines[5].split() == ["mystery1", "mystery", "2×6×6", "0", "?"]
    assert lines[8].split() == ["total", "56", "≥", "3,888"]
    assert lines[10] == (
        "warning: totals are lower bounds: mystery does not say how many MACs it takes; "
        "mystery does not say how many elementwise operations it takes (mystery1)"
    )


def test_csv_has_a_row_for_each_quantity_or_term(run):
    """64·3·49 = 9,408 weights; of LeNet-5's 61,706 parameters c1 has 156, 0.25281172 %; it has no buffers at all."""
    lines = run("explain", "resnet50", "conv_bn1.conv1", "--format", "csv").out.split("\n")
    assert lines[0] == "layer,name,symbol,formula,substituted,value,note"
    assert "conv_bn1.conv1,params,params,C_out·C_in·K²,64·3·7²,9408," in lines
    lines = run("explain", "lenet5", "--total", "params", "--format", "csv").out.split("\n")
    assert (lines[0], lines[1][:17]) == ("part,params,share", "c1,156,0.25281172")
    assert run("explain", "lenet5", "--total", "buffers", "--format", "csv").out == "part\n"


def test_patterns_choose_layers():
    found = cnncalc.explain("resnet18", "stage*.basic1.conv_bn1.conv1")
    assert [part.path for part in found.parts] == [f"stage{i}.basic1.conv_bn1.conv1" for i in (1, 2, 3, 4)]
    one, two = (len(cnncalc.explain("resnet18", path).parts) for path in ("stage1", "stage2"))
    assert len(cnncalc.explain("resnet18", "stage[12]").parts) == one + two


def test_a_notebook_and_print_show_the_page():
    found = cnncalc.explain("resnet50", "conv_bn1.conv1")
    assert "⌊(H + 2·P − K)/S⌋ + 1 = ⌊(224 + 2·3 − 7)/2⌋ + 1 = 112" in unescape(found._repr_html_())
    assert "  parameters               params = C_out·(C_in/G)·K² = C_out·C_in·K² = 64·3·7² = 9,408" in str(found)
    folded = str(cnncalc.explain("efficientnet_b7"))
    assert folded.count("\n") < 40
