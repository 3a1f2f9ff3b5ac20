"""The sections ``training`` and ``speed`` of ``analyze``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run

RESNET50_STEP = 24_299_077_632
"""FLOPs that PyTorch counts for a forward and backward pass of torchvision's resnet50, for one image."""
MACHINE = "name: m\nsource: s\npeak: {float32: 1T, float16: 2T}\nmemory: {bandwidth: 1GB/s}\ncaches: [{size: 1MB}]\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MACHINE)
    return path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text("input: [1000]\nlayers: [{linear: {out: 500, bias: false}}, relu]\n")
    return path


def test_a_run(run: Run) -> None:
    result = run(
        "analyze", "resnet50", "--images", "1.28M", "--epochs", 90, "--batch", 256, "--format", "json", "--depth", 1
    )
    training = json.loads(result.out)["training"]
    assert training["step_flops"] == 256 * RESNET50_STEP
    assert training["run"] == {
        "images": 1_280_000,
        "epochs": 90,
        "steps": 5_000 * 90,
        "flops": 1_280_000 * 90 * RESNET50_STEP,
        "petaflop_s_days": pytest.approx(1_280_000 * 90 * RESNET50_STEP / 8.64e19),
    }
    text = run("analyze", "resnet50", "--images", "1281167", "--epochs", 90, "--batch", 256).out
    assert f"{1_281_167 * 90 * RESNET50_STEP:,}   2.80 EFLOPs; 0.0324 PFLOP/s-days" in text
    assert f"steps                                     {5005 * 90:,}" in text


def test_stochastic_depth_has_both_costs(run: Run) -> None:
    report = json.loads(run("analyze", "convnext_tiny", "--show", "training", "--format", "json").out)
    training = report["training"]
    assert training["drops"] == 17
    assert 0 < training["expected_if_skipped"]["step_flops"] < training["step_flops"]
    rows = [row["training"] for row in report["layers"]]
    assert training["step_flops"] == sum(row["step_flops"] for row in rows)
    mean = sum(row["expected_if_skipped"]["step_flops"] for row in rows)
    assert training["expected_if_skipped"]["step_flops"] == pytest.approx(mean, abs=len(rows))
    assert {row["runs"] for row in rows} >= {1.0, 0.9}
    text = run("analyze", "convnext_tiny", "--show", "training", "--images", "1M", "--epochs", 300).out
    assert "computed and zeroed, as PyTorch and torchvision do" in text
    assert "neither computed nor differentiated (Huang et al. 2016): 95.3 %" in text
    assert "the run if skipped" in text
    assert "stochastic" not in run("analyze", "resnet18", "--show", "training").out


def test_folded_rows_add_up(run: Run) -> None:
    options = ["--show", "training", "--machine", "raspberry_pi_5", "--format", "csv"]
    columns = ["--columns", "layer,step_flops,expected_step,moved_bytes,time_bound,roofline,limit"]
    whole = list(csv.DictReader(io.StringIO(run("analyze", "efficientnet_b0", *options, *columns).out)))
    folded = list(csv.DictReader(io.StringIO(run("analyze", "efficientnet_b0", *options, *columns, "--depth", 1).out)))
    for name in ("step_flops", "moved_bytes", "time_bound", "roofline"):
        assert sum(int(row[name]) for row in whole) == sum(int(row[name]) for row in folded)
    assert len(folded) < len(whole)
    assert "several" in {row["limit"] for row in folded}


def test_speed_by_hand(run: Run, spec: Path, machine: Path) -> None:
    report = json.loads(run("analyze", spec, "--batch", 2, "--machine", machine, "--format", "json").out)
    linear, relu = (row["speed"] for row in report["layers"])
    assert linear == {
        "read_bytes": 8_000,
        "weight_bytes": 2_000_000,
        "written_bytes": 4_000,
        "bytes": 2_012_000,
        "intensity": pytest.approx(2_000_000 / 2_012_000),
        "compute_ps": 2_000_000,
        "memory_ps": 2_012_000_000,
        "roofline_ps": 2_012_000_000,
        "limit": "memory",
        "bound_ps": 1_008_000_000,
    }
    assert (relu["bytes"], relu["intensity"], relu["bound_ps"]) == (8_000, 0.0, 2_000_000 * 0)
    speed = report["speed"]
    assert (speed["bound_ps"], speed["roofline_ps"]) == (1_008_000_000, 2_020_000_000)
    assert speed["machine"] == {
        "name": "m",
        "source": "s",
        "peak_flops": 10**12,
        "bandwidth": 10**9,
        "cache_bytes": 10**6,
    }
    narrow = json.loads(
        run("analyze", spec, "--machine", machine, "--dtype", "float16", "--format", "json", "--batch", 2).out
    )
    assert narrow["layers"][0]["speed"]["memory_ps"] == 1_006_000_000
    assert narrow["layers"][0]["speed"]["compute_ps"] == 1_000_000
    assert "a real run takes longer" in run("analyze", spec, "--machine", machine).out


