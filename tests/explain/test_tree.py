"""Random arithmetic on traced numbers: the value is that of plain integers, and what is written comes to it."""

from __future__ import annotations

from math import gcd

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cnncalc.analysis.explain.notation import Latex, Unicode
from cnncalc.analysis.explain.traced import Trace
from cnncalc.formulas.number import common_divisor, greatest, least
from tests.explain.arithmetic import evaluate, evaluate_latex

BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "min": least,
    "max": greatest,
    ">=": lambda a, b: a - (a >= b),
    "==": lambda a, b: a + (a == b),
    "divmod": lambda a, b: divmod(a, b)[0],
}
UNARY = {"neg": lambda a: -a, "abs": abs, "square": lambda a: a**2, "half": lambda a: (a + abs(a)) // 2}
NAMES = ("H", "K", "S_in", "start_1,h")

leaves = st.sampled_from(NAMES) | st.integers(-3, 4)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(st.sampled_from(sorted(BINARY)), inner, inner) | st.tuples(st.sampled_from(sorted(UNARY)), inner)
    ),
    max_leaves=9,
)
values = st.fixed_dictionaries({name: st.integers(-4, 9) for name in NAMES})


def compute(node, names):
    if isinstance(node, str):
        return names[node]
    if isinstance(node, int):
        return node
    operation, *parts = node
    parts = [compute(part, names) for part in parts]
    return (BINARY.get(operation) or UNARY[operation])(*parts)


ODD = {"H": 5, "K": 3, "S_in": 2, "start_1,h": -3}


@settings(max_examples=600)
@given(trees, values, st.booleans())
@example(("//", ("*", ("*", 3, "H"), "K"), ("*", 2, "K")), ODD, False)
@example(("+", ("*", ("*", 2, ("-", "H", 1)), "K"), "K"), ODD, False)
@example(("-", ("*", ("-", "H", "S_in"), "K"), ("*", "start_1,h", "K")), ODD, False)
@example(("//", ("+", ("*", 4, "H"), 2), 2), ODD, False)
@example(("//", ("+", ("*", 4, "H"), 3), 2), ODD, False)
def test_what_is_written_comes_to_the_value(node, names, checks):
    try:
        plain = compute(node, names)
    except ZeroDivisionError:
        assume(False)
    assume(abs(plain) < 10**15)
    trace = Trace()
    given_names = {name: trace.name(name, value) for name, value in names.items()}
    if checks:  # what a layer makes sure of
        for one in given_names.values():
            for other in given_names.values():
                if other != 0:
                    bool(one % other)
    traced = compute(node, given_names)
    assert int(traced) == plain
    if not hasattr(traced, "expr"):
        return
    assert traced.expr.value == plain
    assert evaluate(Unicode().write(traced.expr), names) == plain
    assert evaluate(Unicode(numbers=True).write(traced.expr)) == plain
    assert evaluate_latex(Latex().write(traced.expr), names) == plain
    assert evaluate_latex(Latex(numbers=True).write(traced.expr)) == plain


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_common_divisors(first, second, third):
    trace = Trace()
    a, b = trace.name("H", first), trace.name("K", second)
    whole = a // common_divisor(a, b) + common_divisor(third, b) * common_divisor(first, second)
    value = first // gcd(first, second) + gcd(third, second) * gcd(first, second)
    assert whole == value == whole.expr.value
    names = {"H": first, "K": second}
    assert evaluate(Unicode().write(whole.expr), names) == value == evaluate_latex(Latex().write(whole.expr), names)


@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from(NAMES)), min_size=1, max_size=6), values)
def test_ratios_are_exact(terms, names):
    from fractions import Fraction

    from cnncalc.analysis.explain.tree import ratio

    trace = Trace()
    given_names = {name: trace.name(name, value) for name, value in names.items()}
    top = sum(n * given_names[name] * given_names["H"] for n, name in terms)
    bottom = given_names["H"] * given_names["K"] * 6
    assume(int(bottom) != 0 and hasattr(top, "expr"))
    found = ratio(top.expr, bottom.expr)
    value = Fraction(int(top), int(bottom))
    assert found.value == value
    assert evaluate(Unicode().write(found), names) == value == evaluate_latex(Latex(numbers=True).write(found))
