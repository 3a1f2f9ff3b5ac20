"""What a class does, one call after the other: which tensors each takes, and where its module is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from cnncalc.convert.code import Text, attributes_of
from cnncalc.convert.families import richness
from cnncalc.convert.template import (
    CURRENT,
    TENSOR,
    Block,
    Leaf,
    TCall,
    TFork,
    TGroup,
    TItem,
    TOp,
    TRepeat,
    TSkip,
)
from cnncalc.convert.tree import Group, Refs, ordered, results
from cnncalc.graph import Graph, Ref

Path = tuple[str, ...]


class Value(NamedTuple):
    """A tensor within a class: result ``port`` of a step, or input number ``port`` where ``step`` is -1."""

    step: int
    port: int


class Step(Struct):
    """One call: of a layer, a block, a chain in place, or a loop of calls.

    ``attributes`` is where its module is found; ``own`` is false where another step registers it. ``present`` tells
    whether it is there at all, if that differs: if not, its first input stands for its result.
    """

    item: TOp | TCall | TRepeat | TGroup
    attributes: Path
    args: tuple[Value, ...]
    results: int
    nodes: frozenset[int]
    own: bool = True
    present: Leaf | None = None

    @property
    def text(self) -> Text | None:
        """How a layer is written; ``None`` for anything else."""
        return self.item.text if isinstance(self.item, TOp) else None

    @property
    def is_plain(self) -> bool:
        """Whether the result is just that of the module, of one input."""
        return self.text is None or self.text.is_plain


class Wiring:
    """The steps of a class in the order of the graph, and which tensors it gives."""

    def __init__(self, block: Block, graph: Graph) -> None:
        self.graph = graph
        self.block = block
        self.sample = max(range(len(block.groups)), key=lambda number: richness(block.groups[number].body))
        self.group = block.groups[self.sample]
        self.steps: list[Step] = []
        self.known: dict[Ref, Value] = {}
        if block.is_net:
            inputs = [number for number, node in enumerate(graph.nodes) if node.layer is None]
            self.known = {Ref(node): Value(-1, port) for port, node in enumerate(inputs)}
            self.inputs = len(inputs)
            current = [*self.known.values()] if self.inputs == 1 else []
            given: Refs = tuple(dict.fromkeys(ref for _, ref in graph.outputs))
        else:
            reads = len(self.group.reads)
            tensors = [param for param in block.params if param.kind == TENSOR]
            self.inputs = reads + len(tensors)
            self.position = {param.name: reads + number for number, param in enumerate(tensors)}
            current = [Value(-1, port) for port in range(reads)]
            given = given_by(self.group)
        self.walk(block.body, current)
        self.in_order()
        self.outputs = tuple([self.known[ref] for ref in given])
        self.given = given

    @property
    def is_chain(self) -> bool:
        """Whether each step takes just what the one before gives, as in ``nn.Sequential``."""
        before = Value(-1, 0)
        for number, step in enumerate(self.steps):
            plain = step.is_plain and step.own and len(step.attributes) == 1 and step.present is None
            if not plain or step.args != (before,) or step.results != 1:
                return False
            before = Value(number, 0)
        return self.inputs == 1 and self.outputs == (before,)

    def walk(self, body: Sequence[TItem], current: list[Value], present: Leaf | None = None) -> list[Value]:
        """Adds the steps of a body; gives what it ends in."""
        for item in body:
            if isinstance(item, TFork):
                start = self.read(item.source, current)
                parted = len(start) > 1 and len(start) == len(item.branches)
                args = []
                for number, branch in enumerate(item.branches):
                    args += self.walk(branch, [start[number]] if parted else start)
                current = self.add(item.op, args)
            elif isinstance(item, TSkip):
                start = self.read(item.source, current)
                current = self.walk(item.body, start)
                current += start if item.shortcut is None else self.walk(item.shortcut, start, item.reshapes)
                current = self.add(item.op, current, item.when)
            else:
                current = self.add(item, self.read(source_of(item), current), present)
        return current

    def read(self, source: list[Leaf] | None, current: list[Value]) -> list[Value]:
        """What an item reads: the current tensor, or others by name."""
        if source is None:
            return current
        return [current[0] if leaf.values[self.sample] == CURRENT else self.tensor(leaf) for leaf in source]

    def tensor(self, leaf: Leaf) -> Value:
        """A tensor by name: the block's own, or one that it is given."""
        return Value(-1, self.position[leaf.param.name]) if leaf.param else self.known[leaf.values[self.sample]]

    def add(self, item: TOp | TCall | TRepeat | TGroup, args: list[Value], present: Leaf | None = None) -> list[Value]:
        """Adds one step; gives its results, those that a class gives beside its own left out."""
        number = len(self.steps)
        if isinstance(item, TOp):
            op = item.ops[self.sample]
            assert op is not None
            name = op.share or op.name
            made = results(self.graph, op.node)
            nodes, own, taken, count = frozenset([op.node]), name == op.name, bool(op.reads), len(made)
        elif isinstance(item, TRepeat) and not item.rows[self.sample]:
            # no round in this instance: what the loop is given is its result
            own, name, made, taken, count = True, "", (), True, 0
            nodes = self.steps[args[0].step].nodes if args[0].step >= 0 else frozenset([-1])
            self.known = {ref: Value(number, 0) if value == args[0] else value for ref, value in self.known.items()}
        else:
            groups = item.rows[self.sample] if isinstance(item, TRepeat) else [item.groups[self.sample]]
            called = [group for group in groups if group is not None]
            first, last = called[0], called[-1]
            name = first.share or first.name
            own = name == first.name
            made = given_by(last)
            nodes = frozenset[int]().union(*(group.nodes for group in called))
            taken, count = bool(first.reads), len(last.result)
        if not isinstance(item, TOp):
            call = item.call if isinstance(item, TRepeat) else item
            if isinstance(call, TCall):
                extra = [call.args[param.name] for param in call.block.params if param.kind == TENSOR]
                args = [*(args if taken else ()), *map(self.tensor, extra)]
                taken = True
        values = [Value(number, port) for port in range(len(made) or 1)]
        self.known.update(zip(made, values, strict=False))
        self.steps.append(
            Step(item, attributes_of(name), tuple(args if taken else ()), len(values), nodes, own, present)
        )
        return values[: count or 1]

    def in_order(self) -> None:
        """Puts the steps in the order of the graph, in which random numbers are drawn."""
        edges = {
            number: {value.step for value in step.args if value.step >= 0} for number, step in enumerate(self.steps)
        }
        order = ordered(edges, {number: float(min(step.nodes)) for number, step in enumerate(self.steps)})
        place = {old: new for new, old in enumerate(order)}

        def moved(value: Value) -> Value:
            return value if value.step < 0 else Value(place[value.step], value.port)

        self.steps = [self.steps[number] for number in order]
        for step in self.steps:
            step.args = tuple(map(moved, step.args))
        self.known = {ref: moved(value) for ref, value in self.known.items()}


def given_by(group: Group) -> Refs:
    """The tensors that a group's class gives."""
    return tuple(dict.fromkeys((*group.result, *group.escapes)))


def source_of(item: TItem) -> list[Leaf] | None:
    """What is read by name; by a chain in place, what its first part reads."""
    if isinstance(item, TGroup):
        return source_of(item.body[0])
    return None if isinstance(item, TRepeat) else item.source
