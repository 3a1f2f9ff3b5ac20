"""The further analyses of ``analyze``: asked for by name, column or option, in every format, and absent otherwise."""

from __future__ import annotations

import json
import math

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
