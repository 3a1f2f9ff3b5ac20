"""``cnncalc explain`` from the command line: what it takes, its formats and its errors."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from functools import cache

import jsonschema
import pytest
from matplotlib.mathtext import MathTextParser

import cnncalc
from cnncalc.report.schema import report_schema
from cnncalc.text import display_width
from tests.explain.arithmetic import evaluate, evaluate_latex
from tests.explain.printed import check_latex, page, read_text


def test_a_net_a_block_and_a_layer(run):
    whole, block, layer = (
        run("explain", "resnet18", "--all"),
        run("explain", "resnet18", "stage2", "--all"),
        run("explain", "lenet5", "c3", "--all"),
    )
    assert (whole.status, block.status, layer.status) == (0, 0, 0)
    graph = cnncalc.load("resnet18")
    paths = [node.path for node in graph.nodes if node.layer is not None]
    assert [one.path for one in read_text(whole.out)] == paths
    assert [one.path for one in read_text(block.out)] == [path for path in paths if path.startswith("stage2.")]
    assert [one.path for one in read_text(layer.out)] == ["c3"]


@pytest.mark.parametrize(
    ("line", "shape", "expected"),
    [
        ("conv out=64 kernel=7 stride=2 padding=3", ["3x224x224"], {"H_out": 112, "params": 9472}),
        ("conv2d out_channels=64 kernel_size=7 stride=2 padding=3", ["3x224x224"], {"H_out": 112, "params": 9472}),
        (
            "conv out=2*8 kernel=[3,5] padding=same bias=false",
            ["4,9,9"],
            {"C_out": 16, "W_out": 9, "params": 16 * 4 * 15},
        ),
        ("fc out=10", ["84"], {"F_out": 10, "MACs": 840}),
        ("relu", ["8x4x4"], {"ops": 128}),
        ("max_pool kernel=2", ["8x5x4"], {"H_out": 2}),
        ("concat", ["8x4x4", "3x4x4"], {"C_out": 11}),
        ("concat axis=1", ["a=8x4x4", "b=8x3x4"], {"H_out": 7}),
        ("add", ["8x4x4", "8x4x4", "8x4x4"], {"ops": 256}),
        ("mha num_heads=4", ["10x16"], {"params": 4 * 16 * 16 + 4 * 16}),
        ("mha heads=4", ["10x16", "7x16"], {"L_out": 10}),
        ("attention", ["10x16", "7x16", "7x5"], {"MACs": 10 * 16 * 7 + 10 * 7 * 5}),
        ("upsample scale_factor=1.5 mode=bilinear", ["3x5x7"], {"H_out": 7, "W_out": 10}),
    ],
)
def test_a_layer_without_a_file(run, line, shape, expected):
    inputs = [part for text in shape for part in ("--input", text)]
    result = run("explain", *line.split(), *inputs)
    assert result.status == 0, result.err
    (read,) = read_text(result.out)
    assert {symbol: read.values[symbol] for symbol in expected} == expected


def test_a_short_form_is_explained_as_what_it_becomes(run):
    depthwise, pointwise = read_text(run("explain", "separable_conv", "out=8", "kernel=3", "--input", "4x9x9").out)
    assert (depthwise.kind, pointwise.kind) == ("conv", "conv")
    assert depthwise.values["params"] + pointwise.values["params"] == 4 * 9 + 4 + 8 * 4 + 8


def test_other_layers_are_shown_where_they_are_asked_for(run):
    """On a page only with --compare; the JSON of a single layer has them unless they are not wanted."""
    for options, shown, written in (
        (["conv_bn1.conv1"], False, True),
        (["conv_bn1.conv1", "--no-compare"], False, False),
        (["conv_bn1"], False, False),
        (["conv_bn1", "--compare"], True, True),
    ):
        result = run("explain", "resnet18", *options)
        assert (result.status, "in its place" in result.out) == (0, shown)
        result = run("explain", "resnet18", *options, "--format", "json")
        assert (result.status, "depthwise-separable convolution" in result.out) == (0, written)


def test_totals(run):
    """The terms add up to the total that ``analyze`` has; one total has the share of each term too."""
    report = cnncalc.analyze("resnet50", batch=4)
    for metric in ("params", "buffers", "macs", "flops", "elementwise_ops", "activations"):
        _, sums, table = run("explain", "resnet50", "--total", metric, "--batch", 4).out.strip().split("\n\n")
        _, formula, value = sums.split(" = ")
        assert evaluate(formula) == int(value.replace(",", "")) == getattr(report.totals, metric)
        rows = [line.split() for line in table.split("\n") if "─" not in line][1:]
        assert sum(int(row[1].replace(",", "")) for row in rows[:-1]) == evaluate(formula)
        assert rows[-1] == ["total", value]
        assert [row[0] for row in rows[:-1]] == [
            path for path in dict.fromkeys(layer.path.split(".")[0] for layer in report.layers)
            if sum(getattr(x, metric) for x in report.layers if x.path.split(".")[0] == path)
        ]  # fmt: skip
        assert all(row[2] == share(row[1], evaluate(formula)) for row in rows[:-1])


def share(part, whole):
    """Per cent with one decimal; a small one never reads 0."""
    tenths = Fraction(1000 * int(part.replace(",", "")), whole)
    return "<0.1" if tenths < Fraction(1, 2) else f"{round(tenths) / 10}"


def test_all_totals_are_one_table(run):
    """LeNet-5 by hand: c1 28·28 places of 5·5·1·6 products, and half as many multiply-accumulates as FLOPs."""
    lines = run("explain", "lenet5", "total").out.split("\n")
    assert lines[2].split(" = ") == ["  params           params", "156 + 2416 + 48120 + 10164 + 850", "61,706"]
    rows = [line.split()[0] for line in lines[lines.index("", 3) :] if line and "─" not in line]
    assert rows == ["part", "c1", "tanh1", "s2", "c3", "tanh2", "s4", "c5", "tanh3", "f6", "tanh4", "output", "total"]
    (c1,) = [line.split() for line in lines if line.startswith("c1 ")]
    assert c1 == ["c1", "156", f"{28 * 28 * 25 * 6:,}", f"{2 * 28 * 28 * 25 * 6:,}", f"{28 * 28 * 6:,}", "4,704"]


def test_the_total_of_a_block(run):
    report = cnncalc.analyze("resnet50")
    out = run("explain", "resnet50", "stage2.bottleneck1", "--total", "params").out
    own = sum(row.params for row in report.layers if row.path.startswith("stage2.bottleneck1."))
    assert f"= {own:,}\n" in out
    assert "\nstage2.bottleneck1.conv_bn1 " in out


def test_shared_weights_count_once(run, tmp_path):
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "input: [4, 8, 8]\nlayers:\n  - conv: {out: 4, kernel: 3, name: a, share: w}\n"
        "  - conv: {out: 4, kernel: 3, name: b, share: w}\n"
    )
    first, second = read_text(run("explain", spec, "--all").out)
    assert (first.values["params"], second.values["params"]) == (148, 0)
    assert "the weights are another layer's" in run("explain", spec, "b").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["resnet18", "stage1.basic1.conv_bn2.cnv1"],
            "unknown layer of resnet18.*did you mean 'stage1.basic1.conv_bn2.conv1'",
        ),
        (["resnet18", "stagex"], "did you mean 'stage"),
        (["resnet18", "qqq"], "choose from conv_bn1, relu1, .*, total"),
        (["resnet18", "--total", "parms"], "unknown total 'parms'.*did you mean 'params'"),
        (["resnet18", "stage1", "stage2"], "one path at a time"),
        (["resnet18", "out=3"], "'out=3' is not a path.*--set out=3"),
        (["resnet18", "--dtype", "float31"], "unknown type 'float31'.*did you mean 'float32'"),
        (["conv", "out=3", "kernel=3"], "needs the shape of its input.*--input 3x224x224"),
        (["conv", "out=3", "krnel=3", "--input", "3x8x8"], "conv has no field 'krnel'.*did you mean 'kernel'"),
        (["conv", "out=3", "--input", "3x8x8"], "conv needs 'kernel'"),
        (
            ["conv", "out=0", "kernel=3", "--input", "3x8x8"],
            "'out' of conv must be a whole number of at least 1, got 0",
        ),
        (["conv", "out=3", "kernel=9", "--input", "3x8x8"], "kernel 9 is larger than the padded input"),
        (["conv", "out=3", "kernel=}", "--input", "3x8x8"], "not an expression"),
        (["conv", "kernel=3", "kernel=5", "--input", "3x8x8"], "explain conv: there are two values for 'kernel'"),
        (["conv", "out=3", "3", "--input", "3x8x8"], "'3' is not a field.*FIELD=VALUE"),
        (["conv", "--input", "3x8x8", "--variant", "x"], "a layer has fields"),
        (["conv", "out=3", "kernel=3", "--input", "3x8y8"], "is not a shape"),
        (["add", "--input", "a=3x8x8", "--input", "a=3x8x8"], "there are two shapes for 'a'"),
        (["add", "--input", "3x8x8", "--input", "3x8x9"], "cannot add 3×8×8 and 3×8×9"),
        (["cnv", "out=3", "--input", "3x8x8"], "there is no layer 'cnv'.*did you mean 'conv'"),
        (["batch_nrm"], "there is no net or layer 'batch_nrm'.*did you mean 'batch_norm'"),
        (["resnet51"], "no such file or shipped net.*did you mean 'resnet50'"),
        (["nowhere.yaml"], "there is no such file"),
    ],
)
def test_errors(run, arguments, message):
    result = run("explain", *arguments)
    assert (result.status, result.out) == (2, "")
    assert re.search(message, result.err, re.DOTALL), result.err
    assert "Traceback" not in result.err


def test_formats_by_the_ending(run, tmp_path):
    for ending, begin in (
        (".tex", "% needs"),
        (".md", "## alexnet"),
        (".html", "<!doctype html>"),
        (".csv", "layer,name,symbol"),
        (".json", "{"),
        (".txt", "alexnet"),
    ):
        path = tmp_path / f"out{ending}"
        assert run("explain", "alexnet", "conv1", "--output", path).status == 0
        assert path.read_text(encoding="utf-8").startswith(begin)


def test_json_is_as_its_schema_says_and_adds_up(run):
    for arguments in (
        ["mobilenet_v2"],
        ["unet"],
        ["lenet5", "c3"],
        ["resnet18", "total"],
        ["densenet121", "--batch", "2"],
    ):
        found = json.loads(run("explain", *arguments, "--format", "json").out)
        jsonschema.validate(found, report_schema("explain"))
        for layer in found["layers"]:
            names = {name: fraction(value) for name, value in layer["variables"].items()}
            names |= {q["symbol"]: fraction(q["value"]) for q in layer["quantities"] if q["value"] is not None}
            for one in layer["quantities"]:
                if one["value"] is not None:
                    value = fraction(one["value"])
                    assert evaluate(one["substituted"]) == value == evaluate_latex(one["latex_substituted"])
                    if one["symbol"] not in ("R", "J", "start"):  # one for each axis
                        assert evaluate(one["formula"], names) == value == evaluate_latex(one["latex"], names)


def fraction(value):
    return Fraction(value)


def test_markdown_holds_the_same_formulas(run):
    out = run("explain", "alexnet", "conv1", "--all", "--format", "markdown").out
    blocks = re.findall(r"\$\$\n\\begin\{aligned\}\n(.*?)\n\\end\{aligned\}\n\$\$", out, re.DOTALL)
    assert len(blocks) > 10
    for block in blocks:
        rows = [row.partition("&=")[2] for row in block.split(" \\\\\n")]
        assert evaluate_latex(rows[-1]) == evaluate_latex(rows[-2] if len(rows) > 2 else rows[-1])
    assert "with C_in=3, H=W=224, K=11, S=4, P=2, D=1, G=1, b=4" in out


def test_latex_is_mathematics_that_a_typesetter_reads(run):
    """matplotlib's mathtext sets a subset of TeX; what it takes is balanced and has no unknown command."""
    parser = MathTextParser("path")
    for arguments in (
        ["alexnet"],
        ["mha", "num_heads=4", "--input", "10x16"],
        ["adaptive_avg_pool", "output_size=4", "--input", "3x9x9"],
    ):
        out = run("explain", *arguments, "--format", "latex").out
        assert check_latex(out) > 3
        for row in re.findall(r"^ .*&= .*$", out, re.MULTILINE):
            for cell in row.removesuffix(" \\\\").split("&"):
                text = cell.strip().removeprefix("=").strip()
                if text and not text.startswith(r"\text"):
                    parser.parse(f"${text}$")
        assert out.count(r"\begin") == out.count(r"\end")


