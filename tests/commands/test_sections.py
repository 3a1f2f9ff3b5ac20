"""The further analyses of ``analyze``: asked for by name, column or option, in every format, and absent otherwise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest

from cnncalc.analysis.sections import SECTIONS
from cnncalc.report.schema import report_schema
from cnncalc.report.sections import module
from tests.commands.conftest import Run


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "unet"])
def test_reports_with_all_sections_are_as_the_schema_has_them(run: Run, name: str) -> None:
    for more in ([], ["--depth", 1]):
        report = json.loads(run("analyze", name, "--show", "all", "--format", "json", *more).out)
        assert set(SECTIONS) <= set(report)
        jsonschema.Draft202012Validator(report_schema("report")).validate(report)


def test_the_losses_of_several_outputs(run: Run) -> None:
    report = json.loads(run("analyze", "unet", "--label-smoothing", 0.2, "--format", "json").out)
    (loss,) = report["initialisation"]["losses"]
    assert (loss["classes"], loss["at_start"]) == (2, pytest.approx(math.log(2)))
    assert loss["smoothed_floor"] == pytest.approx(-(0.9 * math.log(0.9) + 0.1 * math.log(0.1)))


def test_what_is_not_asked_for_is_not_there(run: Run) -> None:
    report = json.loads(run("analyze", "resnet18", "--format", "json").out)
    assert not set(SECTIONS) & set(report)
    assert not any(set(SECTIONS) & set(layer) for layer in report["layers"])


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_has_the_columns_that_are_listed(section: str) -> None:
    assert tuple(column.name for column in module(section).COLUMNS) == SECTIONS[section]


def test_a_column_or_an_option_brings_its_section(run: Run) -> None:
    rows = run("analyze", "resnet18", "--depth", 1, "--columns", "layer,decayed", "--format", "csv").out.splitlines()
    assert rows[0] == "layer,decayed"
    assert (
        sum(int(row.split(",")[1]) for row in rows[1:]) == 11_689_512 - 9_600 - 1_000
    )  # less batch norms and the biases of the last layer
    assert "minimum loss" in run("analyze", "resnet18", "--label-smoothing", 0.1).out
    ordered = run("analyze", "resnet18", "--sort", "fan_in", "--top", 1, "--columns", "layer,fan_in", "--format", "csv")
    assert ordered.out.splitlines()[1] in {"stage4.basic1.conv_bn2.conv1,4608"}
    for form in ("markdown", "html", "table"):
        assert "6.9078" in run("analyze", "resnet18", "--show", "initialization", "--format", form).out


def test_wrong_sections_are_one_message(run: Run) -> None:
    result = run("analyze", "resnet18", "--show", "memori,init")
    assert (result.status, result.out) == (2, "")
    assert "unknown section 'memori'\n  hint: " in result.err
    assert run("analyze", "resnet18", "--label-smoothing", 2).status == 2


NET = """\
name: small
input: [1, 8, 8]
layers:
  - conv: {out: 4, kernel: 3, padding: 1, bias: false}
  - batch_norm
  - relu
  - flatten
  - linear: {out: 10}
