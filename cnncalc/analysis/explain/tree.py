"""Expressions over whole numbers, in the form that a person would write.

Building one simplifies it: like terms are added, factors collected, neutral numbers dropped, and
fractions reduced; every rule is an identity over the integers, so the value never changes. A node
knows its value, and two nodes are equal if they are written alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import gcd
from typing import Any, ClassVar

Number = Any
"""A value: an ``int``; a ``Fraction`` for a jump; a ``float`` for a scale factor, until it is rounded."""
Terms = list[tuple[int, "Expr"]]
Factors = list[tuple["Expr", int]]


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


class Sum(Expr):
    """``Σ coefficient·term + constant``: ``parts = (constant, ((coefficient, term), …))``."""

    __slots__ = ()

    def inner(self) -> Iterator[Expr]:
        for _, term in self.parts[1]:
            yield term


class Product(Expr):
    """``coefficient·Π factor^power``: ``parts = (coefficient, ((factor, power), …))``."""

    __slots__ = ()

    def inner(self) -> Iterator[Expr]:
        for factor, _ in self.parts[1]:
            yield factor


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
    """``[a < b]``, 1 where it holds and else 0 (Iverson): ``parts = (sign, a, b)``."""

    __slots__ = ()

    signs: ClassVar[dict[str, str]] = {"lt": "<", "le": "≤", "gt": ">", "ge": "≥", "eq": "=", "ne": "≠"}


ZERO, ONE = Const((0,), 0), Const((1,), 1)


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


def _terms(one: Expr) -> tuple[Number, Terms]:
    if isinstance(one, Const):
        return one.value, []
    if isinstance(one, Sum):
        return one.parts[0], list(one.parts[1])
    if isinstance(one, Product) and one.parts[0] != 1:
        return 0, [(one.parts[0], _product(1, list(one.parts[1])))]
    return 0, [(1, one)]


def add(first: Expr, second: Expr, sign: int = 1) -> Expr:
    """``first + sign·second``"""
    constant, terms = _terms(first)
    more, others = _terms(second)
    for coefficient, term in others:
        _gather(terms, sign * coefficient, term)
    return _sum(constant + sign * more, terms)


def _gather(terms: Terms, coefficient: int, term: Expr) -> None:
    """Add a term to a list: to the like one, or into a bracket that shares its other factors."""
    for i, (have, one) in enumerate(terms):
        if one == term:
            terms[i] = (have + coefficient, one)
            if not terms[i][0]:
                del terms[i]
            return
    for i, (have, one) in enumerate(terms):
        joined = _into_bracket(have, one, coefficient, term) or _into_bracket(coefficient, term, have, one)
        if joined is not None:
            del terms[i]
            number, factors = _factors(joined)
            if number:
                _gather(terms, number, _product(1, factors))
            return
    terms.append((coefficient, term))


def _into_bracket(have: int, one: Expr, coefficient: int, term: Expr) -> Expr | None:
    """``(a + b)·r + c·r`` as ``(a + b + c)·r``, if that shortens the bracket."""
    if have not in (1, -1) or not isinstance(one, Product):
        return None
    for i, (bracket, power) in enumerate(one.parts[1]):
        if not isinstance(bracket, Sum) or power != 1:
            continue
        rest = list(one.parts[1][:i] + one.parts[1][i + 1 :])
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


def _sum(constant: Number, terms: Terms) -> Expr:
    if not terms:
        return const(constant)
    if constant == 0 and len(terms) == 1:
        return scale(terms[0][1], terms[0][0])
    value = constant + sum(coefficient * term.value for coefficient, term in terms)
    return Sum((constant, tuple(terms)), value)


def scale(one: Expr, coefficient: int) -> Expr:
    """``coefficient·one``; a sum may only change its sign."""
    if coefficient == 1:
        return one
    if isinstance(one, Sum) and coefficient == -1:
        return _sum(-one.parts[0], [(-have, term) for have, term in one.parts[1]])
    number, factors = _factors(one)
    return _product(coefficient * number, factors)


def negate(one: Expr) -> Expr:
    """``−one``; ``−⌊a/b⌋`` is ``⌈−a/b⌉`` where ``a`` is written as a negative, or is one."""
    if isinstance(one, Floor) and (one.parts[0].value < 0 or _scale_of(one.parts[0]) < 0):
        return Ceil((negate(one.parts[0]), one.parts[1]), -one.value)
    return scale(one, -1)


def _scale_of(one: Expr) -> Any:
    """The coefficient of a product or of the first term of a sum."""
    if isinstance(one, Sum):
        return one.parts[1][0][0]
    return _factors(one)[0]


# -- products --------------------------------------------------------------------------------------


def _factors(one: Expr) -> tuple[Any, Factors]:
    if isinstance(one, Const):
        return one.value, []
    if isinstance(one, Product):
        return one.parts[0], list(one.parts[1])
    return 1, [(one, 1)]


def multiply(first: Expr, second: Expr) -> Expr:
    """``first·second``"""
    number, factors = _factors(first)
    more, others = _factors(second)
    for factor, power in others:
        for i, (have, had) in enumerate(factors):
            if have == factor:
                factors[i] = (have, had + power)
                break
        else:
            factors.append((factor, power))
    return _product(number * more, factors)


def _product(coefficient: Any, factors: Factors) -> Expr:
    if coefficient == 0 or not factors:
        return const(coefficient)
    if len(factors) == 1 and factors[0][1] == 1:
        if coefficient == 1:
            return factors[0][0]
        if coefficient == -1 and isinstance(factors[0][0], Sum):
            return scale(factors[0][0], -1)
    for i, (factor, power) in enumerate(factors):  # (1 − a)·b is written −(a − 1)·b
        if isinstance(factor, Sum) and power % 2 and all(number < 0 for number, _ in factor.parts[1]):
            factors[i] = (scale(factor, -1), power)
            coefficient = -coefficient
    value = coefficient
    for factor, power in factors:
        value *= factor.value**power
    return Product((coefficient, tuple(factors)), value)


def _without(factors: Factors, divisor: Factors) -> Factors | None:
    """``factors`` without those of ``divisor``; ``None`` if some are missing."""
    left = list(factors)
    for factor, power in divisor:
        for i, (have, had) in enumerate(left):
            if have == factor and had >= power:
                left[i : i + 1] = [(have, had - power)] if had > power else []
                break
        else:
            return None
    return left


def raise_to(base: Expr, exponent: Expr) -> Expr:
    """``base^exponent``"""
    if isinstance(exponent, Const) and isinstance(exponent.value, int) and exponent.value >= 0:
        result: Expr = ONE
        for _ in range(exponent.value):
            result = multiply(result, base)
        return result
    value: Any = base.value**exponent.value
    return Power((base, exponent), value)


# -- divisions -------------------------------------------------------------------------------------


def cancel(top: Expr, bottom: Expr) -> Expr | None:
    """``top/bottom`` if it divides as written."""
    if isinstance(bottom, Const):
        by = bottom.value
        if by == 1:
            return top
        if isinstance(by, int) and by > 0:
            constant, terms = _terms(top)
            if isinstance(constant, int) and all(n % by == 0 for n in (constant, *(n for n, _ in terms))):
                return _sum(constant // by, [(n // by, term) for n, term in terms])
        return None
    if isinstance(top, Sum) and not isinstance(bottom, Sum):
        parts = [cancel(scale(term, n), bottom) for n, term in top.parts[1]]
        if top.parts[0] or None in parts:
            return None
        result: Expr = ZERO
        for part in parts:
            assert part is not None
            result = add(result, part)
        return result
    number, factors = _factors(top)
    by, divisors = _factors(bottom)
    left = _without(factors, divisors)
    return None if left is None or number % by else _product(number // by, left)


def floor_divide(top: Expr, bottom: Expr, value: int, exact: bool = False) -> Expr:
    """``⌊top/bottom⌋``; ``exact`` says that it divides, whatever the numbers are."""
    done = cancel(top, bottom)
    if done is not None:
        return done
    if isinstance(top, Const) and isinstance(bottom, Const):
        return const(value)
    if bottom == Const((2,), 2) and (half := _positive_part(top)) is not None:
        return half
    if isinstance(bottom, Call) and bottom.parts[0] == "gcd" and top in bottom.parts[1:]:
        exact = True
    return (Ratio if exact else Floor)((top, bottom), value)


def _positive_part(top: Expr) -> Expr | None:
    """``(x + |x|)/2`` as ``max(x, 0)``."""
    if isinstance(top, Sum):
        for coefficient, term in top.parts[1]:
            if coefficient == 1 and isinstance(term, Call) and term.parts[0] == "abs":
                inside = term.parts[1]
                if add(top, term, -1) == inside:
                    return call("max", inside, ZERO)
    return None


def ratio(top: Expr, bottom: Expr) -> Expr:
    """The exact quotient, common factors cancelled term by term; a fraction if it is not whole."""
    if isinstance(top, Sum):
        result: Expr = ZERO
        constant, terms = _terms(top)
        for part in [*(scale(term, n) for n, term in terms), *([const(constant)] if constant else [])]:
            result = add(result, ratio(part, bottom))
        return result
    for one, other in ((top, bottom), (bottom, top)):
        for factor, power in _factors(one)[1]:
            if isinstance(factor, Ratio) and power == 1:  # a/b of the one is b in the other
                rest = _without(_factors(one)[1], [(factor, 1)]) or []
                one = multiply(_product(_factors(one)[0], rest), factor.parts[0])
                other = multiply(other, factor.parts[1])
                return ratio(one, other) if factor in dict(_factors(top)[1]) else ratio(other, one)
    number, factors = _factors(top)
    by, divisors = _factors(bottom)
    for factor, power in list(divisors):
        have = dict(factors).get(factor, 0)
        common = min(have, power)
        if common:
            factors = [(f, p - common * (f == factor)) for f, p in factors if p > common * (f == factor)]
            divisors = [(f, p - common * (f == factor)) for f, p in divisors if p > common * (f == factor)]
    common = gcd(number, by)
    above, below = _product(number // common, factors), _product(by // common, divisors)
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
