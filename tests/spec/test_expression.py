"""The expression language: Python's own arithmetic is the oracle; the rest is refused, and all of it is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.spec.expression import MAX_BITS, MAX_ITEMS, ExpressionError, Name, UnknownNameError, evaluate
from tests.work import at_most

WORK = 5 * MAX_ITEMS
"""Calls of functions for one expression of at most 1000 characters: a few for each item of the largest list."""
NAMES = {"a": 3, "b": 7, "c": 2.5, "yes": True, "list": (1, 2, 3), "nested": ((1, 2), (3,)), "act": Name("relu")}


def lookup(name):
    if name not in NAMES:
        raise UnknownNameError(f"there is no variable '{name}' here")
    return NAMES[name]


def value(text):
    return evaluate(text, lookup)


def refusal(text):
    with at_most(WORK), pytest.raises(ExpressionError, match=r"\S") as caught:
        value(text)
    return caught.value


numbers = st.one_of(
    st.integers(0, 50).map(str), st.floats(0, 50, allow_nan=False).map(lambda x: f"{x:.3f}"), st.sampled_from("abc")
)


def deeper(parts):
    return st.one_of(
        st.tuples(parts, st.sampled_from(["+", "-", "*", "/", "//", "%"]), parts).map(" ".join),
        st.tuples(parts, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), parts).map(lambda t: f"({' '.join(t)})"),
        st.tuples(parts, st.sampled_from(["and", "or"]), parts).map(lambda t: f"({' '.join(t)})"),
        parts.map(lambda x: f"({x})"),
        parts.map(lambda x: f"-({x})"),
        parts.map(lambda x: f"+({x})"),
        parts.map(lambda x: f"(not {x})"),
        st.tuples(parts, parts, parts).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(st.sampled_from(["min", "max"]), parts, parts).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(st.sampled_from(["abs", "round", "int"]), parts).map(lambda t: f"{t[0]}({t[1]})"),
        st.lists(parts, min_size=1, max_size=3).map(lambda items: f"sum([{', '.join(items)}])"),
        st.lists(parts, min_size=1, max_size=3).map(lambda items: f"len([{', '.join(items)}])"),
        st.lists(parts, min_size=1, max_size=3).map(lambda items: f"([{', '.join(items)}][0])"),
    )


@given(st.recursive(numbers, deeper, max_leaves=12))
def test_what_python_computes(text):
    try:
        expected = eval(text, {}, dict(NAMES))
    except (ZeroDivisionError, OverflowError):
        with pytest.raises(ExpressionError, match=r"division by zero|cannot take these values|too large"):
            value(text)
        return
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("list[0] + list[-1]", 4),
        ("nested[0][1]", 2),
        ("[a, b + 1]", (3, 8)),
        ("(1, 2)", (1, 2)),
        ("[1] + [2, 3]", (1, 2, 3)),
        ("range(3)", (0, 1, 2)),
        ("range(1, 9, 4)", (1, 5)),
        ("list == [1, 2, 3]", True),
        ("2 in list", True),
        ("9 not in list", True),
        ("1 < a < b", True),
        ("1 < b < a", False),
        ("act == relu_", False),
        ("act", "relu"),
        ("true and not false", True),
        ("null", None),
        ("null == null", True),
        ("ceil(2.1) + floor(2.9)", 5),
        ("round(2.567, 2)", 2.57),
        ("round(5, -1)", 0),
        ("'relu'", "relu"),
        ("0xff + 0b1 + 0o7 + 1_000", 1263),
        ("  a  ", 3),
        ("(a +\n b)", 10),
    ],
)
def test_values(text, expected):
    found = evaluate(text, lambda name: Name("x") if name == "relu_" else lookup(name))
    assert found == expected
    assert type(found) in (type(expected), Name)


def test_the_other_branch_is_not_evaluated():
    assert value("1 if yes else 1 // 0") == 1
    assert value("yes or 1 // 0") is True
    assert value("a > 5 and 1 // 0") is False


@given(st.integers(1, 4000), st.integers(1, 64))
def test_round_to(channels, divisor):
    """The MobileNets' rule: a multiple of the divisor, never more than 10% below, and otherwise the nearest."""
    rounded = value(f"round_to({channels}, {divisor})")
    assert rounded % divisor == 0
    assert rounded >= divisor
    assert rounded >= 0.9 * channels
    nearest = {m for m in range(0, channels + 2 * divisor, divisor) if 2 * abs(m - channels) <= divisor}
    fits = {m for m in nearest if m >= divisor and m >= 0.9 * channels}
    if fits:
        assert rounded in fits
    elif channels >= divisor:
        assert rounded == channels // divisor * divisor + divisor
    else:
        assert rounded == divisor


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        # MobileNetV2 (Sandler et al. 2018, Table 2) times a width multiplier, as the authors' code rounds it
        (1.0, [32, 16, 24, 32, 64, 96, 160, 320]),
        # torchvision's mobilenet_v2(width_mult=0.75) and (1.4): _make_divisible(c * width, 8)
        (0.75, [24, 16, 24, 24, 48, 72, 120, 240]),
        (1.4, [48, 24, 32, 48, 88, 136, 224, 448]),
    ],
)
def test_round_to_of_the_mobilenets(width, expected):
    assert [value(f"round_to({c} * {width}, 8)") for c in [32, 16, 24, 32, 64, 96, 160, 320]] == expected


