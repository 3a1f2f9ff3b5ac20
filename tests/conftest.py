"""Settings of all tests."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The first call of an operation pays for its library; time limits belong to benchmarks. Many draws are
# refused by PyTorch and by us alike, which is what some tests are about, so filtering is no fault.
LENIENT = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("same", deadline=None, suppress_health_check=LENIENT, derandomize=True)
settings.register_profile("explore", deadline=None, suppress_health_check=LENIENT)
# The same draws in every run, so that only a change can turn CI red; CNNCALC_EXPLORE=1 draws anew.
settings.load_profile("explore" if os.environ.get("CNNCALC_EXPLORE") else "same")

NEEDS_TORCH = re.compile(
    r"^\s*(from|import) (torch|cnncalc\.torch|tests\.(layers|reference|verify|sizes))\b", re.MULTILINE
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Where PyTorch is not installed, the modules that import it are left out: the others run without it."""
    if find_spec("torch") is None and collection_path.suffix == ".py":
        return bool(NEEDS_TORCH.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """And so are the tests that are marked to need it."""
    if find_spec("torch") is None:
        for item in items:
            if item.get_closest_marker("torch"):
                item.add_marker(pytest.mark.skip(reason="needs PyTorch"))
