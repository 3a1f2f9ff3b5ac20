"""A graph as a tree of blocks: each calls its layers and inner blocks in an order, and hands tensors in and out.

The paths of a graph's nodes say which block a layer is in. A block that cannot be called on its own (it shares
weights with a layer elsewhere, or what it needs comes from what it gives) or has no modules is taken apart: its
parts are called by the block around it.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cnncalc.graph import Graph, Ref

Path = tuple[str, ...]


def base_of(name: str) -> str:
    """A name without the number at its end: ``conv`` of ``conv2``, ``inception`` of ``inception_3a``."""
    return re.sub(r"_?[0-9]+[a-z]?\Z", "", name)


def attributes_of(path: str) -> Path:
    """The attributes that lead from a net's module to a layer's: the parts of its path.

    PyTorch's modules hold their mode in ``training``, so a part of that name gets a ``_``, as does what would equal it.
    """
    return tuple(f"{part}_" if re.fullmatch("training_*", part) else part for part in path.split("."))


class Value(NamedTuple):
    """A tensor within a block: output ``port`` of step number ``step``, or input number ``port`` where that is -1."""

    step: int
    port: int


class Step:
    """One call within a block: of a layer (its ``node``) or of an inner block.

    ``attributes`` is where its module is found from the block's; ``own`` is false where another step registers it.
    """

    __slots__ = ("args", "attributes", "block", "node", "own", "results")

    def __init__(self, attributes: Path, node: int | None, block: Block | None, own: bool = True) -> None:
        self.attributes = attributes
        self.node = node
        self.block = block
        self.own = own
        self.args: tuple[Value, ...] = ()
        self.results: tuple[Ref, ...] = ()


class Block:
    """One block of a net, or the net itself (whose path is empty)."""

    __slots__ = ("inputs", "outputs", "path", "results", "steps")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: list[Step] = []
        self.inputs: tuple[Ref, ...] = ()
        self.results: tuple[Ref, ...] = ()
        self.outputs: tuple[Value, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether each step takes just what the one before gives, as in ``nn.Sequential``."""
        if len(self.inputs) != 1 or len(self.results) != 1:
            return False
        before = Value(-1, 0)
        for number, step in enumerate(self.steps):
            if step.args != (before,) or len(step.results) != 1:
                return False
            before = Value(number, 0)
        return self.outputs == (before,)


class Unit(NamedTuple):
    """What is called at once: a layer, or all of a block. ``path`` is its own within the block around it."""

    path: Path
    nodes: list[int]
    is_layer: bool