def test_a_minimum_for_round_to():
    assert value("round_to(3, 8, 16)") == 16


# What has no place in the language.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.real", "attributes are not part of the expression language"),
        ("(1).__class__", "attributes are not part of the expression language"),
        ("''.join", "attributes are not part of the expression language"),
        ("''.join([1])", "attributes are not part of the expression language"),
        ("[x for x in list]", "comprehensions are not part of the expression language"),
        ("{x for x in list}", "comprehensions are not part of the expression language"),
        ("{x: x for x in list}", "comprehensions are not part of the expression language"),
        ("sum(x for x in list)", "comprehensions are not part of the expression language"),
        ("lambda: 3", "lambda functions are not part of the expression language"),
        ("(lambda: 3)()", "lambda functions are not part of the expression language"),
        ("(x := 3)", "assignments are not part of the expression language"),
        ("f'{a}'", "f-strings are not part of the expression language"),
        ("{'a': 1}", "mappings are not part of the expression language"),
        ("{1, 2}", "sets are not part of the expression language"),
        ("max(*list)", "unpacked lists are not part of the expression language"),
        ("max(1, key=2)", "max() takes values without names"),
        ("max(**list)", "max() takes values without names"),
        ("__import__('os')", "'__import__' is not a function of the expression language"),
        ("open('x')", "'open' is not a function of the expression language"),
        ("a(3)", "'a' is not a function of the expression language"),
        ("list[0](3)", "only a function can be called"),
        ("list[0:2]", "slices are not part of the expression language"),
        ("a @ b", "operator 'MatMult' is not part of the expression language"),
        ("a << b", "operator 'LShift' is not part of the expression language"),
        ("a | b", "operator 'BitOr' is not part of the expression language"),
        ("~a", "operator '~' is not part of the expression language"),
        ("a is b", "'is' is not part of the expression language"),
        ("1j", "1j is not part of the expression language"),
        ("b'x'", "b'x' is not part of the expression language"),
        ("...", "Ellipsis is not part of the expression language"),
        ("await a", "such forms are not part of the expression language"),
        ("import os", "not an expression: invalid syntax"),
        ("a = 3", "not an expression: invalid syntax"),
        ("a +", "not an expression: invalid syntax"),
        ("(a", "not an expression: '(' was never closed"),
        ("", "not an expression: invalid syntax"),
        ("a; b", "not an expression: invalid syntax"),
        ("'x' * 9", "arithmetic needs a number, got 'x'"),
        ("act + 1", "arithmetic needs a number, got 'relu'"),
        ("null + 1", "arithmetic needs a number, got null"),
        ("list * 2", "arithmetic needs a number, got a list"),
        ("-list", "arithmetic needs a number, got a list"),
        ("a < act", "these two values cannot be compared"),
        ("a[0]", "only a list can be indexed"),
        ("list[3]", "index 3 is outside a list of 3"),
        ("list[-4]", "index -4 is outside a list of 3"),
        ("list[1.0]", "an index must be a whole number"),
        ("list[true]", "an index must be a whole number"),
        ("a // 0", "division by zero"),
        ("a % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("(-8) ** 0.5", "the result is not a real number"),
        ("max()", "max() cannot take these values"),
        ("ceil(act)", "ceil() cannot take these values"),
        ("int('3')", "int() cannot take these values"),
        ("len(3)", "len() cannot take these values"),
        ("sum([[1], [2]])", "sum() cannot take these values"),
        ("nosuch", "there is no variable 'nosuch' here"),
        ("1 + nosuch", "there is no variable 'nosuch' here"),
    ],
)
def test_refusals(text, message):
    assert refusal(text).message == message