"""
MACHINE = "name: m\nsource: s\npeak: {float32: 1T}\nmemory: {bandwidth: 1GB/s}\n"


def test_the_facts_by_hand(run: Run, tmp_path: Path) -> None:
    """36 + 8 + 2,570 parameters; for two images 4,608 + 5,120 MACs, of which the linear alone has input gradients.

    Maps of 2 · 4 · 64 · 4 = 2,048 bytes: two at the norm; kept are the input, the norm's input with its 8 statistics,
    and the linear's input. Adam counts steps for each of five weights. Of the convolution's 3 · 8 taps per axis 2 lie
    in the padding, so it needs (22/24)² of its FLOPs: 7,744 + 10,240 of 10¹² a second.
    """
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "m.yaml").write_text(MACHINE + "caches: [{size: 1MB}]\n")
    (tmp_path / "bare.yaml").write_text(MACHINE)
    options = ["--columns", "layer", "--batch", 2, "--label-smoothing", 0.1, "--optimizer", "adam"]
    options += ["--show", "training", "--images", 1000, "--epochs", 3]
    out = run("analyze", tmp_path / "net.yaml", *options, "--machine", tmp_path / "m.yaml").out
    assert out[out.index("memory\n") : out.index("\nwhere the FLOPs")].splitlines() == [
        "memory",
        "weights           10.21 KiB   float32",
        "buffers                40 B   running statistics",
        "inference peak      4,096 B   of tensors, at batch_norm1; also alive: conv1",
        "gradients         10.21 KiB   one for each weight that gets one",
        "optimizer state   20.44 KiB   adam: two tensors like each weight and a step counter",
        "kept                4,640 B   by autograd, batch 2",
        "training total    45.43 KiB   at the end of the forward pass, and the gradients of the weights",
        "",
        "training",
        "forward FLOPs               19,456   19.5 kFLOPs",
        "input-gradient FLOPs        10,240   10.2 kFLOPs; of activations, as far as weights lie before",
        "weight-gradient FLOPs       19,456   19.5 kFLOPs",
        "FLOPs of a step             49,152   49.2 kFLOPs; 2.53 times the forward pass",
        "steps                        1,500   1,000 images × 3 epochs, batch 2",
        "FLOPs of the run        73,728,000   73.7 MFLOPs; 8.53e-13 PFLOP/s-days",
        "",
        "speed",
        "bytes moved             23,368   23.37 kB of float32, each tensor once",
        "FLOPs per byte             0.8   arithmetic intensity",
        "machine                      m   1.00 TFLOP/s, 1.00 GB/s; ridge at 1e+03 FLOPs per byte; caches of 976.56 KiB",
        "roofline time          23.4 µs   every tensor from and to memory; sum of the layers",
        "lower bound            18.0 ns   layers one after the other, whatever caches hold; every product computed",
        "lower bound if fused   18.0 ns   inputs, weights and outputs moved once",
        "                                 bounds, not predictions: a real run takes longer",
        "",
        "initialisation",
        "with weight decay       2,596   weights, of 2,614 parameters",
        "without weight decay       18   biases, and scales and shifts of norms",
        "loss at the start      2.3026   ln 10: all classes equally likely",
        "minimum loss           0.5003   with label smoothing 0.1",
    ]
    # without caches every tensor passes the memory; fused, 512 + 10,488 + 80 bytes do
    out = run("analyze", tmp_path / "net.yaml", "--batch", 2, "--machine", tmp_path / "bare.yaml").out
    assert "; no caches given\n" in out
    assert "\nlower bound            23.4 µs   " in out
    assert "\nlower bound if fused   11.1 µs   " in out
    fast = run("analyze", tmp_path / "net.yaml", "--machine", tmp_path / "m.yaml", "--algorithms", "fast").out
    assert "whatever caches hold; convolutions by Winograd or FFT allowed\n" in fast


def test_the_least_memory_by_hand(run: Run, tmp_path: Path) -> None:
    """A map of one channel has 256 bytes. As written 1 + 4 + 16 are alive at once; wide branch first, 1 + 16 + 1."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "input: [1, 8, 8]\nlayers:\n  - concat: [[{conv: 4}], [{conv: 16}, {conv: 1}]]\n".replace(
            "conv: 4", "conv: {out: 4, kernel: 1}"
        )
        .replace("conv: 16", "conv: {out: 16, kernel: 1}")
        .replace("conv: 1}", "conv: {out: 1, kernel: 1}}")
    )
    out = run("analyze", path, "--show", "memory").out
    assert "\n  in the best order   4,608 B   no order has less\n" in out
    assert "\ninference peak        5,376 B   of tensors, at branch2.conv1; also alive: input, branch1.conv1\n" in out
    # a relu takes two maps of 4 channels, or one where it writes over its input; then the convolution has most
    path.write_text("input: [1, 8, 8]\nlayers: [{conv: {out: 4, kernel: 1}}, relu]\n")
    out = run("analyze", path, "--show", "memory").out
    assert "\ninference peak    2,048 B   of tensors, at relu1; also alive: conv1\n" in out
    assert "\n  in place        1,280 B   where activations write over their input\n" in out
