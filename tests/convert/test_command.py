"""``cnncalc convert``: the ending tells the format, files are written whole, errors say what can be."""

from __future__ import annotations

import os

import pytest

from cnncalc.convert import WRITERS
from tests.commands.conftest import Run


def test_the_ending_tells_the_format(run: Run, tmp_path):
    for ending, start in (("dot", 'digraph "lenet5" {'), ("mmd", "flowchart TB"), ("MMD", "flowchart TB")):
        target = tmp_path / f"net.{ending}"
        assert run("convert", "lenet5", target) == (0, "", "")
        assert target.read_text(encoding="utf-8").startswith(start)


@pytest.mark.torch
def test_code_goes_to_a_file_or_to_standard_output(run: Run, tmp_path):
    target = tmp_path / "net.py"
    assert run("convert", "lenet5", target).status == 0
    assert run("convert", "lenet5", "-", "--to", "py").out == target.read_text(encoding="utf-8")
    assert "class Lenet5(nn.Sequential):" in target.read_text(encoding="utf-8")


def test_to_goes_before_the_ending(run: Run, tmp_path):
    target = tmp_path / "net.txt"
    assert run("convert", "lenet5", target, "--to", ".DOT").status == 0
    assert target.read_text(encoding="utf-8").startswith("digraph")


def test_a_drawing_can_be_folded(run: Run):
    whole = run("convert", "resnet50", "-", "--to", "mmd").out
    folded = run("convert", "resnet50", "-", "--to", "mmd", "--depth", "1").out
    assert 'n4[["stage1<br/>' in folded
    assert len(folded.split("\n")) < 30 < len(whole.split("\n"))


def test_options_of_the_source_are_taken(run: Run):
    out = run("convert", "resnet", "-", "--to", "dot", "--variant", "resnet18", "--set", "classes=7").out
    assert "linear out=7" in out
    assert "basic1" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.txt"], "net.txt: '.txt' is the ending of no format"),
        (["net"], "net: it has no ending to tell the format"),
        (["-"], "-: standard output has no ending to tell the format"),
        (["-", "--to", "png"], "--to png: there is no such format"),
    ],
)
def test_an_unknown_format_lists_those_that_there_are(run: Run, arguments, message):
    outcome = run("convert", "lenet5", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {message}\n  hint: ")
    assert all(f".{ending} (" in outcome.err for ending in WRITERS)


@pytest.mark.parametrize("ending", [ending for ending, writer in WRITERS.items() if not writer.folds])
def test_only_drawings_are_folded(run: Run, ending):
    outcome = run("convert", "lenet5", f"net.{ending}", "--depth", "1")
    assert outcome == (2, "", "error: --depth: only a drawing can be folded\n  hint: write a .dot or .mmd file\n")


def test_a_net_that_is_none_leaves_no_file(run: Run, tmp_path):
    target = tmp_path / "net.dot"
    target.write_text("before", encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("input: [3, 8, 8]\nlayers: [{conv: {out: 0, kernel: 3}}]\n", encoding="utf-8")
    assert run("convert", tmp_path / "bad.yaml", target, "--force").status == 2
    assert target.read_text(encoding="utf-8") == "before"


def test_a_file_that_is_there_stays(run: Run, tmp_path):
    """``--force`` alone replaces it; what is no file, as a pipe, holds nothing that could be lost."""
    target = tmp_path / "net.dot"
    target.write_text("mine", encoding="utf-8")
    refused = (2, "", f"error: {target} is there already\n  hint: --force replaces it\n")
    assert run("convert", "lenet5", target) == refused
    assert run("convert", "no such net", target) == refused  # said before anything is read
    assert target.read_text(encoding="utf-8") == "mine"
    assert run("convert", "lenet5", target, "--force") == (0, "", "")
    assert target.read_text(encoding="utf-8").startswith("digraph")
    assert run("convert", "lenet5", os.devnull, "--to", "dot") == (0, "", "")
