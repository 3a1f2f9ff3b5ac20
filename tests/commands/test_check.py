"""``cnncalc check``: limits from the spec and the command line, verdicts and their exit status."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.check import check, checked, together
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.metrics import of_report
from cnncalc.analysis.report import Report
from cnncalc.api import load
from cnncalc.document.terminal import render
from cnncalc.report.check import document
from cnncalc.report.schema import report_schema
from cnncalc.spec.budget import METRICS
from tests.commands.conftest import Run
from tests.report.draws import layer, report, reports

# 3·8·9 weights and no bias; 32·32 positions: arithmetic, not our output
PARAMS, MACS = 216, 216 * 32 * 32
SPEC = "name: one\ninput: [3, 32, 32]\nlayers:\n  - conv: {out: 8, kernel: 3, padding: 1, bias: false}\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(SPEC + f"budget: {{params: {{max: {PARAMS}}}, macs: {{min: 0.2M, max: 1M}}}}\n")
    return path


def test_a_kept_budget_passes(run: Run, spec: Path) -> None:
    result = run("check", spec)
    assert (result.status, result.err) == (0, "")
    assert "all 3 checks passed" in result.out


def test_a_broken_limit_fails_and_the_json_says_by_how_much(run: Run, spec: Path) -> None:
    result = run("check", spec, "--max", "macs=200k", "--min", "activations=8192", "--format", "json")
    answer = json.loads(result.out)
    assert result.status == 1
    assert answer["status"] == "fail"
    assert answer["model"]["name"] == "one"
    assert answer["checks"] == [
        {"metric": "params", "limit": "max", "value": 216, "bound": 216, "margin": 0, "status": "pass"},
        {"metric": "macs", "limit": "max", "value": MACS, "bound": 200_000, "margin": 200_000 - MACS, "status": "fail"},
        {"metric": "macs", "limit": "min", "value": MACS, "bound": 200_000, "margin": MACS - 200_000, "status": "pass"},
        {"metric": "activations", "limit": "min", "value": 8192, "bound": 8192, "margin": 0, "status": "pass"},
    ]
    jsonschema.Draft202012Validator(report_schema("check")).validate(answer)


def test_the_command_line_replaces_the_spec_for_that_metric_and_side(run: Run, spec: Path) -> None:
    assert run("check", spec, "--max", "params=215").status == 1
    assert run("check", spec, "--max", "params=215", "--max", "params=216").status == 0
    assert run("check", spec, "--batch", 5).status == 1


def test_a_limit_of_the_command_line_has_no_line_in_the_file(run: Run, spec: Path) -> None:
    spec.write_text(SPEC + "budget: {params: {max: 215}}\n")
    title = "title=cnncalc check%3A params"
    assert run("check", spec, "--format", "github").out.splitlines()[0] == (
        f"::error file={spec},line=5,col=19,{title}::one: params: 216 is over the max of 215 by 1 (0.5 %25)"
    )
    assert run("check", spec, "--max", "params=200", "--format", "github").out.splitlines()[0] == (
        f"::error file={spec},{title}::one: params: 216 is over the max of 200 by 16 (8.0 %25)"
    )


def test_csv_and_markdown(run: Run, spec: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("check", spec, "--format", "csv").out)))
    assert [(row["metric"], row["limit"], row["bound"]) for row in rows] == [
        ("params", "max", "216"),
        ("macs", "max", "1000000"),
        ("macs", "min", "200000"),
    ]
    assert run("check", spec, "--format", "markdown").out.startswith("| metric")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max", "parms=3"], "error: unknown metric 'parms'\n  hint: did you mean 'params'?"),
        (["--max", "params"], "a limit is METRIC=VALUE"),
        (["--max", "params=lots"], "--max params=lots: 'lots' is not a count"),
        (["--min", "macs=1.5"], "--min macs=1.5: '1.5' is not a whole number"),
    ],
)
def test_wrong_limits_are_one_message(run: Run, spec: Path, options: list[str], message: str) -> None:
    result = run("check", spec, *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_nothing_to_check_is_an_error_with_a_hint(run: Run, spec: Path) -> None:
    spec.write_text(SPEC)
    result = run("check", spec)
    assert (result.status, result.out) == (2, "")
    assert "there is nothing to check\n  hint: give the spec a budget" in result.err
    assert "--max params=26M" in result.err


# A layer's field is its kernel, its jump its stride. In inference the input of 3·32·32 and the output of 8·32·32
# floats are alive; in training the weights, their gradients, Adam's two means, its counter, and the conv's input.
MEASURED = {
    "layers": 1,
    "rf": 3,
    "jump": 1,
    "weights": 4 * PARAMS,
    "peak": 4 * 11 * 32 * 32,
    "memory": 4 * 4 * PARAMS + 4 + 4 * 3 * 32 * 32,
}


@pytest.mark.parametrize(("metric", "value"), MEASURED.items())
def test_layers_the_field_and_memory_are_limited_exactly(run: Run, spec: Path, metric: str, value: int) -> None:
    spec.write_text(SPEC)
    for side, bound, status in (("max", value, 0), ("max", value - 1, 1), ("min", value, 0), ("min", value + 1, 1)):
        result = run("check", spec, f"--{side}", f"{metric}={bound}", "--format", "json")
        (one,) = json.loads(result.out)["checks"]
        assert (result.status, one["value"], one["bound"]) == (status, value, bound)
        assert one["margin"] == (bound - value if side == "max" else value - bound)
    spec.write_text(f"{SPEC}budget: {{{metric}: {{max: {value - 1}}}}}\n")
    assert run("check", spec).status == 1


def test_sizes_have_units_of_bytes_and_the_table_shows_them(run: Run, spec: Path) -> None:
    spec.write_text(SPEC + "budget: {weights: {max: 0.5KiB}, rf: {max: 3}, peak: {max: 1MB}}\n")
    result = run("check", spec, "--min", "memory=1KiB")
    assert result.status == 1
    assert result.out.splitlines() == [
        "metric   limit      value       bound      margin       %  status",
        "─────────────────────────────────────────────────────────────────",
        "rf       max            3           3           0       0  pass",
        "weights  max        864 B       512 B      -352 B   -68.8  fail",
        "peak     max    44.00 KiB  976.56 KiB  932.56 KiB    95.5  pass",
        "memory   min    15.38 KiB     1,024 B   14.38 KiB  1437.9  pass",
        "",
        "one: 1 of 4 checks failed",
    ]
    message = read_annotation(run("check", spec, "--format", "github").out)
    assert message == "one: weights: 864 B is over the max of 512 B by 352 B (68.8 %)"
    assert run("check", spec, "--max", "params=1KiB").status == 2, "a count is not a size"


def read_annotation(out: str) -> str:
    return out.splitlines()[0].rpartition("::")[2].replace("%25", "%")


def test_a_global_field_keeps_no_limit(run: Run, spec: Path) -> None:
    """After the squeeze and excitation every unit has seen the whole input."""
    gate = "  - multiply: [[], [global_avg_pool, sigmoid]]\n"
    spec.write_text(SPEC + gate + "  - conv: {out: 8, kernel: 3, padding: 1}\n")
    result = run("check", spec, "--max", "rf=1000", "--min", "jump=1", "--format", "json")
    assert result.status == 1
    for one in json.loads(result.out)["checks"]:
        assert (one["value"], one["margin"], one["status"]) == (None, None, "fail")
        assert one["reason"] == "every unit of conv2 sees the whole input"
    table = run("check", spec, "--max", "rf=1000").out
    assert table.splitlines()[2:] == [
        "rf      max        –  1,000       –  –  fail",
        "",
        "rf max: every unit of conv2 sees the whole input",
        "",
        "one: 1 of 1 checks failed",
    ]
    said = read_annotation(run("check", spec, "--max", "rf=1000", "--format", "github").out)
    assert said == "one: rf: the max of 1,000 cannot be shown to hold: every unit of conv2 sees the whole input"


def test_a_jump_that_is_not_whole_and_no_field_at_all_keep_no_limit(run: Run, spec: Path) -> None:
    spec.write_text("input: [3, 8, 8]\nlayers:\n  - upsample: {scale: 2}\n")
    reasons = {
        one["metric"]: one.get("reason")
        for one in json.loads(run("check", spec, "--max", "rf=9", "--max", "jump=1", "--format", "json").out)["checks"]
    }
    assert reasons == {"rf": None, "jump": "the jump of upsample1 is not a whole number"}
    spec.write_text("input: [7]\nlayers: [linear: 3]\n")
    (one,) = json.loads(run("check", spec, "--max", "rf=9", "--format", "json").out)["checks"]
    assert (one["status"], one["reason"]) == ("fail", "no layer has a local receptive field")


def test_memory_of_training_is_computed_only_where_it_is_asked_for(spec: Path) -> None:
    for option, loaded in (("rf=3", "False"), ("memory=1GB", "True")):
        code = (
            "import sys\nfrom cnncalc.__main__ import run\n"
            f"run(['check', {str(spec)!r}, '--max', {option!r}])\n"
            "print('cnncalc.analysis.memory.training' in sys.modules)"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert out.splitlines()[-1] == loaded


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(spec: Path, width: int) -> None:
    given = {metric: {"max": 10**7, "min": 10**7} for metric in METRICS}
    nets = [checked(load(name), name, 64, given) for name in ("efficientnet_b0", "resnext50_32x4d")]
    for page in (document(nets[0].report, nets[:1]), document(together(nets, []), nets)):
        assert max(map(len, render(page, width=width).splitlines())) <= width


@given(reports(), st.sampled_from(COUNTS), st.sampled_from(["max", "min"]), st.integers(0, 10**13))
def test_a_limit_passes_only_where_it_is_certainly_kept(net: Report, metric: str, side: str, bound: int) -> None:
    (one,) = check(net.model, of_report(net), {metric: {side: bound}}).checks
    least = sum(getattr(row, metric) or 0 for row in net.layers)
    most = float("inf") if any(getattr(row, metric) is None for row in net.layers) else least
    assert (one.status == "pass") == (most <= bound if side == "max" else least >= bound)


def test_an_unknown_number_cannot_pass_and_says_which_layer() -> None:
    net = report(layer("a.b", macs=None, flops=None), layer("c", macs=5, flops=10, params=7))
    checks = check(net.model, of_report(net), {"macs": {"max": 100, "min": 5}, "params": {"max": 7}}).checks
    by_limit = {(one.metric, one.limit): one for one in checks}
    assert by_limit["macs", "max"].status == "fail"
    assert by_limit["macs", "max"].reason == "unknown: the value is a lower bound without a.b"
    assert by_limit["macs", "min"].status == "pass"
    assert by_limit["params", "max"].status == "pass"
