"""One net at many input sizes: run once, then replayed as long as the text gives the same layers.

A spec's expressions may read sizes (``in_height``), a residual takes its shortcut only where shapes
differ, and a short form expands to layers that depend on its input: at another input size the same text
can be another net. Whatever the builder reads from a shape is recorded as a :class:`Fact`. At another
size the recorded layers are asked for their shapes in order, and each fact is checked before the first
layer that may depend on it; if a fact no longer holds, the text is run again. A replay therefore
gives the same net as the builder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from cnncalc.errors import CnncalcError, LayerError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.base import Layer, Shape, Shapes, ShortForm, Weight, check_sizes
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


def left_out(layer: Layer, shapes: Shapes, outputs: Shapes) -> tuple[Left, ...]:
    """What a layer with sliding windows leaves out at the end of each spatial axis; empty for other layers.

    With ``out`` windows ``H + P_b + P_a − (out − 1)·S − K_eff`` cells are left. Of these ``S − K_eff``
    would lie between windows anyway, and the last ``P_a`` are padding.
    """
    found = []
    for axis, out in zip(layer.windows(*shapes), outputs[0][1:], strict=False):
        cells = max(0, axis.size + sum(axis.padding) - (out - 1) * axis.stride - axis.effective_kernel)
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
        self._all_weights: dict[frozenset[tuple[str, int]], int] = {}
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
        """The outcome at these input shapes."""
        return self.at_each([inputs])[0]

    def at_each(self, trials: Sequence[Inputs]) -> list[Outcome]:
        """The outcome at each choice of input shapes: from replays if possible, else from a run of the text."""
        found = [self._outcomes.get(tuple(inputs.items())) for inputs in trials]
        waiting = [number for number, outcome in enumerate(found) if outcome is None]
        recordings = iter([*self._recordings])
        while waiting:
            recording = next(recordings, None)
            if recording is None:
                try:
                    recording = self._record(trials[waiting[0]])
                except (_RefusedError, CnncalcError):
                    found[waiting.pop(0)] = Outcome(False)
                    continue
            for number, outcome in zip(
                waiting, Replay(self, recording, [trials[n] for n in waiting]).run(), strict=True
            ):
                found[number] = outcome
            waiting = [number for number in waiting if found[number] is None]
        outcomes = [outcome for outcome in found if outcome is not None]
        self._outcomes.update(zip([tuple(inputs.items()) for inputs in trials], outcomes, strict=True))
        return outcomes

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

    def step(self, layer: int, node: Node, arriving: Shapes) -> Step | None:
        """What the recorded layer of that number does with input shapes; ``None`` where it does not take them."""
        key = (layer, arriving)
        if key not in self._steps:
            assert node.layer is not None
            self._steps[key] = self._step(node.layer, arriving)
        return self._steps[key]

    def all_weights(self, owned: Iterable[tuple[str, int]]) -> int:
        """The number that identifies the shapes of all weights, each by its node's path."""
        return self._all_weights.setdefault(frozenset(owned), len(self._all_weights))

    def _step(self, layer: Layer, shapes: Shapes) -> Step | None:
        try:
            outputs = layer.output_shapes(*shapes)  # whose fields fit, since the text was built
            check_sizes(*shapes, *outputs)
        except LayerError:
            return None
        left = left_out(layer, shapes, outputs)
        loses = sum(1 << i for i, (pixels, _) in enumerate(left) if pixels)
        leaves = sum(1 << i for i, both in enumerate(left) if any(both))
        owned = layer.weights(*shapes)
        return Step(outputs, loses, leaves, self._weights.setdefault(owned, len(self._weights)) if owned else -1)


