"""The matching of two nets: against searches that try everything, and against edits that are known."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncalc.analysis import diff as module
from cnncalc.analysis.diff import ABSENT, NEVER, Match, Token, _kept, _same_paths, _Tokens, align, cheapest, compare
from cnncalc.graph import Graph
from cnncalc.layers import REGISTRY
from cnncalc.sources import load_text
from cnncalc.spec.random import Data, random_net, render
from tests.work import at_most

few = settings(max_examples=40)
"""Drawing a net takes most of the time."""
KEEPING = [
    "relu",
    "batch_norm",
    "conv: {out: 4, kernel: 1}",
    "conv: {out: 4, kernel: 3, padding: 1}",
    "conv: {out: 8, kernel: 1}",
    "silu",
]


def chain(layers: list[str], blocks: str = "") -> Graph:
    lines = "".join(f"  - {{{layer}}}\n" if ":" in layer else f"  - {layer}\n" for layer in layers)
    return load_text(f"input: [4, 6, 6]\n{blocks}layers:\n{lines}")


nets = st.lists(st.sampled_from(KEEPING), min_size=1, max_size=6).map(chain)


def least_cost(old: list[Token], new: list[Token], price: object) -> int:
    """The least cost of all alignments, by trying each way to begin."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(old) or j == len(new):
            return ABSENT * (len(old) - i + len(new) - j)
        ways = [ABSENT + rest(i + 1, j), ABSENT + rest(i, j + 1)]
        cost = price(old[i], new[j])  # type: ignore[operator]
        return min([*ways, cost + rest(i + 1, j + 1)] if cost < NEVER else ways)

    return rest(0, 0)


@given(nets, nets)
@settings(max_examples=200)
def test_the_alignment_is_the_cheapest_of_all(before: Graph, after: Graph) -> None:
    tokens = _Tokens()
    old, new = tokens.of(before), tokens.of(after)
    price = tokens.costs().of
    for pairs in (cheapest(old, new, tokens.costs()), align(old, new, tokens.costs())):
        assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
        cost = sum(price(old[i], new[j]) for i, j in pairs) + ABSENT * (len(old) + len(new) - 2 * len(pairs))
        assert cost == least_cost(old, new, price)


lists = st.lists(st.integers(0, 3), max_size=9)


@given(lists, lists)
def test_a_shortest_script_keeps_a_longest_common_subsequence(old: list[int], new: list[int]) -> None:
    pairs = _kept(old, new, 100)
    assert pairs is not None
    assert all(old[i] == new[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))

    @cache
    def longest(i: int, j: int) -> int:
        if i == len(old) or j == len(new):
            return 0
        return max(longest(i + 1, j), longest(i, j + 1), (old[i] == new[j]) + longest(i + 1, j + 1))

    assert len(pairs) == longest(0, 0)


def test_a_script_of_too_many_edits_is_given_up() -> None:
    assert _kept([1] * 9, [2] * 9, 17) is None
    assert _kept([1] * 9, [2] * 9, 18) == []


@given(st.permutations(range(6)))
def test_same_paths_in_order_are_as_many_as_can_be(order: list[int]) -> None:
    old = [Token(str(n), "", "", "kind", n) for n in range(6)]
    new = [Token(str(n), "", "", "kind", n) for n in order]
    longest = max(size for size in range(7) for part in combinations(order, size) if list(part) == sorted(part))
    pairs = _same_paths(old, new)
    assert len(pairs) == longest
    assert [i for i, _ in pairs] == sorted({order[j] for _, j in pairs})


def random_graph(number: int) -> tuple[Data, Graph]:
    data = random_net(Random(number))
    return data, load_text(render(data))


def names(graph: Graph, numbers: list[int | None]) -> list[str]:
    return [graph.nodes[number].path for number in numbers if number is not None]


def edited(matches: list[Match]) -> list[Match]:
    return [match for match in matches if match.edits]


def gone_and_new(matches: list[Match]) -> tuple[int, int]:
    return sum(match.after is None for match in matches), sum(match.before is None for match in matches)


@few
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_every_node_is_told_once_and_the_other_way_round_is_the_mirror(first: int, second: int) -> None:
    (_, before), (_, after) = random_graph(first), random_graph(second)
    matches = compare(before, after)
    assert sorted(m.before for m in matches if m.before is not None) == list(range(len(before.nodes)))
    assert [m.after for m in matches if m.after is not None] == list(range(len(after.nodes)))
    mirror = {(m.after, m.before, m.moved) for m in compare(after, before)}
    assert mirror == {(m.before, m.after, m.moved) for m in matches}


