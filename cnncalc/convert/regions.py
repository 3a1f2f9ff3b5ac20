"""Residuals and forks among the units of a scope: where branches part from one tensor and meet in a layer again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from cnncalc.convert.tree import MARK, Fork, Group, Item, Key, Op, Refs, Skip, ordered, results
from cnncalc.graph import Graph, Ref
from cnncalc.layers.merge import Add

MOST_IN_A_REGION = 64
"""The most layers between a fork and its merge; beyond it the merge reads by name."""


class Unit(Struct):
    """An item while its scope is being put in order: its nodes, and the tensors that it ends in."""

    item: Item
    nodes: list[int]
    result: Refs


def edges_of(graph: Graph, units: Mapping[Key, Sequence[int]]) -> dict[Key, set[Key]]:
    """For each unit those whose tensors its nodes read."""
    unit_of = {number: key for key, numbers in units.items() for number in numbers}
    return {
        key: {
            unit_of[ref.node]
            for number in numbers
            for ref in graph.nodes[number].inputs
            if unit_of.get(ref.node, key) != key
        }
        for key, numbers in units.items()
    }


class Regions:
    """Finds the residuals and forks of one graph; ``branching``: whether some have branches or shortcuts."""

    def __init__(self, graph: Graph, consumers: dict[Ref, list[int]], *, nested: bool) -> None:
        self.graph = graph
        self.consumers = consumers
        self.nested = nested
        self.branching = False

    def place(self, numbers: Sequence[int]) -> float:
        """Where a unit stands: as in the graph, but what reads nothing just before what reads it."""
        first = min(numbers)
        if len(numbers) == 1 and not self.graph.nodes[first].inputs:
            readers = [number for ref in results(self.graph, first) for number in self.consumers.get(ref, ())]
            return min(readers, default=first + 0.5) - 0.5
        return first

    def found(self, units: list[Unit]) -> list[Unit]:
        """The units with every residual and fork made one of them."""
        unit_of = {number: position for position, unit in enumerate(units) for number in unit.nodes}
        now: list[Unit | None] = list(units)
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
            now[position] = Unit(item, nodes, unit.result)
        left = [(position, unit) for position, unit in enumerate(now) if unit is not None]
        if len(left) == len(units):
            return units
        numbers = {position: unit.nodes for position, unit in left}
        order = ordered(edges_of(self.graph, numbers), {at: self.place(nodes) for at, nodes in numbers.items()})
        found_units = dict(left)
        return [found_units[position] for position in order]

    def region(
        self, op: Op, now: list[Unit | None], unit_of: dict[int, int], position: int
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
    def unit(now: list[Unit | None], position: int) -> Unit:
        unit = now[position]
        assert unit is not None
        return unit

    def marked(self, op: Op, now: list[Unit | None], unit_of: dict[int, int]) -> tuple[Fork | Skip, list[int]] | None:
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
            ports = results(self.graph, singles[0].node)
            if tuple(singles) == ports:
                return ports
        if given:
            return (given[0],)
        return max(heads, key=lambda head: (heads.count(head), head))

    def back(
        self, tip: Ref, start: Ref, reader: int, now: list[Unit | None], unit_of: dict[int, int], path: list[int]
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
            if unit.result != (tip,) or len(unit.item.reads) != 1 or weight > MOST_IN_A_REGION:
                return False
            if not all(number in readers for number in self.consumers.get(tip, ())):
                return False
            path.insert(0, at)
            readers = set(unit.nodes)
            tip = unit.item.reads[0]
        return bool(path)

    def chains(
        self, reads: Refs, now: list[Unit | None], unit_of: dict[int, int], position: int
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
            if unit.result != (tip,) or len(unit.item.reads) > 1 or weight > MOST_IN_A_REGION:
                return False
            if any(unit_of.get(number) != readers[which] for number in self.consumers.get(tip, ())):
                return False
            paths[which].insert(0, at)
            readers[which] = at
            if unit.item.reads:
                tips[which] = unit.item.reads[0]
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
            start = results(self.graph, ends[0].node)
            if tuple(ends) != start or len(live) < len(tips):
                return None
        if not any(paths) or self.spans_scales(reads, paths, now, start):
            return None
        return paths, start

    def spans_scales(self, reads: Refs, paths: list[list[int]], now: list[Unit | None], start: Refs) -> bool:
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
