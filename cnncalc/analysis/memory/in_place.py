"""Which layers can overwrite their input in inference: those after which it is not used."""

from __future__ import annotations

from cnncalc.analysis.memory.inference import last_uses, steps
from cnncalc.analysis.memory.passes import Pass
from cnncalc.graph import Graph


def in_place_nodes(graph: Graph, run: Pass) -> frozenset[int]:
    """The nodes that can, in the written order: the layer can, and no other live tensor shares its input's storage.

    The net's inputs are never overwritten: they belong to the caller.
    """
    numbers = steps(graph)
    done = last_uses(graph, numbers)
    users = [0] * len(run.sizes)
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            users[run.nodes[number].outputs[0]] = 2  # the caller holds it too
    found = set()
    takes: dict[int, int] = {}
    for number in numbers:
        layer = graph.nodes[number].layer
        outputs = [takes.get(storage, storage) for storage in run.nodes[number].outputs]
        if layer is not None and layer.in_place:
            (ref,) = graph.nodes[number].inputs
            (own,) = run.nodes[number].outputs
            read = run.nodes[ref.node].outputs
            source = takes.get(read[0], read[0]) if len(read) == 1 else None
            alone = source is not None and ref.node in done[number] and users[source] == 1
            # a part of a larger storage is copied, so that the rest can be freed
            if source is not None and alone and run.sizes[own] == run.sizes[source]:
                found.add(number)
                takes[own] = source
                outputs = [source]
        for storage in outputs:
            users[storage] += 1
        for finished in done[number]:
            for storage in run.nodes[finished].outputs:
                users[takes.get(storage, storage)] -= 1
    return frozenset(found)
