"""The command line, as the tests of the other commands run it."""

from __future__ import annotations

from tests.commands.conftest import run

__all__ = ["run"]