class Tree:
    """Makes the blocks of one graph; ``has_module`` tells the layers that are more than a function."""

    def __init__(self, graph: Graph, has_module: Callable[[int], bool]) -> None:
        self.graph = graph
        self.has_module = has_module
        self.paths: list[Path] = [attributes_of(node.path) for node in graph.nodes]
        self.readers: list[set[int]] = [set() for _ in graph.nodes]
        for number, node in enumerate(graph.nodes):
            for ref in node.inputs:
                self.readers[ref.node].add(number)
        self.kept = {ref for _, ref in graph.outputs}

    def root(self) -> Block:
        """The net."""
        layers = [number for number, node in enumerate(self.graph.nodes) if node.layer is not None]
        net = self.block((), layers)
        net.inputs = tuple(Ref(number) for number, node in enumerate(self.graph.nodes) if node.layer is None)
        net.results = tuple(dict.fromkeys(ref for _, ref in self.graph.outputs))
        self.connect(net)
        return net

    def block(self, path: Path, nodes: list[int]) -> Block:
        """The block of these nodes, whose paths all begin with ``path``."""
        block = Block(path)
        for unit in self.ordered(path, self.units(path, (), nodes)):
            block.steps.append(self.step(path, unit))
        inside = set(nodes)
        read = (ref for step in block.steps for ref in self.reads(step))
        block.inputs = tuple(dict.fromkeys(ref for ref in read if ref.node not in inside))
        given = [Ref(n, port) for n in nodes for port in range(len(self.graph.nodes[n].output_shapes))]
        block.results = tuple(ref for ref in given if self.leaves(ref, inside)) or given_last(block)
        self.connect(block)
        return block

    def step(self, path: Path, unit: Unit) -> Step:
        """The call of a unit."""
        if not unit.is_layer:
            inner = self.block((*path, *unit.path), unit.nodes)
            step = Step(unit.path, None, inner)
            step.results = inner.results
        else:
            (number,) = unit.nodes
            node = self.graph.nodes[number]
            own = node.shared is None
            where = unit.path if node.shared is None else self.paths[node.shared][len(path) :]
            step = Step(where, number, None, own)
            step.results = tuple(Ref(number, port) for port in range(len(node.output_shapes)))
        return step

    def reads(self, step: Step) -> tuple[Ref, ...]:
        """The tensors that a step takes."""
        if step.block is not None:
            return step.block.inputs
        assert step.node is not None
        return self.graph.nodes[step.node].inputs

    def leaves(self, ref: Ref, inside: set[int]) -> bool:
        """Whether a tensor is read outside of these nodes."""
        if ref in self.kept:
            return True
        return any(n not in inside and ref in self.graph.nodes[n].inputs for n in self.readers[ref.node])

    def connect(self, block: Block) -> None:
        """Says where each step's tensors come from."""
        values = {ref: Value(-1, port) for port, ref in enumerate(block.inputs)}
        for number, step in enumerate(block.steps):
            step.args = tuple(values[ref] for ref in self.reads(step))
            values.update({ref: Value(number, port) for port, ref in enumerate(step.results)})
        block.outputs = tuple(values[ref] for ref in block.results)

    # -- what is called at once ------------------------------------------------------------------

    def units(self, path: Path, within: Path, nodes: Sequence[int]) -> list[Unit]:
        """The layers and blocks right below ``path`` and ``within``; blocks that cannot be called are taken apart."""
        depth = len(path) + len(within)
        layers: list[Unit] = []
        blocks: dict[str, list[int]] = {}
        for number in nodes:
            if len(self.paths[number]) == depth + 1:
                layers.append(Unit((*within, self.paths[number][depth]), [number], True))
            else:
                blocks.setdefault(self.paths[number][depth], []).append(number)
        layer_paths = {unit.path for unit in layers}
        units = list(layers)
        for name, members in blocks.items():
            unit = Unit((*within, name), members, False)
            whole = self.is_closed((*path, *unit.path), members) and any(map(self.has_module, members))
            if unit.path in layer_paths or not whole:
                units += self.units(path, unit.path, members)
            else:
                units.append(unit)
        return units

    def is_closed(self, path: Path, nodes: list[int]) -> bool:
        """Whether all weights that a block's layers share are within it."""
        owners = (self.graph.nodes[number].shared for number in nodes)
        return all(owner is None or self.paths[owner][: len(path)] == path for owner in owners)

    def ordered(self, path: Path, units: list[Unit]) -> list[Unit]:
        """Units in an order in which each has what it reads; a block that stands in the way is taken apart."""
        while True:
            found, stuck = self.sorted(units)
            if not stuck:
                return found
            wide = min((unit for unit in stuck if not unit.is_layer), key=lambda unit: unit.nodes[0])
            units = [unit for unit in units if unit is not wide] + self.units(path, wide.path, wide.nodes)

    def sorted(self, units: list[Unit]) -> tuple[list[Unit], list[Unit]]:
        """Units in order, and those that wait for each other in a circle (or for those that do)."""
        owner = {number: index for index, unit in enumerate(units) for number in unit.nodes}
        waits: list[set[int]] = [set() for _ in units]
        for number, index in owner.items():
            for ref in self.graph.nodes[number].inputs:
                if owner.get(ref.node, index) != index:
                    waits[index].add(owner[ref.node])
        after: list[list[int]] = [[] for _ in units]
        for index, others in enumerate(waits):
            for other in others:
                after[other].append(index)
        ready = [(unit.nodes[0], index) for index, unit in enumerate(units) if not waits[index]]
        heapq.heapify(ready)
        order = []
        while ready:
            _, index = heapq.heappop(ready)
            order.append(index)
            for other in after[index]:
                waits[other].discard(index)
                if not waits[other]:
                    heapq.heappush(ready, (units[other].nodes[0], other))
        done = set(order)
        return [units[index] for index in order], [unit for index, unit in enumerate(units) if index not in done]


def given_last(block: Block) -> tuple[Ref, ...]:
    """What a block gives that nobody reads: its last step's results."""
    return block.steps[-1].results if block.steps else ()
