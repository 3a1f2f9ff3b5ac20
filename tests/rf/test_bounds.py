"""One unit of a map beyond all measure: an answer, or a refusal that names the layer, and never an hour of loops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run

FAR = 10**9


def ask(run: Run, tmp_path: Path, shape: list[int], layer: str, *options: str):
    path = tmp_path / "net.yaml"
    path.write_text(f"input: {shape}\nlayers:\n  - {layer}\n")
    return run("rf", path, "--layer", f"{layer.partition(':')[0]}1", *options)


@pytest.mark.parametrize(
    ("shape", "layer", "reached"),
    [
        # All of 8 pixels lie well inside a window of two thousand million.
        ([1, 8], f"conv: {{out: 1, kernel: {2 * FAR + 1}, padding: {FAR}}}", 8),
        ([1, 100_000], "conv: {out: 1, kernel: 50001, padding: 25000}", 50_001),
        ([1, 1_000_000], "global_avg_pool", 1_000_000),
        ([1, 100_000, 2], "conv: {out: 1, kernel: [30001, 1], padding: [15000, 0]}", 30_001),
    ],
)
def test_a_wide_window(run: Run, tmp_path: Path, shape: list[int], layer: str, reached: int) -> None:
    """Every pixel that is reached is reached once, so that the paths are as many, and 95% of them 95% of the width."""
    answer = json.loads(ask(run, tmp_path, shape, layer, "--format", "json").out)
    assert (answer["reached"], answer["paths"]) == (reached, reached)
    width = answer["axes"][0]["width"]
    if reached > 8:  # the other one's centre lies beyond the input
        assert width - 2 < 0.95 * reached <= width


@pytest.mark.parametrize(
    ("shape", "layer", "message"),
    [
        ([1, FAR], f"conv: {{out: 1, kernel: {FAR}}}", "conv1 has 1,000,000,000 inputs to count paths through"),
        ([1, 8], f"conv: {{out: 1, kernel: 3, padding: {FAR}}}", "conv1 has 2,000,000,006 outputs to count paths"),
        (
            [1, 8],
            f"conv: {{out: 1, kernel: {2 * FAR + 1}, padding: {FAR}, padding_mode: replicate}}",
            "conv1 has 16,000,000,008 reads to count paths through",
        ),
        ([1, 10**18], "tanh", "tanh1 has 1,000,000,000,000,000,000 outputs to count paths through"),
        ([1, 8, 100_000], "flatten", "input: which pixels each unit sees takes 10,000,000,000 steps"),
    ],
)
def test_more_than_can_be_counted(run: Run, tmp_path: Path, shape: list[int], layer: str, message: str) -> None:
    result = ask(run, tmp_path, shape, layer)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"{tmp_path}/net.yaml:")
    assert f": error: {message}" in result.err


def test_a_pattern_that_is_too_long_to_write_out_is_said_not_to_be_known(run: Run, tmp_path: Path) -> None:
    result = ask(run, tmp_path, [1, 8], f"conv_transpose: {{out: 1, kernel: 3, stride: {FAR}}}")
    assert (result.status, result.err) == (0, "")
    assert "path counts cannot be given" in result.out
