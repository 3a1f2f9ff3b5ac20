"""A graph's structure: its scopes by path, and in each the chains, residuals and branches.

The result is a tree of items in an order in which they can run; every node of the graph stands in it
once. Items that structure cannot express read their inputs by name.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence, Set
from typing import TypeVar

from msgspec import Struct

from cnncalc.graph import Graph, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.base import Shape, ShortForm
from cnncalc.layers.merge import Add

Refs = tuple[Ref, ...]
Source = tuple["Ref | None", ...]
"""Tensors read by name; ``None`` is the current tensor among others."""

MARK = re.compile(r"\b(branch|shortcut)\d+\b")
"""A path level that the language itself gives to branches and shortcuts."""
MOST_IN_A_REGION = 64
"""The most layers between a fork and its merge; beyond it the merge reads by name."""


class Op(Struct, gc=False):
    """One layer. ``reads`` are its inputs, ``source`` the same if they are not the current tensor."""

    name: str
    node: int
    layer: Layer
    reads: Refs
    source: Source | None = None
    share: str | None = None


class Group(Struct):
    """The items under one path level: a module, a block's instance."""

    name: str
    path: str
    body: list[Item]
    reads: Refs
    result: Refs
    source: Source | None = None
    share: str | None = None


class Fork(Struct):
    """A layer of several inputs with the branches that lead to it, all from ``reads``."""

    op: Op
    branches: list[list[Item]]
    reads: Refs
    source: Source | None = None


class Skip(Struct):
    """A residual: ``body`` and ``shortcut`` (none: the input itself) from ``reads``, added by ``op``."""

    op: Op
    body: list[Item]
    shortcut: list[Item] | None
    reads: Refs
    source: Source | None = None


Item = Op | Group | Fork | Skip
Key = TypeVar("Key", int, str)


class Tree(Struct):
    """A whole net's items; ``nested``: branches are path levels of their own, as the language has it by default."""

    graph: Graph
    body: list[Item]
    nested: bool
    branching: bool


def name_of(item: Item) -> str:
    """The path level of an item, relative to its scope."""
    return item.name if isinstance(item, (Op, Group)) else item.op.name


def bodies(item: Item) -> list[list[Item]]:
    """The lists of items in an item."""
    if isinstance(item, Group):
        return [item.body]
    if isinstance(item, Fork):
        return item.branches
    if isinstance(item, Skip):
        return [item.body] if item.shortcut is None else [item.body, item.shortcut]
    return []


class _Unit(Struct):
    """An item while its scope is being put in order."""

    item: Item
    nodes: list[int]
    result: Refs

    @property
    def reads(self) -> Refs:
        return self.item.reads


def short_forms(layer: Layer, shape: Shape) -> Layer:
    """The short form that stands for a layer alone, where there is one, or the layer itself."""
    for kind in REGISTRY.values():
        if issubclass(kind, ShortForm):
            short = kind.contract((layer,), shape)
            if short is not None:
                return short
    return layer


def build(graph: Graph, *, nested: bool, plain: bool = False, loose: Set[str] = frozenset()) -> Tree:
    """The tree of a graph; with ``plain`` a flat list in which every layer says what it reads.

    The path levels in ``loose`` become no groups: what stands in them has longer names.
    """
    while True:
        tree = _Builder(graph, nested=nested, plain=plain, loose=loose).tree()
        apart = _share(tree)
        if not apart:
            return tree
        loose |= apart


