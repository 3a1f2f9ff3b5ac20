"""The common intermediate form: immutable nodes in topological order.

Whatever the source (YAML, PyTorch, ONNX), the analyses see a :class:`Graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnncalc.errors import LayerError
from cnncalc.layers.base import Layer, Reads, Shape, Shapes


class Ref(NamedTuple):
    """One tensor: output ``port`` of node number ``node``."""

    node: int
    port: int = 0


class Place(NamedTuple):
    """Where a node was written in the source: file, line and column (from 1)."""

    file: str
    line: int
    column: int


class Note(NamedTuple):
    """A remark from whoever made the graph: the code of a diagnostic, a sentence, and its severity."""

    code: str
    message: str
    severity: Literal["info", "warning"] = "warning"


class Node(Struct, frozen=True, gc=False):
    """One call of one layer, or (with ``layer`` ``None``) an input of the net.

    ``shared`` is the number of the first node that uses the same weights, if that is another one. ``called`` is, in a
    captured net, the class of the called module and its bases (with their packages, except for ``torch.nn``);
    empty for functions.
    """

    path: str
    layer: Layer | None
    inputs: tuple[Ref, ...]
    input_shapes: Shapes
    output_shapes: Shapes
    place: Place | None = None
    shared: int | None = None
    called: tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        """The layer's name, or ``input``."""
        return "input" if self.layer is None else self.layer.kind

    @property
    def differentiable_inputs(self) -> tuple[Ref, ...]:
        """The inputs that a gradient passes through."""
        return self.inputs if self.layer is None else self.inputs[: self.layer.differentiable]

    @property
    def where(self) -> str:
        """``file:line:column: ``, the start of a message; empty if the place is not known."""
        return "" if self.place is None else ":".join(map(str, self.place)) + ": "

    @property
    def output_shape(self) -> Shape:
        """Shape of the (first) output, without the batch."""
        return self.output_shapes[0]


class Leftover(Struct, frozen=True):
    """A name that a text defines and never uses; ``hint`` gives the nearest used name, if one is near."""

    kind: Literal["argument", "block", "block argument"]
    name: str
    place: Place
    hint: str | None = None


class Graph(Struct, frozen=True):
    """A whole net: its nodes in topological order, inputs first, and its result tensors."""

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[tuple[str, Ref], ...]
    source: str = ""
    citation: str = ""
    args: dict[str, Any] = {}
    budget: dict[str, dict[str, int]] = {}
    budget_places: dict[str, dict[str, Place]] = {}
    """Where the source sets each limit."""
    notes: tuple[Note, ...] = ()
    replaced: dict[str, Shape] = {}
    """The source's own shapes of inputs that were given other ones."""
    leftovers: tuple[Leftover, ...] = ()
    """Arguments and blocks that no part of the source mentions, whatever the variant."""

    @property
    def inputs(self) -> dict[str, Shape]:
        """The named inputs and their shapes."""
        return {node.path: node.output_shape for node in self.nodes if node.layer is None}

    def samples(self, batch: int) -> list[int]:
        """For every node, for how many samples it is computed: one if it depends on no input of the net, since the
        whole batch shares its result.
        """
        counts: list[int] = []
        for node in self.nodes:
            counts.append(batch if node.layer is None else max([1, *(counts[ref.node] for ref in node.inputs)]))
        return counts

    def path(self, ref: Ref) -> str:
        """The readable name of one tensor: the node's path, with ``.port`` where it has several outputs."""
        node = self.nodes[ref.node]
        return node.path if len(node.output_shapes) == 1 else f"{node.path}.{ref.port}"

    def shape(self, ref: Ref) -> Shape:
        """The shape of one tensor."""
        return self.nodes[ref.node].output_shapes[ref.port]

    def needed(self) -> list[bool]:
        """For every node whether some output of the net depends on it."""
        needed = [False] * len(self.nodes)
        for _, ref in self.outputs:
            needed[ref.node] = True
        for number in range(len(self.nodes) - 1, -1, -1):
            if needed[number]:
                for ref in self.nodes[number].inputs:
                    needed[ref.node] = True
        return needed

    def without_values(self) -> list[Node]:
        """The nodes that results depend on and whose values the graph does not hold: constants that are not weights."""
        needed = (node for node, is_needed in zip(self.nodes, self.needed(), strict=True) if is_needed)
        return [node for node in needed if node.layer is not None and not node.inputs and not node.layer.weights()]

    def unused(self) -> tuple[Node, ...]:
        """The nodes, inputs among them, from which no output of the net is reachable, in order."""
        return tuple(node for node, needed in zip(self.nodes, self.needed(), strict=True) if not needed)

    def rebuilt(
        self, inputs: Mapping[str, Shape] | None = None, change: Callable[[Layer, Shapes], Layer] | None = None
    ) -> Graph:
        """The same net for inputs of other shapes, each layer replaced by ``change(layer, input_shapes)``.

        Raises:
            LayerError: a layer cannot take the shapes that reach it, or its weights no longer fit those it shares.
        """
        nodes: list[Node] = []
        for node in self.nodes:
            if node.layer is None:
                shape = (inputs or {}).get(node.path, node.output_shape)
                nodes.append(replace(node, output_shapes=(shape,)))
                continue
            shapes = tuple([nodes[ref.node].output_shapes[ref.port] for ref in node.inputs])
            layer = change(node.layer, shapes) if change else node.layer
            nodes.append(replace(node, layer=layer, input_shapes=shapes, output_shapes=layer.checked_shapes(*shapes)))
            if node.shared is not None and not _same_weights(nodes[node.shared], nodes[-1]):
                raise LayerError(f"its weights differ from those of {nodes[node.shared].path}, which it shares")
        return replace(self, nodes=tuple(nodes))

    def seen_from(self, number: int) -> Graph:
        """The net with node ``number`` as an input: what depends on it sees its units as pixels."""
        node = self.nodes[number]
        source = Node(node.path, None, (), (), node.output_shapes[:1], node.place)
        return replace(self, nodes=(*self.nodes[:number], source, *self.nodes[number + 1 :]))

    def narrowed(self) -> Graph:
        """The same net with as few channels as possible: one, or a divisor that all layers accept.

        Its spatial sizes, and what its units read along them, are those of the whole net.
        """
        for divisor in (1 << 62, 64, 32, 16, 8, 4, 2):

            def narrow(layer: Layer, shapes: Shapes, by: int = divisor) -> Layer:
                return layer.narrowed(by, *shapes)

            try:
                return self.rebuilt(change=narrow)
            except LayerError:
                continue
        return self


