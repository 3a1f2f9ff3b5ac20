"""``cnncalc verify`` on the command line: exit status, output, choices, and what is not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cnncalc.__main__ import run as run_line
from cnncalc.layers.conv import Conv
from cnncalc.torch.verify import CHECKS

SPEC = """
name: small
input: [3, 12, 10]
layers:
  - conv: {out: 4, kernel: 3, padding: 1, groups: 1, name: stem}
  - batch_norm
  - relu
  - conv: {out: 4, kernel: 3, stride: 2, groups: 2, name: last}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object) -> Outcome:
        status = run_line(["verify", *map(str, arguments)])
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every convolution claims one MAC too many."""
    real = Conv.macs
    monkeypatch.setattr(Conv, "macs", lambda layer, *shapes: real(layer, *shapes) + 1)


@pytest.mark.torch
def test_all_claims_hold(run: Any, spec: Path) -> None:
    result = run(spec)
    assert (result.status, result.err) == (0, "")
    verdict, counts, empty, *notes = result.out.splitlines()
    assert re.fullmatch(r"✓ (\d+) of \1 claims hold for small", verdict)
    # four layers have a shape, two convolutions and the norm parameters, and the net has its totals
    assert counts.startswith("shape 4 · params 4 · flops 5 · ")
    assert sum(int(part.split()[1]) for part in counts.split(" · ")) == int(verdict.split()[1])
    assert empty == ""
    assert f"measured: PyTorch {torch.__version__} on cpu, float32, batch 1" in notes
    assert "stem" not in result.out


@pytest.mark.torch
def test_a_table_shows_each_layer(run: Any, spec: Path) -> None:
    lines = run(spec, "--table", "--checks", "shape,params").out.splitlines()
    assert lines == [
        "✓ 8 of 8 claims hold for small",
        "shape 4 · params 4",
        "",
        "layer              shape  params",
        "─" * 32,
        "stem         1×4×12×10 ✓   112 ✓",
        "batch_norm1  1×4×12×10 ✓     8 ✓",
        "relu1        1×4×12×10 ✓",
        "last           1×4×5×4 ✓    76 ✓",
        "total                      196 ✓",
        "",
        f"measured: PyTorch {torch.__version__} on cpu, float32, batch 1",
    ]


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["table", "csv", "markdown", "html"])
def test_every_format_says_what_fails(run: Any, spec: Path, fault: None, kind: str) -> None:
    result = run(spec, "--checks", "flops", "--format", kind)
    assert result.status == 1
    right = 2 * 4 * 12 * 10 * 27
    said = result.err if kind == "csv" else result.out
    for text in (
        "✗ 3 of 5 claims fail for small",
        f"error: stem, flops: claimed {right + 2}, measured {right}",
        "error: the net, flops: claimed ",
        f"measured: PyTorch {torch.__version__} on cpu",
    ):
        assert text.replace("error: ", "" if kind == "html" else "error: ") in said
    if kind == "csv":
        assert result.out.splitlines()[0] == "layer,flops"
    elif kind == "table":
        assert result.out.splitlines()[1] == "flops 3 of 5 fail"


@pytest.mark.torch
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(
    run: Any, spec: Path, fault: None, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    from cnncalc.document import output

    monkeypatch.setattr(output, "screen", lambda _: (width, 40, False))
    lines = run(spec, "--table").out.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 40


@pytest.mark.torch
def test_progress_shows_before_anything_slow(
    spec: Path, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Reading, capturing and PyTorch's import are said before they are done."""
    from cnncalc import sources
    from cnncalc.commands import verify

    steps: list[str] = []

    class Recorded(verify.Progress):
        def __enter__(self) -> verify.Progress:
            steps.append(self.first)
            return self

        def show(self, what: str) -> None:
            steps.append(what)

    for name in ("load", "load_original"):
        real = getattr(sources, name)

        def noted(*args: Any, name: str = name, real: Any = real, **kwargs: Any) -> Any:
            steps.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(sources, name, noted)
    monkeypatch.setattr(verify, "Progress", Recorded)
    assert run(spec, "--checks", "shape").status == 0
    assert steps[:3] == [f"reading {spec}", "load", "loading PyTorch"]
    steps.clear()
    module = tmp_path / "made.py"
    module.write_text("from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 4, 3))\n")
    assert run(f"torch:{module}:net", "--input", "3x8x8", "--checks", "source").status == 0
    assert steps[:3] == [f"capturing torch:{module}:net", "load_original", "loading PyTorch"]


@pytest.mark.torch
def test_a_claim_that_fails_is_exit_status_one_and_named(run: Any, spec: Path, fault: None) -> None:
    result = run(spec, "--checks", "shape,flops")
    assert result.status == 1
    right = 2 * 4 * 12 * 10 * 27
    # both convolutions and the net's total
    assert result.out.splitlines()[:2] == ["✗ 3 of 9 claims fail for small", "shape 4 · flops 3 of 5 fail"]
    assert f"error: stem, flops: claimed {right + 2}, measured {right}" in result.out


