"""A graph to its tree: the levels of its paths, put in order, and how they share weights and read each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from cnncalc.convert.regions import Regions, Unit, edges_of
from cnncalc.convert.tree import Fork, Group, Item, Op, Refs, Skip, Tree, bodies, groups_of, ordered, results
from cnncalc.graph import Graph, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.base import Shape, ShortForm

Members = list[tuple[int, str]]
"""Nodes with their paths relative to a scope."""


def build(graph: Graph, *, nested: bool, plain: bool = False, loose: Set[str] = frozenset()) -> Tree:
    """The tree of a graph.

    Args:
        graph: the net.
        nested: whether branches and shortcuts are recognised by their path levels, which then are no groups.
        plain: a flat list in which every layer says what it reads.
        loose: path levels that become no groups: what stands in them has longer names.
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

    def walk(body: Sequence[Item], groups: list[Group]) -> None:
        for item in body:
            if not isinstance(item, Group):
                op = item if isinstance(item, Op) else item.op
                ops[op.node] = op, groups
            for inner in bodies(item):
                walk(inner, [*groups, item] if isinstance(item, Group) else groups)

    walk(tree.body, [])

    def twin(one: Group, other: Group) -> bool:
        """Whether each layer of ``one`` that has weights has those of its like in ``other``."""
        for node in map(nodes.__getitem__, one.nodes):
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
        self.consumers: dict[Ref, list[int]] = {}
        for number, node in enumerate(graph.nodes):
            for ref in node.inputs:
                self.consumers.setdefault(ref, []).append(number)
        self.regions = Regions(graph, self.consumers, nested=nested)
        self.shorts: dict[tuple[int, Shape], Layer] = {}

    def tree(self) -> Tree:
        nodes = self.graph.nodes
        body = [unit.item for unit in self.scope("", [(n, node.path) for n, node in enumerate(nodes) if node.layer])]
        inputs = [number for number, node in enumerate(nodes) if node.layer is None]
        self.sources(body, (Ref(inputs[0]),) if len(inputs) == 1 else ())
        kept = {ref for _, ref in self.graph.outputs}
        for _, group in groups_of(body):
            inside, numbers = group.nodes, sorted(group.nodes)
            reads = dict.fromkeys(ref for number in numbers for ref in nodes[number].inputs)
            group.outer = tuple([ref for ref in reads if ref.node not in inside])
            given = [ref for number in numbers for ref in results(self.graph, number) if ref not in group.result]
            group.escapes = tuple(
                [ref for ref in given if ref in kept or not inside.issuperset(self.consumers.get(ref, ()))]
            )
        return Tree(self.graph, body, self.nested, self.regions.branching)

    # -- scopes --------------------------------------------------------------------------------

    def scope(self, prefix: str, members: Members) -> list[Unit]:
        """The units of a scope in order; ``members`` are its nodes with their paths relative to it."""
        parts: dict[str, Members] = {}
        for number, path in members:
            self.put(parts, "", number, path)
        self.dissolve(parts, [head for head in parts if head.endswith(".") and head[:-1] in parts])
        while loose := [head for head in parts if head.endswith(".") and prefix + head[:-1] in self.loose]:
            self.dissolve(parts, loose)
        self.dissolve(parts, [head for head in parts if head.endswith(".") and self.apart(parts[head])])
        while True:
            numbers = {head: [number for number, _ in inner] for head, inner in parts.items()}
            edges = edges_of(self.graph, numbers)
            cyclic = [head for head in _cyclic(edges) if head.endswith(".")]
            if not cyclic:
                break
            self.dissolve(parts, cyclic)
        units: dict[str, Unit] = {}
        for head, inner in parts.items():
            if head.endswith("."):
                body = self.scope(prefix + head, inner)
                items = [unit.item for unit in body]
                path = prefix + head[:-1]
                group = Group(head[:-1], path, items, frozenset(numbers[head]), self.entry(body), body[-1].result)
                units[head] = Unit(group, numbers[head], group.result)
            else:
                units[head] = self.op(head, inner[0][0])
        in_order = [units[head] for head in ordered(edges, {h: self.regions.place(n) for h, n in numbers.items()})]
        return in_order if self.plain else self.regions.found(in_order)

    def put(self, parts: dict[str, Members], head: str, number: int, path: str) -> None:
        """A node under the first level of its path, or as a layer of the scope's own."""
        level, dot, rest = path.partition(".")
        if dot and rest and level and not self.plain:
            parts.setdefault(f"{head}{level}.", []).append((number, rest))
        else:
            parts.setdefault(head + path, []).append((number, ""))

    def dissolve(self, parts: dict[str, Members], heads: Iterable[str]) -> None:
        """Puts what stands under path levels in their place, with longer names."""
        for head in heads:
            for number, path in parts.pop(head, ()):
                self.put(parts, head, number, path)
            self.dissolve(parts, [inner for inner in parts if inner.endswith(".") and inner[:-1] in parts])

    def entry(self, body: list[Unit]) -> Refs:
        """The input of the first unit that reads nothing from within."""
        inside = {number for unit in body for number in unit.nodes}
        heads = (unit.item.reads for unit in body if unit.item.reads)
        return next((reads for reads in heads if not any(ref.node in inside for ref in reads)), ())

    def apart(self, members: Members) -> bool:
        """Whether a path level holds several unrelated things, e.g. a list of modules."""
        part_of = {number: path.partition(".")[0] for number, path in members}
        if len(set(part_of.values())) < 2:
            return False
        return all(
            part_of.get(ref.node, part) == part
            for number, part in part_of.items()
            for ref in self.graph.nodes[number].inputs
        )

    def op(self, name: str, number: int) -> Unit:
        node = self.graph.nodes[number]
        assert node.layer is not None
        layer = node.layer
        if len(node.input_shapes) == 1:
            known = (id(layer), node.input_shapes[0])
            if known not in self.shorts:
                self.shorts[known] = short_form(layer, node.input_shapes[0])
            layer = self.shorts[known]
        return Unit(Op(name, number, layer, node.inputs), [number], results(self.graph, number))

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
                current = item.result = self.sources(item.body, item.reads)
                continue
            if isinstance(item, Skip):
                self.sources(item.body, item.reads)
                self.sources(item.shortcut or [], item.reads)
            elif isinstance(item, Fork):
                parted = len(item.reads) > 1 and len(item.reads) == len(item.branches)
                for number, branch in enumerate(item.branches):
                    self.sources(branch, (item.reads[number],) if parted else item.reads)
            current = results(self.graph, item.node if isinstance(item, Op) else item.op.node)
        return current


def short_form(layer: Layer, shape: Shape) -> Layer:
    """The short form that stands for a layer alone, where there is one, or the layer itself."""
    for kind in REGISTRY.values():
        if issubclass(kind, ShortForm):
            short = kind.contract((layer,), shape)
            if short is not None:
                return short
    return layer


def _cyclic(edges: dict[str, set[str]]) -> set[str]:
    """The units in cycles, and those between two of them: what is left without all that only read or are only read."""
    left = set(edges)
    for _ in range(2):
        left -= set(ordered({key: edges[key] & left for key in left}, dict.fromkeys(left, 0.0)))
        turned: dict[str, set[str]] = {key: set() for key in edges}
        for key in left:
            for other in edges[key] & left:
                turned[other].add(key)
        edges = turned
    return left
