"""Expressions over whole numbers, in the form that a person would write.

Building one simplifies it: like terms are added, factors collected, neutral numbers dropped, and
fractions reduced; every rule is an identity over the integers, so the value never changes. A node
knows its value, and two nodes are equal if they are written alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import Any

Number = Any
"""A value: an ``int``; a ``Fraction`` for a jump; a ``float`` for a scale factor, until it is rounded."""
Counts = dict["Expr", Any]
"""Terms with their coefficients, or factors with their powers, in the order in which they are written."""


class Expr:
    """A node: its parts, its value, and a hash that is computed once."""

    __slots__ = ("_hash", "parts", "value")
    parts: tuple[Any, ...]
    value: Number

    def __init__(self, parts: tuple[Any, ...], value: Number) -> None:
        self.parts = parts
        self.value = value
        self._hash = hash((type(self).__name__, parts))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and self._hash == hash(other) and self.parts == other.parts

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.parts}"

    def inner(self) -> Iterator[Expr]:
        """The nodes directly below."""
        for part in self.parts:
            if isinstance(part, Expr):
                yield part


class Const(Expr):
    """A number in a formula: ``parts = (value,)``."""

    __slots__ = ()


class Name(Expr):
    """A symbol with a value: ``parts = (symbol,)``; ``general`` is the symbol without its axis (``K`` of ``K_h``)."""

    __slots__ = ("general",)

    def __init__(self, symbol: str, value: Number, general: str | None = None) -> None:
        super().__init__((symbol,), value)
        self.general = general or symbol

    @property
    def symbol(self) -> str:
        """The text."""
        symbol: str = self.parts[0]
        return symbol


class Gathered(Expr):
    """Base of what is gathered: ``parts = (number, ((expression, count), …))``."""

    __slots__ = ()

    def inner(self) -> Iterator[Expr]:
        for one, _ in self.parts[1]:
            yield one


class Sum(Gathered):
    """``Σ coefficient·term + constant``: ``parts = (constant, ((term, coefficient), …))``."""

    __slots__ = ()


class Product(Gathered):
    """``coefficient·Π factor^power``: ``parts = (coefficient, ((factor, power), …))``."""

    __slots__ = ()


class Quotient(Expr):
    """Base of the divisions: ``parts = (numerator, denominator)``."""

    __slots__ = ()


class Floor(Quotient):
    """``⌊a/b⌋``"""

    __slots__ = ()


class Ceil(Quotient):
    """``⌈a/b⌉``"""

    __slots__ = ()


class Ratio(Quotient):
    """``a/b`` without rounding: a whole number by a rule of the layer, or an intended fraction."""

    __slots__ = ()


class Rest(Quotient):
    """``a mod b``"""

    __slots__ = ()


class Power(Expr):
    """``base^exponent`` where the exponent is not a plain number: ``parts = (base, exponent)``."""

    __slots__ = ()


class Call(Expr):
    """A function by name: ``parts = (name, *arguments)``: max, min, gcd, abs, and floor of one number."""

    __slots__ = ()


class Truth(Expr):
    """``[a < b]``, 1 where it holds and else 0 (Iverson): ``parts = (operator, a, b)``, the operator as ``lt``."""

    __slots__ = ()


ZERO: Expr = Const((0,), 0)
ONE: Expr = Const((1,), 1)


def const(value: Number) -> Expr:
    """A number."""
    return ZERO if value == 0 else ONE if value == 1 else Const((value,), value)


def names_in(*expressions: Expr) -> dict[str, Name]:
    """The names that occur, by symbol, in the order in which they are read."""
    found: dict[str, Name] = {}
    todo = list(reversed(expressions))
    while todo:
        one = todo.pop()
        if isinstance(one, Name):
            found.setdefault(one.symbol, one)
        todo += reversed(list(one.inner()))
    return found


# -- sums ------------------------------------------------------------------------------------------


def _terms(one: Expr) -> tuple[Number, Counts]:
    if isinstance(one, Const):
        return one.value, {}
    if isinstance(one, Sum):
        return one.parts[0], dict(one.parts[1])
    if isinstance(one, Product) and one.parts[0] != 1:
        return 0, {_product(1, dict(one.parts[1])): one.parts[0]}
    return 0, {one: 1}


def add(first: Expr, second: Expr, sign: int = 1) -> Expr:
    """``first + sign·second``"""
    constant, terms = _terms(first)
    more, others = _terms(second)
    for term, coefficient in others.items():
        _gather(terms, term, sign * coefficient)
    return _sum(constant + sign * more, terms)


def subtract(first: Expr, second: Expr) -> Expr:
    """``first − second``"""
    return add(first, second, -1)


def _gather(terms: Counts, term: Expr, coefficient: Number) -> None:
    """Add a term to others: to the like one, or into a bracket that shares its other factors."""
    if term in terms:
        terms[term] += coefficient
        if not terms[term]:
            del terms[term]
        return
    for one, have in terms.items():
        joined = _into_bracket(one, have, term, coefficient) or _into_bracket(term, coefficient, one, have)
        if joined is not None:
            del terms[one]
            number, factors = _factors(joined)
            if number:
                _gather(terms, _product(1, factors), number)
            return
    terms[term] = coefficient


def _into_bracket(one: Expr, have: Number, term: Expr, coefficient: Number) -> Expr | None:
    """``(a + b)·r + c·r`` as ``(a + b + c)·r``, if that shortens the bracket."""
    if have not in (1, -1) or not isinstance(one, Product):
        return None
    for bracket, power in one.parts[1]:
        if not isinstance(bracket, Sum) or power != 1:
            continue
        rest = dict(one.parts[1])
        del rest[bracket]
        left = _without(_factors(term)[1], rest)
        if left is None:
            continue
        merged = add(scale(bracket, have), scale(_product(1, left), coefficient))
        if _length(merged) < _length(bracket):
            return multiply(merged, _product(1, rest))
    return None


def _length(one: Expr) -> int:
    """How many summands are written."""
    constant, terms = _terms(one)
    return len(terms) + bool(constant)


def _sum(constant: Number, terms: Counts) -> Expr:
    if not terms:
        return const(constant)
    if constant == 0 and len(terms) == 1:
        return scale(*next(iter(terms.items())))
    value = constant + sum(coefficient * term.value for term, coefficient in terms.items())
    return Sum((constant, tuple(terms.items())), value)


def scale(one: Expr, coefficient: Number) -> Expr:
    """``coefficient·one``; a sum may only change its sign."""
    if coefficient == 1:
        return one
    if isinstance(one, Sum) and coefficient == -1:
        return _sum(-one.parts[0], {term: -have for term, have in one.parts[1]})
    number, factors = _factors(one)
    return _product(coefficient * number, factors)


def negate(one: Expr) -> Expr:
    """``−one``; ``−⌊a/b⌋`` is ``⌈−a/b⌉`` where ``a`` is written as a negative, or is one."""
    if isinstance(one, Floor) and (one.parts[0].value < 0 or _scale_of(one.parts[0]) < 0):
        return Ceil((negate(one.parts[0]), one.parts[1]), -one.value)
    return scale(one, -1)


def _scale_of(one: Expr) -> Number:
    """The coefficient of a product or of the first term of a sum."""
    return one.parts[1][0][1] if isinstance(one, Sum) else _factors(one)[0]


# -- products --------------------------------------------------------------------------------------


def _factors(one: Expr) -> tuple[Number, Counts]:
    if isinstance(one, Const):
        return one.value, {}
    if isinstance(one, Product):
        return one.parts[0], dict(one.parts[1])
    return 1, {one: 1}


def multiply(first: Expr, second: Expr) -> Expr:
    """``first·second``"""
    number, factors = _factors(first)
    more, others = _factors(second)
    for factor, power in others.items():
        factors[factor] = factors.get(factor, 0) + power
    return _product(number * more, factors)


def _product(coefficient: Number, factors: Counts) -> Expr:
    if coefficient == 0 or not factors:
        return const(coefficient)
    first, power = next(iter(factors.items()))
    if len(factors) == 1 and power == 1:
        if coefficient == 1:
            return first
        if coefficient == -1 and isinstance(first, Sum):
            return scale(first, -1)
    written: Counts = {}
    value = coefficient
    for factor, power in factors.items():
        value *= factor.value**power
        if isinstance(factor, Sum) and power % 2 and all(number < 0 for _, number in factor.parts[1]):
            factor, coefficient = scale(factor, -1), -coefficient  # (1 − a)·b is written −(a − 1)·b
        written[factor] = written.get(factor, 0) + power
    return Product((coefficient, tuple(written.items())), value)


def _without(factors: Counts, divisor: Counts) -> Counts | None:
    """``factors`` without those of ``divisor``; ``None`` if some are missing."""
    if any(factors.get(factor, 0) < power for factor, power in divisor.items()):
        return None
    left = {factor: power - divisor.get(factor, 0) for factor, power in factors.items()}
    return {factor: power for factor, power in left.items() if power}


def raise_to(base: Expr, exponent: Expr) -> Expr:
    """``base^exponent``"""
    if isinstance(exponent, Const) and isinstance(exponent.value, int) and exponent.value >= 0:
        return reduce(multiply, [base] * exponent.value, ONE)
    value: Any = base.value**exponent.value
    return Power((base, exponent), value)


# -- divisions -------------------------------------------------------------------------------------


def cancel(top: Expr, bottom: Expr) -> Expr | None:
    """``top/bottom`` if it divides as written."""
    if isinstance(bottom, Const):
        by = bottom.value
        if by == 1:
            return top
        constant, terms = _terms(top)
        numbers = (constant, *terms.values())
        if not isinstance(by, int) or by < 1 or not isinstance(constant, int) or any(n % by for n in numbers):
            return None
        return _sum(constant // by, {term: n // by for term, n in terms.items()})
    if isinstance(top, Sum) and not isinstance(bottom, Sum):
        parts = [part for term, n in top.parts[1] if (part := cancel(scale(term, n), bottom)) is not None]
        return None if top.parts[0] or len(parts) < len(top.parts[1]) else reduce(add, parts, ZERO)
    number, factors = _factors(top)
    by, divisors = _factors(bottom)
    left = _without(factors, divisors)
    return None if left is None or number % by else _product(number // by, left)


def floor_divide(top: Expr, bottom: Expr) -> Expr:
    """``⌊top/bottom⌋``"""
    value: Any = top.value // bottom.value
    done = cancel(top, bottom)
    if done is not None:
        return done
    if isinstance(top, Const) and isinstance(bottom, Const):
        return const(value)
    if bottom == Const((2,), 2) and (half := _positive_part(top)) is not None:
        return half
    exact = isinstance(bottom, Call) and bottom.parts[0] == "gcd" and top in bottom.parts[1:]
    return (Ratio if exact else Floor)((top, bottom), value)


def remainder(top: Expr, bottom: Expr) -> Expr:
    """``top mod bottom``"""
    return Rest((top, bottom), top.value % bottom.value)


def _positive_part(top: Expr) -> Expr | None:
    """``(x + |x|)/2`` as ``max(x, 0)``."""
    for term, coefficient in top.parts[1] if isinstance(top, Sum) else ():
        if coefficient == 1 and isinstance(term, Call) and term.parts[0] == "abs":
            inside: Expr = term.parts[1]
            if subtract(top, term) == inside:
                return call("max", inside, ZERO)
    return None


def ratio(top: Expr, bottom: Expr) -> Expr:
    """The exact quotient, common factors cancelled term by term; a fraction if it is not whole."""
    if isinstance(top, Sum):
        constant, terms = _terms(top)
        parts = [*(scale(term, n) for term, n in terms.items()), *([const(constant)] if constant else [])]
        return reduce(add, [ratio(part, bottom) for part in parts], ZERO)
    number, factors = _factors(top)
    by, divisors = _factors(bottom)
    for inner in (one for one, power in factors.items() if isinstance(one, Ratio) and power == 1):
        above, below = inner.parts  # a/b of the one is b in the other
        return ratio(multiply(_product(number, _without(factors, {inner: 1}) or {}), above), multiply(bottom, below))
    for inner in (one for one, power in divisors.items() if isinstance(one, Ratio) and power == 1):
        above, below = inner.parts
        return ratio(multiply(top, below), multiply(_product(by, _without(divisors, {inner: 1}) or {}), above))
    shared = {factor: min(power, divisors.get(factor, 0)) for factor, power in factors.items()}
    shared = {factor: power for factor, power in shared.items() if power}
    common = gcd(number, by)
    above = _product(number // common, _without(factors, shared) or {})
    below = _product(by // common, _without(divisors, shared) or {})
    return above if below == ONE else Ratio((above, below), Fraction(above.value) / Fraction(below.value))


# -- functions -------------------------------------------------------------------------------------


def call(name: str, *arguments: Expr) -> Expr:
    """A function of expressions; of numbers alone it is their value. ``max(max(a, b), c)`` is ``max(a, b, c)``."""
    if name in ("max", "min"):
        flat = [
            p
            for one in arguments
            for p in (one.parts[1:] if isinstance(one, Call) and one.parts[0] == name else (one,))
        ]
        arguments = tuple(dict.fromkeys(flat))
    values: list[Any] = [one.value for one in arguments]
    functions: dict[str, Any] = {"max": max, "min": min, "gcd": gcd, "abs": abs}
    if len(set(arguments)) == 1 and name != "abs":
        return arguments[0]
    if name == "gcd" and ONE in arguments:
        return ONE
    value = functions[name](*values)
    return const(value) if all(isinstance(one, Const) for one in arguments) else Call((name, *arguments), value)
