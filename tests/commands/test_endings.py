"""Which format the ending of ``--output`` means, and that no other is written in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run

pytestmark = pytest.mark.usefixtures("zoo_once")

SPEC = "name: small\ninput: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, relu]\nbudget: {params: {max: 200}}\n"
LINES = {
    "analyze": "analyze {}",
    "explain": "explain {}",
    "rf": "rf {}",
    "rf --layer": "rf {} --layer conv1",
    "sizes": "sizes {} --max 9",
    "solve": "solve conv --in 8 --out 8",
    "conventions": "conventions {}",
    "lint": "lint {}",
    "lint --rules": "lint --rules",
    "check": "check {}",
    "diff": "diff {} {} --set-b a=1",
    "verify": "verify {} --backend numpy --checks shape",
    "zoo": "zoo list",
    "bench": "bench --machines",
}


def arguments(command: str, folder: Path) -> list[str]:
    (folder / "net.yaml").write_text(SPEC.replace("input:", "args: {a: 1}\ninput:"))
    return [part.replace("{}", str(folder / "net.yaml")) for part in LINES[command].split()]


@pytest.mark.parametrize("name", ["x.xlsx", "x.pdf", "x.jsn", "x.JSON5"])
@pytest.mark.parametrize("command", LINES)
def test_an_unknown_ending_is_an_error_that_lists_the_choices(
    run: Run, tmp_path: Path, command: str, name: str
) -> None:
    result = run(*arguments(command, tmp_path), "--output", tmp_path / name)
    assert (result.status, result.out) == (2, "")
    assert f"'{Path(name).suffix.lower()}' is the ending of no format" in result.err
    assert "hint: it can be .json" in result.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x.txt", "x", "X.TXT"])
@pytest.mark.parametrize("command", LINES)
def test_text_and_what_has_no_ending_is_for_people(run: Run, tmp_path: Path, command: str, name: str) -> None:
    lines = run(*arguments(command, tmp_path)).out
    run(*arguments(command, tmp_path), "--output", tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8") == lines


@pytest.mark.parametrize("command", LINES)
def test_a_format_that_is_given_goes_with_any_name(run: Run, tmp_path: Path, command: str) -> None:
    run(*arguments(command, tmp_path), "--format", "json", "--output", tmp_path / "x.xlsx")
    assert json.loads((tmp_path / "x.xlsx").read_text(encoding="utf-8"))


@pytest.mark.torch
def test_random_nets_are_told_as_a_spec_or_as_json(run: Run, tmp_path: Path) -> None:
    line = ("verify", "--random", "1", "--checks", "shape")
    for more in (["--format", "csv"], ["--output", tmp_path / "x.csv"]):
        result = run(*line, *more)
        assert (result.status, result.out) == (2, "")
        assert "csv" in result.err
    assert run(*line, "--output", tmp_path / "x.yaml") == (0, "", "")
    assert (tmp_path / "x.yaml").read_text().startswith("# 1 random net ")
