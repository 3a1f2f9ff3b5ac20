"""Settings of all tests."""

from __future__ import annotations

import os
import re
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

# The first call of an operation pays for its library; time limits belong to benchmarks. Many draws are
# refused by PyTorch and by us alike, which is what some tests are about, so filtering is no fault.
LENIENT = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("same", deadline=None, suppress_health_check=LENIENT, derandomize=True)
settings.register_profile("explore", deadline=None, suppress_health_check=LENIENT)
# The same draws in every run, so that only a change can turn CI red; CNNCALC_EXPLORE=1 draws anew.
settings.load_profile("explore" if os.environ.get("CNNCALC_EXPLORE") else "same")

# What is printed has the terminal's size: that of the run (xdist hands it to its workers) is nobody's business.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

TORCH = find_spec("torch") is not None
NEED_TORCH = re.compile(r"(torch|cnncalc\.torch|fvcore|ptflops|thop|torchinfo|torchprofile|torchscan)(\..*)?")


class Absent(ModuleType):
    """Stands for PyTorch, and for what imports it, where it is not installed: a test that uses it is skipped then.

    Only what the tests themselves import is replaced, and only while they are collected: the code under test has to do
    without. A test that needs PyTorch through that code alone (a command that runs it) is marked ``torch``.
    """

    __path__: ClassVar[list[str]] = []
    collecting = not TORCH

    def use(self, *_: object, **__: object) -> Any:
        if not Absent.collecting:
            pytest.skip("needs PyTorch")
        return Absent("torch")

    __getattr__ = __call__ = __getitem__ = __eq__ = use

    def __hash__(self) -> int:
        self.use()
        return id(self)

    def __iter__(self) -> Any:
        return iter([self.use()])

    def __len__(self) -> int:
        self.use()
        return 0

    def __mro_entries__(self, bases: object) -> tuple[type, ...]:
        return (Made,)


class Made:
    """Stands for PyTorch's classes below those of the tests, which may be made while they are collected."""

    def __getattr__(self, name: str) -> Any:
        return Absent("torch").use()


class Finder(MetaPathFinder, Loader):
    """Finds what is absent."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if NEED_TORCH.fullmatch(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


FINDER = Finder()
if not TORCH:
    sys.meta_path.insert(0, FINDER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """From here on PyTorch is as absent as it is."""
    if TORCH:
        return
    sys.meta_path.remove(FINDER)
    for name in [name for name, module in sys.modules.items() if isinstance(module, Absent)]:
        parent, _, last = name.rpartition(".")
        vars(sys.modules.get(parent, Absent(""))).pop(last, None)
        del sys.modules[name]
    Absent.collecting = False
    for item in items:
        given = getattr(item, "callspec", None)
        if item.get_closest_marker("torch") or (given and any(isinstance(v, Absent) for v in given.params.values())):
            item.add_marker(pytest.mark.skip(reason="needs PyTorch"))
