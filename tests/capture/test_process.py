"""Code of the user's that would end the process must not pass for a net that is well."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cnncalc.__main__ import run as main

pytestmark = pytest.mark.torch

CODE = """
import sys
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x)


class Forward(Net):
    def forward(self, x):
        sys.exit(0)


class Copied(Net):
    def __deepcopy__(self, memo):
        sys.exit(0)


class End(BaseException):
    pass


def exits():
    sys.exit(0)


def ends():
    raise End("of it all")


def interrupts():
    raise KeyboardInterrupt
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "ending.py").write_text(CODE)
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)\n")
    monkeypatch.chdir(tmp_path)
    for name in ("ending", "leaving"):
        monkeypatch.delitem(sys.modules, name, raising=False)


ENDS = {
    "torch:ending.py:exits": "calling the factory failed: it ends the process (SystemExit: 0)\n  at: ",
    "torch:ending.py:ends": "calling the factory failed: it ends the process (End: of it all)\n  at: ",
    "torch:leaving.py:Net": "running leaving.py failed: it ends the process (SystemExit: 0)\n  at: ",
    "torch:leaving:Net": "importing leaving failed: it ends the process (SystemExit: 0)\n  at: ",
    "torch:ending.py:Forward": "PyTorch cannot export Forward: it ends the process (SystemExit: 0)\n  in the ",
}


@pytest.mark.parametrize("source", ENDS)
def test_a_process_that_ends_itself_passes_no_check(capsys, source):
    assert main(["check", source, "--input", "3x8x8", "--max", "params=1000"]) == 2
    assert ENDS[source] in capsys.readouterr().err


def test_the_shell_sees_it_too():
    command = [
        sys.executable,
        "-m",
        "cnncalc",
        "check",
        "torch:ending.py:exits",
        "--input",
        "3x8x8",
        "--max",
        "params=1",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it ends the process" in done.stderr


def test_ctrl_c_is_still_ctrl_c():
    assert main(["check", "torch:ending.py:interrupts", "--input", "3x8x8", "--max", "params=1"]) == 130


def test_a_module_that_cannot_be_copied_is_verified_as_it_is(capsys):
    assert main(["verify", "torch:ending.py:Copied", "--input", "3x8x8", "--checks", "source"]) == 0
    assert "✓ 2 of 2 claims hold" in capsys.readouterr().out