# -- one propagation -------------------------------------------------------------------------------

T = TypeVar("T")


class Output(NamedTuple):
    """One output of a node, or all of them together: its shape, and what it reads of each input."""

    number: int
    node: Node
    shape: Shape
    reads: tuple[Reads, ...] | None


class Carried(NamedTuple, Generic[T]):
    """What was carried to every node (``nodes``: to all its outputs together) and every output of several."""

    nodes: list[T]
    ports: dict[Ref, T]

    def of(self, ref: Ref) -> T:
        """What one tensor has."""
        return self.ports[ref] if ref in self.ports else self.nodes[ref.node]


class Algebra(Generic[T]):
    """What :func:`propagate` carries along what layers read: a field, sets of pixels, where an axis runs, …"""

    def begin(self, number: int, node: Node) -> T:
        """What a node without inputs has: an input of the net, or a constant."""
        raise NotImplementedError

    def reads(self, reads: tuple[Reads, ...], shapes: Shapes) -> tuple[Reads, ...] | None:
        """What a layer reads, as far as it matters; asked once per layer and input shapes."""
        return reads

    def after(self, out: Output, before: list[T]) -> T:
        """What an output has, from what the node's inputs have."""
        raise NotImplementedError


def propagate(graph: Graph, algebra: Algebra[T]) -> Carried[T]:
    """Carries values from the net's inputs to all its tensors."""

    @cache
    def read(layer: Layer, shapes: Shapes, port: int | None) -> tuple[Reads, ...] | None:
        return algebra.reads(layer.reads(*shapes) if port is None else layer.port_reads(port, *shapes), shapes)

    carried: Carried[T] = Carried([], {})
    nodes, ports = carried
    for number, node in enumerate(graph.nodes):
        layer, shapes = node.layer, node.input_shapes
        if layer is None or not node.inputs:
            nodes.append(algebra.begin(number, node))
            continue
        before = [ports[ref] if ref in ports else nodes[ref.node] for ref in node.inputs]
        nodes.append(algebra.after(Output(number, node, node.output_shape, read(layer, shapes, None)), before))
        for port, shape in enumerate(node.output_shapes) if len(node.output_shapes) > 1 else ():
            ports[Ref(number, port)] = algebra.after(Output(number, node, shape, read(layer, shapes, port)), before)
    return carried


def _same_weights(first: Node, second: Node) -> bool:
    """Whether two nodes own tensors with the same names and shapes."""
    if first.layer is None or second.layer is None:
        return False
    return first.layer.weights(*first.input_shapes) == second.layer.weights(*second.input_shapes)
