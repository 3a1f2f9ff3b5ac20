"""The formulas against enumerations that know none of them."""

from __future__ import annotations

import ast
import inspect
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cnncalc import formulas
from cnncalc.formulas import cost
from cnncalc.formulas import receptive_field as rf
from cnncalc.formulas import size as sizes

positive = st.integers(1, 6)
ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
sizes_in = st.integers(1, 20)


# Sizes: positions are listed and counted.


def offsets(kernel, dilation):
    """Where a kernel's weights lie, from the first."""
    return [dilation * k for k in range(kernel)]


def starts(padded, kernel, stride, dilation):
    """Where windows begin that lie within ``padded`` pixels."""
    return [s for s in range(0, padded, stride) if all(s + o < padded for o in offsets(kernel, dilation))]


@given(positive, positive)
def test_effective_kernel(kernel, dilation):
    places = offsets(kernel, dilation)
    assert sizes.effective_kernel(kernel, dilation) == len(range(places[0], places[-1] + 1))


@given(sizes_in, positive, positive, ends, positive)
@example(1, 1, 1, (0, 0), 1)
def test_conv_output_size(size, kernel, stride, padding, dilation):
    found = len(starts(size + sum(padding), kernel, stride, dilation))
    out = sizes.conv_output_size(size, kernel, stride, padding, dilation)
    assert out == found if found else out < 1


@given(sizes_in, positive, positive, ends, positive)
@example(5, 2, 2, (0, 0), 1)
@example(1, 2, 2, (0, 0), 1)
@example(3, 2, 3, (1, 1), 1)
def test_ceil_pool_output_size(size, kernel, stride, padding, dilation):
    before, after = padding
    assume(before <= kernel // 2 and after <= kernel // 2)
    padded = size + before + after
    found = starts(padded, kernel, stride, dilation)
    # One more window, which sticks out, where the last leaves pixels behind it and it still starts
    # before the input's end (the leading padding belongs to that: PyTorch).
    reach = offsets(kernel, dilation)[-1]
    following = found[-1] + stride if found else 0
    leaves = found[-1] + reach + 1 < padded if found else reach + 1 < padded + stride
    if leaves and following < size + before:
        found.append(following)
    out = sizes.ceil_pool_output_size(size, kernel, stride, padding, dilation)
    assert out == len(found) if found else out < 1


@given(sizes_in, positive, positive, ends, positive, st.integers(0, 3))
def test_conv_transpose_output_size(size, kernel, stride, padding, dilation, output_padding):
    """The last pixel that a weight lands on, less what is cut off."""
    landed = {i * stride + o for i in range(size) for o in offsets(kernel, dilation)}
    expected = len(range(max(landed) + 1)) - padding[0] - padding[1] + output_padding
    assert sizes.conv_transpose_output_size(size, kernel, stride, padding, dilation, output_padding) == expected


@given(sizes_in, positive, positive, ends, positive)
def test_transposed_convolution_undoes_the_size_of_a_convolution(size, kernel, stride, padding, dilation):
    """Among the output paddings 0 … S−1 just one gives back the size that a convolution came from."""
    out = sizes.conv_output_size(size, kernel, stride, padding, dilation)
    assume(out >= 1)
    back = [sizes.conv_transpose_output_size(out, kernel, stride, padding, dilation, more) for more in range(stride)]
    assert back.count(size) == 1


@given(sizes_in, positive, positive, positive)
def test_same_padding(size, kernel, stride, dilation):
    wanted = len(range(0, size, stride))
    assert sizes.same_output_size(size, stride) == wanted
    total = next(p for p in range(100) if len(starts(size + p, kernel, stride, dilation)) >= wanted)
    before, after = sizes.same_padding(size, kernel, stride, dilation)
    assert before + after == total
    assert after - before in (0, 1)
    assert sizes.conv_output_size(size, kernel, stride, (before, after), dilation) == wanted


@given(sizes_in, sizes_in)
def test_adaptive_window(size, output_size):
    """Unit i stands for [i·H/O, (i+1)·H/O), and reads every pixel that this interval meets."""
    share = Fraction(size, output_size)
    for unit in range(output_size):
        met = [p for p in range(size) if p < (unit + 1) * share and p + 1 > unit * share]
        assert range(*sizes.adaptive_window(unit, size, output_size)) == range(met[0], met[-1] + 1)


# Costs: every multiply-accumulate is visited.


@given(st.integers(0, 5), positive, positive, positive, st.integers(1, 3))
def test_conv_macs(positions, taps, in_per_group, out_per_group, groups):
    in_channels, out_channels = in_per_group * groups, out_per_group * groups
    weights = [
        (tap, i, o)
        for tap, i, o in product(range(taps), range(in_channels), range(out_channels))
        if i // in_per_group == o // out_per_group
    ]
    assert cost.conv_weight_count(taps, in_channels, out_channels, groups) == len(weights)
    visits = sum(1 for _ in range(positions) for _ in weights)
    assert cost.conv_macs(positions, taps, in_channels, out_channels, groups) == visits


@given(positive, positive, positive)
def test_matmul_macs(rows, inner, columns):
    left, right = np.ones((rows, inner), int), np.ones((inner, columns), int)
    assert cost.matmul_macs(rows, inner, columns) == (left @ right).sum()


@given(st.integers(0, 10**30))
def test_flops(macs):
    """A multiply and an add for each."""
    assert cost.flops(macs) == macs + macs


# One code for a number and for an array of a million.


def public_functions(module):
    return [
        f
        for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and name[0] != "_"
    ]


ALL = [f for module in (sizes, cost) for f in public_functions(module)]


def flat(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)
@given(data=st.data())
def test_arrays_give_what_numbers_give(function, data):
    """Each argument is an array or one number for all; the results agree element by element, as integers."""
    count = 5
    numbers = st.lists(st.integers(1, 40), min_size=count, max_size=count)

    def argument():
        values = data.draw(numbers)
        return np.array(values) if data.draw(st.booleans()) else values[0]

    pairs = [p.annotation == "Pair" for p in inspect.signature(function).parameters.values()]
    arguments = [(argument(), argument()) if pair else argument() for pair in pairs]

    def element(value, i):
        if isinstance(value, tuple):
            return tuple(element(v, i) for v in value)
        return int(value[i]) if isinstance(value, np.ndarray) else value

    found = flat(function(*arguments))
    for i in range(count):
        expected = flat(function(*(element(a, i) for a in arguments)))
        assert all(type(e) is int for e in expected)
        assert tuple(element(f, i) for f in found) == expected
    assert all(np.issubdtype(np.asarray(f).dtype, np.integer) for f in found)


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)
def test_numbers_of_any_size_stay_exact(function):
    """Beyond 2**64, and beyond what a float holds."""
    huge = 10**30
    pairs = [p.annotation == "Pair" for p in inspect.signature(function).parameters.values()]
    assert all(type(r) is int for r in flat(function(*((1, 1) if pair else huge + 1 for pair in pairs))))


