"""One net at many input sizes: run once, then replayed as long as the text gives the same layers.

A spec's expressions may read sizes (``in_height``), a residual takes its shortcut only where shapes
differ, and a short form expands to layers that depend on its input: at another input size the same text
can be another net. Whatever the builder reads from a shape is recorded as a :class:`Fact`. At another
size the recorded layers are asked for their shapes in order, and each fact is checked before the first
layer that may depend on it; if a fact no longer holds, the text is run again. A replay therefore
gives the same net as the builder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from cnncalc.errors import CnncalcError, LayerError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.axes import Axis
from cnncalc.layers.base import Layer, Shape, Shapes, ShortForm, Weight
from cnncalc.spec.assembly import Assembly
from cnncalc.spec.document import Call, Document, Residual
from cnncalc.spec.reader import Source
from cnncalc.spec.state import Tensors, sizes_of

MOST_RECORDINGS = 4

ShapeOf = Callable[[Ref], Shape]
Inputs = Mapping[str, Shape]


class Fact(NamedTuple):
    """What the builder read from shapes before it made node number ``before``: ``read(shape)`` was ``value``."""

    before: int
    read: Callable[[ShapeOf], Any]
    value: Any

    def holds(self, shape: ShapeOf) -> bool:
        """Whether the builder would read the same."""
        try:
            return bool(self.read(shape) == self.value)
        except (CnncalcError, ValueError, LookupError):
            return False


class Change(NamedTuple):
    """A change at one node: of its layer, or a layer put before some of its inputs (by number)."""

    layer: Layer | None = None
    before: tuple[tuple[int, Layer], ...] = ()


class Failure(NamedTuple):
    """The layer that cannot take its inputs."""

    path: str
    layer: Layer
    inputs: Tensors


class Attempt(NamedTuple):
    """One run of a text: the nodes up to the error, if there is one, and the whole message about it."""

    nodes: list[Node]
    graph: Graph | None = None
    error: CnncalcError | None = None
    failure: Failure | None = None


class Outcome(NamedTuple):
    """The outcome at one input size: whether it works; as bits by spatial axis, where a window loses pixels
    of a map, and where it leaves out pixels or padding; and a number that identifies all weights' shapes.
    """

    works: bool
    loses: int = 0
    leaves: int = 0
    weights: int = -1


class Left(NamedTuple):
    """What the floor of an output size leaves after the last window along one axis.

    ``pixels`` of the map that one window more would have read, and ``padding`` cells beside them.
    """

    pixels: int
    padding: int


class Step(NamedTuple):
    """One layer on one choice of input shapes."""

    outputs: Shapes
    loses: int
    leaves: int
    weights: int


def has_window(layer: Layer | type[Layer]) -> bool:
    """Whether a layer moves a window over the spatial axes; its class then gives the window's geometry."""
    kind = layer if isinstance(layer, type) else type(layer)
    return callable(getattr(kind, "axes", None))  # other layers have a field of that name


def left_out(layer: Layer, shapes: Shapes, outputs: Shapes) -> tuple[Left, ...]:
    """What a layer with sliding windows leaves out at the end of each spatial axis; empty for other layers.

    With ``out`` windows ``H + P_b + P_a − (out − 1)·S − K_eff`` cells are left. Of these ``S − K_eff``
    would lie between windows anyway, and the last ``P_a`` are padding.
    """
    if not has_window(layer):
        return ()
    geometry: Callable[[Shape], tuple[Axis, ...]] = layer.axes  # type: ignore[attr-defined]
    (shape,) = shapes
    found = []
    for number, (axis, read) in enumerate(zip(geometry(shape), layer.reads(shape)[0][1:], strict=True), 1):
        cells = 0
        # A transposed convolution has a window for each of its phases, and none slides by its stride.
        if (
            axis.stride > 1
            and read.window is not None
            and (read.window.stride, len(read.window.taps)) == (axis.stride, 1)
        ):
            end = (outputs[0][number] - 1) * axis.stride + axis.effective_kernel
            cells = max(0, axis.size + sum(axis.padding) - end)
        pixels = max(0, cells - axis.padding[1] - max(0, axis.stride - axis.effective_kernel))
        found.append(Left(pixels, cells - pixels))
    return tuple(found)


