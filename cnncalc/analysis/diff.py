"""Two nets side by side: which layers correspond, and what was edited.

The layers of both, in their order, are aligned at the least cost (Needleman & Wunsch 1970): a pair that
differs only in its name costs almost nothing, one that differs only in its shapes a little, one with other
settings more, more still under another name, and a layer that only one of the nets has the most.
So names count only as far as they are reliable: automatic ones shift when a layer is inserted before them.
Equal layers that remain are then matched wherever they are: they were moved.

The table of an alignment grows with the product of the lengths, so what both nets begin and end with is
set aside first, and large remainders are cut at the runs that a shortest edit script (Myers 1986) keeps,
or, if almost nothing is equal, at the layers of the same path.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from cnncalc.graph import Graph, Node, Ref

SCALE = 100_000
"""More than the rows of a table, so that all names together weigh less than one edit."""
ABSENT = 100 * SCALE
"""A layer that only one net has."""
RENAMED, RENAMED_ELSEWHERE = 1, 12 * SCALE
"""The same layer on the same shapes under another name: in a block with the same name except numbers, or not."""
RESHAPED, RESHAPED_ELSEWHERE = 10 * SCALE, 30 * SCALE
"""The same layer on other shapes, under the same name or another."""
EDITED, EDITED_ELSEWHERE, PER_FIELD, MOST_FIELDS = 40 * SCALE, 90 * SCALE, 4 * SCALE, 10
"""A layer of the same kind, its settings edited."""
REPLACED, REPLACED_BESIDE = 120 * SCALE, 150 * SCALE
"""A layer of another kind under the same name; or in the same block, with the same output."""
NEVER = 2 * ABSENT

MOST_CELLS = 300_000
"""Cells of one table: a quarter of a second."""
MOST_EDITS = 1000
"""The most edits of a shortest script to look for."""

_DIGITS = re.compile("[0-9]+")
Positions = list[tuple[int, int]]
"""Pairs of matching nodes, both in rising order."""


Edits = dict[str, tuple[Any, Any]]
"""What was changed in a layer by hand, with what it was and is: ``type``, ``inputs``, ``shared_with``, or fields."""


class Match(Struct, frozen=True):
    """A node of the net before, of the net after, or of both, by number.

    ``edits`` are changes of the layer itself, not those that follow from edits before it. ``moved``
    is true if its position among the layers of both nets differs.
    """

    before: int | None
    after: int | None
    edits: Edits = {}
    moved: bool = False


def compare(before: Graph, after: Graph) -> list[Match]:
    """All nodes of both nets, matched, in the order of the net after; removed ones at their old position.

    ``compare(b, a)`` matches the same nodes as ``compare(a, b)``.
    """
    tokens = _Tokens()
    old, new = tokens.of(before), tokens.of(after)
    # of several alignments at the same cost the choice does not depend on which net comes first
    swapped = _key(new) < _key(old)
    one, other = (new, old) if swapped else (old, new)
    pairs = align(one, other, tokens.costs())
    elsewhere = _moved(one, other, pairs)
    if swapped:
        pairs, elsewhere = ([(i, j) for j, i in some] for some in (pairs, elsewhere))
    forward = dict(pairs) | dict(elsewhere)
    moved = {i for i, _ in elsewhere}
    wiring = _Wiring(before, after, forward, moved)
    return [
        Match(i, j, wiring.edits(i, j) if i is not None and j is not None else {}, i is not None and i in moved)
        for i, j in _in_order(len(old), len(new), pairs, forward)
    ]


# -- what is compared ------------------------------------------------------------------------------


class Token(NamedTuple):
    """A node as the alignment sees it.

    ``scope`` is the path of its block, ``stem`` that path without numbers, ``sig`` the number of its layer
    with its shapes.
    """

    path: str
    scope: str
    stem: str
    kind: str
    sig: int


def _key(tokens: Sequence[Token]) -> tuple[Any, ...]:
    """Orders two nets."""
    return len(tokens), [token.path for token in tokens], [token.sig for token in tokens]


class _Tokens:
    """Numbers the distinct layers-with-shapes, and gives the cost of matching two of them."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.nodes: list[Node] = []

    def of(self, graph: Graph) -> list[Token]:
        """The tokens of a net's nodes."""
        tokens = []
        for node in graph.nodes:
            key = (node.layer, node.input_shapes, node.output_shapes)
            number = self.numbers.setdefault(key, len(self.numbers))
            if number == len(self.nodes):
                self.nodes.append(node)
            scope = node.path.rpartition(".")[0]
            tokens.append(Token(node.path, scope, _DIGITS.sub("", scope), node.kind, number))
        return tokens

    def costs(self) -> Costs:
        """The table of costs."""
        return Costs(self.nodes)


