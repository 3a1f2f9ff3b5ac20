"""``cnncalc analyze``: formats, choices of rows and columns, and what it says to wrong options."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import jsonschema
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.report.schema import report_schema
from tests.commands.conftest import Run

SPEC = """
name: small
input: [3, 32, 32]
args: {width: 8}
blocks:
  unit:
    args: {out: required}
    layers:
      - conv: {out: out, kernel: 3, padding: 1, bias: false}
      - batch_norm
      - relu
layers:
  - unit: {out: width}
  - unit: {out: 2 * width}
  - global_avg_pool
  - flatten
  - linear: 10
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


def module(width: int = 8) -> nn.Module:
    def unit(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)]
    return nn.Sequential(*unit(3, width), *unit(width, 2 * width), *head)


def flops(net: nn.Module, *shape: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.zeros(shape))
    return counter.get_total_flops()


@pytest.mark.parametrize(("width", "size", "batch"), [(8, 32, 1), (5, 17, 4)])
def test_json_totals_are_those_of_the_same_module_in_pytorch(
    run: Run, spec: Path, width: int, size: int, batch: int
) -> None:
    result = run(
        "analyze", spec, "--format", "json", "--set", f"width={width}", "--input", f"3x{size}x{size}", "--batch", batch
    )
    report = json.loads(result.out)
    net = module(width)
    assert (result.status, result.err) == (0, "")
    assert report["totals"]["params"] == sum(p.numel() for p in net.parameters())
    assert report["totals"]["buffers"] == sum(b.numel() for b in net.buffers())
    assert report["totals"]["flops"] == flops(net, batch, 3, size, size)
    assert report["model"]["inputs"] == {"input": [3, size, size]}


@pytest.mark.parametrize("shape", ["3x24x20", "3×24×20", "3,24,20", "[3, 24, 20]", "3X24X20", "input=3x24x20"])
def test_input_shapes_in_every_spelling(run: Run, spec: Path, shape: str) -> None:
    report = json.loads(run("analyze", spec, "--format", "json", "--input", shape).out)
    assert report["model"]["inputs"] == {"input": [3, 24, 20]}


@pytest.mark.parametrize("shape", ["", "3x", "3x0x2", "axb", "3x-1", "٣x3", "3.5x2", "9" * 30])
def test_what_is_no_shape_is_refused(run: Run, spec: Path, shape: str) -> None:
    result = run("analyze", spec, "--input", shape)
    assert (result.status, result.out) == (2, "")
    assert "is not a shape\n  hint: channels, then the spatial sizes" in result.err


def test_csv_sums_are_the_totals_at_every_depth(run: Run, spec: Path) -> None:
    totals = json.loads(run("analyze", spec, "--format", "json").out)["totals"]
    for depth in ([], ["--depth", 1], ["--depth", 2]):
        rows = list(csv.DictReader(io.StringIO(run("analyze", spec, "--format", "csv", *depth).out)))
        for name in ("params", "buffers", "macs", "flops", "elementwise_ops", "activations"):
            assert sum(int(row[name]) for row in rows) == totals[name]


def test_depth_sort_top_and_columns(run: Run, spec: Path) -> None:
    options = ("--depth", 1, "--sort", "flops", "--top", 2, "--columns", "layer,flops,output", "--format", "csv")
    rows = list(csv.reader(io.StringIO(run("analyze", spec, *options).out)))
    assert rows[0] == ["layer", "flops", "output"]
    assert [row[0] for row in rows[1:]] == ["unit2", "unit1"]
    assert rows[1] == ["unit2", str(2 * 32 * 32 * 9 * 8 * 16), "16x32x32"]
    report = json.loads(run("analyze", spec, "--depth", 1, "--format", "json").out)
    assert [row["path"] for row in report["layers"]] == ["unit1", "unit2", "global_avg_pool1", "flatten1", "linear1"]


def test_other_names_of_columns(run: Run, spec: Path) -> None:
    """An alias is the column of the name that it stands for."""
    for alias, name in (
        ("acts", "activations"),
        ("ops", "elementwise_ops"),
        ("receptive_field", "rf"),
        ("from", "inputs"),
    ):
        one, other = (run("analyze", spec, "--columns", f"layer,{n}", "--format", "csv").out for n in (alias, name))
        assert one == other
        assert one.startswith(f"layer,{name}\n")


