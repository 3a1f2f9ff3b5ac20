"""A forward pass of a whole net as storages made, kept and freed, layer by layer."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from msgspec import Struct

from cnncalc.graph import Graph
from cnncalc.layers.base import Layer
from cnncalc.layers.strides import contiguous
from cnncalc.layers.tape import WEIGHT, Event, Held, Tape

NONE: frozenset[int] = frozenset()


class Written(NamedTuple):
    """A layer's tape; storages are numbered from its inputs' on."""

    outputs: tuple[Held, ...]
    sizes: tuple[int, ...]
    events: tuple[Event, ...]
    kept: tuple[int, ...]
    unknown: tuple[str, ...]


class NodePass(Struct, frozen=True, gc=False):
    """One node's part: the storages it makes and frees, in order, those it keeps, and those of its outputs."""

    events: tuple[Event, ...]
    kept: tuple[int, ...]
    outputs: tuple[int, ...]
    unknown: tuple[str, ...]


class Pass(Struct, frozen=True):
    """A forward pass: the bytes of every storage, the parts of the nodes, and which node makes a storage."""

    sizes: list[int]
    nodes: list[NodePass]
    makers: list[int]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why some storages may be missing."""
        return tuple(dict.fromkeys(reason for node in self.nodes for reason in node.unknown))


def forward_pass(graph: Graph, batch: int, *, training: bool, element: int, in_place: frozenset[int] = NONE) -> Pass:
    """The pass of a net whose tensors have ``element`` bytes per element; in ``training`` with autograd.

    The net's inputs get no gradient. The nodes of ``in_place`` overwrite their input.
    """
    known: dict[tuple[Layer, tuple[Held, ...]], Written] = {}
    sizes: list[int] = []
    makers: list[int] = []
    nodes: list[NodePass] = []
    values: list[tuple[Held, ...]] = []
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            shape, storage = (batch, *node.output_shape), len(sizes)
            sizes.append(prod(shape) * element)
            makers.append(number)
            values.append((Held(shape, contiguous(shape), storage, element, False),))
            nodes.append(NodePass((Event(True, storage),), (), (storage,), ()))
            continue
        inputs = [values[ref.node][ref.port] for ref in node.inputs]
        if number in in_place:
            values.append((inputs[0],))
            nodes.append(NodePass((), (), (inputs[0].storage,), ()))
            continue
        own = list(dict.fromkeys(x.storage for x in inputs if x.storage != WEIGHT))
        place = {storage: number for number, storage in enumerate(own)} | {WEIGHT: WEIGHT}
        local = tuple([x._replace(storage=place[x.storage]) for x in inputs])
        key = (node.layer, local)
        written = known.get(key)
        if written is None:
            written = known[key] = write(node.layer, local, len(own), training=training, element=element)
        own += range(len(sizes), len(sizes) + len(written.sizes))
        sizes += written.sizes
        makers += [number] * len(written.sizes)
        outputs = tuple([x if x.storage == WEIGHT else x._replace(storage=own[x.storage]) for x in written.outputs])
        values.append(outputs)
        nodes.append(
            NodePass(
                tuple([Event(made, own[storage]) for made, storage in written.events]),
                tuple([own[storage] for storage in written.kept]),
                tuple(dict.fromkeys(x.storage for x in outputs if x.storage != WEIGHT)),
                written.unknown,
            )
        )
    return Pass(sizes, nodes, makers)


def write(layer: Layer, inputs: tuple[Held, ...], storages: int, *, training: bool, element: int) -> Written:
    """What one layer makes, keeps and frees for the given inputs' storages, including what is freed at its end.

    Tensors that are the same for all samples have a batch of one.
    """
    tape = Tape(storages, max([1, *(x.shape[0] for x in inputs)]), training, element)
    out = layer.forward(tape, *inputs)
    outputs = (out,) if isinstance(out, Held) else out
    events = list(tape.events)
    gone = {storage for made, storage in events if not made} | {x.storage for x in outputs}
    events += [Event(False, storage) for made, storage in tape.events if made and storage not in gone]
    return Written(outputs, tuple(tape.sizes), tuple(events), tuple(tape.kept), tuple(tape.unknown))
