"""``cnncalc check``: limits from the spec and the command line, verdicts and their exit status."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.report import Report
from cnncalc.report.check import METRICS, check
from cnncalc.report.schema import report_schema
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


@given(reports(), st.sampled_from(METRICS), st.sampled_from(["max", "min"]), st.integers(0, 10**13))
def test_a_limit_passes_only_where_it_is_certainly_kept(net: Report, metric: str, side: str, bound: int) -> None:
    (one,) = check(net, {metric: {side: bound}}).checks
    least = sum(getattr(row, metric) or 0 for row in net.layers)
    most = float("inf") if any(getattr(row, metric) is None for row in net.layers) else least
    assert (one.status == "pass") == (most <= bound if side == "max" else least >= bound)


def test_an_unknown_number_cannot_pass_and_says_which_layer() -> None:
    net = report(layer("a.b", macs=None, flops=None), layer("c", macs=5, flops=10, params=7))
    checks = check(net, {"macs": {"max": 100, "min": 5}, "params": {"max": 7}}).checks
    by_limit = {(one.metric, one.limit): one for one in checks}
    assert by_limit["macs", "max"].status == "fail"
    assert by_limit["macs", "max"].reason == "unknown: the value is a lower bound without a.b"
    assert by_limit["macs", "min"].status == "pass"
    assert by_limit["params", "max"].status == "pass"