def floats_in(source):
    """What in a source could make a float of an integer, by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            found.append(f"{node.lineno}: /")
        if isinstance(node, ast.Name) and node.id in {"float", "round", "pow", "complex"}:
            found.append(f"{node.lineno}: {node.id}")
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{node.lineno}: {node.value}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math":
            found.append(f"{node.lineno}: math.{node.attr}")
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom)
            and node.module == "math"
            and not {name.name for name in node.names} <= {"gcd", "lcm", "prod"}
        ):
            found.append(f"{node.lineno}: import {[name.name for name in node.names]}")
    return found


def branches_in(source):
    """What in a source asks for the truth of a value, which an array has not."""
    kinds = (ast.If, ast.IfExp, ast.While, ast.BoolOp, ast.Assert, ast.Match)
    return [f"{node.lineno}: {type(node).__name__}" for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


SOURCES = sorted(Path(formulas.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_formulas_hold_integers_only(path):
    assert floats_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["size.py", "cost.py"])
def test_sizes_and_costs_never_branch(name):
    (path,) = (p for p in SOURCES if p.name == name)
    assert branches_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["a / b", "a /= b", "float(a)", "a * 0.5", "import math", "from math import ceil", "math.ceil(a)", "round(a)"],
)
def test_the_scan_for_floats_can_fail(source):
    assert floats_in(source)


@pytest.mark.parametrize("source", ["a if b else c", "if a: b", "while a: b", "a and b", "a or b"])
def test_the_scan_for_branches_can_fail(source):
    assert branches_in(source)


# Receptive fields: a second implementation, which follows every single pixel.


class Step(NamedTuple):
    """A layer twice: the package's window, and the set of input units that one output unit reads."""

    window: rf.Window
    reads: object
    jump: Fraction
    """Input units from one output unit to the next."""