@cache
def explained(source, path):
    return cnncalc.explain(source, path, compare=True)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_text_fits_the_terminal(width):
    for source, path in (("alexnet", None), ("resnet18", "stage1"), ("unet", None)):
        for all in (True, False):
            text = page(explained(source, path), width=width, all=all, sources=all)
            assert max(map(display_width, text.split("\n"))) <= width
    squeezed = re.sub(r"\s+", "", page(cnncalc.explain("alexnet"), width=width))
    for part in ("⌊(224+2·2−11)/4⌋+1", "=70,276,800"):
        assert part in squeezed


def test_colour_only_where_asked():
    found = cnncalc.explain("alexnet", "conv1")
    assert "\x1b" not in page(found, width=80)
    painted = page(found, width=80, colour=True)
    assert "\x1b[1m" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == page(found, width=80)


def test_names_that_a_terminal_would_obey_are_shown(tmp_path):
    spec = tmp_path / "net.yaml"
    spec.write_text('name: "evil\\e[31m"\ninput: [3, 8, 8]\nlayers:\n  - relu\n')
    for text in (
        str(found := cnncalc.explain(spec)),
        page(found),
        found.to_latex(),
        found.to_markdown(),
        found.to_json(),
    ):
        assert "\x1b" not in text


def test_the_api():
    found = cnncalc.explain("resnet18", "conv_bn1.conv1", batch=2, dtype="float16")
    assert found.parts[0].entries
    assert "b=2" in page(found)
    assert cnncalc.explain(cnncalc.load("lenet5"), total="params").totals[0].value == 61_706
    assert cnncalc.explain("resnet18", variant=None, classes=10, total=["params", "macs"]).totals[0].value < 11_500_000
    with pytest.raises(cnncalc.CnncalcError, match="did you mean 'c1'"):
        cnncalc.explain("lenet5", "c11")
    with pytest.raises(cnncalc.CnncalcError, match="batch must be a whole number"):
        cnncalc.explain("lenet5", batch=0)


def test_help_has_an_example(run):
    assert "Example: cnncalc explain conv --input 3x224x224" in run("explain", "--help").out


@pytest.mark.parametrize(
    ("alias", "metric"), [("acts", "activations"), ("ops", "elementwise_ops"), ("ELEMENTWISE", "elementwise_ops")]
)
def test_totals_have_the_short_names_of_the_columns(run, alias, metric):
    assert run("explain", "lenet5", "--total", alias) == run("explain", "lenet5", "--total", metric)
    assert (
        f"= {getattr(cnncalc.analyze('lenet5').totals, metric):,}\n" in run("explain", "lenet5", "--total", alias).out
    )