@pytest.mark.torch
def test_json(run: Any, spec: Path) -> None:
    result = run(spec, "--format", "json", "--batch", 3)
    answer = json.loads(result.out)
    assert result.status == 0
    assert (answer["schema_version"], answer["name"], answer["status"]) == (1, "small", "pass")
    assert answer["checked"] == len(answer["rows"])
    assert answer["mismatches"] == 0
    rows = {(row["layer"], row["check"]): row for row in answer["rows"]}
    assert rows["stem", "shape"]["measured"] == "3×4×12×10"
    assert rows["stem", "flops"]["measured"] == str(3 * 2 * 4 * 12 * 10 * 27)
    assert {check.partition(",")[0] for _, check in rows} == {*CHECKS}


@pytest.mark.torch
def test_json_of_a_failure(run: Any, spec: Path, fault: None) -> None:
    result = run(spec, "--format", "json", "--checks", "flops", "--layers", "stem")
    answer = json.loads(result.out)
    assert result.status == 1
    assert answer["status"] == "fail"
    failed = [(row["layer"], row["check"]) for row in answer["rows"] if row["reason"]]
    assert failed == [("stem", "flops"), ("", "flops")]


@pytest.mark.torch
def test_layers_are_chosen_by_a_pattern(run: Any, spec: Path) -> None:
    answer = json.loads(run(spec, "--format", "json", "--layers", "l*").out)
    assert {row["layer"] for row in answer["rows"]} - {""} == {"last"}
    assert json.loads(run(spec, "--format", "json", "--layer", "l*").out) == answer
    result = run(spec, "--layer", "none.*")
    assert (result.status, result.out) == (2, "")
    assert "error: no layer matches 'none.*'\n  hint:" in result.err


@pytest.mark.torch
def test_only_the_checks_asked_for(run: Any, spec: Path) -> None:
    answer = json.loads(run(spec, "--format", "json", "--checks", "shape, params").out)
    assert {row["check"] for row in answer["rows"]} == {"shape", "params"}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checks", "shapes"], "unknown check 'shapes'\n  hint: did you mean 'shape'?"),
        (["--device", "cuda:99"], "cannot use the device 'cuda:99'"),
        (["--device", "abacus"], "hint: use cpu, cuda or mps"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--random", "3"], "give either a SOURCE or --random N"),
    ],
)
def test_wrong_usage_is_exit_status_two_and_one_message(
    run: Any, spec: Path, arguments: list[str], message: str
) -> None:
    result = run(spec, *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


def test_no_source_is_wrong_usage(run: Any) -> None:
    result = run()
    assert (result.status, result.out) == (2, "")
    assert "give either a SOURCE or --random N" in result.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_a_gpu_that_is_not_there_says_what_is_needed(run: Any, spec: Path) -> None:
    result = run(spec, "--device", "cuda")
    assert (result.status, result.out) == (2, "")
    assert "cannot use the device 'cuda'" in result.err
    assert "hint: it needs an NVIDIA GPU with its driver, and a PyTorch built for CUDA" in result.err


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes(run: Any, spec: Path, dtype: str) -> None:
    result = run(spec, "--dtype", dtype, "--checks", "shape,flops,backward")
    assert result.status == 0
    assert f"cpu, {dtype}, batch 1" in result.out


BLOCKED = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Blocked())
"""


def without_torch(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command where PyTorch cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    root = str(Path(__file__).resolve().parents[2])
    line = [sys.executable, "-m", "cnncalc", "verify", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, root])}
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=300)


def test_without_pytorch_it_says_what_to_install(spec: Path, tmp_path: Path) -> None:
    found = without_torch(tmp_path, spec)
    assert (found.returncode, found.stdout) == (2, "")
    assert "PyTorch is not installed" in found.stderr
    assert "hint: pip install 'cnncalc[torch]'" in found.stderr
    assert "Traceback" not in found.stderr


def test_without_pytorch_numpy_verifies_shapes_and_fields(spec: Path, tmp_path: Path) -> None:
    found = without_torch(tmp_path, spec, "--backend", "numpy", "--format", "json")
    assert (found.returncode, found.stderr) == (0, "")
    answer = json.loads(found.stdout)
    assert answer["status"] == "pass"
    assert {row["check"].partition(",")[0] for row in answer["rows"]} == {"shape", "pixels"}


@pytest.mark.torch
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(run: Any, spec: Path) -> None:
    result = run(spec, "--device", "cuda", "--batch", 2)
    assert (result.status, result.err) == (0, "")
    assert "on cuda, float32, batch 2" in result.out
    assert "claims hold" in result.out