def test_a_share_that_is_not_nothing_never_reads_0(run: Run, tmp_path: Path) -> None:
    """Of 4,004 parameters 4 are 0.1 %; of 40,004 they are less than a tenth of that."""
    for out, share in ((1000, "0.1"), (10_000, "<0.1")):
        path = tmp_path / "net.yaml"
        path.write_text(
            f"input: [3]\nlayers: [{{linear: {{name: a, out: 1}}}}, {{linear: {{out: {2 * out}}}}}, relu]\n"
        )
        lines = run("analyze", path, "--columns", "layer,params,params%").out.splitlines()
        shown = [line.split()[2] for line in lines[4:7]]
        assert (shown[0], shown[2]) == (share, "0")


def test_a_jump_that_is_no_integer_is_a_fraction(run: Run, tmp_path: Path) -> None:
    """Three times as many units: one stands over a third of a pixel."""
    path = tmp_path / "net.yaml"
    path.write_text("input: [1, 9, 9]\nlayers: [{upsample: {scale_factor: 3}}, {max_pool: 2}]\n")
    lines = run("analyze", path, "--columns", "layer,jump").out.splitlines()
    assert [line.split() for line in lines[4:6]] == [["upsample1", "1/3"], ["max_pool1", "2/3"]]


def test_a_narrow_terminal_keeps_what_matters_most(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (48, 40, False))
    header = next(line.split() for line in run("analyze", spec).out.splitlines() if line.startswith("layer "))
    assert header[:3] == ["layer", "output", "params"]
    assert not {"from", "elem.", "buffers"} & set(header)


def test_every_format_says_the_same_parameters(run: Run, spec: Path) -> None:
    params = sum(p.numel() for p in module().parameters())
    assert f"{params:,}" in run("analyze", spec).out
    assert f"**{params:,}**" in run("analyze", spec, "--format", "markdown").out
    assert f">{params:,}</td>" in run("analyze", spec, "--format", "html").out