class _RefusedError(Exception):
    """A layer's error without its message, which would take time to write."""


class _Recorder(Assembly):
    """A builder that records what it reads from shapes and can change layers on the way."""

    def __init__(self, document: Document, *, quick: bool, changes: Mapping[str, Change]) -> None:
        super().__init__(document)
        self.quick = quick
        self.changes = changes
        self.facts: list[Fact] = []
        self.failure: Failure | None = None

    def record(self, read: Callable[[ShapeOf], Any], value: Any) -> None:
        self.facts.append(Fact(len(self.nodes), read, value))

    def in_size(self, name: str) -> Any:
        value = super().in_size(name)
        (ref,) = self.current
        self.record(lambda shape: sizes_of(shape(ref)).get(name), value)
        return value

    def differ(self, one: Ref, other: Ref) -> bool:
        value = super().differ(one, other)
        self.record(lambda shape: shape(one) != shape(other), value)
        return value

    def short_form(self, item: Call, short: ShortForm, refs: Tensors) -> None:
        ref = refs[0]
        try:
            layers = short.expand(self.shape(ref))
        except LayerError:
            layers = ()
        self.record(lambda shape: short.expand(shape(ref)), layers)
        super().short_form(item, short, refs)

    def emit(self, layer: Layer, refs: Tensors, path: str, item: Call | Residual, share: str | None) -> Tensors:
        change = self.changes.get(path)
        if change is not None:
            layer = change.layer or layer
            inputs = [*refs]
            for number, extra in change.before:
                # A name that no spec can give, as it begins with a dot.
                (inputs[number],) = super().emit(extra, (inputs[number],), f".{path}.{number}", item, None)
            refs = tuple(inputs)
        self.failure = Failure(path, layer, refs)
        result = super().emit(layer, refs, path, item, share)
        self.failure = None
        return result

    def refuse(self, item: Call | Residual, layer: Layer, refs: Tensors, error: LayerError) -> NoReturn:
        if self.quick:
            raise _RefusedError
        super().refuse(item, layer, refs, error)


class _Recording(NamedTuple):
    """A successful run: its graph, with layers by number, and the facts by the node that comes next."""

    graph: Graph
    layers: list[int]
    facts: dict[int, list[Fact]]


