"""Numbers that count what is done with them: the oracle of elementwise operations, which PyTorch has no counter for.

A test writes a layer's mathematics once more over these, runs it, and reads the count.
"""

from __future__ import annotations

import math
from typing import Any

COUNT = [0]


class Counted:
    """A float on which every arithmetic operation, comparison and elementary function counts as one."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Counted({self.value})"


def _value(x: Any) -> float:
    return x.value if isinstance(x, Counted) else x


def _binary(name: str, compute: Any) -> None:
    def forward(self: Counted, other: Any) -> Counted:
        COUNT[0] += 1
        return Counted(compute(self.value, _value(other)))

    def backward(self: Counted, other: Any) -> Counted:
        COUNT[0] += 1
        return Counted(compute(_value(other), self.value))

    setattr(Counted, f"__{name}__", forward)
    setattr(Counted, f"__r{name}__", backward)


_binary("add", lambda a, b: a + b)
_binary("sub", lambda a, b: a - b)
_binary("mul", lambda a, b: a * b)
_binary("truediv", lambda a, b: a / b)
_binary("pow", lambda a, b: a**b)


def _elementary(compute: Any) -> Any:
    def function(x: Counted) -> Counted:
        COUNT[0] += 1
        return Counted(compute(x.value))

    return function


exp = _elementary(math.exp)
log = _elementary(math.log)
tanh = _elementary(math.tanh)
erf = _elementary(math.erf)
sqrt = _elementary(math.sqrt)
absolute = _elementary(abs)
negative = _elementary(lambda x: -x)


def larger(a: Any, b: Any) -> Counted:
    """The larger of two: one comparison."""
    COUNT[0] += 1
    return Counted(max(_value(a), _value(b)))


def smaller(a: Any, b: Any) -> Counted:
    """The smaller of two: one comparison."""
    COUNT[0] += 1
    return Counted(min(_value(a), _value(b)))


def where(condition_on: Any, above: float, then: Any, otherwise: Any) -> Any:
    """``then`` where ``condition_on > above``, else ``otherwise``: one comparison; both have been computed."""
    COUNT[0] += 1
    return then if _value(condition_on) > above else otherwise


def total(values: list[Any]) -> Any:
    """The sum of n values: n − 1 additions."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def operations(function: Any, values: list[float]) -> tuple[int, list[float]]:
    """How many operations ``function`` takes on ``values``, and what it gives."""
    COUNT[0] = 0
    results = function([Counted(value) for value in values])
    return COUNT[0], [_value(result) for result in results]
