"""Running the command line in this process, as one function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest

from cnncalc import sources
from cnncalc.__main__ import run as run_line


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def zoo_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For lists of the shipped nets: each is read once for all tests, not once for each list."""
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda source, **given: load(source, **given) if given else _as_it_is(source))


_as_it_is = cache(sources.load)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Outcome:
        status = run_line([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
