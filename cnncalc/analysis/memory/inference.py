"""The peak of live tensors in a pass: each tensor is freed after its last use, unless autograd keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cnncalc.analysis.memory.passes import Pass
from cnncalc.graph import Graph


class Peak(Struct, frozen=True):
    """The most bytes of tensors alive at once (without the weights), at which node first, and in which storages.

    ``highest``: for every node of the graph, the most bytes alive while it runs; ``after``: those
    alive once it has run and unused tensors are freed.
    """

    bytes: int
    node: int
    alive: tuple[int, ...]
    highest: list[int]
    after: list[int]


def steps(graph: Graph) -> list[int]:
    """The nodes that run, in the written order."""
    return [number for number, node in enumerate(graph.nodes) if node.layer is not None]


def last_uses(graph: Graph, order: Sequence[int]) -> list[list[int]]:
    """For every node, the nodes whose outputs are no longer used once it has run in this order.

    The net's outputs stay, and so does an unused input.
    """
    kept = {ref.node for _, ref in graph.outputs}
    last: dict[int, int] = {}
    for number in order:
        last[number] = number
        last.update((ref.node, number) for ref in graph.nodes[number].inputs)
    done: list[list[int]] = [[] for _ in graph.nodes]
    for number, reader in last.items():
        if number not in kept:
            done[reader].append(number)
    return done


def peak(graph: Graph, run: Pass, order: Sequence[int] | None = None, keepers: Sequence[bool] = ()) -> Peak:
    """The peak of a pass, in the written order or another one.

    The net's inputs exist from the beginning. ``keepers``: for every node whether the tensors it keeps for
    the backward pass stay; in inference nothing is kept.
    """
    numbers = steps(graph) if order is None else order
    done = last_uses(graph, numbers)
    holders = [0] * len(run.sizes)
    alive: dict[int, None] = {}
    now = 0
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            (storage,) = run.nodes[number].outputs
            holders[storage] = 1
            alive[storage] = None
            now += run.sizes[storage]
    most, at, standing = now, next(iter(numbers), 0), tuple(alive)
    highest, after = [0] * len(graph.nodes), [0] * len(graph.nodes)
    for number in numbers:
        part = run.nodes[number]
        if keepers and keepers[number]:
            for storage in part.kept:
                holders[storage] += 1
        top = now
        gone: list[int] = []
        for made, storage in part.events:
            if made:
                alive[storage] = None
                now += run.sizes[storage]
                if now > top:
                    top = now
                    if now > most:
                        most, at, standing = now, number, tuple(alive)
            elif not holders[storage]:
                del alive[storage]
                now -= run.sizes[storage]
        for storage in part.outputs:
            holders[storage] += 1
        for finished in done[number]:
            for storage in run.nodes[finished].outputs:
                holders[storage] -= 1
                if not holders[storage]:
                    gone.append(storage)
        for storage in gone:
            del alive[storage]
            now -= run.sizes[storage]
        highest[number], after[number] = top, now
    return Peak(most, at, standing, highest, after)
