"""``torch:`` sources on the command line and in the API."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import cnncalc
from cnncalc.__main__ import run as main

pytestmark = pytest.mark.torch

SIZE = ["--input", "3x8x8"]
CODE = """
import torch
from torch import nn
from helper import width


class Small(nn.Module):
    def __init__(self, channels=width, norm=True):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class Grid(Small):
    def forward(self, x):
        return super().forward(x) + torch.linspace(0, 1, x.shape[-1])


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, tokens):
        return self.table(tokens).sum(1)


def broken():
    raise RuntimeError("no disk")


def chatty():
    print("making")
    return Small()


class Loud(Small):
    def forward(self, x):
        print("running")
        return super().forward(x)


def number():
    return 3


def values():
    module = Small()
    return module if float(module.conv.weight.sum()) else None


ready = Small()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a Python file that imports its neighbour."""
    (tmp_path / "made.py").write_text(CODE)
    (tmp_path / "helper.py").write_text("width = 4\n")
    monkeypatch.chdir(tmp_path)
    for name in ("made", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def totals(capsys, *arguments):
    assert main(["analyze", *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "source", ["torch:made.py:Small", "torch:./made.py:Small", "torch:made:Small", "torch:made:ready"]
)
def test_a_factory_in_a_file_or_a_module(capsys, source):
    report = totals(capsys, source, *SIZE)
    assert report["totals"]["params"] == 3 * 4 * 9 + 8
    assert report["model"]["source"] == source
    assert [layer["path"] for layer in report["layers"]] == ["conv", "norm", "relu1"]


@pytest.mark.parametrize(
    "options", [["--kwargs", '{"channels": 6, "norm": false}'], ["--set", "channels=6", "--set", "norm=false"]]
)
def test_arguments_of_the_factory(capsys, options):
    report = totals(capsys, "torch:made.py:Small", *SIZE, *options)
    assert report["totals"]["params"] == 3 * 6 * 9
    assert report["model"]["args"] == {"channels": 6, "norm": False}


@pytest.mark.parametrize("source", ["torch:made.py:values", "torch:made.py:Grid"])
def test_what_cannot_be_made_or_run_without_values_is_made_with_them(capsys, source):
    assert totals(capsys, source, *SIZE)["totals"]["params"] == 116


@pytest.mark.parametrize("source", ["torch:made.py:chatty", "torch:made.py:Loud"])
def test_what_the_code_prints_is_no_part_of_the_report(capsys, source):
    assert totals(capsys, source, *SIZE)["totals"]["params"] == 116


def test_the_dtype_of_the_inputs(capsys):
    report = totals(capsys, "torch:made.py:Embedded", "--input", "7", "--input-dtype", "int64")
    assert report["totals"]["params"] == 40


def test_the_api(folder):
    assert cnncalc.analyze("torch:made.py:Small", input=(3, 8, 8), channels=2).totals.params == 58
    live = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
    report = cnncalc.analyze(live, input=(3, 8, 8), batch=4)
    assert (report.totals.params, report.totals.macs) == (56, 4 * 36 * 54)
    assert cnncalc.load(live, input=(3, 8, 8)).name == "Sequential"
    with pytest.raises(cnncalc.CnncalcError, match="a module is already built"):
        cnncalc.load(live, input=(3, 8, 8), channels=3)


MISTAKES = {
    "torch:made.py:Small": (r"a module does not say its input's shape\n  hint: give --input 3x224x224", []),
    "torch:made.py:Smal": (r"made.py has no 'Smal'\n  hint: did you mean 'Small'\?", SIZE),
    "torch:maed.py:Small": (r"there is no file maed.py\n  hint: did you mean 'made.py'\?", SIZE),
    "torch:nowhere.at_all:Small": (r"there is no Python module 'nowhere'", SIZE),
    "torch:made.py": (r"does not name a factory\n  hint: write torch:package.module:factory", SIZE),
    "torch:made.py:broken": (
        r"calling the factory failed: RuntimeError: no disk\n  at: .*made.py:\d+",
        SIZE,
    ),
    "torch:made.py:number": (r"gives a int, no nn.Module", SIZE),
    "torch:made.py:ready": (r"is a module already", [*SIZE, "--set", "channels=3"]),
    "torch:made:Small": (
        r"unexpected keyword argument 'chanels'\n  hint: did you mean 'channels'",
        [*SIZE, "--set", "chanels=3"],
    ),
    "torch:made:Grid": (
        r"PyTorch cannot export Grid: .*\n  in the module: conv(.|\n)*does --input fit the net",
        ["--input", "4x8x8"],
    ),
    "torch:made:Embedded": (
        r"there is no dtype 'int46'\n  hint: did you mean 'int64'",
        ["--input", "7", "--input-dtype", "int46"],
    ),
    "torch:made:values": (r"--kwargs: '\[1\]' is not a JSON object", [*SIZE, "--kwargs", "[1]"]),
    "resnet18": (r"--kwargs and --input-dtype are for torch: sources", ["--kwargs", "{}", "--input-dtype", "int64"]),
}


@pytest.mark.parametrize("source", MISTAKES)
def test_mistakes(capsys, source):
    import re

    message, options = MISTAKES[source]
    assert main(["analyze", source, *options]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert "Traceback" not in said


def test_other_commands_take_it(capsys):
    source = ["torch:made.py:Small", *SIZE]
    assert main(["rf", *source]) == 0
    assert main(["lint", *source]) == 0
    assert main(["check", *source, "--max", "params=116"]) == 0
    assert main(["check", *source, "--max", "params=115"]) == 1
    assert main(["verify", *source, "--checks", "shape,params,flops,pixels,values"]) == 0
    capsys.readouterr()
    assert main(["sizes", *source]) == 2
    assert "a spec is needed here, and this source is Python code" in capsys.readouterr().err


def test_a_spec_needs_no_torch():
    code = "import sys, cnncalc; cnncalc.analyze('lenet5'); sys.exit('torch' in sys.modules)"
    place = Path(cnncalc.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=place).returncode == 0
