"""Format, lint, types and the import contract hold: the whole of CI is one pytest run."""

from __future__ import annotations

import ast
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


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.torch] * (n == "types")) for n in COMMANDS])
def test_quality(name: str) -> None:
    result = subprocess.run(COMMANDS[name], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "tests").rglob("*.py"))}
FAILING = {"raises", "fail", "validate", "check_schema", "AssertionError"}
"""What fails when it is called, beside functions of the tests."""


def name_of(call: ast.Call) -> str:
    """The last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def can_fail(node: ast.AST, failing: set[str]) -> bool:
    """Whether something is asserted in there, or by a function that is called."""
    parts = [*ast.walk(node)]
    asserted = [part.test for part in parts if isinstance(part, ast.Assert)]
    called = {name_of(part) for part in parts if isinstance(part, ast.Call)}
    return not all(isinstance(test, ast.Constant) for test in asserted) or any(
        name in failing or name.startswith("assert_") for name in called
    )


def test_every_test_can_fail() -> None:
    """By an assertion of its own, or of a function of the tests that it calls."""
    functions = [
        (path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    failing = set(FAILING)
    while more := {node.name for _, node in functions if can_fail(node, failing)} - failing:
        failing |= more
    tests = [(path.name, node) for path, node in functions if node.name.startswith("test_")]
    assert len(tests) > 1000
    assert [(name, node.name) for name, node in tests if not can_fail(node, failing)] == []


def test_every_expected_error_is_matched() -> None:
    """An error of the same type from elsewhere is not the one that is expected."""
    expected = [
        (path.name, call.lineno, {keyword.arg for keyword in call.keywords})
        for path, tree in TREES.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and name_of(call) in ("raises", "warns")
    ]
    assert len(expected) > 50
    assert [where for *where, keywords in expected if "match" not in keywords] == []
