"""How much work something is: calls of functions, which no speed of the machine and no load changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Work:
    """What has been counted so far."""

    calls = 0


@contextmanager
def at_most(calls: float) -> Iterator[Work]:
    """Counts calls of functions, those of C too, and fails at the first one too many: work without end is stopped."""
    work = Work()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            work.calls += 1
            if work.calls > calls:
                raise AssertionError(f"more than {calls:,} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield work
    finally:
        sys.setprofile(before)