class Resizable:
    """A spec whose net can be built at any input shapes."""

    def __init__(self, document: Document, variant: str | None = None, settings: Mapping[str, str] | None = None):
        self.document = document
        self.variant = variant
        self.settings = settings or {}
        self._recordings: list[_Recording] = []
        self._layers: dict[Layer, int] = {}
        self._steps: dict[tuple[int, Shapes], Step | None] = {}
        self._weights: dict[tuple[Weight, ...], int] = {}
        self._all_weights: dict[tuple[tuple[str, int], ...], int] = {}
        self._outcomes: dict[tuple[tuple[str, Shape], ...], Outcome] = {}
        self.runs = 0
        """How often the text was run rather than replayed."""

    @property
    def source(self) -> Source:
        """The text."""
        return self.document.source

    def inputs(self, given: Inputs | Shape | None = None) -> dict[str, Shape]:
        """The inputs' shapes: the text's own, replaced by those given.

        Raises:
            CnncalcError: the text has no such input, or says no valid shape for one.
        """
        builder = Assembly(self.document)
        builder.bind_file_args(self.variant, self.settings)
        builder.inputs({})
        own = {node.path: node.output_shape for node in builder.nodes}
        if given is None:
            return own
        if not isinstance(given, Mapping):
            given = {next(iter(own)): given} if len(own) == 1 else {"input": given}
        builder.inputs(given)  # which raises for a name that does not exist
        return {**own, **given}

    # -- with messages, and with changes -------------------------------------------------------

    def attempt(self, inputs: Inputs, changes: Mapping[str, Change] | None = None) -> Attempt:
        """Runs the text for these input shapes, with some nodes changed."""
        builder = _Recorder(self.document, quick=False, changes=changes or {})
        try:
            graph = builder.build(self.variant, self.settings, inputs)
        except CnncalcError as error:
            return Attempt(builder.nodes, error=error, failure=builder.failure)
        return Attempt(builder.nodes, graph)

    def left_out(self, nodes: list[Node]) -> list[tuple[Node, tuple[Left, ...]]]:
        """The nodes whose windows leave something out, and what along each axis."""
        found = []
        for node in nodes:
            if node.layer is not None:
                left = left_out(node.layer, node.input_shapes, node.output_shapes)
                if any(map(any, left)):
                    found.append((node, left))
        return found

    # -- many sizes ----------------------------------------------------------------------------

    def at(self, inputs: Inputs) -> Outcome:
        """The outcome at these input shapes: from a replay if possible, else from a run of the text."""
        key = tuple(inputs.items())
        known = self._outcomes.get(key)
        if known is None:
            known = self._outcomes[key] = self._at(inputs)
        return known

    def _at(self, inputs: Inputs) -> Outcome:
        for recording in self._recordings:
            outcome = self._replay(recording, inputs)
            if outcome is not None:
                return outcome
        return self._run(inputs)

    def graph(self, inputs: Inputs) -> Graph | None:
        """The net of the text at these input shapes; ``None`` if it does not accept them."""
        if not self.at(inputs).works:
            return None
        for recording in self._recordings:
            try:
                graph = recording.graph.rebuilt(inputs)
            except LayerError:
                continue
            if all(fact.holds(graph.shape) for facts in recording.facts.values() for fact in facts):
                return graph
        return self._record(inputs).graph

    def _run(self, inputs: Inputs) -> Outcome:
        try:
            recording = self._record(inputs)
        except (_RefusedError, CnncalcError):
            return Outcome(False)
        outcome = self._replay(recording, inputs)
        assert outcome is not None, "a run holds to its own facts"
        return outcome

    def _record(self, inputs: Inputs) -> _Recording:
        """Runs the text and keeps the result."""
        self.runs += 1
        builder = _Recorder(self.document, quick=True, changes={})
        graph = builder.build(self.variant, self.settings, inputs)
        facts: dict[int, list[Fact]] = {}
        for fact in builder.facts:
            facts.setdefault(fact.before, []).append(fact)
        layers = [-1 if n.layer is None else self._layers.setdefault(n.layer, len(self._layers)) for n in builder.nodes]
        recording = _Recording(graph, layers, facts)
        self._recordings = [recording, *self._recordings[: MOST_RECORDINGS - 1]]
        return recording

    def _replay(self, recording: _Recording, inputs: Inputs) -> Outcome | None:
        """The outcome of recorded layers at other shapes; ``None`` if a fact does not hold there."""
        graph, layers, facts = recording
        nodes = graph.nodes
        steps = self._steps
        shapes: list[Shapes] = []
        weights: dict[int, int] = {}
        loses = leaves = 0

        def shape(ref: Ref) -> Shape:
            return shapes[ref.node][ref.port]

        for number, node in enumerate(nodes):
            if number in facts and not all(fact.holds(shape) for fact in facts[number]):
                return None
            if node.layer is None:
                shapes.append((inputs[node.path],))
                continue
            arriving = tuple([shapes[ref.node][ref.port] for ref in node.inputs])
            key = (layers[number], arriving)
            if key in steps:
                step = steps[key]
            else:
                step = steps[key] = self._step(node.layer, arriving)
            if step is None:
                return Outcome(False)
            if len(step.outputs) != len(node.output_shapes):
                return None
            shapes.append(step.outputs)
            loses |= step.loses
            leaves |= step.leaves
            if step.weights >= 0:
                weights[number] = step.weights
                if node.shared is not None and step.weights != weights.get(node.shared):
                    return None
        if len(nodes) in facts and not all(fact.holds(shape) for fact in facts[len(nodes)]):
            return None
        owned = tuple([(nodes[number].path, shape) for number, shape in weights.items()])
        together = self._all_weights.setdefault(owned, len(self._all_weights))
        return Outcome(True, loses, leaves, together)

    def _step(self, layer: Layer, shapes: Shapes) -> Step | None:
        try:
            outputs = layer.checked_shapes(*shapes)
        except LayerError:
            return None
        left = left_out(layer, shapes, outputs)
        loses = sum(1 << i for i, (pixels, _) in enumerate(left) if pixels)
        leaves = sum(1 << i for i, both in enumerate(left) if any(both))
        owned = layer.weights(*shapes)
        return Step(outputs, loses, leaves, self._weights.setdefault(owned, len(self._weights)) if owned else -1)