def _share(tree: Tree) -> Set[str]:
    """Gives layers that share weights, or the groups all whose layers do, the name that says so.

    A share name belongs to the group in which it stands. Gives the paths of the groups that keep such layers apart.
    """
    nodes = tree.graph.nodes
    if all(node.shared is None for node in nodes):
        return frozenset()
    ops: dict[int, tuple[Op, list[Group]]] = {}
    members: dict[str, list[int]] = {}

    def walk(body: Sequence[Item], groups: list[Group]) -> None:
        for item in body:
            if isinstance(item, Group):
                members[item.path] = []
                walk(item.body, [*groups, item])
                continue
            op = item if isinstance(item, Op) else item.op
            ops[op.node] = op, groups
            for group in groups:
                members[group.path].append(op.node)
            for inner in bodies(item):
                walk(inner, groups)

    walk(tree.body, [])

    def twin(one: Group, other: Group) -> bool:
        """Whether each layer of ``one`` that has weights has those of its like in ``other``."""
        for node in map(nodes.__getitem__, members[one.path]):
            if node.layer is not None and node.layer.weights(*node.input_shapes):
                path = other.path + node.path.removeprefix(one.path)
                if node.shared is None or nodes[node.shared].path != path:
                    return False
        return True

    twins: dict[tuple[str, str], bool] = {}
    apart: set[str] = set()
    for number, node in enumerate(nodes):
        if node.shared is None:
            continue
        (mine, inner), (owner, outer) = ops[number], ops[node.shared]
        common = [one for one, other in zip(inner, outer, strict=False) if one is other]
        prefix = f"{common[-1].path}." if common else ""
        inner, outer = inner[len(common) :], outer[len(common) :]
        if not inner and not outer:
            mine.share = owner.share = nodes[node.shared].path.removeprefix(prefix)
            continue
        known = (inner[0].path, outer[0].path) if inner and outer else ("", "")
        if inner and outer and known not in twins:
            twins[known] = twin(inner[0], outer[0])
        if twins.get(known):
            inner[0].share = outer[0].share = outer[0].path.removeprefix(prefix)
        else:
            apart.update(group.path for group in (*inner, *outer))
    return apart