@pytest.mark.parametrize(
    ("ending", "begin"),
    [
        ("json", "{"),
        ("csv", "layer,"),
        ("md", "## small"),
        ("markdown", "## small"),
        ("html", "<!doctype html>"),
        ("htm", "<!doctype html>"),
        ("txt", "small "),
    ],
)
def test_the_ending_of_the_output_file_tells_the_format(run: Run, spec: Path, ending: str, begin: str) -> None:
    path = spec.with_name(f"report.{ending}")
    assert run("analyze", spec, "--output", path) == (0, "", "")
    assert path.read_text(encoding="utf-8").startswith(begin)
    assert "\x1b" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "layer,parms"], "error: unknown column 'parms'\n  hint: did you mean 'params'?\n"),
        (["--sort", "flop"], "error: unknown column 'flop'\n  hint: did you mean 'flops'?\n"),
        (["--columns", "layer", "--format", "json"], "error: --columns: JSON always holds every number"),
        (["--input", "3x8x8", "--input", "3x8x8"], "error: --input 3x8x8: several inputs need their names"),
        (["--input", "a=3x8x8", "--input", "a=3x8x8"], "there are two shapes for 'a'"),
        (["--set", "width"], "error: 'width' is not KEY=VALUE"),
        (["--depth", "0"], "--depth"),
        (["--batch", "0"], "--batch"),
        (["--format", "xml"], "'xml' is not one of 'table', 'json', 'csv', 'markdown', 'html'"),
        (["--frmat", "json"], "error: there is no option '--frmat'\n  hint: did you mean '--format'?\n"),
    ],
)
def test_wrong_options_are_one_message(run: Run, spec: Path, options: list[str], message: str) -> None:
    result = run("analyze", spec, *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_wrong_spec_is_one_message_with_its_place(run: Run, spec: Path) -> None:
    spec.write_text(SPEC.replace("kernel: 3", "kernl: 3"))
    result = run("analyze", spec)
    assert (result.status, result.out) == (2, "")
    line = next(line for line in spec.read_text().splitlines() if "kernl" in line)
    assert result.err.startswith(f"{spec}:9:{line.index('kernl') + 1}: error: ")
    assert "did you mean 'kernel'?" in result.err
    assert "^\n" in result.err


def test_escapes_in_a_spec_are_shown_harmlessly(run: Run, spec: Path) -> None:
    spec.write_text(SPEC.replace("name: small", 'name: "a\\x1b[31mb\\u202e[red]"'))
    for kind in ("table", "csv", "markdown", "html", "json"):
        out = run("analyze", spec, "--format", kind).out
        assert "\x1b" not in out
        assert "\u202e" not in out
    spec.write_text(SPEC.replace("- relu", '- "re\\x1b[31mlu"'))
    result = run("analyze", spec)
    assert result.status == 2
    assert "\x1b" not in result.err
    assert "\\x1b[31mlu" in result.err


def test_several_nets_are_one_row_each(run: Run) -> None:
    """The parameters are those that torchvision's models have; the ratios those of the MACs."""
    result = run("analyze", "resnet18", "resnet50", "mobilenet_v2", "--columns", "net,params,ratio,rf,weight_bytes")
    assert result == (
        0,
        "net            params  × first   RF    weights\n"
        "──────────────────────────────────────────────\n"
        "resnet18      11.69 M     1.00  435  44.59 MiB\n"
        "resnet50      25.56 M     2.25  427  97.49 MiB\n"
        "mobilenet_v2   3.50 M     0.17  491  13.37 MiB\n",
        "",
    )
    report = json.loads(run("analyze", "resnet18", "resnet50", "--format", "json").out)
    jsonschema.Draft202012Validator(report_schema("report-many")).validate(report)
    first, second = report["nets"]
    for net in (first, second):
        alone = json.loads(run("analyze", net["name"], "--format", "json").out)
        assert (net["totals"], net["model"]) == (alone["totals"], alone["model"])
        assert net["macs_ratio"] == net["totals"]["macs"] / first["totals"]["macs"]
        assert net["totals"]["weight_bytes"] == 4 * net["totals"]["params"]
    rows = run("analyze", "resnet18", "resnet50", "--sort", "params", "--top", 1, "--format", "csv").out.splitlines()
    assert [row.split(",")[0] for row in rows] == ["net", "resnet50"]
    wrong = run("analyze", "resnet18", "resnet50", "--columns", "net,parms")
    assert (wrong.status, wrong.err) == (2, "error: unknown column 'parms'\n  hint: did you mean 'params'?\n")
    many = run("analyze", "resnet18", "resnet50", "--depth", 1)
    assert (many.status, many.err) == (2, "error: --depth: it takes one net, and there are 2\n")


def test_several_values_of_one_argument_are_several_nets(run: Run, spec: Path) -> None:
    report = json.loads(run("analyze", spec, "--set", "width=8,16", "--format", "json").out)
    assert [net["name"] for net in report["nets"]] == ["small width=8", "small width=16"]
    for net, width in zip(report["nets"], (8, 16), strict=True):
        assert net["totals"]["params"] == sum(p.numel() for p in module(width).parameters())
    listed = run("analyze", "resnet50", "--set", "depths=[2,2,2,2]", "--set", "classes=10,20", "--format", "csv").out
    assert [line.split(",")[0] for line in listed.splitlines()[1:]] == ["resnet50 classes=10", "resnet50 classes=20"]
    one = json.loads(run("analyze", "resnet50", "--set", "depths=2,2,2,2", "--format", "json").out)
    assert one["model"]["args"]["depths"] == [2, 2, 2, 2]
    spec.write_text(f"variants: {{slim: {{width: 4}}, wide: {{width: 12}}}}{SPEC}")
    many = run("analyze", spec, "--all-variants", "--columns", "net").out.splitlines()
    assert many == ["net", "────", "slim", "wide"]


def test_a_folder_names_the_net_that_cannot_be_read(run: Run, spec: Path) -> None:
    spec.with_name("wrong.yaml").write_text(SPEC.replace("kernel: 3", "kernl: 3"))
    spec.with_name("dead.yaml").write_text(
        "name: dead\ninput: [3]\nlayers: [{linear: {name: a, out: 2}}, {linear: {from: input, out: 3}}]\n"
    )
    result = run("analyze", spec.parent, "--columns", "net,params")
    assert result.status == 2
    dead = "dead: layers whose output is never used: the totals count them all the same (a)"
    lines = result.out.splitlines()
    assert lines[:6] == ["net    params", "─────────────", "dead       20", "small   1,586", "", f"warning: {dead}"]
    assert lines[6].startswith(f"error: {spec.with_name('wrong.yaml')}:9:")
    assert f"warning: {dead}\n" in run("analyze", spec.parent, "--format", "csv").err


def test_watch_runs_again_when_the_file_changes(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change, an error in the file, its repair, and Ctrl-C: each look at the file is one step."""
    texts = [SPEC.replace("width: 8", "width: 9"), None, SPEC.replace("relu", "rlu"), SPEC]

    def look(seconds: float) -> None:
        assert seconds == 0.3
        if not texts:
            raise KeyboardInterrupt
        if text := texts.pop(0):
            spec.write_text(text)
            os.utime(spec, (len(texts), len(texts)))

    monkeypatch.setattr("cnncalc.commands._watch.sleep", look)
    result = run("analyze", spec, "--watch", "--columns", "layer,params")
    counts = [line.split()[1] for line in result.out.splitlines() if line.startswith("parameters")]
    assert counts == [f"{sum(p.numel() for p in module(width).parameters()):,}" for width in (8, 9, 8)]
    assert result.err.startswith(f"{spec}:11:9: error: there is no layer or block 'rlu'\n")
    assert result.status == 130
    assert run("analyze", "resnet18", "--watch").err == "error: --watch: resnet18 is not a file\n"


@pytest.mark.parametrize("option", ["--all", "--depth=2"])
def test_on_a_terminal_the_layers_are_a_tree(
    run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """A block's row has the sums: 3·8·9 + 16 and 8·16·9 + 32 parameters."""
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (80, 24, False))
    lines = run("analyze", spec, option, "--columns", "layer,params,output").out.splitlines()
    assert lines[3:18] == [
        "layer             params  output",
        "──────────────────────────────────",
        "unit1                232  8×32×32",
        "  conv1              216  8×32×32",
        "  batch_norm1         16  8×32×32",
        "  relu1                0  8×32×32",
        "unit2              1,184  16×32×32",
        "  conv1            1,152  16×32×32",
        "  batch_norm1         32  16×32×32",
        "  relu1                0  16×32×32",
        "global_avg_pool1       0  16×1×1",
        "flatten1               0  16",
        "linear1              170  10",
        "──────────────────────────────────",
        "total              1,586",
    ]
    assert "--all" not in lines[-1]


def test_a_tree_is_folded_into_the_window_and_says_how_to_see_more(
    run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the rows there are 25 lines, the last line and the prompt among them; two levels take 11 rows."""
    for height, rows in ((36, 11), (35, 5), (10, 5)):
        monkeypatch.setattr("cnncalc.document.output.screen", lambda output, height=height: (80, height, False))
        lines = run("analyze", spec).out.splitlines()
        first, second = (number for number, line in enumerate(lines) if line.startswith("──"))
        assert second - first - 1 == rows
        assert (lines[-1] == "9 layers: --depth 2, or --all") == (rows == 5)


def test_a_printed_report_is_the_folded_page(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cnncalc

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "30")
    report = cnncalc.analyze(str(spec))
    text = str(report)
    assert text.splitlines()[0] == "small   3×32×32 → 10   batch 1"
    assert max(map(len, text.splitlines())) <= 60
    assert text.endswith("9 layers: --depth 2, or --all")
    notebook = report._repr_html_()
    assert "\u2003conv1" in notebook  # a notebook scrolls: 40 rows are shown
    assert "<html" not in notebook
    assert "| unit1.conv1 " in report.to_markdown()


def test_a_batch_is_one_of_each_of_several_nets(run: Run) -> None:
    """Three times the MACs that torchvision's models have."""
    rows = run("analyze", "resnet18", "resnet50", "--batch", 3, "--columns", "net,macs", "--format", "csv").out
    assert rows.splitlines() == ["net,macs", f"resnet18,{3 * 1_814_073_344}", f"resnet50,{3 * 4_089_184_256}"]


def test_nets_are_compared_by_the_field_that_check_limits(run: Run) -> None:
    """Behind squeeze and excitation every unit sees the whole input: no local field is the net's own."""
    nets = json.loads(run("analyze", "resnet18", "efficientnet_b0", "--format", "json").out)["nets"]
    assert nets[0]["receptive_field"]["size"] == [435, 435]  # Araujo, Norris & Sim 2019
    assert nets[1]["receptive_field"] is None
    assert "every unit of" in run("check", "efficientnet_b0", "--max", "rf=500", "--format", "json").out
