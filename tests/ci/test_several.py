"""``check`` and ``lint`` of folders, of several nets, and of variants."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from cnncalc.report.schema import report_schema
from cnncalc.targets import is_spec, specs_below
from tests.ci.conftest import BROKEN, FREE, MACS, PARAMS, SPEC
from tests.commands.conftest import Run


def test_the_specs_of_a_folder_are_found_and_other_files_are_not(models: Path) -> None:
    (models / "env" / "lib").mkdir(parents=True)
    (models / "env" / "pyvenv.cfg").write_text("")
    (models / "env" / "lib" / "a.yaml").write_text(SPEC)
    assert [os.path.relpath(path, models) for path in specs_below(str(models))] == ["a.yaml", "deep/free.yml"]


@pytest.mark.parametrize("text", [SPEC, '"layers": []', "# yaml\nlayers:\n", "'layers' : []"])
def test_what_is_a_spec(text: str) -> None:
    assert is_spec(text)


@pytest.mark.parametrize("text", ["", "on: push\n", "a:\n  layers: []\n", "# layers:\n", "my_layers: 3\n"])
def test_what_is_none(text: str) -> None:
    assert not is_spec(text)


def test_a_folder_is_checked_in_one_call(run: Run, models: Path) -> None:
    result = run("check", "models", "--format", "json")
    answer = json.loads(result.out)
    jsonschema.Draft202012Validator(report_schema("check-many")).validate(answer)
    assert (result.status, answer["status"], answer["broken"]) == (1, "fail", [])
    first, free = answer["nets"]
    assert [(one["metric"], one["value"], one["status"]) for one in first["checks"]] == [
        ("params", PARAMS, "fail"),
        ("macs", MACS, "pass"),
        ("macs", MACS, "pass"),
    ]
    assert (free["checks"], free["status"]) == ([], "pass")


def test_each_variant_is_checked_where_that_is_asked(run: Run, models: Path) -> None:
    table = run("check", models / "a.yaml", "--all-variants").out
    assert [line.split()[1:3] for line in table.splitlines()[2:8]] == [
        [f"({variant})", metric] for variant in ("narrow", "wide") for metric in ("params", "macs", "macs")
    ]
    assert "2 nets: 2 of 6 checks failed" in table
    assert run("check", "models", "--variant", "narrow").status == 2, "free.yml has no such variant"


def test_several_nets_are_one_table_or_one_csv(run: Run, models: Path) -> None:
    result = run("check", "models/a.yaml", "vgg11", "--max", "params=200M", "--format", "csv")
    assert result.status == 0
    assert [line.split(",")[:3] for line in result.out.splitlines()] == [
        ["net", "metric", "limit"],
        ["models/a.yaml", "params", "max"],
        ["models/a.yaml", "macs", "max"],
        ["models/a.yaml", "macs", "min"],
        ["vgg11", "params", "max"],
    ]


def test_one_that_cannot_be_read_does_not_keep_the_others_from_being_checked(run: Run, models: Path) -> None:
    (models / "broken.yaml").write_text(BROKEN)
    for command in ("check", "lint"):
        result = run(command, "models", "--format", "json")
        answer = json.loads(result.out)
        jsonschema.Draft202012Validator(report_schema(f"{command}-many")).validate(answer)
        assert (result.status, answer["status"], len(answer["nets"])) == (2, "error", 2)
        assert answer["broken"][0]["file"] == "models/broken.yaml"
        assert (answer["broken"][0]["line"], answer["broken"][0]["column"]) == (3, 5)
        assert result.err.startswith("models/broken.yaml:3:5: error: there is no layer or block 'cnv'")


def test_lenient_is_for_hooks_that_are_given_whatever_changed(run: Run, models: Path) -> None:
    for file in ("workflow.yaml", "deep/free.yml"):
        assert run("check", models / file, "--lenient").status == 0
        assert run("check", models / file).status == 2
        assert run("lint", models / file, "--lenient").status == 0
    assert run("check", models / "a.yaml", "--lenient").status == 1
    broken = models / "broken.yaml"
    broken.write_text(BROKEN)
    assert run("check", broken, "--lenient").status == 2


def test_a_folder_without_specs_is_an_error(run: Run, models: Path) -> None:
    (models / "empty").mkdir()
    result = run("check", "models/empty")
    assert result.status == 2
    assert "models/empty: error: there is no spec in this folder\n  hint:" in result.err
    (models / "empty" / "free.yaml").write_text(FREE)
    assert "there is nothing to check" in run("check", "models/empty").err


def test_lint_looks_at_a_folder(run: Run, models: Path) -> None:
    text = run("lint", "models").out
    assert text.splitlines()[-8:] == [
        "models/a.yaml:6:5: CNN305 note conv1: 4 output channels are no multiple of 8; 8 take as many steps",
        "",
        "small: 1 note",
        "",
        "free: nothing found",
        "",
        "2 nets: 1 note",
        "how to fix: cnncalc lint --explain CNN305",
    ]
