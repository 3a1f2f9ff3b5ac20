"""Expressions in specs: arithmetic over names in bounded time and space, sandboxed.

Python's grammar is parsed and a short list of its forms is walked; everything else is refused.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

MAX_LENGTH = 1000
MAX_BITS = 512
MAX_ITEMS = 10_000

Value = Any  # int, float, bool, None, Name, str or a tuple of such values
Lookup = Callable[[str], Value]
Spend = Callable[[int], None]
"""Called with the work to do: 1 for each form of the text and each value of a list; it may raise to stop."""


class Run(NamedTuple):
    """What an evaluation needs: the lookup of names, and the counter of work."""

    lookup: Lookup
    spend: Spend

    def spend_on(self, *values: Value) -> None:
        """Counts the values in lists, of which each may hold so many."""
        self.spend(sum([check_size(value) for value in values if isinstance(value, tuple)]))


class Name(str):
    """A name used as a value: of a layer, a block, a tensor or a choice."""

    __slots__ = ()


class ExpressionError(Exception):
    """What is wrong in an expression, at which character, with a hint."""

    def __init__(self, message: str, hint: str | None = None, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset


class UnknownNameError(ExpressionError):
    """A name that is not defined here; raised by lookups."""


CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}


def evaluate(text: str, lookup: Lookup, spend: Spend = lambda _: None) -> Value:
    """The value of an expression; ``lookup`` gives the value of a name or raises UnknownNameError.

    Raises:
        ExpressionError: not an expression, a form or function that is not allowed, a wrong type, too large.
    """
    text = text.strip()
    if text.isidentifier() and text not in _KEYWORDS:
        spend(1)
        return CONSTANTS[text] if text in CONSTANTS else lookup(text)
    tree, forms = _parse(text)
    spend(forms)
    try:
        return _walk(tree, Run(lookup, spend))
    except ExpressionError as error:
        # Python's tree counts bytes.
        error.offset = len(text.encode()[: error.offset].decode(errors="ignore"))
        raise
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None


def template(text: str) -> list[str]:
    """The pieces of a name such as ``layer{index + 1}``: alternating text and expressions, text first.

    ``{{`` and ``}}`` are literal braces.

    Raises:
        ExpressionError: a brace without its partner.
    """
    if "{" not in text and "}" not in text:
        return [text]
    pieces, rest, at = [""], text, 0
    while rest:
        found = re.match(r"([^{}]+)|(\{\{|\}\})|\{([^{}]+)\}", rest)
        if found is None:
            raise ExpressionError(f"'{text}' has a brace without its partner", "{{ and }} are braces in a name")
        plain, doubled, expression = found.groups()
        if expression is not None:
            pieces += [expression, ""]
        else:
            pieces[-1] += plain or doubled[0]
        rest, at = rest[found.end() :], at + found.end()
    return pieces


_KEYWORDS = frozenset({"and", "or", "not", "if", "else", "in", "True", "False", "None"})


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[ast.expr, int]:
    """The tree of an expression, and how many forms it has."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "1if x" is only a warning in Python
            tree = ast.parse(text.replace("\n", " "), mode="eval").body
            return tree, sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    except SyntaxError as error:
        reason = (error.msg or "cannot be read").split(". Perhaps")[0]
        raise ExpressionError(f"not an expression: {reason}", offset=max((error.offset or 1) - 1, 0)) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("not an expression") from None


# -- functions and operators -----------------------------------------------------------------------


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > 2 * MAX_BITS:
        raise OverflowError
    return base**exponent


