"""``cnncalc zoo`` and ``cnncalc schema``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from cnncalc import sources
from cnncalc.document import output
from cnncalc.report.schema import report_schema
from tests.commands.conftest import Run

pytestmark = pytest.mark.usefixtures("zoo_once")


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


def test_a_low_terminal_has_a_row_for_each_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision's documentation: ResNet-18 has 11,689,512 parameters, Wide ResNet-50-2 has 68,883,240."""
    monkeypatch.setattr(output, "screen", lambda _: (60, 30, False))
    lines = run("zoo").out.splitlines()
    assert lines[0] == "name                             parameters  input"
    assert "resnet (7 nets)           11.69 M … 68.88 M  3×224×224" in lines
    assert "efficientnet (8 nets)      5.29 M … 66.35 M" in lines
    assert "unet                                31.03 M  1×572×572" in lines
    assert lines[-1] == "48 nets: --all shows each, cnncalc zoo NAME the spec of one"
    every = run("zoo", "list", "--all").out.splitlines()
    assert "  wide_resnet50_2                   68.88 M  3×224×224" in every
    monkeypatch.setattr(output, "screen", lambda _: (60, 90, False))
    assert run("zoo").out.splitlines() == every


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("line", [["zoo"], ["zoo", "list", "--all"], ["bench", "--machines"]])
def test_no_line_is_wider_than_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int, line: list[str]
) -> None:
    monkeypatch.setattr(output, "screen", lambda _: (width, 40, False))
    assert max(map(len, run(*line).out.splitlines())) <= width


def test_nets_are_sorted_and_cut(run: Run) -> None:
    """By torchvision's documentation the largest are ConvNeXt-Large and VGG-19 with and without norms."""
    sorted_ = run("zoo", "list", "--sort", "params", "--top", 3).out.splitlines()
    assert [line.split()[0] for line in sorted_[2:]] == ["convnext_large", "vgg19_bn", "vgg19"]
    answer = json.loads(run("zoo", "list", "--sort", "params", "--top", 3, "--format", "json").out)
    assert [net["params"] for net in answer["models"]] == [197_767_336, 143_678_248, 143_667_240]
    listed = run("zoo", "list", "--sort", "name", "--format", "csv").out.splitlines()[1:]
    resnets = [line.partition(",")[0] for line in listed if line.startswith("resnet")]
    assert resnets == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    wrong = run("zoo", "list", "--sort", "size")
    assert (wrong.status, wrong.out) == (2, "")
    assert "unknown column 'size'\n  hint: choose from name, params, macs, input, file, citation" in wrong.err


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
    refused = run("schema", of, "--output", path)
    assert refused == (2, "", f"error: {path} is there already\n  hint: --force replaces it\n")
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
