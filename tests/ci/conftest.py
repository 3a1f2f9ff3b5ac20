"""Folders of specs, and git repositories of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import run

__all__ = ["run"]

# 3·9 weights for each of the channels and no bias, on 6·6 positions
SPEC = """\
name: small
input: [3, 8, 8]
args: {width: 4}
variants: {narrow: {width: 2}, wide: {width: 8}}
layers:
  - conv: {out: width, kernel: 3, bias: false}
budget:
  params: {max: 100}
  macs:
    min: 1k
    max: 4k
"""
PARAMS, MACS = 27 * 4, 27 * 4 * 36
BROKEN = "input: [3, 8, 8]\nlayers:\n  - cnv: {out: 4}\n"
FREE = "input: [3, 8, 8]\nlayers: [relu]\n"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``models``, the current folder being the one above it."""
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "a.yaml").write_text(SPEC)
    (folder / "deep" / "free.yml").write_text(FREE)
    (folder / "workflow.yaml").write_text("on: push\njobs: {check: {steps: []}}\n")
    (folder / ".hidden" / "b.yaml").write_text(BROKEN)
    (folder / "notes.txt").write_text("layers: none")
    monkeypatch.chdir(tmp_path)
    return folder


Git = Callable[..., str]


@pytest.fixture
def git(models: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """The folder as a git repository with one commit, as a function that runs git there."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A. Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tester@example.org")

    def git(*arguments: str, cwd: Path = models.parent) -> str:
        result = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        return result.stdout

    try:
        git("init", "--quiet", "--initial-branch=main")
    except FileNotFoundError:
        pytest.skip("needs git")
    git("add", "--all")
    git("commit", "--quiet", "--message=base")
    return git
