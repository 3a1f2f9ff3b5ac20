"""Integers that remember how they were computed: layers' methods and formulas are run on them.

A :class:`Traced` is an ``int`` in every respect, so the code that computes a number is the code that
explains it. Besides its value it carries an expression, and the functions of :mod:`cnncalc.formulas`
that computed it: each operation asks in which function it takes place. A quantity
that was given a name (:meth:`Trace.define`) is written by that name from then on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import CodeType, FrameType, FunctionType
from typing import Any

from cnncalc import formulas
from cnncalc.analysis.explain import tree
from cnncalc.analysis.explain.tree import Expr, Name, Number
from cnncalc.formulas import number

Formula = Callable[..., Any]
Via = tuple[Formula, ...]


class Trace:
    """What is known while one layer is explained."""

    def __init__(self) -> None:
        self.known: dict[Expr, Name] = {}
        """Quantities by the expression that gave them."""
        self.exact: set[tuple[Expr, Expr]] = set()
        """Divisions known to be exact: the layer's code checked that ``a % b`` is 0."""
        self.order: dict[str, int] = {}
        """The order of the given symbols."""
        self.meanings: dict[str, str] = {}
        """The meaning of each given symbol, without its index."""

    def name(self, symbol: str, value: Number, general: str | None = None, meaning: str = "") -> Traced:
        """A given number, by its symbol."""
        self.order.setdefault(symbol, len(self.order))
        if meaning:
            self.meanings.setdefault(symbol.partition("_")[0], meaning)
        return Traced.of(Name(symbol, value, general), (), self)

    def result(self, symbol: str, value: int) -> int:
        """A computed number under its name, for later formulas; a plain number stays plain."""
        return Traced.of(Name(symbol, value.expr.value), (), self) if isinstance(value, Traced) else value

    def define(self, symbol: str, value: int, general: str | None = None) -> int:
        """A number that was computed, named from here on; one that is a plain number or a name already stays so."""
        if not isinstance(value, Traced) or isinstance(value.expr, (Name, tree.Const)):
            return value
        name = self.known[value.expr] = Name(symbol, value.expr.value, general)
        return Traced.of(name, (), self)


