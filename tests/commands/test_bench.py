"""``cnncalc bench``. No test depends on how fast anything is: what it says about times is tested on made-up ones."""

from __future__ import annotations

import csv
import io
import json
from math import inf
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc import machines
from cnncalc.analysis import bench as reports
from cnncalc.analysis.roofline import Machine
from cnncalc.analysis.timing import Measured, Measurement, Timing, bounds, timing
from cnncalc.commands._command import Rows
from cnncalc.document.terminal import render
from cnncalc.document.tree import folded
from cnncalc.report import bench as pages
from cnncalc.report.schema import report_schema
from cnncalc.sources import load_text
from tests.commands.conftest import Run

SPEC = """
name: small
input: [3, 12, 10]
blocks:
  block:
    args: {out: required}
    layers: [{conv: {out: out, kernel: 3, padding: 1}}, batch_norm, relu]
layers: [{block: 4}, {block: 6}, dropout, flatten, {linear: 5}]
"""
SLOW = Machine("slow", "made up", {"float32": 1}, 1)
"""So slow, an operation a second, that every bound is above whatever is measured."""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.yaml"
    path.write_text(machines.written(SLOW))
    return path


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=30))
def test_quartiles_are_numpys(tries: list[int]) -> None:
    found = timing(tries)
    low, median, high = np.percentile(tries, [25, 50, 75])
    assert (found.best_ps, found.tries) == (min(tries), len(tries))
    for mine, theirs in ((found.low_ps, low), (found.median_ps, median), (found.high_ps, high)):
        assert mine == pytest.approx(float(theirs), rel=1e-12, abs=1)


@pytest.mark.torch
def test_json_is_as_the_schema_has_it(run: Run, spec: Path, slow: Path) -> None:
    for options in ([], ["--backward"], ["--machine", slow], ["--machine", slow, "--backward", "--depth", 1]):
        result = run("bench", spec, "--repeat", 2, "--batch", 2, "--format", "json", *options)
        assert (result.status, result.err) == (0, "")
        answer = json.loads(result.out)
        jsonschema.Draft202012Validator(report_schema("bench")).validate(answer)
        assert (answer["name"], answer["device"], answer["batch"], answer["tries"]) == ("small", "cpu", 2, 2)
        assert len(answer["layers"]) == (5 if "--depth" in options else 9)
        assert all(row["forward"]["best_ps"] <= row["forward"]["median_ps"] for row in answer["layers"])
        assert ("machine" in answer) == ("--machine" in options)
        assert ("backward" in answer) == ("--backward" in options)
        if options == ["--backward"]:
            rows = {row["path"]: row["backward"] for row in answer["layers"]}
            assert all(rows.values())
            assert answer["layers_backward_ps"] == sum(row["median_ps"] for row in rows.values())