class _Builder:
    def __init__(self, graph: Graph, *, nested: bool, plain: bool, loose: Set[str]) -> None:
        self.loose = loose
        self.graph = graph
        self.nested = nested
        self.plain = plain
        self.branching = False
        self.consumers: dict[Ref, list[int]] = {}
        for number, node in enumerate(graph.nodes):
            for ref in node.inputs:
                self.consumers.setdefault(ref, []).append(number)
        self.shorts: dict[tuple[int, Shape], Layer] = {}

    def tree(self) -> Tree:
        nodes = self.graph.nodes
        members = [(number, node.path) for number, node in enumerate(nodes) if node.layer is not None]
        body = [unit.item for unit in self.scope("", members)]
        inputs = [number for number, node in enumerate(nodes) if node.layer is None]
        self.sources(body, (Ref(inputs[0]),) if len(inputs) == 1 else ())
        return Tree(self.graph, body, self.nested, self.branching)

    # -- scopes --------------------------------------------------------------------------------

    def scope(self, prefix: str, members: Sequence[tuple[int, str]]) -> list[_Unit]:
        """The units of a scope in order; ``members`` are its nodes with their paths relative to it."""
        parts: dict[str, list[tuple[int, str]]] = {}
        for number, path in members:
            head, dot, rest = path.partition(".")
            if dot and rest and head and not self.plain:
                parts.setdefault(f"{head}.", []).append((number, rest))
            else:
                parts.setdefault(path, []).append((number, ""))
        for head in [head for head in parts if head.endswith(".") and head[:-1] in parts]:
            self.dissolve(parts, head)
        while self.loose:
            loose = [head for head in parts if head.endswith(".") and prefix + head[:-1] in self.loose]
            for head in loose:
                self.dissolve(parts, head)
            if not loose:
                break
        for head in [head for head in parts if head.endswith(".") and self.apart(parts[head])]:
            self.dissolve(parts, head)
        while True:
            numbers = {head: [number for number, _ in inner] for head, inner in parts.items()}
            unit_of = {number: head for head, inner in numbers.items() for number in inner}
            edges = {
                head: {
                    unit_of[ref.node]
                    for number in inner
                    for ref in self.graph.nodes[number].inputs
                    if unit_of.get(ref.node, head) != head
                }
                for head, inner in numbers.items()
            }
            left = _cyclic(edges)
            if not left:
                break
            for head in [head for head in left if head.endswith(".") and head in parts]:
                self.dissolve(parts, head)
        units = []
        for head, inner in parts.items():
            if head.endswith("."):
                path = prefix + head[:-1]
                body = self.scope(f"{path}.", inner)
                items = [unit.item for unit in body]
                group = Group(head[:-1], path, items, self.entry(body), body[-1].result)
                units.append(_Unit(group, numbers[head], group.result))
            else:
                units.append(self.op(head, inner[0][0]))
        order = _ordered(edges, {head: self.place(inner) for head, inner in numbers.items()})
        by_head = dict(zip(parts, units, strict=True))
        in_order = [by_head[head] for head in order]
        return in_order if self.plain else self.regions(in_order)

    def place(self, numbers: Sequence[int]) -> float:
        """Where a unit stands: as in the graph, but what reads nothing just before what reads it."""
        first = min(numbers)
        if len(numbers) == 1 and not self.graph.nodes[first].inputs:
            readers = [number for ref in self.results(first) for number in self.consumers.get(ref, ())]
            return min(readers, default=first + 0.5) - 0.5
        return first

    def entry(self, body: list[_Unit]) -> Refs:
        """The input of the first unit that reads nothing from within."""
        inside = {number for unit in body for number in unit.nodes}
        heads = (unit.reads for unit in body if unit.reads)
        return next((reads for reads in heads if not any(ref.node in inside for ref in reads)), ())

    def apart(self, members: Sequence[tuple[int, str]]) -> bool:
        """Whether a path level holds several unrelated things, e.g. a list of modules."""
        part_of = {number: path.partition(".")[0] for number, path in members}
        if len(set(part_of.values())) < 2:
            return False
        return all(
            part_of.get(ref.node, part) == part
            for number, part in part_of.items()
            for ref in self.graph.nodes[number].inputs
        )

    def dissolve(self, parts: dict[str, list[tuple[int, str]]], head: str) -> None:
        """Puts what stands under a path level in its place, with longer names."""
        for number, path in parts.pop(head):
            inner, dot, rest = path.partition(".")
            if dot and rest and inner:
                parts.setdefault(f"{head}{inner}.", []).append((number, rest))
            else:
                parts.setdefault(head + path, []).append((number, ""))
        for double in [inner for inner in parts if inner.endswith(".") and inner[:-1] in parts]:
            self.dissolve(parts, double)

    def op(self, name: str, number: int) -> _Unit:
        node = self.graph.nodes[number]
        assert node.layer is not None
        layer = node.layer
        if len(node.input_shapes) == 1:
            known = (id(layer), node.input_shapes[0])
            if known not in self.shorts:
                self.shorts[known] = short_forms(layer, node.input_shapes[0])
            layer = self.shorts[known]
        op = Op(name, number, layer, node.inputs)
        return _Unit(op, [number], self.results(number))

    def results(self, number: int) -> Refs:
        return tuple(Ref(number, port) for port in range(len(self.graph.nodes[number].output_shapes)))

    # -- regions -------------------------------------------------------------------------------

    def regions(self, units: list[_Unit]) -> list[_Unit]:
        """The units with every residual and fork made one of them."""
        unit_of = {number: position for position, unit in enumerate(units) for number in unit.nodes}
        now: list[_Unit | None] = list(units)
        for position, unit in enumerate(units):
            op = unit.item
            if not isinstance(op, Op) or len(op.reads) < 2 or op.layer.arity[1] == 1:
                continue
            found = self.region(op, now, unit_of, position)
            if found is None:
                continue
            item, taken = found
            self.branching |= isinstance(item, Fork) or item.shortcut is not None
            nodes = list(unit.nodes)
            for number in taken:
                inner = now[number]
                assert inner is not None
                nodes += inner.nodes
                now[number] = None
            for number in nodes:
                unit_of[number] = position
            now[position] = _Unit(item, nodes, unit.result)
        left = [(position, unit) for position, unit in enumerate(now) if unit is not None]
        if len(left) == len(units):
            return units
        edges = {
            position: {
                unit_of[ref.node]
                for number in unit.nodes
                for ref in self.graph.nodes[number].inputs
                if unit_of.get(ref.node, position) != position
            }
            for position, unit in left
        }
        order = _ordered(edges, {position: self.place(unit.nodes) for position, unit in left})
        found_units = dict(left)
        return [found_units[position] for position in order]

    def region(
        self, op: Op, now: list[_Unit | None], unit_of: dict[int, int], position: int
    ) -> tuple[Fork | Skip, list[int]] | None:
        """The residual or fork that ends in a layer of several inputs, and the positions of what stands in it."""
        marked = self.marked(op, now, unit_of) if self.nested else None
        if marked is not None:
            return marked
        residual = type(op.layer) is Add and len(op.reads) == 2
        if self.nested and not residual:
            return None
        chains = self.chains(op.reads, now, unit_of, position)
        if chains is None:
            return None
        paths, start = chains
        weights = [sum(len(self.unit(now, at).nodes) for at in path) for path in paths]
        if residual and weights[1] > weights[0]:
            paths = paths[::-1]
            op.reads = op.reads[::-1]
        bodies = [[self.unit(now, at).item for at in path] for path in paths]
        taken = [at for path in paths for at in path]
        if residual and bodies[0] and isinstance(bodies[0][0], Skip) and bodies[0][0].reads == start:
            return None  # many sums with one tensor, each around the one before
        if residual and bodies[0] and bodies[0][0].reads and not (bodies[1] and self.nested) and len(start) == 1:
            same = self.graph.shape(op.reads[0]) == self.graph.shape(start[0])
            if not bodies[1]:
                return Skip(op, bodies[0], None, start), taken
            if not same:
                return Skip(op, bodies[0], bodies[1], start), taken
        if self.nested:
            return None
        return Fork(op, bodies, start), taken

    @staticmethod
    def unit(now: list[_Unit | None], position: int) -> _Unit:
        unit = now[position]
        assert unit is not None
        return unit

    def marked(self, op: Op, now: list[_Unit | None], unit_of: dict[int, int]) -> tuple[Fork | Skip, list[int]] | None:
        """A fork or residual whose branches the paths tell: ``branch1``, ``shortcut1``."""
        groups: list[tuple[int, Group] | None] = []
        for ref in op.reads:
            at = unit_of.get(ref.node)
            item = now[at].item if at is not None and now[at] is not None else None  # type: ignore[union-attr]
            alone = set(self.consumers[ref]) == {op.node}
            marks = isinstance(item, Group) and MARK.fullmatch(item.name)
            if isinstance(item, Group) and at is not None and marks and item.result == (ref,) and alone:
                groups.append((at, item))
            else:
                groups.append(None)
        found = [group for group in groups if group is not None]
        if not found:
            return None
        if found[0][1].name.startswith("shortcut"):
            if len(groups) != 2 or groups[0] is not None or type(op.layer) is not Add:
                return None
            at, group = found[0]
            path: list[int] = []
            if len(group.reads) != 1 or not self.back(op.reads[0], group.reads[0], op.node, now, unit_of, path):
                return None
            body = [self.unit(now, number).item for number in path]
            return Skip(op, body, group.body, group.reads), [*path, at]
        first = {
            int(group[1].name[len("branch") :]) - i
            for i, group in enumerate(groups)
            if group and "branch" in group[1].name
        }
        if any(group.name.startswith("shortcut") for _, group in found) or len(first) > 1 or min(first) < 1:
            return None  # each branch has the number after that of the one before, empty ones too
        given = [ref for ref, group in zip(op.reads, groups, strict=True) if group is None]
        heads = [group[1].reads if group else (ref,) for ref, group in zip(op.reads, groups, strict=True)]
        start = self.start(given, heads)
        branches = [group[1].body if group else [] for group in groups]
        return Fork(op, branches, start), [at for at, _ in found]

    def start(self, given: list[Ref], heads: list[Refs]) -> Refs:
        """What the branches of a fork start from, by what each reads first."""
        singles = [head[0] for head in heads if len(head) == 1]
        if len(singles) == len(heads) and len(heads) > 1:
            ports = self.results(singles[0].node)
            if tuple(singles) == ports:
                return ports
        if given:
            return (given[0],)
        return max(heads, key=lambda head: (heads.count(head), head))

    def back(
        self, tip: Ref, start: Ref, reader: int, now: list[_Unit | None], unit_of: dict[int, int], path: list[int]
    ) -> bool:
        """Walks from ``tip`` back to ``start`` along units that only the next reads; ``path`` is filled in order."""
        readers = {reader}
        weight = 0
        while tip != start:
            at = unit_of.get(tip.node)
            if at is None:
                return False
            unit = self.unit(now, at)
            weight += len(unit.nodes)
            if unit.result != (tip,) or len(unit.reads) != 1 or weight > MOST_IN_A_REGION:
                return False
            if not all(number in readers for number in self.consumers.get(tip, ())):
                return False
            path.insert(0, at)
            readers = set(unit.nodes)
            tip = unit.reads[0]
        return bool(path)

    def chains(
        self, reads: Refs, now: list[_Unit | None], unit_of: dict[int, int], position: int
    ) -> tuple[list[list[int]], Refs] | None:
        """For each input of a merge the positions that lead to it, from the tensor or tensors where they part."""
        tips = list(reads)
        readers = [position] * len(reads)
        paths: list[list[int]] = [[] for _ in reads]
        weight = 0
        live = set(range(len(tips)))

        def back(which: int) -> bool:
            """One step back from a tip; what reads nothing is where a chain begins."""
            nonlocal weight
            tip = tips[which]
            at = unit_of.get(tip.node)
            if at is None:
                return False
            unit = self.unit(now, at)
            weight += len(unit.nodes)
            if unit.result != (tip,) or len(unit.reads) > 1 or weight > MOST_IN_A_REGION:
                return False
            if any(unit_of.get(number) != readers[which] for number in self.consumers.get(tip, ())):
                return False
            paths[which].insert(0, at)
            readers[which] = at
            if unit.reads:
                tips[which] = unit.reads[0]
            else:
                live.discard(which)
            return True

        for which, tip in enumerate(reads):
            if not self.graph.nodes[tip.node].inputs and tip.node in unit_of and not back(which):
                return None
        while len({tips[which].node for which in live}) > 1:
            if not back(max(live, key=lambda which: (unit_of.get(tips[which].node, -1), which))):
                return None
        if not live:
            return None
        ends = [tips[which] for which in sorted(live)]
        start: Refs = (ends[0],)
        if len(set(ends)) > 1:
            start = self.results(ends[0].node)
            if tuple(ends) != start or len(live) < len(tips):
                return None
        if not any(paths) or self.spans_scales(reads, paths, now, start):
            return None
        return paths, start

    def spans_scales(self, reads: Refs, paths: list[list[int]], now: list[_Unit | None], start: Refs) -> bool:
        """Whether a branch goes down in resolution and up again next to an empty branch, as in a U-Net:
        half a net is better read by name than nested.
        """
        if all(paths):
            return False
        shape = self.graph.shape(start[0])
        for ref, path in zip(reads, paths, strict=True):
            if path and self.graph.shape(ref)[1:] == shape[1:]:
                for at in path[:-1]:
                    inner = self.graph.shape(self.unit(now, at).result[0])
                    if len(inner) == len(shape) and any(a < b for a, b in zip(inner[1:], shape[1:], strict=True)):
                        return True
        return False

    # -- sources -------------------------------------------------------------------------------

    def sources(self, body: list[Item], current: Refs) -> Refs:
        """Sets ``source`` wherever an item does not read the current tensor; returns the last result."""
        position = 0
        while position < len(body):
            item = body[position]
            if isinstance(item, Fork) and item.reads != current and not self.nested:
                # A fork starts from the current tensor; another source is written out.
                body[position : position + 1] = [*(part for branch in item.branches for part in branch), item.op]
                continue
            position += 1
            if not item.reads:
                item.source = None  # a tensor without inputs, whatever comes before it
            elif self.plain:
                item.source = item.reads
            elif item.reads == current:
                item.source = None
            else:
                one = current[0] if len(current) == 1 else None
                item.source = tuple([None if ref == one else ref for ref in item.reads])
            if isinstance(item, Group):
                current = self.sources(item.body, item.reads)
                item.result = current
                continue
            if isinstance(item, Skip):
                self.sources(item.body, item.reads)
                self.sources(item.shortcut or [], item.reads)
            elif isinstance(item, Fork):
                parted = len(item.reads) > 1 and len(item.reads) == len(item.branches)
                for number, branch in enumerate(item.branches):
                    self.sources(branch, (item.reads[number],) if parted else item.reads)
            current = self.results(item.node if isinstance(item, Op) else item.op.node)
        return current


# -- order -----------------------------------------------------------------------------------------


def _ordered(edges: dict[Key, set[Key]], first: dict[Key, float]) -> list[Key]:
    """The units so that each comes after those it reads, and otherwise in their old order."""
    waiting = {key: len(before) for key, before in edges.items()}
    after: dict[Key, list[Key]] = {}
    for key, before in edges.items():
        for other in before:
            after.setdefault(other, []).append(key)
    heap = [(first[key], key) for key, count in waiting.items() if not count]
    heapq.heapify(heap)
    order = []
    while heap:
        _, key = heapq.heappop(heap)
        order.append(key)
        for other in after.get(key, ()):
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(heap, (first[other], other))
    return order


def _cyclic(edges: dict[str, set[str]]) -> list[str]:
    """The units in cycles: in strongly connected parts of more than one (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[str] = []
    for root in edges:
        if root in index:
            continue
        work: list[tuple[str, Iterable[str]]] = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            key, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on_stack:
                    low[key] = min(low[key], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == index[key]:
                    part = []
                    while True:
                        other = stack.pop()
                        on_stack.discard(other)
                        part.append(other)
                        if other == key:
                            break
                    if len(part) > 1:
                        found += part
    return found