class Traced(int):
    """A whole number with the expression that computes it."""

    expr: Expr
    via: Via
    trace: Trace

    @classmethod
    def of(cls, expr: Expr, via: Via, trace: Trace) -> Traced:
        """The number of an expression."""
        # A name may stand for a fraction (a jump), which is only ever multiplied; its int is then of no use.
        one = int.__new__(cls, int(expr.value))
        one.expr, one.via, one.trace = expr, via, trace
        return one

    def _of(self, expr: Expr, *others: Any) -> Traced:
        """A result of an operation on this number and others."""
        known = self.trace.known
        if known and expr in known:
            return Traced.of(known[expr], (), self.trace)
        if isinstance(expr, Name):  # passed on unchanged
            return Traced.of(expr, (), self.trace)
        via = self.via
        for other in others:
            if isinstance(other, Traced) and other.via and other.via != via:
                via += tuple(one for one in other.via if one not in via)
        here = _formula(sys._getframe(2))
        return Traced.of(expr, via if here is None or here in via else (*via, here), self.trace)

    # arithmetic

    def __add__(self, other: int) -> int:
        return self._of(tree.add(self.expr, _expr(other)), other) if isinstance(other, int) else NotImplemented

    def __radd__(self, other: int) -> int:
        return self._of(tree.add(_expr(other), self.expr), other) if isinstance(other, int) else NotImplemented

    def __sub__(self, other: int) -> int:
        return self._of(tree.add(self.expr, _expr(other), -1), other) if isinstance(other, int) else NotImplemented

    def __rsub__(self, other: int) -> int:
        return self._of(tree.add(_expr(other), self.expr, -1), other) if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return TracedFloat.of(self, other)
        return self._of(tree.multiply(self.expr, _expr(other)), other) if isinstance(other, int) else NotImplemented

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return TracedFloat.of(self, other)
        return self._of(tree.multiply(_expr(other), self.expr), other) if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: int) -> int:
        return self._of(self._divided(self, other), other) if isinstance(other, int) else NotImplemented

    def __rfloordiv__(self, other: int) -> int:
        return self._of(self._divided(other, self), other) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: int) -> int:
        return self._of(self._rest(self, other), other) if isinstance(other, int) else NotImplemented

    def __rmod__(self, other: int) -> int:
        return self._of(self._rest(other, self), other) if isinstance(other, int) else NotImplemented

    def __divmod__(self, other: int) -> tuple[int, int]:
        return self // other, self % other

    def __rdivmod__(self, other: int) -> tuple[int, int]:
        return other // self, other % self

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        return self._of(tree.raise_to(self.expr, _expr(other)), other) if isinstance(other, int) else NotImplemented

    def __rpow__(self, other: Any, modulo: Any = None) -> Any:
        return self._of(tree.raise_to(_expr(other), self.expr), other) if isinstance(other, int) else NotImplemented

    def __neg__(self) -> int:
        return self._of(tree.negate(self.expr))

    def __pos__(self) -> int:
        return self

    def __abs__(self) -> int:
        return self._of(tree.call("abs", self.expr))

    def _divided(self, top: int, bottom: int) -> Expr:
        above, below = _expr(top), _expr(bottom)
        value = above.value // below.value
        exact = (above, below) in self.trace.exact and above.value == value * below.value
        return tree.floor_divide(above, below, value, exact)

    def _rest(self, top: int, bottom: int) -> Expr:
        above, below = _expr(top), _expr(bottom)
        return tree.Rest((above, below), above.value % below.value)

    # the built-in functions would lose the expression (see cnncalc.formulas.number)

    def least(self, other: int) -> int:
        """``min``"""
        return self._of(tree.call("min", self.expr, _expr(other)), other)

    def greatest(self, other: int) -> int:
        """``max``"""
        return self._of(tree.call("max", self.expr, _expr(other)), other)

    def common_divisor(self, other: int) -> int:
        """``gcd``"""
        return self._of(tree.call("gcd", self.expr, _expr(other)), other)

    # comparisons: a bool is a number too, which a formula may subtract

    def _holds(self, sign: str, holds: bool, other: Any) -> Any:
        expr = tree.Truth((sign, self.expr, _expr(other)), int(holds))
        return Traced.of(expr, self.via + (other.via if isinstance(other, Traced) else ()), self.trace)

    def __lt__(self, other: int) -> Any:
        return self._holds("lt", int.__lt__(self, other), other) if isinstance(other, int) else NotImplemented

    def __le__(self, other: int) -> Any:
        return self._holds("le", int.__le__(self, other), other) if isinstance(other, int) else NotImplemented

    def __gt__(self, other: int) -> Any:
        return self._holds("gt", int.__gt__(self, other), other) if isinstance(other, int) else NotImplemented

    def __ge__(self, other: int) -> Any:
        return self._holds("ge", int.__ge__(self, other), other) if isinstance(other, int) else NotImplemented

    def __eq__(self, other: object) -> Any:
        return self._holds("eq", int.__eq__(self, other), other) if isinstance(other, int) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return self._holds("ne", int.__ne__(self, other), other) if isinstance(other, int) else NotImplemented

    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        if isinstance(self.expr, tree.Rest) and not self.expr.value:
            self.trace.exact.add((self.expr.parts[0], self.expr.parts[1]))
        return int.__bool__(self)


class TracedFloat(float):
    """A traced whole number times a plain fraction; all it can do is round down."""

    whole: Traced
    factor: float

    @classmethod
    def of(cls, whole: Traced, factor: float) -> TracedFloat:
        """``whole·factor``"""
        one = float.__new__(cls, int(whole) * factor)
        one.whole, one.factor = whole, factor
        return one

    def __floor__(self) -> int:
        inside = tree.multiply(tree.Const((self.factor,), self.factor), self.whole.expr)
        return self.whole._of(tree.Call(("floor", inside), int(self)))


def _expr(value: int) -> Expr:
    """The expression of any whole number."""
    return value.expr if isinstance(value, Traced) else tree.const(int(value))


expression = _expr


def via(value: object) -> Via:
    """The formulas that computed a number; none for a plain one."""
    return value.via if isinstance(value, Traced) else ()


# -- in which formula an operation takes place -------------------------------------------------------


@cache
def _codes() -> dict[CodeType, Formula | None]:
    """Every function of the formulas by its code, and by that of the functions and comprehensions in it.

    ``None`` for those of ``number``, which replace built-in functions and are not sources.
    """
    found: dict[CodeType, Formula | None] = {}
    for module in iter_modules(formulas.__path__, f"{formulas.__name__}."):
        for function in vars(import_module(module.name)).values():
            todo = [function.__code__] if isinstance(function, FunctionType) else []
            while todo:
                code = todo.pop()
                found[code] = None if function.__module__ == number.__name__ else function
                todo += [const for const in code.co_consts if isinstance(const, CodeType)]
    return found


def _formula(frame: FrameType | None) -> Formula | None:
    """The outermost of the formulas that are being computed at ``frame``."""
    codes, found = _codes(), None
    while frame is not None and frame.f_code in codes:
        found, frame = codes[frame.f_code] or found, frame.f_back
    return found
