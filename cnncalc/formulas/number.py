"""Minimum, maximum and greatest common divisor, also for traced integers.

The built-in ones use only a number's value; a traced integer
(:class:`cnncalc.analysis.explain.traced.Traced`), which remembers how it was computed, has methods for them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any


def least(first: int, second: int) -> int:
    """The smaller of two numbers: ``min(a, b)``."""
    return min(first, second) if type(first) is type(second) is int else _ask("least", min, first, second)


def greatest(first: int, second: int) -> int:
    """The larger of two numbers: ``max(a, b)``."""
    return max(first, second) if type(first) is type(second) is int else _ask("greatest", max, first, second)


def common_divisor(first: int, second: int) -> int:
    """The greatest common divisor: ``gcd(a, b)``."""
    return gcd(first, second) if type(first) is type(second) is int else _ask("common_divisor", gcd, first, second)


def _ask(name: str, plain: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    """The method of that name of the argument that has one, else the plain function."""
    for one, other in ((first, second), (second, first)):
        if hasattr(one, name):
            return getattr(one, name)(other)
    return plain(first, second)