def test_a_hint_lists_what_there_is():
    functions = "abs, ceil, floor, int, len, max, min, range, round, round_to, sum"
    assert refusal("open(3)").hint == f"functions: {functions}"
    assert refusal("a.b").hint == (
        "it has arithmetic, comparisons, and/or/not, 'a if c else b', lists, indexing and functions: " + functions
    )
    assert refusal("a is b").hint == "compare with '=='"


@pytest.mark.parametrize(
    ("text", "offset"), [("1 + nosuch", 4), ("1 + (2 // 0)", 5), ("a + list[7]", 9), ("  1 + + x.y", 6), ("1 +* 2", 3)]
)
def test_the_fault_is_pointed_at(text, offset):
    """The offset counts from the first character that is no space."""
    assert refusal(text).offset == offset


TOO_LARGE = f"the result is too large (numbers have at most {MAX_BITS} bits)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9**9**9", TOO_LARGE),
        ("9**9**9**9**9**9", TOO_LARGE),
        ("(-9)**(9**9)", TOO_LARGE),
        ("2 ** 513", TOO_LARGE),
        ("10.0 ** 400", TOO_LARGE),
        ("(2 ** 512) * (2 ** 512)", TOO_LARGE),
        ("1" + "0" * 200, TOO_LARGE),
        ("(10 ** 150) ** (10 ** 150)", TOO_LARGE),
        ("1 / (10 ** -400)", TOO_LARGE),
        ("round(5, -10**9)", "round() cannot take these values"),
        ("round(5, 10**9)", "round() cannot take these values"),
        ("round(10.0**300 * 10.0**300)", "round() cannot take these values"),
        ("range(10**9)", "range() cannot take these values"),
        ("range(10**100)", "range() cannot take these values"),
        ("range(10000) + range(10000)", "a list of more than 10,000 values"),
        (f"[{', '.join(['range(10000)'] * 2)}]", "a list of more than 10,000 values"),
        ("(" * 90 + "1" + ")" * 90, None),
        ("(" * 400 + "1" + ")" * 400, "not an expression: too many nested parentheses"),
        ("[" * 400 + "]" * 400, "not an expression: too many nested parentheses"),
        ("-" * 990 + "1", "the expression is nested too deeply"),
        ("not " * 240 + "1", None),
        ("1" + " + 1" * 240, None),
        ("1" + " ** 1" * 190, None),
        ("1+" * 2000 + "1", "the expression is longer than 1000 characters"),
        ("a if " * 150 + "a" + " else a" * 2, "not an expression: expected 'else' after 'if' expression"),
    ],
)
def test_the_work_is_bounded(text, message):
    """A message or a value, after few calls of functions."""
    if message is None:
        with at_most(WORK):
            value(text)
    else:
        assert refusal(text).message == message


def test_lists_of_lists_are_bounded():
    """A list that holds others counts with all that is in them, however it was put together."""
    held = {"a": tuple(range(100))}
    for name, inner in [("b", "a"), ("c", "b")]:
        held[name] = evaluate(f"[{', '.join([inner] * 9)}]", held.__getitem__)
    with pytest.raises(ExpressionError, match=f"a list of more than {MAX_ITEMS:,} values"):
        evaluate(f"[{', '.join(['c'] * 9)}]", held.__getitem__)


@given(st.text(alphabet="ab0123456789+-*/%()[]<>=!,. 'iflse\"\\:{}", max_size=40))
def test_any_text_has_a_value_or_a_message(text):
    try:
        evaluate(text, lookup)
    except ExpressionError as error:
        refused = error
    else:
        return
    assert refused.message
    assert 0 <= refused.offset <= len(text) + 1


def test_the_fault_is_counted_in_characters():
    """Python's syntax tree counts bytes."""
    assert evaluate("größe + 1", {"größe": 2}.__getitem__) == 3
    assert refusal("'größe' == nosuch").offset == 11


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["1if a else 2", "0or a", "a is 1", "1 (2)", "[1, 2] [3, 4]", "'\\d'"])
def test_pythons_warnings_are_not_ours(text):
    """On standard error they would stand beside the one message."""
    try:
        evaluate(text, lookup)
    except ExpressionError as error:
        message = error.message
    else:
        return
    assert message