class Replay:
    """One run of recorded layers at many input shapes.

    A layer is asked once for each *class* of trials whose tensors have the same shapes there: a stride of 2 halves the
    classes of neighbouring sizes, so there are few of them in a deep net. A group is a way to sort the trials into
    classes; tensors of one group differ between the same trials.
    """

    def __init__(self, net: Resizable, recording: _Recording, trials: Sequence[Inputs]) -> None:
        self.net = net
        self.recording = recording
        self.trials = trials
        self.decided: dict[int, Outcome | None] = {}
        """Trials at which a layer fails or (``None``) a fact does not hold."""
        self.groups = [list(range(len(trials)))]
        """For each group the class of each trial."""
        self.nodes: list[tuple[int, list[Step | None]]] = []
        """For each node the group of its inputs, and for each class what it does; ``None`` from where a layer fails."""
        self.outputs: list[tuple[int, list[Shapes | None]]] = []
        """For each node the group of its outputs and their shapes by class."""
        self._joined: dict[tuple[int, ...], tuple[int, list[tuple[int, ...]]]] = {}
        self._merged: dict[tuple[int, tuple[int, ...]], int] = {}

    def run(self) -> list[Outcome | None]:
        """The outcome of each trial; ``None`` where a fact does not hold, so that the text must be run again."""
        graph, layers, facts = self.recording
        for number, node in enumerate(graph.nodes):
            self._check(facts.get(number, ()))
            if node.layer is None:
                self._put(0, [Step(((trial[node.path]),), 0, 0, -1) for trial in self.trials])
                continue
            group, rows = self._join(tuple([self.outputs[ref.node][0] for ref in node.inputs]))
            steps = [self._step(node, layers[number], row) for row in rows]
            if None in steps:
                self._decide(group, {c for c, step in enumerate(steps) if step is None}, Outcome(False))
            ports = len(node.output_shapes)
            self._decide(group, {c for c, step in enumerate(steps) if step and len(step.outputs) != ports}, None)
            self._put(group, steps)
            if node.shared is not None:
                self._compare(number, node.shared)
        self._check(facts.get(len(graph.nodes), ()))
        return self._outcomes()

    def _join(self, groups: tuple[int, ...]) -> tuple[int, list[tuple[int, ...]]]:
        """The group that tells apart what any of several does, and for each of its classes those in each of them."""
        if groups not in self._joined:
            classes: dict[tuple[int, ...], int] = {}
            rows = zip(*(self.groups[group] for group in groups), strict=True) if groups else [()] * len(self.trials)
            of = [classes.setdefault(row, len(classes)) for row in rows]
            if len(set(groups)) == 1:
                self._joined[groups] = groups[0], [(c,) * len(groups) for c in range(len(classes))]
            else:
                self.groups.append(of)
                self._joined[groups] = len(self.groups) - 1, list(classes)
        return self._joined[groups]

    def _step(self, node: Node, layer: int, row: tuple[int, ...]) -> Step | None:
        arriving = []
        for ref, c in zip(node.inputs, row, strict=True):
            shapes = self.outputs[ref.node][1][c]
            if shapes is None:
                return None
            arriving.append(shapes[ref.port])
        return self.net.step(layer, node, tuple(arriving))

    def _put(self, group: int, steps: list[Step | None]) -> None:
        """A node's steps, by the classes of its inputs; those with the same outputs become one class."""
        self.nodes.append((group, steps))
        outputs = [step and step.outputs for step in steps]
        classes: dict[Shapes | None, int] = {}
        merged = tuple([classes.setdefault(shapes, len(classes)) for shapes in outputs])
        if len(classes) < len(outputs):
            if (group, merged) not in self._merged:
                self._merged[group, merged] = len(self.groups)
                self.groups.append([merged[c] for c in self.groups[group]])
            group = self._merged[group, merged]
        self.outputs.append((group, list(classes)))

    def _decide(self, group: int, classes: set[int], outcome: Outcome | None) -> None:
        """The outcome of the trials of some classes that have none yet."""
        for trial, c in enumerate(self.groups[group]) if classes else ():
            if c in classes:
                self.decided.setdefault(trial, outcome)

    def _check(self, facts: Iterable[Fact]) -> None:
        """Each fact, once for all trials with the same shapes of the tensors that it reads."""
        for fact in facts:
            known: dict[tuple[Shape, ...], bool] = {}
            read: list[Ref] = []

            def shape(ref: Ref, trial: int) -> Shape:
                group, shapes = self.outputs[ref.node]
                found = shapes[self.groups[group][trial]]
                assert found is not None, "the trial has come so far"
                return found[ref.port]

            for trial in range(len(self.trials)):
                if trial in self.decided:
                    continue
                key = tuple(shape(ref, trial) for ref in read)
                if not read or key not in known:
                    seen: dict[Ref, Shape] = {}
                    holds = fact.holds(lambda ref, t=trial, seen=seen: seen.setdefault(ref, shape(ref, t)))  # type: ignore[misc]
                    read, key = list(seen), tuple(seen.values())
                    known[key] = holds
                if not known[key]:
                    self.decided[trial] = None

    def _owned(self, number: int, trial: int) -> int:
        group, steps = self.nodes[number]
        step = steps[self.groups[group][trial]]
        return -1 if step is None else step.weights

    def _compare(self, number: int, owner: int) -> None:
        """The trials at which a node's weights are no longer those that it shares."""
        for trial in range(len(self.trials)):
            if trial not in self.decided and self._owned(number, trial) != self._owned(owner, trial):
                self.decided[trial] = None

    def _outcomes(self) -> list[Outcome | None]:
        paths = [node.path for node in self.recording.graph.nodes]
        losses: dict[int, list[tuple[int, int]]] = {}
        fixed: list[tuple[str, int]] = []
        varying: list[int] = []
        for number, (group, steps) in enumerate(self.nodes):
            have = [(step.loses, step.leaves) if step else (0, 0) for step in steps]
            if any(map(any, have)):
                before = losses.get(group, [(0, 0)] * len(have))
                losses[group] = [(a | c, b | d) for (a, b), (c, d) in zip(before, have, strict=True)]
            owned = {step.weights for step in steps if step}
            if len(owned) > 1:
                varying.append(number)
            elif owned and owned != {-1}:
                fixed.append((paths[number], owned.pop()))
        found: list[Outcome | None] = []
        for trial in range(len(self.trials)):
            if trial in self.decided:
                found.append(self.decided[trial])
                continue
            loses = leaves = 0
            for group, marks in losses.items():
                more = marks[self.groups[group][trial]]
                loses, leaves = loses | more[0], leaves | more[1]
            own = [(paths[number], weights) for number in varying if (weights := self._owned(number, trial)) >= 0]
            found.append(Outcome(True, loses, leaves, self.net.all_weights((*fixed, *own))))
        return found
