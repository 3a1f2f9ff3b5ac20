"""``cnncalc zoo`` and ``cnncalc schema``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from cnncalc import sources
from cnncalc.report.schema import report_schema
from tests.commands.conftest import Run


def test_the_list_has_every_net_with_its_numbers(run: Run) -> None:
    answer = json.loads(run("zoo", "list", "--format", "json").out)
    jsonschema.Draft202012Validator(report_schema("zoo")).validate(answer)
    nets = {net["name"]: net for net in answer["models"]}
    assert set(nets) == set(sources.zoo_names())
    # torchvision's documentation; LeCun et al. 1998 as commonly counted
    published = {"resnet50": 25_557_032, "vgg16": 138_357_544, "mobilenet_v2": 3_504_872, "lenet5": 61_706}
    assert {name: nets[name]["params"] for name in published} == published
    assert all(net["citation"] and net["macs"] for net in nets.values())


def test_without_a_subcommand_it_lists(run: Run) -> None:
    bare, listed = run("zoo"), run("zoo", "list")
    assert bare.out == listed.out
    assert "efficientnet_b7" in bare.out


def test_show_prints_the_file_and_path_its_place(run: Run) -> None:
    shown = run("zoo", "show", "resnet101")
    assert yaml.safe_load(shown.out)["variants"]["resnet101"] == {"depths": [3, 4, 23, 3]}
    path = Path(run("zoo", "show", "resnet101", "--path").out.strip())
    assert path.read_text(encoding="utf-8") == shown.out


def test_an_unknown_net_names_the_nearest(run: Run) -> None:
    result = run("zoo", "show", "resnet51")
    assert (result.status, result.out) == (2, "")
    assert "error: unknown net 'resnet51'\n  hint: did you mean 'resnet50'?" in result.err


@pytest.mark.parametrize("of", ["spec", "report", "check", "zoo"])
def test_schemas_are_printed_and_written(run: Run, tmp_path: Path, of: str) -> None:
    printed = json.loads(run("schema", of).out)
    jsonschema.Draft202012Validator.check_schema(printed)
    path = tmp_path / "schema.json"
    assert run("schema", of, "--output", path) == (0, "", "")
    assert json.loads(path.read_text(encoding="utf-8")) == printed


def test_a_copy_replaces_no_file(run: Run, tmp_path):
    target = tmp_path / "mine.yaml"
    assert run("zoo", "show", "lenet5", "--output", target) == (0, "", "")
    target.write_text("mine", encoding="utf-8")
    for more in ([], ["--path"]):
        outcome = run("zoo", "show", "lenet5", "--output", target, *more)
        assert outcome == (2, "", f"error: {target} is there already\n  hint: --force replaces it\n")
    assert target.read_text(encoding="utf-8") == "mine"
    assert run("zoo", "show", "lenet5", "--output", target, "--force") == (0, "", "")
    assert target.read_text(encoding="utf-8") == run("zoo", "show", "lenet5").out
