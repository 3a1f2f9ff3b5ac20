"""The pytest plugin: the fixture ``cnncalc_check``, and ``--cnncalc``, which makes tests of specs with a budget.

pytest imports this module in every run where cnncalc is installed, so it imports nothing of cnncalc
until a test uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from cnncalc.analysis.check import Check, Checked, CheckReport

ENDINGS = (".yaml", ".yml")
_BUDGET = re.compile(r"""^["']?budget["']?\s*:""", re.MULTILINE)


class CheckNet(Protocol):
    """The type of the fixture ``cnncalc_check``."""

    def __call__(
        self,
        source: Any,
        *,
        variant: str | None = None,
        input: Any = None,
        batch: int = 1,
        args: Mapping[str, Any] | None = None,
        **budget: Any,
    ) -> CheckReport:
        """Hold a net against its budget: see :func:`cnncalc_check`."""


@pytest.fixture
def cnncalc_check(request: pytest.FixtureRequest) -> CheckNet:
    """Check a net's numbers in a test: ``cnncalc_check("models/net.yaml", params="26M", peak="16MiB")``.

    The source is anything that :func:`cnncalc.load` accepts, or a graph; a file is looked for in the current folder
    and then next to the test. The limits are the spec's budget and those given here by metric, which replace
    the spec's: a greatest value (``params="26M"``, ``macs=4_200_000_000``) or ``{"min": …, "max": …}``.
    ``variant``, ``input``, ``batch`` and ``args`` are as for :func:`cnncalc.analyze`. The test fails with a
    line for each broken limit; the report is returned.
    """

    def check(
        source: Any,
        *,
        variant: str | None = None,
        input: Any = None,
        batch: int = 1,
        args: Mapping[str, Any] | None = None,
        **budget: Any,
    ) -> CheckReport:
        __tracebackhide__ = True
        net = _net(source, request.path, variant, input, batch, args or {}, budget)
        # outside of any handler, so that pytest shows the line of the test and nothing else
        if isinstance(net, str):
            pytest.fail(net)
        if net.report.status == "fail":
            pytest.fail(_failure(net))
        return net.report

    return check


def _net(
    source: Any, test: Path, variant: str | None, input: Any, batch: int, args: Mapping[str, Any], budget: Any
) -> Checked | str:
    """A net checked against its budget; an error text where that is not possible."""
    from cnncalc.analysis.check import checked
    from cnncalc.api import load
    from cnncalc.errors import CnncalcError
    from cnncalc.graph import Graph

    try:
        graph = source
        if not isinstance(source, Graph):
            graph = load(_found(source, test), variant=variant, input=input, **args)
        net = checked(graph, str(graph.source or graph.name), batch, _limits(budget))
    except CnncalcError as error:
        return str(error)
    return net if net.report.checks else f"{net.label}: there is nothing to check: give a budget, e.g. params='26M'"


def _found(source: Any, test: Path) -> Any:
    """A file next to the test, if the current folder has none of that name."""
    if isinstance(source, (str, os.PathLike)) and not os.path.exists(source):
        beside = test.parent / source
        if beside.is_file():
            return beside
    return source


def _limits(budget: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Limits by metric and side.

    Raises:
        CnncalcError: an unknown metric or side, or a value that is not a count.
    """
    from cnncalc.analysis.check import metric_named
    from cnncalc.errors import CnncalcError
    from cnncalc.spec import budget as budgets

    limits: dict[str, dict[str, int]] = {}
    for name, bound in budget.items():
        metric = metric_named(name)
        sides = bound if isinstance(bound, Mapping) else {"max": bound}
        for side, value in sides.items():
            if side not in ("min", "max"):
                raise CnncalcError(f"{metric}: a limit has 'min' or 'max', not '{side}'")
            limits.setdefault(metric, {})[side] = budgets.bound(metric, str(value))
    return limits


def _failure(net: Checked) -> str:
    """One line for each broken limit."""
    from cnncalc.report.check import sentence

    broken = [sentence(one) for one in net.report.checks if one.status == "fail"]
    return "\n".join([f"{net.label} breaks its budget", *(f"  {line}" for line in broken)])


# -- collection ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that turns collection on."""
    parser.getgroup("cnncalc").addoption(
        "--cnncalc",
        action="store_true",
        default=False,
        help="make a test of each limit in the budget of each spec (*.yaml) that is collected",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SpecFile | None:
    """A spec with a budget, if the option is given."""
    if not parent.config.getoption("--cnncalc") or file_path.suffix not in ENDINGS:
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")
    if not _BUDGET.search(text):
        return None
    from cnncalc.targets import is_spec

    return SpecFile.from_parent(parent, path=file_path) if is_spec(text) else None


class SpecFile(pytest.File):
    """A spec: a test for each limit, or, if it cannot be read, one that says why."""

    def collect(self) -> Iterator[pytest.Item]:
        from cnncalc.analysis.check import checked
        from cnncalc.api import load

        try:
            net = checked(load(self.path), self.nodeid, 1, {})
        except Exception as error:  # an error of our own too: the other collected files are still checked
            yield BrokenItem.from_parent(self, name="can be read", error=error)
            return
        for one in net.report.checks:
            yield LimitItem.from_parent(self, name=f"{one.metric} {one.limit}", net=net, one=one)


class LimitItem(pytest.Item):
    """One limit."""

    def __init__(self, *, net: Checked, one: Check, **more: Any) -> None:
        super().__init__(**more)
        self.net = net
        self.one = one

    def runtest(self) -> None:
        from cnncalc.report.check import sentence

        if self.one.status == "fail":
            raise _Failed(sentence(self.one))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        place = self.net.place(self.one)
        return self.path, place.line - 1 if place.line else None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, _Failed):
            return super().repr_failure(excinfo)
        place = self.net.place(self.one)
        return f"{self.net.label}:{place.line or 1}: {excinfo.value}"


class BrokenItem(pytest.Item):
    """A spec that cannot be read."""

    def __init__(self, *, error: Exception, **more: Any) -> None:
        super().__init__(**more)
        self.error = error

    def runtest(self) -> None:
        from cnncalc.errors import CnncalcError

        raise _Failed(str(self.error)) if isinstance(self.error, CnncalcError) else self.error

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = getattr(self.error, "line", None)
        return self.path, line - 1 if line else None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, _Failed) else super().repr_failure(excinfo)


class _Failed(Exception):  # noqa: N818 - pytest's word for it
    """A failure shown only by its text."""
