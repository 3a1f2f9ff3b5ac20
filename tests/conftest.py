"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# The first call of an operation pays for its library; time limits belong to benchmarks.
settings.register_profile("cnncalc", deadline=None)
settings.load_profile("cnncalc")