def test_without_a_machine_there_are_no_times(run: Run, spec: Path) -> None:
    report = json.loads(run("analyze", spec, "--show", "speed", "--format", "json").out)
    assert {*report["speed"]} & {"machine", "bound_ps", "roofline_ps"} == set()
    table = run("analyze", spec, "--show", "speed").out
    assert "roofline" not in table
    assert "FLOP/B" in table


def test_fast_convolution_has_a_lower_bound(run: Run) -> None:
    found = [
        json.loads(run("analyze", "vgg11", "--machine", "t4", "--algorithms", kind, "--format", "json").out)["speed"]
        for kind in ("direct", "fast")
    ]
    assert found[1]["bound_ps"] < found[0]["bound_ps"]
    assert found[0]["roofline_ps"] == found[1]["roofline_ps"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "lots", "--epochs", 3], "error: --images: 'lots' is not a count"),
        (["--images", "1M"], "error: a training run needs --epochs too\n  hint: as --epochs 90"),
        (["--epochs", "90"], "error: a training run needs --images too\n  hint: as --images 1.28M"),
        (["--images", "0", "--epochs", 3], "error: --images must be at least 1, got 0"),
        (["--machine", "h100"], "h100: error: there is no such file or shipped machine\n  hint: did you mean"),
        (["--machine", "t4", "--dtype", "float64"], "error: NVIDIA T4 has no peak for float64\n  hint: --dtype can be"),
    ],
)
def test_wrong_options_are_one_message(run: Run, spec: Path, options: list[str], message: str) -> None:
    result = run("analyze", spec, *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_a_new_layer_has_traffic_and_gradients(run: Run, tmp_path: Path) -> None:
    """From what its class says: a weight, MACs and what it reads."""
    from cnncalc.layers.base import EVERYTHING, REGISTRY, Layer, Weight

    class Summing(Layer, frozen=True):
        """A weighted sum."""

        def output_shape(self, *inputs):
            return (1,)

        def weights(self, *inputs):
            return (Weight("weight", inputs[0]),)

        def macs(self, *inputs):
            return 4 * 5 * 6

        def reads(self, *inputs):
            return ((EVERYTHING,) * len(inputs[0]),)

    class Silent(Layer, frozen=True):
        """One that says nothing."""

        def output_shape(self, *inputs):
            return inputs[0][1:]

    try:
        (tmp_path / "new.yaml").write_text("input: [4, 5, 6]\nlayers: [{conv: {out: 4, kernel: 1}}, summing]\n")
        report = json.loads(run("analyze", tmp_path / "new.yaml", "--show", "training,speed", "--format", "json").out)
        new = report["layers"][1]
        assert new["speed"]["bytes"] == 4 * (120 + 120 + 1)
        assert (new["training"]["input_gradient_flops"], new["training"]["weight_gradient_flops"]) == (240, 240)
        (tmp_path / "new.yaml").write_text("input: [4, 5, 6]\nlayers: [silent]\n")
        report = json.loads(run("analyze", tmp_path / "new.yaml", "--show", "training,speed", "--format", "json").out)
        assert report["layers"][0]["training"]["step_flops"] is None
        assert report["layers"][0]["speed"]["written_bytes"] == 4 * 30
        assert (report["training"]["status"], report["speed"]["status"]) == ("partial", "partial")
    finally:
        del REGISTRY["summing"], REGISTRY["silent"]


def test_an_unknown_cost_makes_the_step_partial(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnncalc.layers.activation import Relu
    from cnncalc.layers.base import Unknown

    monkeypatch.setattr(Relu, "macs", lambda layer, *shapes: Unknown("not said"))
    report = json.loads(run("analyze", spec, "--show", "training,speed", "--format", "json").out)
    assert (report["training"]["status"], report["speed"]["status"]) == ("partial", "partial")
    assert report["layers"][1]["training"]["step_flops"] is None
    assert report["layers"][1]["speed"]["intensity"] is None
    # 500,000 products forwards and for the weights; the input wants no gradient
    assert "≥ 2,000,000" in run("analyze", spec, "--show", "training").out
