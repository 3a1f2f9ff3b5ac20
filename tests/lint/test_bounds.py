"""Kernels, strides, paddings and sizes beyond all measure: an answer, or a refusal that names the layer.

Every loop over one of them would run for hours here, or take all memory there is.
"""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import Run

FAR = 10**9
VAST = 10**18


def spec(shape: list[int], layer: str) -> str:
    return f"input: {shape}\nlayers:\n  - {layer}\n"


def numbers(run: Run, tmp_path, text: str) -> dict[str, dict]:
    """What each rule found first."""
    path = tmp_path / "net.yaml"
    path.write_text(text)
    result = run("lint", path, "--format", "json")
    assert result.err == ""
    return {one["rule"]: one["numbers"] for one in reversed(json.loads(result.out)["findings"])}


@pytest.mark.parametrize(
    ("layer", "size", "read"),
    [
        ("lp_pool: {kernel: 3, stride: 2147483648, norm_type: 1}", 32, 3),
        (f"avg_pool: {{kernel: 3, stride: {VAST}}}", 32, 3),
        (f"conv: {{out: 8, kernel: 1, stride: {FAR}, padding: 0, bias: false}}", 1000, 1),
        # Two units that start 999 apart
        ("conv: {out: 8, kernel: 2, stride: 999, bias: false}", 1001, 4),
        # 3·k for k < 100,000, and those 2 farther, …: all but the second (one more unit would read the last but one)
        ("conv: {out: 8, kernel: 100000, dilation: 3, stride: 2, bias: false}", 1_000_000, 1_000_000 - 1),
    ],
)
def test_windows_far_apart(run: Run, tmp_path, layer: str, size: int, read: int) -> None:
    text = spec([8, size], layer)
    found = numbers(run, tmp_path, text)
    assert (found["CNN102"]["read"], found["CNN102"]["of"]) == (read, size)


@pytest.mark.parametrize("padding", [FAR, VAST])
def test_a_window_as_wide_as_its_padding(run: Run, tmp_path, padding: int) -> None:
    """Unit ``i`` reads ``i − P … i + P``: all of them see all of the input."""
    text = spec([8, 8], f"conv: {{out: 8, kernel: {2 * padding + 1}, padding: {padding}, bias: false}}")
    assert "CNN107" not in numbers(run, tmp_path, text)


@pytest.mark.parametrize("kernel", [FAR + 1, VAST + 1])
def test_a_transposed_convolution_that_the_stride_divides_or_not(run: Run, tmp_path, kernel: int) -> None:
    text = spec([8, 8], f"conv_transpose: {{out: 8, kernel: {kernel}, stride: 2, padding: {kernel // 2}}}")
    found = numbers(run, tmp_path, text)
    assert (found["CNN106"]["least"], found["CNN106"]["most"]) == (kernel // 2, kernel // 2 + 1)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ([8, 8], f"conv: {{out: 8, kernel: 3, padding: {FAR}}}"),
        ([8, 8], f"conv: {{out: 8, kernel: 3, padding: {VAST}, stride: 2}}"),
        ([8, 8], f"conv: {{out: 8, kernel: 3, padding: {FAR}, stride: 2, padding_mode: replicate}}"),
        ([8, 3 * FAR], f"conv: {{out: 8, kernel: 3, dilation: {FAR}, stride: 2}}"),
        ([8, FAR], "conv: {out: 8, kernel: 3, stride: 1000000}"),
        ([8, VAST], "max_pool: {kernel: 3, stride: 2}"),
        ([8, 8], f"pad: {{padding: {FAR}}}"),
    ],
)
def test_more_units_than_can_be_looked_at(run: Run, tmp_path, shape: list[int], layer: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(spec(shape, layer))
    result = run("lint", path)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"{path}:3:5: error: {layer.split(':')[0]}1 reads ")
    assert "along length, padding included; lint checks at most 4,194,304\n  hint: " in result.err
    assert run("lint", path, "--ignore", "CNN101,CNN102,CNN107,CNN3").status == 0