@pytest.mark.torch
def test_what_has_nothing_to_differentiate_has_no_backward_time(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("input: [3, 8, 8]\nlayers: [relu, {conv: {out: 2, kernel: 1}}]\n")
    answer = json.loads(run("bench", tmp_path / "m.yaml", "--backward", "--repeat", 1, "--format", "json").out)
    assert [row["backward"] is None for row in answer["layers"]] == [True, False]
    text = run("bench", tmp_path / "m.yaml", "--backward", "--repeat", 1).out
    assert "the net, backward:" in text


@pytest.mark.torch
def test_every_format(run: Run, spec: Path, slow: Path, tmp_path: Path) -> None:
    table = run("bench", spec, "--repeat", 2, "--machine", slow, "--depth", 1).out
    for text in ("block1", "× bound", "the net, forward:", "samples per second", "median of 2 tries", "on slow"):
        assert text in table
    rows = list(csv.DictReader(io.StringIO(run("bench", spec, "--repeat", 2, "--format", "csv").out)))
    assert [row["layer"] for row in rows][:2] == ["block1.conv1", "block1.batch_norm1"]
    assert int(rows[0]["forward_median_ps"]) > 0
    run("bench", spec, "--repeat", 1, "--output", tmp_path / "out.md")
    page = (tmp_path / "out.md").read_text().splitlines()
    assert page[0] == "## small   batch 1"
    assert page[2].startswith("| layer ")
    assert any(line.startswith("- the net, forward: ") for line in page)
    assert "half of the tries" in run("bench", spec, "--repeat", 1, "--format", "csv").err


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_folds_the_layers_into_its_height(width: int) -> None:
    """Three layers of 1 µs in a block are 3 µs; 12 lines hold the five rows of the first level, 40 lines all nine."""
    graph = load_text(SPEC)
    one = Measured(timing([10**6]))
    layers = {number: one for number, node in enumerate(graph.nodes) if node.layer is not None}
    found = reports.answer(
        graph, Measurement(layers, one), device="cpu", dtype="float32", batch=1, machine=SLOW, backward=True
    )
    low, high = (render(pages.document(found), width=width, height=height, tree=True) for height in (12, 40))
    assert max(map(len, [*low.splitlines(), *high.splitlines()])) <= width
    row = next(line for line in low.splitlines() if line.startswith("block1"))
    assert "3.00 µs" in row
    assert low.splitlines()[-1] == "9 layers: --depth 2, or --all"
    assert sum(line.startswith("  conv1") for line in high.splitlines()) == 2
    assert "--all" not in high


@pytest.mark.torch
def test_a_bound_above_what_is_measured_is_a_warning(run: Run, spec: Path, slow: Path) -> None:
    answer = json.loads(run("bench", spec, "--repeat", 1, "--machine", slow, "--format", "json").out)
    assert "the net" in answer["above_measured"]
    assert "block1.conv1" in answer["above_measured"]
    assert "flatten1" not in answer["above_measured"]
    assert "warning: measured faster than the bound: block1.conv1" in run("bench", spec, "--machine", slow).out


def measurement(number: int, times: dict[int, int]) -> Measurement:
    """Every node at the same times, and the net at their sum."""
    return Measurement(
        {node: Measured(timing([time])) for node, time in times.items()}, Measured(timing([sum(times.values())]))
    )


@pytest.mark.parametrize("algorithms", ["direct", "fast"])
def test_a_bound_equal_to_the_time_is_kept_and_a_picosecond_less_breaks_it(algorithms: Any) -> None:
    graph = load_text(SPEC)
    least, whole = bounds(graph, 3, SLOW, "float32", algorithms)
    exact = {number: max(one.forward, 1) for number, one in least.items()}
    assert whole.forward == sum(one.forward for one in least.values())

    def above(change: int) -> tuple[str, ...]:
        measured = measurement(3, {n: t + (change if t > 1 else 0) for n, t in exact.items()})
        found = reports.answer(
            graph, measured, device="cpu", dtype="float32", batch=3, machine=SLOW, algorithms=algorithms
        )
        return found.above_measured

    assert above(0) == above(5) == ()
    assert len(above(-1)) == 1 + sum(one.forward > 0 for one in least.values()) == 8


def test_folded_times_are_sums() -> None:
    graph = load_text(SPEC)
    least, _ = bounds(graph, 1, SLOW, "float32", "direct")
    measured = measurement(1, {number: 1000 + number for number in least})
    found = reports.answer(graph, measured, device="cpu", dtype="float32", batch=1, machine=SLOW)
    rows = {row.path: row for row in folded(found.layers, 1, reports.block)}
    assert [*rows] == ["block1", "block2", "dropout1", "flatten1", "linear1"]
    assert rows["block1"].forward.median_ps == 3 * 1000 + 1 + 2 + 3
    assert rows["block1"].forward.bound_ps == sum(least[number].forward for number in (1, 2, 3))
    assert rows["dropout1"].forward.times_bound is None


def test_what_is_read_of_made_up_times() -> None:
    """By hand: tries of 10, 20, 30, 40, 70 µs have the median 30, the quartiles 20 and 40, the best 10."""
    graph = load_text(SPEC)
    one = Measured(timing([us * 10**6 for us in (10, 20, 30, 40, 70)]))
    count = sum(node.layer is not None for node in graph.nodes)
    measured = Measurement({n: one for n, node in enumerate(graph.nodes) if node.layer is not None}, one)
    found = reports.answer(graph, measured, device="cpu", dtype="float32", batch=3, machine=SLOW)
    text = render(pages.document(found))
    assert "the net, forward: 30.0 µs (half of the tries 20.0 µs to 40.0 µs, best 10.0 µs)" in text
    assert "samples per second, forward: 1e+05" in text  # 3 in 30 µs
    by_name = {column.name: column for column in pages.every_column(backward=False, bounded=True)}
    assert {by_name["forward_share"].value(row, found) for row in found.layers} == {100 / count}
    graph = load_text("input: [3, 8]\nblocks: {head: {layers: [flatten, {linear: 5}]}}\nlayers: [relu, head]\n")
    measured = Measurement(dict.fromkeys((1, 2, 3), one), one)
    found = reports.answer(graph, measured, device="cpu", dtype="float32", batch=3)
    assert [row.output_shape for row in folded(found.layers, 1, reports.block)] == [(3, 8), (5,)]


def test_rows_are_sorted_cut_and_counted(run: Run, tmp_path: Path) -> None:
    """The slowest first, by a column's name or head; the total stays the net's."""
    graph = load_text(SPEC)
    nodes = [number for number, node in enumerate(graph.nodes) if node.layer is not None]
    layers = {number: Measured(timing([place * 10**6])) for place, number in enumerate(nodes, 1)}
    found = reports.answer(graph, Measurement(layers, layers[nodes[0]]), device="cpu", dtype="float32", batch=1)
    columns = pages.every_column(backward=False, bounded=False)
    for name in ("time", "forward_median_ps"):
        rows = Rows(sort=name, top=2).cut(found.layers, columns, found)
        lines = render(pages.document(found, rows, Rows(columns="layer,time").pick(columns), flat=True)).splitlines()
        assert lines[2:9] == [
            "layer        time",
            "─" * 17,
            "linear1   9.00 µs",
            "flatten1  8.00 µs",
            "─" * 17,
            "total     45.0 µs",
            "",
        ]
        assert lines[9] == "2 of 9 layers"
    wrong = run("bench", "lenet5", "--sort", "weight")
    assert (wrong.status, wrong.out) == (2, "")
    assert "unknown column 'weight'\n  hint: choose from layer, type, output, forward_median_ps" in wrong.err


def test_the_spread_is_half_the_range_of_the_middle_half() -> None:
    graph = load_text(SPEC)
    one = Timing(800, 900, 1000, 1300, 9)
    layers = {number: Measured(one) for number, node in enumerate(graph.nodes) if node.layer is not None}
    found = reports.answer(graph, Measurement(layers, Measured(one)), device="cpu", dtype="float32", batch=1)
    (spread,) = (
        column for column in pages.every_column(backward=False, bounded=False) if column.name == "forward_spread"
    )
    # the middle half of the tries lies between 900 and 1,300: 200 to both sides, of 1,000
    assert {spread.show(spread.value(row, found)) for row in found.layers} == {"20%"}


@pytest.mark.torch
def test_on_a_cpu_every_product_is_computed_unless_told_otherwise(run: Run, spec: Path, slow: Path) -> None:
    line = ("bench", spec, "--repeat", 1, "--machine", slow, "--format", "json")
    told = {how: json.loads(run(*line, *how).out) for how in ((), ("--algorithms", "direct"), ("--algorithms", "fast"))}
    assert [answer["algorithms"] for answer in told.values()] == ["direct", "direct", "fast"]
    bound, direct, fast = (answer["forward"]["bound_ps"] for answer in told.values())
    assert bound == direct > fast


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "error: bench: give a SOURCE, or --calibrate FILE"),
        (["lenet5", "--machine", "t4", "--calibrate", "x.yaml"], "bench: --calibrate measures the machine"),
        pytest.param(
            ["lenet5", "--device", "cuda:77"], "error: PyTorch cannot use the device 'cuda:77'", marks=pytest.mark.torch
        ),
        (["lenet5", "--machine", "nothing"], "there is no such file or shipped machine"),
        pytest.param(
            ["lenet5", "--machine", "tpu_v4", "--repeat", 1], "has no peak for float32", marks=pytest.mark.torch
        ),
    ],
)
def test_wrong_usage_is_one_message(run: Run, options: list[str], message: str) -> None:
    result = run("bench", *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_the_shipped_machines_are_listed_with_their_sources(run: Run) -> None:
    answer = json.loads(run("bench", "--machines", "--format", "json").out)
    jsonschema.Draft202012Validator(report_schema("machines")).validate(answer)
    assert [row["name"] for row in answer["machines"]] == machines.names()
    rows = list(csv.DictReader(io.StringIO(run("bench", "--machines", "--format", "csv").out)))
    (t4,) = [row for row in rows if row["name"] == "t4"]
    assert (t4["float16"], t4["bandwidth"], t4["float64"]) == ("65130000000000", "320000000000", "")
    assert "NVIDIA T4" in run("bench", "--machines").out


# -- calibration


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that is over at once, and worth nothing."""
    import cnncalc.torch.calibrate as module

    monkeypatch.setattr(module, "LONGEST", 0.0)
    monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(module, "DTYPES", {"float32": module.DTYPES["float32"]})
    monkeypatch.setattr(module, "cpu_caches", lambda: 1 << 20)
    monkeypatch.setattr(module, "load_average", lambda: 0.0)


@pytest.mark.torch
def test_calibration_writes_a_machine_that_bench_and_analyze_take(run: Run, quick: None, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "mine.yaml"
    threads = torch.get_num_threads()
    result = run("bench", "--calibrate", path)
    assert (result.status, result.out, result.err) == (0, "", "")
    machine = machines.load(str(path))
    assert machine.threads == threads == torch.get_num_threads()
    assert machine.peak["float32"] > 0
    assert machine.caches[0].size == 1 << 20
    assert f"PyTorch {torch.__version__} on cpu: the best of many tries and 15% more" in machine.source
    assert run("analyze", "lenet5", "--machine", path).status == 0
    assert "× bound" in run("bench", "lenet5", "--repeat", 1, "--machine", path).out


@pytest.mark.torch
def test_a_busy_machine_is_told_and_its_memory_is_given_what_caches_give(
    run: Run, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cnncalc.torch.calibrate as module

    monkeypatch.setattr(module, "load_average", lambda: 3.25)
    result = run("bench", "--calibrate", tmp_path / "busy.yaml")
    assert (result.status, result.out) == (0, "")
    assert "warning: other work goes on here (load 3.2)" in result.err
    machine = machines.load(str(tmp_path / "busy.yaml"))
    assert machine.bandwidth == machine.caches[0].bandwidth
    assert "since other work went on" in machine.source
    assert "the best of many tries and 30% more" in machine.source


@pytest.mark.torch
def test_a_calibration_that_fails_leaves_what_was_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cnncalc.torch.calibrate as module

    def fails(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    path = tmp_path / "mine.yaml"
    path.write_text("as it was")
    refused = run("bench", "--calibrate", path)
    assert refused == (2, "", f"error: {path} is there already\n  hint: --force replaces it\n")
    monkeypatch.setattr(module, "_bandwidth", fails)
    monkeypatch.setattr(module, "_peaks", lambda *_: {"float32": 1})
    assert run("bench", "--calibrate", path, "--force").status == 130
    assert path.read_text() == "as it was"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.torch
def test_the_best_of_disturbed_tries_counts() -> None:
    """However many tries are disturbed, one that is not decides."""
    from cnncalc.torch.calibrate import HEADROOM, Kernel, _rate, _with_headroom

    class Clock:
        times = iter([5000, 9000, 7000, 1000, 8000] + [9000] * 10**6)

        def once(self, run: Any) -> int:
            return next(self.times)

    import cnncalc.torch.calibrate as module

    before, module.PATIENCE, module.LONGEST = (module.PATIENCE, module.LONGEST), 0.0, inf
    try:
        assert _rate(Kernel(lambda: None, 77), Clock()) == 77 * 10**12 // 1000  # type: ignore[arg-type]
    finally:
        module.PATIENCE, module.LONGEST = before
    assert HEADROOM[0] > HEADROOM[1]
    assert 115_000 <= _with_headroom(100_000) < 115_100
    assert _with_headroom(123_456_789) >= 123_456_789 * 1.15


@pytest.mark.torch
def test_accelerators_have_larger_kernels() -> None:
    import torch

    from cnncalc.torch.calibrate import _products

    with torch.device("meta"):
        small = [kernel.work for kernel in _products("cpu", torch.float32)]
    assert len(small) == 11
    assert min(small) > 10**7


@pytest.mark.torch
@pytest.mark.gpu
def test_a_gpu_is_calibrated_and_measured(run: Run, quick: None, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    result = run(
        "bench", "lenet5", "--device", "cuda", "--calibrate", tmp_path / "gpu.yaml", "--backward", "--format", "json"
    )
    assert result.status == 0
    answer = json.loads(result.out)
    assert answer["algorithms"] == "fast"
    assert answer["forward"]["median_ps"] > 0
    assert set(machines.load(str(tmp_path / "gpu.yaml")).peak) == {"float32", "tf32"}


# -- the claim, on this machine


@pytest.mark.slow
def test_no_bound_is_above_what_is_measured(tmp_path: Path) -> None:
    """As benchmarks/bound.py, on fewer nets."""
    import subprocess
    import sys

    root = Path(__file__).resolve().parent.parent.parent
    line = [sys.executable, str(root / "benchmarks" / "bound.py"), "lenet5", "squeezenet1_1", "mobilenet_v2"]
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_order_statistics_of_one_try() -> None:
    assert timing([7]) == Timing(7, 7, 7, 7, 1)