@few
@given(st.integers(0, 10**6))
def test_a_net_and_itself_do_not_differ(number: int) -> None:
    _, graph = random_graph(number)
    _, again = random_graph(number)
    assert compare(graph, again) == [Match(i, i) for i in range(len(graph.nodes))]


def changed_at(data: Data, position: int, item: object, *, insert: bool) -> Graph | None:
    """The net with one of its layers replaced, or one put in before it; ``None`` where that is no net."""
    layers = list(data["layers"])
    layers[position : position + (not insert)] = [item]
    try:
        return load_text(render({**data, "layers": layers}))
    except ValueError:
        return None


@few
@given(st.integers(0, 10**6), st.integers(0, 100), st.sampled_from(["relu", "silu", "dropout", "hardtanh"]))
def test_a_layer_put_in_is_found_as_just_that(number: int, position: int, kind: str) -> None:
    data, before = random_graph(number)
    after = changed_at(data, position % (len(data["layers"]) + 1), kind, insert=True)
    assume(after is not None and len(after.nodes) == len(before.nodes) + 1)
    assert after is not None
    matches = compare(before, after)
    assert gone_and_new(matches) == (0, 1)
    assert edited(matches) == []
    assert not any(match.moved for match in matches)
    assert names(after, [m.after for m in matches if m.before is None])[0].rstrip("0123456789") == kind
    taken_out = compare(after, before)
    assert gone_and_new(taken_out) == (1, 0)
    assert edited(taken_out) == []


def toggled(item: object) -> object | None:
    """A layer with its first setting of yes or no turned round; ``None`` where it has none."""
    kind, fields = next(iter(item.items())) if isinstance(item, dict) else (item, {})
    layer = REGISTRY.get(kind)
    if layer is None or not isinstance(fields, dict):
        return None
    optional = layer.__struct_fields__[len(layer.__struct_fields__) - len(layer.__struct_defaults__) :]
    for name, default in zip(optional, layer.__struct_defaults__, strict=True):
        if isinstance(default, bool):
            return {kind: {**fields, name: not fields.get(name, default)}}
    return None


@few
@given(st.integers(0, 10**6), st.integers(0, 100))
def test_a_setting_that_was_changed_is_found_in_just_that_layer(number: int, position: int) -> None:
    data, before = random_graph(number)
    assume(data["layers"])
    position %= len(data["layers"])
    item = toggled(data["layers"][position])
    assume(item is not None)
    after = changed_at(data, position, item, insert=False)
    assume(after is not None and [node.path for node in after.nodes] == [node.path for node in before.nodes])
    assert after is not None
    differ = [
        i for i, (one, other) in enumerate(zip(before.nodes, after.nodes, strict=True)) if one.layer != other.layer
    ]
    matches = compare(before, after)
    # a layer whose weights have gone shares none any more
    told = [(m.before, m.after) for m in matches if set(m.edits) - {"shared_with"}]
    assert told == [(i, i) for i in differ]
    assert gone_and_new(matches) == (0, 0)
    assert not any(match.moved for match in matches)


@few
@given(st.integers(0, 10**6), st.integers(0, 100))
def test_a_new_name_is_no_edit(number: int, position: int) -> None:
    data, before = random_graph(number)
    assume(data["layers"])
    position %= len(data["layers"])
    item = data["layers"][position]
    kind, fields = next(iter(item.items())) if isinstance(item, dict) else (item, {})
    assume(isinstance(fields, dict) and "name" not in fields and kind in REGISTRY)
    after = changed_at(data, position, {kind: {**fields, "name": "of_its_own"}}, insert=False)
    assume(after is not None)
    assert after is not None
    matches = compare(before, after)
    assert [(m.before, m.after) for m in matches] == [(i, i) for i in range(len(before.nodes))]
    assert edited(matches) == []


STEM = "input: [4, 8, 8]\nlayers:\n  - conv: {out: 4, kernel: 1, name: a}\n  - relu: {name: b}\n"


def edits(before: str, after: str) -> dict[str, dict[str, tuple[object, object]]]:
    old, new = load_text(before), load_text(after)
    return {new.nodes[m.after].path: m.edits for m in compare(old, new) if m.edits and m.after is not None}


