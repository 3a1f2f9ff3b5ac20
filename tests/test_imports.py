"""Start-up: what is not needed is not imported. The tests ask a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "rich", "torch", "onnx"}


def heavy_after(code: str) -> set[str]:
    """Those of the heavy packages that are loaded once ``code`` has run in an interpreter of its own."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return HEAVY & set(result.stdout.split("\n")[-2].split())


def test_importing_cnncalc_loads_nothing_heavy():
    assert heavy_after("import cnncalc") == set()


def test_importing_cnncalc_loads_none_of_its_rooms():
    """Not even the layers: ``import cnncalc`` is instant, whatever comes to it."""
    code = "import cnncalc, sys\nprint(*[m for m in sys.modules if m.startswith('cnncalc.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize(
    "code",
    [
        "import cnncalc; cnncalc.load",
        "import cnncalc; cnncalc.analyze('resnet50')",
        "import cnncalc; cnncalc.analyze('unet').to_json()",
        "import cnncalc; str(cnncalc.analyze('lenet5'))",
        "from cnncalc.sources import load_text\ntry: load_text('input: [3')\nexcept ValueError: pass",
    ],
)
def test_the_library_loads_nothing_heavy(code):
    assert heavy_after(code) == set()


@pytest.mark.parametrize("options", [[], ["--format", "json"], ["--format", "csv"], ["--depth", "1"]])
def test_analyze_loads_neither_torch_nor_numpy(options):
    code = f"from cnncalc.__main__ import run\nassert run(['analyze', 'resnet18', *{options}]) == 0"
    assert not heavy_after(code) & {"numpy", "torch"}


@pytest.mark.parametrize("package", ["numpy", "rich"])
def test_these_tests_can_fail(package):
    assert heavy_after(f"import cnncalc, {package}") == {package}


@pytest.mark.torch
@pytest.mark.torch
def test_these_tests_can_fail_for_torch():
    assert "torch" in heavy_after("import cnncalc.torch")
