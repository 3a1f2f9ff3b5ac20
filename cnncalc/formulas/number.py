"""Least, greatest and common divisor, for numbers that answer for themselves too.

The built-in ones take the value of what they are given and lose the rest; a traced number
(:class:`cnncalc.analysis.explain.traced.Traced`), which knows how it came about, answers by a method.
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
    """The method of that name of whichever has one, else the plain function."""
    for one, other in ((first, second), (second, first)):
        if hasattr(one, name):
            return getattr(one, name)(other)
    return plain(first, second)