def test_a_layer_that_reads_something_else_is_an_edit_though_nothing_else_differs() -> None:
    two = STEM + "  - silu: {from: {from}, name: c}\n"
    assert edits(two.replace("{from}", "a"), two.replace("{from}", "b")) == {"c": {"inputs": (("a",), ("b",))}}
    both = STEM + "  - concat: {from: [{from}], name: c}\n"
    assert edits(both.replace("{from}", "a, b"), both.replace("{from}", "b, a")) == {
        "c": {"inputs": (("a", "b"), ("b", "a"))}
    }
    more = edits(both.replace("{from}", "a, b"), both.replace("{from}", "a, b, a"))
    assert more == {"c": {"inputs": (("a", "b"), ("a", "b", "a"))}}


def test_what_a_layer_put_in_does_to_those_after_it_is_no_edit_of_theirs() -> None:
    tail = "  - silu: {name: c}\n  - add: {from: [b, c], name: d}\n"
    assert edits(STEM + tail, STEM + "  - tanh: {name: new}\n" + tail) == {}


def test_weights_that_are_shared_no_more_are_an_edit() -> None:
    shared = STEM + "  - conv: {out: 4, kernel: 1, name: c, share: w}\n  - conv: {out: 4, kernel: 1, name: d{own}}\n"
    found = edits(shared.replace("{own}", ", share: w"), shared.replace("{own}", ""))
    assert found == {"d": {"shared_with": ("c", None)}}


def test_another_kind_of_layer_in_the_same_place_is_one_edit() -> None:
    assert edits(STEM, STEM.replace("relu: {name: b}", "silu")) == {"silu1": {"type": ("relu", "silu")}}


def test_paths_that_are_not_unique_do_no_harm() -> None:
    old, new = (
        [Token("a", "", "", "k", sig) for sig in (0, 1, 0, 2)],
        [Token("a", "", "", "k", sig) for sig in (1, 2, 2, 0)],
    )
    tokens = _Tokens()
    tokens.of(chain(["relu", "silu"]))  # three nodes: what the numbers stand for
    costs = tokens.costs()
    pairs = cheapest(old, new, costs)
    cost = sum(costs.of(old[i], new[j]) for i, j in pairs) + ABSENT * (len(old) + len(new) - 2 * len(pairs))
    assert cost == least_cost(old, new, costs.of)


def test_a_layer_that_moved_is_told_as_that_alone() -> None:
    layers = ["relu", "conv: {out: 4, kernel: 1}", "batch_norm", "silu", "tanh", "gelu"]
    matches = compare(chain(layers), chain([*layers[1:5], layers[0], layers[5]]))
    assert edited([m for m in matches if not m.moved]) == []
    assert gone_and_new(matches) == (0, 0)
    assert [(m.before, m.after) for m in matches if m.moved] == [(1, 5)]


def test_an_input_of_another_shape_is_an_edit() -> None:
    assert edits(STEM, STEM.replace("8, 8", "9, 9")) == {"input": {"shape": ((4, 8, 8), (4, 9, 9))}}


@pytest.mark.parametrize("most_edits", [1000, 0])
def test_large_nets_take_the_quick_way_to_the_same_answer(monkeypatch: pytest.MonkeyPatch, most_edits: int) -> None:
    monkeypatch.setattr(module, "MOST_EDITS", most_edits)
    rng = Random(3)
    layers = [rng.choice(KEEPING) for _ in range(4000)]
    named = [f"{{{kind.partition(':')[0]}: {{name: n{number}}}}}" for number, kind in enumerate(["relu"] * 3000)]
    text = "input: [4, 6, 6]\nlayers:\n{}"
    if most_edits:
        before, after = chain(layers), chain([*layers[:1000], "tanh", *layers[1000:2000], "gelu", *layers[2000:]])
    else:
        lines = [f"  - {line}\n" for line in named]
        before = load_text(text.format("".join(lines)))
        changed = [*lines[:10], "  - tanh\n", *(line.replace("relu", "silu") for line in lines[10:2990]), *lines[2990:]]
        after = load_text(text.format("".join(changed)))
    with at_most(1_000_000):  # the whole table would be 16 million cells
        matches = compare(before, after)
    assert gone_and_new(matches) == ((0, 2) if most_edits else (0, 1))
    assert len(edited(matches)) == (0 if most_edits else 2980)