def _round_to(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """The nearest multiple of ``divisor`` that is never more than 10% below (Sandler et al. 2018, MobileNetV2 code)."""
    result = max(minimum or divisor, int(value + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * value else result


def _range(*limits: int) -> tuple[int, ...]:
    numbers = range(*limits)
    if len(numbers) > MAX_ITEMS:
        raise OverflowError
    return tuple(numbers)


def _round(value: float, digits: int = 0) -> Value:
    if abs(digits) > 20:
        raise OverflowError
    return round(value, digits) if digits else round(value)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": math.trunc,
    "len": len,
    "max": max,
    "min": min,
    "range": _range,
    "round": _round,
    "round_to": _round_to,
    "sum": sum,
}
_OPERATORS: dict[type[ast.AST], Callable[..., Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: isinstance(b, tuple) and a in b,
    ast.NotIn: lambda a, b: isinstance(b, tuple) and a not in b,
}

# -- the forms -------------------------------------------------------------------------------------


def _walk(node: ast.expr, run: Run) -> Value:
    try:
        return _RULES.get(type(node), _other)(node, run)
    except ExpressionError as error:
        error.offset = error.offset or node.col_offset  # what is at 0 lies in no form that begins later
        raise


def _other(node: Any, run: Run) -> Value:
    what = _FOREIGN.get(type(node), "such forms")
    hint = f"it has arithmetic, comparisons, and/or/not, 'a if c else b', lists, indexing and {_LISTED}"
    raise _foreign(what, hint, verb="are")


_LISTED = f"functions: {', '.join(sorted(FUNCTIONS))}"
_FOREIGN: dict[type[ast.expr], str] = {
    ast.Attribute: "attributes",
    ast.Dict: "mappings",
    ast.DictComp: "comprehensions",
    ast.GeneratorExp: "comprehensions",
    ast.JoinedStr: "f-strings",
    ast.Lambda: "lambda functions",
    ast.ListComp: "comprehensions",
    ast.NamedExpr: "assignments",
    ast.Set: "sets",
    ast.SetComp: "comprehensions",
    ast.Starred: "unpacked lists",
}


def _foreign(what: str, hint: str | None = None, verb: str = "is") -> ExpressionError:
    return ExpressionError(f"{what} {verb} not part of the expression language", hint)


def _number(value: Value, node: ast.expr) -> Value:
    if isinstance(value, (int, float)):
        return value
    what = f"'{value}'" if isinstance(value, str) else "null" if value is None else "a list"
    raise ExpressionError(f"arithmetic needs a number, got {what}", offset=node.col_offset)


_TOO_LARGE = f"the result is too large (numbers have at most {MAX_BITS} bits)"


def _bounded(value: Value) -> Value:
    if isinstance(value, complex):
        raise ExpressionError("the result is not a real number")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ExpressionError(_TOO_LARGE)
    return value


def _constant(node: Any, run: Run) -> Value:
    if isinstance(node.value, (int, float, str)) or node.value is None:
        return _bounded(node.value)
    raise _foreign(repr(node.value))


def _name(node: Any, run: Run) -> Value:
    return CONSTANTS[node.id] if node.id in CONSTANTS else run.lookup(node.id)


def _binary(node: Any, run: Run) -> Value:
    left, right = _walk(node.left, run), _walk(node.right, run)
    apply = _OPERATORS.get(type(node.op))
    if apply is None:
        raise _foreign(f"operator '{type(node.op).__name__}'")
    if isinstance(left, tuple) and isinstance(right, tuple) and apply is operator.add:
        run.spend_on(left + right)
        return left + right
    _number(left, node.left), _number(right, node.right)
    try:
        return _bounded(apply(left, right))
    except ZeroDivisionError:
        raise ExpressionError("division by zero") from None
    except OverflowError:
        raise ExpressionError(_TOO_LARGE) from None


def _unary(node: Any, run: Run) -> Value:
    value = _walk(node.operand, run)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.Invert):
        raise _foreign("operator '~'")
    return _OPERATORS[type(node.op)](_number(value, node.operand))


def _compare(node: Any, run: Run) -> Value:
    left = _walk(node.left, run)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _walk(right_node, run)
        if isinstance(op, (ast.Is, ast.IsNot)):
            raise _foreign("'is'", "compare with '=='")
        run.spend_on(left, right)
        try:
            if not _OPERATORS[type(op)](left, right):
                return False
        except TypeError:
            raise ExpressionError("these two values cannot be compared") from None
        left = right
    return True


def _boolean(node: Any, run: Run) -> Value:
    stop_at = isinstance(node.op, ast.Or)
    value: Value = None
    for part in node.values:
        value = _walk(part, run)
        if bool(value) is stop_at:
            break
    return value


def _subscript(node: Any, run: Run) -> Value:
    value = _walk(node.value, run)
    if isinstance(node.slice, ast.Slice):
        raise _foreign("slices", "index one element", verb="are")
    index = _walk(node.slice, run)
    if not isinstance(value, tuple):
        raise ExpressionError("only a list can be indexed")
    if not isinstance(index, int) or isinstance(index, bool):
        raise ExpressionError("an index must be a whole number", offset=node.slice.col_offset)
    if not -len(value) <= index < len(value):
        raise ExpressionError(f"index {index} is outside a list of {len(value)}", offset=node.slice.col_offset)
    return value[index]


def _call(node: Any, run: Run) -> Value:
    if not isinstance(node.func, ast.Name):
        _walk(node.func, run)
        raise ExpressionError("only a function can be called")
    name = node.func.id
    if name not in FUNCTIONS:
        raise ExpressionError(f"'{name}' is not a function of the expression language", _LISTED)
    if node.keywords:
        raise ExpressionError(f"{name}() takes values without names")
    arguments = [_walk(argument, run) for argument in node.args]
    run.spend_on(*arguments)
    try:
        result = _bounded(FUNCTIONS[name](*arguments))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ExpressionError(f"{name}() cannot take these values") from None
    run.spend_on(result)
    return result


def _list(node: Any, run: Run) -> Value:
    values = tuple([_walk(item, run) for item in node.elts])
    run.spend_on(values)
    return values


_RULES: dict[type[ast.expr], Callable[[Any, Run], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.IfExp: lambda node, run: _walk(node.body if _walk(node.test, run) else node.orelse, run),
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.List: _list,
    ast.Tuple: _list,
}

# -- values ----------------------------------------------------------------------------------------


def whole(value: Value) -> Value:
    """``2.0`` as ``2``: a number without a fraction is whole, however it was computed."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**MAX_BITS:
        return int(value)
    return value


def check_size(values: tuple[Value, ...]) -> int:
    """How many values a list holds, nested lists included; bounded, so that lists of lists stay small too.

    Raises:
        ExpressionError: it holds too many values.
    """
    left = MAX_ITEMS
    open_lists = [values]
    while open_lists:
        values = open_lists.pop()
        left -= len(values)
        if left < 0:
            raise ExpressionError(f"a list of more than {MAX_ITEMS:,} values")
        open_lists += [value for value in values if isinstance(value, tuple)]
    return MAX_ITEMS - left
