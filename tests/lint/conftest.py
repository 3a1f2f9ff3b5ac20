"""The command line as one function, as the tests of the other commands have it."""

from __future__ import annotations

from tests.commands.conftest import run as run