def conv_step(kernel, stride, before, dilation):
    return Step(
        rf.sliding_window(kernel, stride, before, dilation),
        lambda unit: {unit * stride - before + dilation * k for k in range(kernel)},
        Fraction(stride),
    )


def transposed_step(kernel, stride, before, dilation):
    """Unit o is reached from input i if i's weights, laid down every ``stride``, hit it: all i are tried."""

    def reads(unit):
        near = (unit + before) // stride
        span = kernel * dilation + 1
        return {
            i
            for i in range(near - span, near + span)
            if unit + before in {i * stride + dilation * k for k in range(kernel)}
        }

    return Step(rf.transposed_window(kernel, stride, before, dilation), reads, Fraction(1, stride))


def nearest_step(factor):
    """Each input unit repeated ``factor`` times."""
    window = rf.Window(1, (rf.Taps(0, 0),) * factor)
    return Step(window, lambda unit: {unit // factor}, Fraction(1, factor))


def linear_step(factor):
    """Between two input units, whose weights are both taken as positive: the one at or left of it, and the next."""
    window = rf.Window(1, tuple(rf.Taps(0, 1) for _ in range(factor)))
    return Step(window, lambda unit: {unit // factor, unit // factor + 1}, Fraction(1, factor))


def adaptive_step(size, output_size):
    share = Fraction(size, output_size)

    def reads(unit):
        low, high = unit * share, (unit + 1) * share
        return {p for p in range(int(low) - 2, int(high) + 2) if p < high and p + 1 > low}

    return Step(rf.adaptive_pool_window(size, output_size), reads, share)


small = st.integers(1, 4)
conv_steps = st.builds(conv_step, small, small, st.integers(0, 3), st.integers(1, 3))
transposed_steps = st.builds(transposed_step, small, small, st.integers(0, 3), st.integers(1, 3))
steps = st.one_of(
    conv_steps,
    transposed_steps,
    st.builds(nearest_step, st.integers(1, 3)),
    st.builds(linear_step, st.integers(1, 3)),
    st.builds(adaptive_step, st.integers(1, 9), st.integers(1, 9)),
)
paths = st.lists(steps, max_size=4)
UNITS = range(-13, 40)


def pixels(path, unit):
    """Every pixel of the input that one unit sees after these layers."""
    seen = {unit}
    for step in reversed(path):
        seen = {tap for one in seen for tap in step.reads(one)}
    return seen


def hull(seen):
    return (min(seen), max(seen)) if seen else None


def field_of(path):
    field = rf.IDENTITY
    for step in path:
        field = rf.compose(field, step.window)
        assert field is not None
    return field


def jump_of(path):
    total = Fraction(1)
    for step in path:
        total *= step.jump
    return total


@given(steps)
def test_a_window_reads_what_the_layer_reads(step):
    for unit in UNITS:
        first, last, tap_step = rf.taps_of(step.window, unit)
        assert set(range(first, last + 1, tap_step)) == step.reads(unit)


@given(paths)
@example([transposed_step(1, 3, 0, 1), conv_step(2, 1, 0, 2)])  # units that see nothing
@example([transposed_step(3, 4, 1, 2), nearest_step(3), conv_step(3, 2, 1, 1)])
@example([nearest_step(2), conv_step(2, 2, 0, 1)])  # a period that vanishes
@example([adaptive_step(7, 3), transposed_step(2, 2, 0, 1), conv_step(3, 1, 1, 2)])
@example([adaptive_step(5, 3), conv_step(13, 1, 2, 1)])  # a window of several periods of its input
@example([transposed_step(1, 3, 0, 1), conv_step(17, 2, 0, 2)])
@example([transposed_step(9, 4, 1, 6)])  # many weights on one unit
def test_field_of_a_chain(path):
    field = field_of(path)
    for unit in UNITS:
        assert rf.bounds_of(field, unit) == hull(pixels(path, unit))
    assert Fraction(*rf.jump(field)) == jump_of(path)


@given(paths)
def test_size_and_centre_of_a_field(path):
    field = field_of(path)
    period = len(field.bounds)
    seen = [hull(pixels(path, unit)) for unit in range(2 * period)]
    assert rf.size(field) == max((len(range(b[0], b[1] + 1)) for b in seen if b), default=0)
    if None in seen:
        assert rf.centre(field) is None
    else:
        middles = [Fraction(b[0] + b[1], 2) - unit * jump_of(path) for unit, b in enumerate(seen)]
        numerator, denominator = rf.centre(field)
        assert Fraction(numerator, denominator) == sum(middles) / len(middles)
        assert denominator == Fraction(numerator, denominator).denominator
    numerator, denominator = rf.jump(field)
    assert denominator == Fraction(numerator, denominator).denominator


def test_a_field_has_its_shortest_period():
    """So that equal fields compare equal, however they came about."""
    tripled = rf.Window(6, (rf.Taps(0, 2), rf.Taps(2, 4), rf.Taps(4, 6)))  # a kernel of 3 and stride of 2, thrice
    assert rf.compose(rf.IDENTITY, tripled) == rf.Field(2, ((0, 2),))
    half = [conv_step(2, 2, 0, 1), nearest_step(2)]  # units see (0, 1), (0, 1), (2, 3), (2, 3), …
    wide = field_of([conv_step(5, 1, 2, 1)])
    assert len(field_of(half).bounds) == 2
    assert rf.union(field_of(half), wide) == wide


@given(st.lists(conv_steps, max_size=6))
def test_without_upsampling_it_is_the_classic_recurrence(path):
    """``J_l = J_{l−1}·S_l``, ``R_l = R_{l−1} + (K_eff − 1)·J_{l−1}``, ``start_l = start_{l−1} − P·J_{l−1}``."""
    jump, size, start = 1, 1, 0
    for step in path:
        ((first, last, _),) = step.window.taps
        size += (last - first) * jump
        start += first * jump
        jump *= step.window.stride
    field = field_of(path)
    assert (rf.jump(field), rf.size(field), rf.bounds_of(field, 0)[0]) == ((jump, 1), size, start)


@given(paths, paths)
@example([nearest_step(2), conv_step(3, 1, 1, 1)], [linear_step(2)])
@example([transposed_step(1, 2, 0, 1)], [transposed_step(1, 2, 1, 1)])
def test_union_of_two_branches(first, second):
    both = rf.union(field_of(first), field_of(second))
    if jump_of(first) != jump_of(second):
        assert both is None
        return
    for unit in UNITS:
        assert rf.bounds_of(both, unit) == hull(pixels(first, unit) | pixels(second, unit))
    assert Fraction(*rf.jump(both)) == jump_of(first)


def same_jump_paths():
    """Two branches of one jump: the factors of both are the same, in another order and with other kernels."""

    @st.composite
    def draw_paths(draw):
        factors = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=3))

        def branch():
            made = []
            for up, factor in draw(st.permutations(factors)):
                make = transposed_step if up else conv_step
                made.append(make(draw(small), factor, draw(st.integers(0, 3)), draw(st.integers(1, 3))))
            return made

        return branch(), branch()

    return draw_paths()


@given(same_jump_paths())
def test_union_of_branches_of_one_jump(branches):
    first, second = branches
    both = rf.union(field_of(first), field_of(second))
    assert both is not None
    for unit in UNITS:
        assert rf.bounds_of(both, unit) == hull(pixels(first, unit) | pixels(second, unit))


def test_a_pattern_too_long_is_given_up():
    long = rf.Window(1, (rf.Taps(0, 0),) * (rf.MAX_PERIOD + 1))
    assert rf.compose(rf.IDENTITY, long) is None
    assert rf.compose(rf.IDENTITY, rf.transposed_window(3, rf.MAX_PERIOD + 1, 0, 1)) is None
    assert rf.compose(rf.IDENTITY, rf.adaptive_pool_window(rf.MAX_PERIOD, rf.MAX_PERIOD + 1)) is None
    assert rf.compose(rf.IDENTITY, rf.transposed_window(3, rf.MAX_PERIOD // 2, 0, 1)) is not None
    # Two branches of jump 1 whose patterns, of 257 and of 256 units, repeat together after 65,792.
    first = rf.Field(257, ((0, 5), *((unit, unit) for unit in range(1, 257))))
    second = rf.Field(256, ((0, 5), *((unit, unit) for unit in range(1, 256))))
    assert rf.jump(first) == rf.jump(second) == (1, 1)
    assert rf.union(first, second) is None
