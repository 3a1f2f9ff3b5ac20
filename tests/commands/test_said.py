"""What is said besides the rows (verdicts, notes, diagnostics) stands in every format that a person reads.

CSV keeps to rows: there it is said on standard error.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Unknown
from tests.commands.conftest import Run

SPEC = """\
input: [3, 16, 16]
layers:
  - conv: {out: 4, kernel: 3, padding: 1, name: fine}
  - relu: {name: riddle}
  - concat: {branches: [[{conv: {out: 4, kernel: 2, stride: 2, name: even}}], [{max_pool: {kernel: 2, name: pool}}]]}
  - conv: {out: 4, kernel: 1, name: last}
budget: {params: {max: 50}, macs: {min: 1}}
"""
MACHINE = "name: slow\nsource: s\npeak: {float32: 1K}\nmemory: {bandwidth: 1KB/s}\n"
FORMATS = ("table", "markdown", "html", "csv")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def said(run: Run, *arguments: object, format: str) -> str:
    """What a person reads: markup taken off, and CSV's rows, which have no room for it."""
    result = run(*arguments, "--format", format)
    assert result.status in (0, 1)
    if format == "csv":
        return result.err
    text = re.sub(r"\\(?=\W)", "", result.out) if format == "markdown" else result.out
    return unescape(re.sub("<[^>]*>", " ", re.sub("</?b>", "", text))) if format == "html" else text


@pytest.mark.parametrize("format", FORMATS)
def test_analyze_names_the_layers_without_which_a_total_is(
    run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(REGISTRY["relu"], "macs", lambda *_: Unknown("nobody counts them"))
    text = said(run, "analyze", spec, format=format)
    assert re.search(r"warning: nobody counts them: the totals are a lower bound without it \(riddle\)", text)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("check {}", r"1 of 2 checks failed"),
        ("check {} {}", r"1 net: 1 of 2 checks failed"),
        ("check {} --max params=1M", r"all 2 checks passed"),
        ("solve conv --in 224 --out 112 --kernel 7", r"conv 224 → 112: \d+ solutions \(kernel ≤"),
        ("solve conv --in 2 --out 999", r"no conv makes 2 → 999"),
        ("rf {}", r"no field covers the whole 16×16 of 'input'; the largest is 4, at "),
        ("rf {} --layer last", r"unit \(4, 4\) of last"),
        ("rf {} --layer last", r"\d+ pixels reach the unit"),
        ("sizes {} --max 20", r"every size in 1…20 was run along height and width"),
        ("sizes {} --max 20", r"net.yaml works at 3×16×16: no window leaves anything out"),
        ("sizes {} --max 20 --at 3x1x1", r"does not work at 3×1×1"),
        ("lint {}", r"net: .*(found|\d+ (warning|note))"),
        ("diff resnet18 resnet34", r"layers: 56 added"),
        ("diff resnet18 resnet34 --fail-on params>+1%", r"params>\+1%.*(fail|86\.5)"),
    ],
)
def test_verdicts_and_notes(run: Run, spec: Path, line: str, words: str, format: str) -> None:
    text = said(run, *[part.replace("{}", str(spec)) for part in line.split()], format=format)
    assert re.search(words, text)


@pytest.mark.torch
@pytest.mark.parametrize("format", FORMATS)
def test_what_verify_and_bench_say(run: Run, spec: Path, tmp_path: Path, format: str) -> None:
    text = said(run, "verify", spec, "--checks", "shape,params", format=format)
    assert re.search(r"✓ (\d+) of \1 claims hold", text)
    assert "measured: " in text
    (tmp_path / "fast.yaml").write_text(MACHINE)
    text = said(run, "bench", spec, "--repeat", "1", "--machine", tmp_path / "fast.yaml", format=format)
    assert "samples per second" in text
    assert "warning: measured faster than the bound: " in text
    assert "fine" in text.partition("faster than the bound")[2]
