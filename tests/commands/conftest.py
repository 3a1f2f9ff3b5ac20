"""Running the command line in this process, as one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from cnncalc.__main__ import run as run_line


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Outcome:
        status = run_line([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
