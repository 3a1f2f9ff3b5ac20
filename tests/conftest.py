"""Settings of all tests."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of an operation pays for its library; time limits belong to benchmarks.
settings.register_profile("cnncalc", deadline=None)
settings.load_profile("cnncalc")

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
