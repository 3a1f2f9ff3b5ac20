"""The Python API, and the JSON that DESIGN fixes."""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import rich.console

import cnncalc


def test_load_takes_a_path_a_name_and_arguments(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("args: {width: 4}\ninput: [3, 8, 8]\nlayers:\n  - conv: {out: width, kernel: 3}\n")
    assert cnncalc.load(spec).nodes[-1].output_shape == (4, 6, 6)
    assert cnncalc.load(str(spec), width=7, input=(2, 10, 12)).nodes[-1].output_shape == (7, 8, 10)
    assert cnncalc.load("resnet50", classes=10).nodes[-1].output_shape == (10,)
    assert cnncalc.load("resnet", variant="resnet18", depths=[1, 1, 1, 1]).nodes[-1].output_shape == (1000,)


def test_analyze_takes_a_graph_or_what_load_takes() -> None:
    graph = cnncalc.load("lenet5")
    assert cnncalc.analyze(graph) == cnncalc.analyze("lenet5")
    assert cnncalc.analyze("lenet5").totals.params == 61_706


def test_the_batch_multiplies_work_and_not_weights() -> None:
    one, eight = cnncalc.analyze("lenet5").totals, cnncalc.analyze("lenet5", batch=8).totals
    assert (eight.params, eight.buffers) == (one.params, one.buffers)
    for count in ("macs", "flops", "elementwise_ops", "activations"):
        assert getattr(eight, count) == 8 * getattr(one, count)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cnncalc.analyze("lenet5", batch=0), "batch must be a whole number of at least 1, got 0"),
        (lambda: cnncalc.analyze("lenet5", batch=True), "batch must be a whole number of at least 1, got True"),
        (lambda: cnncalc.load("lenet5", input=(1, 0, 32)), "not an input shape"),
        (lambda: cnncalc.load("lenet5", clases=3), "did you mean 'classes'"),
        (lambda: cnncalc.load("lenet6"), "did you mean 'lenet5'"),
        (lambda: cnncalc.analyze(cnncalc.load("lenet5"), classes=3), "a graph is already built"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(cnncalc.CnncalcError, match=message):
        call()


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        _ = cnncalc.analyse


@pytest.mark.torch
def test_the_module_is_an_attribute_away() -> None:
    code = "import cnncalc; print(sum(p.numel() for p in cnncalc.torch.build('lenet5').parameters()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "61706\n"


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    cnncalc.analyze("lenet5")
    assert gc.isenabled()


def test_json_has_the_fixed_keys_and_numbers() -> None:
    """The example of the fixed JSON, schema version 1, key by key."""
    report = cnncalc.analyze("resnet50")
    data = json.loads(report.to_json())
    assert data == json.loads(json.dumps(report.to_dict()))
    assert data["schema_version"] == 1
    assert data["generator"] == {"name": "cnncalc", "version": cnncalc.__version__}
    assert data["model"]["name"] == "resnet50"
    assert data["model"]["source"] == "specs/resnet.yaml"
    assert data["model"]["args"]["classes"] == 1000
    assert data["model"]["inputs"] == {"input": [3, 224, 224]}
    assert data["model"]["batch"] == 1
    totals = {"status": "complete", "params": 25557032, "buffers": 53173, "macs": 4089184256, "flops": 8178368512}
    assert data["totals"] | totals == data["totals"]
    assert data["totals"]["activations"] == 11114984
    first = data["layers"][0]
    expected = {
        "path": "conv_bn1.conv1",
        "type": "conv",
        "inputs": ["input"],
        "input_shapes": [[3, 224, 224]],
        "output_shape": [64, 112, 112],
        "params": 9408,
        "buffers": 0,
        "macs": 118013952,
        "flops": 236027904,
        "receptive_field": {"kind": "local", "size": [7, 7], "jump": [2, 2], "start": [-3, -3]},
    }
    assert first | expected == first
    assert data["layers"][-1]["receptive_field"] == {"kind": "global", "size": None, "jump": None, "start": None}
    assert data["diagnostics"] == []


def test_counts_are_exact_at_any_size(tmp_path: Path) -> None:
    spec = tmp_path / "huge.yaml"
    spec.write_text("input: [1000000, 1000000, 1000000]\nlayers:\n  - conv: {out: 1000003, kernel: 1, bias: false}\n")
    report = cnncalc.analyze(spec)
    assert report.totals.macs == 10**6 * 1000003 * 10**12
    assert json.loads(report.to_json())["totals"]["macs"] == 1000003 * 10**18


class Cells(HTMLParser):
    """The texts of a table's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_a_notebook_gets_a_table() -> None:
    cells = Cells()
    cells.feed(cnncalc.analyze("lenet5")._repr_html_())
    assert {"c1", "conv", "6×28×28"} <= set(cells.texts)


def test_rich_shows_the_table() -> None:
    out = io.StringIO()
    rich.console.Console(file=out, width=120).print(cnncalc.analyze("lenet5"))
    assert "6×28×28" in out.getvalue()
    assert "61,706" in out.getvalue()
