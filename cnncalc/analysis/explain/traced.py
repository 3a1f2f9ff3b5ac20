"""Integers that remember how they were computed: layers' methods and formulas are run on them.

A :class:`Traced` is an ``int`` in every respect, so the code that computes a number is the code that
explains it. Besides its value it carries an expression, and the functions of :mod:`cnncalc.formulas`
that computed it: each operation asks in which function it takes place. A quantity
that was given a name (:meth:`Trace.define`) is written by that name from then on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
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
        self.exact: set[tuple[Expr, ...]] = set()
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


def _operations(build: Callable[[Expr, Expr], Expr]) -> Iterator[Any]:
    """The methods of an operation with another number on the right, and with one on the left."""
    for swapped in (False, True):

        def method(self: Traced, other: Any, swapped: bool = swapped) -> Any:
            if isinstance(other, float) and build is tree.multiply:
                return TracedFloat.of(self, other)
            if not isinstance(other, int):
                return NotImplemented
            pair = (expression(other), self.expr) if swapped else (self.expr, expression(other))
            return self._of(build(*pair), other)

        yield method


def _comparison(operator: str) -> Any:
    """The method of a comparison."""

    def method(self: Traced, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        holds = getattr(int, f"__{operator}__")(self, other)
        expr = tree.Truth((operator, self.expr, expression(other)), int(holds))
        return Traced.of(expr, self.via + via(other), self.trace)

    return method


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
        if isinstance(expr, tree.Floor) and expr.parts in self.trace.exact:
            expr = tree.Ratio(expr.parts, expr.value)
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

    __add__, __radd__ = _operations(tree.add)
    __sub__, __rsub__ = _operations(tree.subtract)
    __mul__, __rmul__ = _operations(tree.multiply)
    __floordiv__, __rfloordiv__ = _operations(tree.floor_divide)
    __mod__, __rmod__ = _operations(tree.remainder)
    __pow__, __rpow__ = _operations(tree.raise_to)
    # the built-in functions would lose the expression (see cnncalc.formulas.number)
    least, _ = _operations(partial(tree.call, "min"))
    greatest, _ = _operations(partial(tree.call, "max"))
    common_divisor, _ = _operations(partial(tree.call, "gcd"))

    def __divmod__(self, other: int) -> tuple[int, int]:
        return self // other, self % other

    def __rdivmod__(self, other: int) -> tuple[int, int]:
        return other // self, other % self

    def __neg__(self) -> int:
        return self._of(tree.negate(self.expr))

    def __pos__(self) -> int:
        return self

    def __abs__(self) -> int:
        return self._of(tree.call("abs", self.expr))

    # a bool is a number too, which a formula may subtract
    __lt__, __le__, __gt__, __ge__, __eq__, __ne__ = map(_comparison, ("lt", "le", "gt", "ge", "eq", "ne"))
    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        if isinstance(self.expr, tree.Rest) and not self.expr.value:
            self.trace.exact.add(self.expr.parts)
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


def expression(value: int) -> Expr:
    """The expression of any whole number."""
    return value.expr if isinstance(value, Traced) else tree.const(int(value))


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
