"""What is odd about a net is said by every command: in the report, or on standard error."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.conftest import Run

PLAIN = """\
input: [3, 64, 48]
layers:
  - conv: {name: a, out: 8, kernel: 3}
  - batch_norm: {name: b}
  - conv: {name: c, from: input, out: 8, kernel: 3}
  - relu
"""
DEAD = "layers whose output is never used: the totals count them all the same"


def test_every_command_says_it(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(PLAIN)
    line = ["--input", "64x48x3"]
    more = {"check": ["--max", "params=1M"], "sizes": ["--max", "8"]}
    for command in ("rf", "lint", "check", "explain", "conventions", "sizes"):
        error = run(command, spec, *line, *more.get(command, ())).err
        assert "warning: " in error
        assert "was 3×64×48 meant?" in error
    assert run("analyze", spec, "--format", "csv").err == f"warning: {DEAD} (a, b)\n"
    for format in ("markdown", "html"):
        result = run("analyze", spec, "--format", format)
        assert f"{DEAD} (a, b)" in result.out
        assert result.err == ""
    result = run("analyze", spec, *line)
    assert f"warning: {DEAD} (a, b)" in " ".join(result.out.split())
    assert result.err == ""
    result = run("analyze", spec, "--format", "json")
    assert json.loads(result.out)["diagnostics"][0]["layers"] == ["a", "b"]
    assert result.err == ""
    result = run("analyze", spec, "--input", "1x3x64x48")
    assert (result.status, result.out) == (2, "")
    assert "with a batch in front" in result.err
