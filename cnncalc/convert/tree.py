"""The tree of a net that specs and code are written from: scopes by path, and in each chains, residuals and branches.

Every node of the graph stands in it once, in an order in which all can run. What structure cannot express reads its
inputs by name.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct

from cnncalc.graph import Graph, Ref
from cnncalc.layers import Layer

Refs = tuple[Ref, ...]
Source = tuple["Ref | None", ...]
"""Tensors read by name; ``None`` is the current tensor among others."""
Key = TypeVar("Key", int, str)

MARK = re.compile(r"\b(branch|shortcut)\d+\b")
"""A path level that the spec language itself gives to branches and shortcuts."""


class Op(Struct, gc=False):
    """One layer. ``reads`` are its inputs, ``source`` the same if they are not the current tensor.

    ``layer`` is the short form that stands for the node's where there is one; ``node`` is -1 for the sum of a
    residual that does not apply.
    """

    name: str
    node: int
    layer: Layer
    reads: Refs
    source: Source | None = None
    share: str | None = None


class Group(Struct):
    """The items under one path level: a module, a block's instance.

    ``reads`` is the current tensor at its entrance. ``outer`` are the tensors from outside that its layers read, and
    ``escapes`` those of its own, other than its result, that are read outside.
    """

    name: str
    path: str
    body: list[Item]
    nodes: frozenset[int]
    reads: Refs
    result: Refs
    source: Source | None = None
    share: str | None = None
    outer: Refs = ()
    escapes: Refs = ()


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


def groups_of(body: Sequence[Item], around: Group | None = None) -> Iterator[tuple[Group | None, Group]]:
    """All groups, each after those in it, with the group that each stands in."""
    for item in body:
        inner = item if isinstance(item, Group) else around
        for part in bodies(item):
            yield from groups_of(part, inner)
        if isinstance(item, Group):
            yield around, item


def results(graph: Graph, node: int) -> Refs:
    """The tensors that a node gives."""
    return tuple([Ref(node, port) for port in range(len(graph.nodes[node].output_shapes))])


def result_of(graph: Graph, item: Item) -> Refs:
    """The tensors that an item ends in; those of a residual that does not apply are its body's."""
    if isinstance(item, Group):
        return item.result
    if isinstance(item, Skip) and item.op.node < 0:
        return result_of(graph, item.body[-1])
    return results(graph, item.node if isinstance(item, Op) else item.op.node)


@lru_cache(maxsize=4096)
def stem(name: str) -> tuple[str, int | None]:
    """A name without the number at its end, and that number."""
    match = re.fullmatch(r"(.*?)(0|[1-9][0-9]*)", name, re.DOTALL)
    return (match[1], int(match[2])) if match else (name, None)


def counts_on(before: str, name: str) -> bool:
    """Whether a name is the next after another: ``1`` after ``0``, ``block3`` after ``block2``."""
    (one, number), (other, following) = stem(before), stem(name)
    return one == other and number is not None and following == number + 1


def ordered(edges: Mapping[Key, Set[Key]], first: Mapping[Key, float]) -> list[Key]:
    """The units of ``edges`` (what each reads) so that each comes after those it reads, otherwise as ``first`` says.

    Those in a cycle, and those after one, are left out.
    """
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