class Costs:
    """The cost of matching nodes, by the numbers of their layers-with-shapes; each pair is computed once."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.known: dict[tuple[int, int], tuple[int, int, bool]] = {}

    def of(self, one: Token, other: Token) -> int:
        """The cost of matching two nodes; ``NEVER`` or more where they must not be matched."""
        same_path, elsewhere, same_scope_only = self.by_number(one.sig, other.sig)
        if one.path == other.path:
            return same_path
        if one.sig == other.sig and one.stem != other.stem:
            return RENAMED_ELSEWHERE
        return NEVER if same_scope_only and one.scope != other.scope else elsewhere

    def by_number(self, one: int, other: int) -> tuple[int, int, bool]:
        """The cost under the same path and under another, and whether the latter holds in one block only."""
        if one == other:
            return 0, RENAMED, False
        key = (one, other) if one < other else (other, one)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = _cost(self.nodes[one], self.nodes[other])
        return found


def _cost(one: Node, other: Node) -> tuple[int, int, bool]:
    if one.layer == other.layer:
        return RESHAPED, RESHAPED_ELSEWHERE, False
    if one.layer is None or other.layer is None:
        return NEVER, NEVER, False
    if type(one.layer) is type(other.layer):
        fields = min(MOST_FIELDS, len(_settings(one, other))) * PER_FIELD
        return EDITED + fields, EDITED_ELSEWHERE + fields, False
    beside = REPLACED_BESIDE if one.output_shapes == other.output_shapes else NEVER
    return REPLACED, beside, True


def _settings(one: Node, other: Node) -> Edits:
    """The fields in which two layers of one kind differ."""
    if one.layer is None or type(one.layer) is not type(other.layer):
        return {}
    pairs = {name: (getattr(one.layer, name), getattr(other.layer, name)) for name in one.layer.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


# -- the alignment ---------------------------------------------------------------------------------


def align(old: Sequence[Token], new: Sequence[Token], costs: Costs) -> Positions:
    """The matched positions of two lists, both rising; at the least cost unless the lists are very long."""
    start, end_old, end_new = 0, len(old), len(new)
    while start < min(end_old, end_new) and _equal(old[start], new[start]):
        start += 1
    while min(end_old, end_new) > start and _equal(old[end_old - 1], new[end_new - 1]):
        end_old, end_new = end_old - 1, end_new - 1
    middle = _middle(old[start:end_old], new[start:end_new], costs)
    return [
        *((i, i) for i in range(start)),
        *((start + i, start + j) for i, j in middle),
        *((i, i - end_old + end_new) for i in range(end_old, len(old))),
    ]


def _equal(one: Token, other: Token) -> bool:
    return one.sig == other.sig and one.path == other.path


def _middle(old: Sequence[Token], new: Sequence[Token], costs: Costs) -> Positions:
    if len(old) * len(new) <= MOST_CELLS:
        return cheapest(old, new, costs)
    anchors = _kept([t.sig for t in old], [t.sig for t in new], MOST_EDITS)
    return _between(old, new, _same_paths(old, new) if anchors is None else anchors, costs)


def _between(old: Sequence[Token], new: Sequence[Token], anchors: Positions, costs: Costs) -> Positions:
    """The anchors, with the layers between two of them aligned separately."""
    pairs: Positions = []
    i = j = 0
    for p, q in [*anchors, (len(old), len(new))]:
        part, other = old[i:p], new[j:q]
        if len(part) * len(other) > MOST_CELLS:
            paths = _same_paths(part, other)
            inner = _between(part, other, paths, costs) if paths else []
        else:
            inner = cheapest(part, other, costs)
        pairs += [(i + a, j + b) for a, b in inner]
        if p < len(old):
            pairs.append((p, q))
        i, j = p + 1, q + 1
    return pairs


def cheapest(old: Sequence[Token], new: Sequence[Token], costs: Costs) -> Positions:
    """The matched positions at the least total cost, by dynamic programming over all prefixes of both lists."""
    if not old or not new:
        return []
    numbers = sorted({token.sig for token in new})
    columns: dict[str, set[int]] = {}
    for j, token in enumerate(new):
        columns.setdefault(token.path, set()).add(j)
    row = [j * ABSENT for j in range(len(new) + 1)]
    table = [row]
    for i, token in enumerate(old, 1):
        prices = {number: costs.by_number(token.sig, number)[1:] for number in numbers}
        here = columns.get(token.path, ())
        before, row = row, [i * ABSENT]
        left = i * ABSENT
        for j, other in enumerate(new):
            price, narrow = prices[other.sig]
            if j in here:
                price = costs.of(token, other)
            elif narrow and token.scope != other.scope:
                price = NEVER
            elif token.sig == other.sig and token.stem != other.stem:
                price = RENAMED_ELSEWHERE
            best = before[j] + price
            if left + ABSENT < best:
                best = left + ABSENT
            if before[j + 1] + ABSENT < best:
                best = before[j + 1] + ABSENT
            row.append(best)
            left = best
        table.append(row)
    pairs: Positions = []
    i, j = len(old), len(new)
    while i and j:
        price = costs.of(old[i - 1], new[j - 1])
        if price < NEVER and table[i][j] == table[i - 1][j - 1] + price:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i][j] == table[i - 1][j] + ABSENT:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _kept(old: Sequence[int], new: Sequence[int], most: int) -> Positions | None:
    """Positions kept by a shortest script of insertions and deletions (Myers 1986); ``None`` beyond ``most`` edits."""
    reach = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(most, len(old) + len(new)) + 1):
        trail.append(dict(reach))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
            x = reach[k + 1] if down else reach[k - 1] + 1
            while x < len(old) and x - k < len(new) and old[x] == new[x - k]:
                x += 1
            reach[k] = x
            if x >= len(old) and x - k >= len(new):
                return _walk_back(trail, len(old), len(new))
    return None


def _walk_back(trail: list[dict[int, int]], x: int, y: int) -> Positions:
    pairs: Positions = []
    for edits in range(len(trail) - 1, -1, -1):
        reach, k = trail[edits], x - y
        down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
        from_k = k + 1 if down else k - 1
        from_x = reach[from_k] if edits else 0
        from_y = from_x - from_k if edits else 0
        turn = (from_x if down else from_x + 1) if edits else 0
        while x > turn:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = from_x, from_y
    return pairs[::-1]


def _same_paths(old: Sequence[Token], new: Sequence[Token]) -> Positions:
    """The most nodes of the same path in the same order (a longest rising subsequence)."""
    where = {token.path: j for j, token in enumerate(new)}
    found = [(i, where[token.path]) for i, token in enumerate(old) if token.path in where]
    ends: list[int] = []
    last: list[int] = []
    chain: list[int] = []
    for number, (_, j) in enumerate(found):
        at = bisect_left(ends, j)
        ends[at : at + 1] = [j]
        last[at : at + 1] = [number]
        chain.append(last[at - 1] if at else -1)
    pairs: Positions = []
    number = last[-1] if last else -1
    while number >= 0:
        pairs.append(found[number])
        number = chain[number]
    return pairs[::-1]


def _moved(old: Sequence[Token], new: Sequence[Token], pairs: Positions) -> Positions:
    """Pairs among the remaining nodes: those of the same path and kind, then equal ones, in their order."""
    taken_old, taken_new = {i for i, _ in pairs}, {j for _, j in pairs}
    found: Positions = []

    def pass_over(key: Callable[[Token], Any]) -> None:
        free: dict[Any, list[int]] = {}
        for j, token in enumerate(new):
            if j not in taken_new:
                free.setdefault(key(token), []).append(j)
        for queue in free.values():
            queue.reverse()
        for i, token in enumerate(old):
            left = [] if i in taken_old else free.get(key(token), [])
            if left:
                found.append((i, left.pop()))
                taken_old.add(i)
                taken_new.add(found[-1][1])

    pass_over(lambda token: (token.path, token.kind))
    pass_over(lambda token: token.sig)
    return found


def _in_order(
    count_old: int, count_new: int, pairs: Positions, forward: dict[int, int]
) -> list[tuple[int | None, int | None]]:
    """All nodes once: those of the net after in their order, each removed one before its old successor."""
    backward = {j: i for i, j in forward.items()}
    order: list[tuple[int | None, int | None]] = []
    i = j = 0
    for p, q in [*pairs, (count_old, count_new)]:
        order += [(gone, None) for gone in range(i, p) if gone not in forward]
        order += [(backward.get(come), come) for come in range(j, q)]
        if p < count_old:
            order.append((p, q))
        i, j = p + 1, q + 1
    return order


# -- edits -----------------------------------------------------------------------------------------


class _Wiring:
    """The edits of matched nodes: of their settings, and of what they read."""

    def __init__(self, before: Graph, after: Graph, forward: dict[int, int], moved: set[int]) -> None:
        self.before = before
        self.after = after
        self.forward = forward
        self.settled = {i: j for i, j in forward.items() if i not in moved}
        self.settled_after = set(self.settled.values())

    def edits(self, i: int, j: int) -> Edits:
        """The differences of node ``i`` before and node ``j`` after, except those that follow from other edits."""
        old, new = self.before.nodes[i], self.after.nodes[j]
        found: Edits = {"type": (old.kind, new.kind)} if old.kind != new.kind else _settings(old, new)
        if old.layer is new.layer is None and old.output_shapes != new.output_shapes:
            found["shape"] = (old.output_shape, new.output_shape)
        if self.rewired(old.inputs, new.inputs):
            found["inputs"] = (tuple(map(self.before.path, old.inputs)), tuple(map(self.after.path, new.inputs)))
        if not self.same_owner(old.shared, new.shared):
            found["shared_with"] = (_owner(self.before, old), _owner(self.after, new))
        return found

    def rewired(self, old: Sequence[Ref], new: Sequence[Ref]) -> bool:
        """Whether a layer now reads another tensor, and both tensors exist in both nets.

        If its old input is gone, or its new one is new or was moved, that edit is reported there.
        """
        if len(old) != len(new):
            return True
        return any(
            Ref(self.settled[one.node], one.port) != other
            for one, other in zip(old, new, strict=True)
            if one.node in self.settled and other.node in self.settled_after
        )

    def same_owner(self, old: int | None, new: int | None) -> bool:
        """Whether weights are a layer's own in both nets, or those of the same other layer."""
        return (old is None) == (new is None) and (old is None or new is None or self.forward.get(old) in (new, None))


def _owner(graph: Graph, node: Node) -> str | None:
    return None if node.shared is None else graph.nodes[node.shared].path
