"""Format, lint, types and the import contract hold: the whole of CI is one pytest run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

COMMANDS = {
    "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "lint": [sys.executable, "-m", "ruff", "check", "."],
    "types": [sys.executable, "-m", "mypy"],
    "import contract": [str(BIN / "lint-imports"), "--no-cache"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.torch) if name == "types" else name for name in COMMANDS]
)
def test_quality(name: str) -> None:
    result = subprocess.run(COMMANDS[name], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
