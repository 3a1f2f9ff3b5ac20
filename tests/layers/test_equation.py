"""Loop nests against a run through all of their rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncalc.formulas.nest import Index, Nest, elements_used, gradient_macs, grouped, loop, macs, multiplied, slid
from cnncalc.formulas.receptive_field import taps_of
from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.layers.base import REGISTRY, Layer
from cnncalc.layers.reads import EVERYTHING, SCATTERED
from tests.reference.draws import LAYERS

PRODUCTS = {kind: draw for kind, draw in LAYERS.items() if kind.equation is not Layer.equation}
MOST_ROUNDS = 30_000
Element = tuple[int, ...]


def place(index: Index, at: dict[str, int]) -> int:
    return sum(times * (at[loop] // per) for loop, times, per in index.terms) - index.before


def rounds(nest: Nest) -> Iterator[tuple[Element, list[Element], bool]]:
    """For each round the element of the result, those of the operands, and whether all lie within their tensors."""
    for values in product(*map(range, nest.loops.values())):
        at = dict(zip(nest.loops, values, strict=True))
        found = [(nest.output, nest.shape), *((operand.at, operand.shape) for operand in nest.operands)]
        result, *read = [tuple(place(index, at) for index in indices) for indices, _ in found]
        within = [
            all(0 <= p < size for p, size in zip(element, shape, strict=True))
            for element, (_, shape) in zip((result, *read), found, strict=True)
        ]
        yield result, read, within[0] and (all(within) or nest.border != "zeros")


def small(layer: Layer, shapes: Any) -> tuple[Nest, ...]:
    nests = layer.equation(*shapes)
    assume(sum(prod(nest.loops.values()) for nest in nests) <= MOST_ROUNDS)
    return nests


@pytest.mark.parametrize("kind", PRODUCTS, ids=lambda kind: kind.kind)
@given(st.data())
@settings(max_examples=30)
def test_costs_are_counted_round_by_round(kind: type[Layer], data: Any) -> None:
    layer, shapes = data.draw(PRODUCTS[kind])
    nests = small(layer, shapes)
    assert nests[-1].shape == layer.output_shape(*shapes)
    if kind is not MultiHeadAttention:  # whose three first weights are one tensor
        assert layer.weights(*shapes) == Layer.weights(layer, *shapes)
    for nest in nests:
        done = list(rounds(nest))
        assert macs(nest) == (len(done) if len(nest.operands) > 1 else 0)
        assert multiplied(nest) == (sum(within for *_, within in done) if len(nest.operands) > 1 else 0)
        for number, operand in enumerate(nest.operands):
            if operand.learned:
                used = {read[number] for _, read, within in done if within}
                assert elements_used(nest, operand) == len(used)
    if kind is not ScaledDotProductAttention or not layer.is_causal:  # type: ignore[attr-defined]
        assert layer.direct_macs(*shapes) == sum(map(multiplied, nests))


SINGLE = [kind for kind in PRODUCTS if kind not in (MultiHeadAttention, ScaledDotProductAttention)]


@pytest.mark.parametrize("kind", SINGLE, ids=lambda kind: kind.kind)
@given(st.data())
@settings(max_examples=30)
def test_what_outputs_read_is_found_round_by_round(kind: type[Layer], data: Any) -> None:
    layer, shapes = data.draw(PRODUCTS[kind])
    (nest,) = small(layer, shapes)
    inputs = [number for number, operand in enumerate(nest.operands) if not operand.learned]
    seen: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for result, read, _ in rounds(nest):
        for number in inputs:
            for axis, at in enumerate(read[number]):
                for out, unit in enumerate(result):
                    seen[number, axis, out, unit].add(at)
    for number in inputs:
        for axis, one in enumerate(layer.reads(*shapes)[number]):
            inside = set(range(shapes[number][axis]))
            units = [(out, unit) for out, size in enumerate(nest.shape) for unit in range(size)]
            if one == EVERYTHING:
                # a unit in a hole of a dilated transposed convolution reads nothing
                assert all(seen[number, axis, out, unit] in (inside, set()) for out, unit in units)
            elif one != SCATTERED:
                assert one.window is not None
                assert one.axis is not None
                for unit in range(nest.shape[one.axis]):
                    first, last, step = taps_of(one.window, unit)
                    assert seen[number, axis, one.axis, unit] & inside == set(range(first, last + 1, step)) & inside


def needed(nests: tuple[Nest, ...], wanted: tuple[bool, ...]) -> tuple[int, int]:
    """Backward MACs by asking of each operand whether anything that needs a gradient lies behind it."""

    def needs(source: int | str) -> bool:
        if isinstance(source, str):
            return True
        return wanted[source] if source >= 0 else any(needs(operand.source) for operand in nests[~source].operands)

    inner = weights = 0
    for nest in nests:
        for operand in nest.operands:
            if isinstance(operand.source, str):
                weights += len(list(rounds(nest)))
            elif needs(operand.source):
                inner += len(list(rounds(nest)))
    return inner, weights


@pytest.mark.parametrize("kind", [kind for kind in PRODUCTS if kind.is_product], ids=lambda kind: kind.kind)
@given(st.data())
@settings(max_examples=10)
def test_gradients_run_the_same_rounds(kind: type[Layer], data: Any) -> None:
    layer, shapes = data.draw(PRODUCTS[kind])
    nests = small(layer, shapes)
    wanted = tuple(data.draw(st.booleans()) for _ in shapes)
    assert gradient_macs(nests, wanted) == needed(nests, wanted)


def test_indices_written_by_hand() -> None:
    at = {"p1": 3, "k1": 2, "o": 5, "c": 1}
    assert place(slid(1, 2, 1, 3), at) == 2 * 3 - 1 + 3 * 2
    # 6 output channels in 2 groups of 3, each with 4 input channels: output 5 is in the second group
    assert place(grouped("o", 3, "c", 4, 2), at) == 4 + 1
    assert place(grouped("o", 6, "c", 8, 1), at) == 1
    assert place(loop("o", 0), at) == 0


def test_every_product_is_an_equation() -> None:
    products = {kind for kind in REGISTRY.values() if kind.is_product}
    assert products <= set(PRODUCTS)
