"""A convention: data that says how much a tool counts for each PyTorch module or function that it sees.

The tools count different things, and look at different things: some at modules by their class
(``BatchNorm2d``), some at the functions in a trace (``batch_norm``), one at both. A layer says what
it is in PyTorch (:meth:`~cnncalc.layers.base.Layer.torch_module`, ``torch_calls``), a convention
what a tool counts for that; anything in neither table the tool does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Literal, NamedTuple

from msgspec import Struct

from cnncalc.analysis.memory.passes import write
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Call, Layer, Shape, Shapes, Unknown, Weight
from cnncalc.layers.strides import contiguous
from cnncalc.layers.tape import Held

FLOAT_BYTES = 4
Number = int | float
"""Tools that divide use floats; their counts are whole numbers below 2**53."""
Unit = Literal["MACs", "FLOPs", "activations"]


class CannotCount(Exception):  # noqa: N818  (it is not our error)
    """The tool itself fails here; the message is its error."""


class Untold(CannotCount):
    """We do not know: a layer does not say what it is in PyTorch."""


class Seen(NamedTuple):
    """One module or function as a tool sees it; shapes have the batch in front.

    ``macs`` are of the whole batch; ``weight`` is the shape of the learned factor, if there is one;
    ``learned`` are all learned tensors of a module.
    """

    name: str
    layer: Layer
    batch: int
    inputs: Shapes
    outputs: Shapes
    macs: int
    weight: Shape | None
    bias: bool
    training: bool = False
    in_order: bool = True
    learned: tuple[Weight, ...] = ()

    @property
    def input_elements(self) -> int:
        """Elements of the first input, if there is one."""
        return prod(self.inputs[0]) if self.inputs else 0

    @property
    def output_elements(self) -> int:
        """Elements of the first output."""
        return prod(self.outputs[0])


class Rule(Struct, frozen=True):
    """How much a tool counts for one module or function: a weight for each kind of operation.

    ``macs`` weighs multiply-accumulates, ``bias`` the output elements where there is a learned summand,
    ``inputs`` and ``outputs`` the elements of the first input and output, and ``scaled`` the input elements once more
    where there is a learned scale. Anything else is a ``quirk``, a function whose docstring describes it.
    ``own_statistics`` is the rule for a norm by the batch's own statistics, where that is another. ``fused`` says that
    a bias counts only where the input lies in order in memory. ``fails`` gives the error where the tool has one,
    ``partial`` says where it knows that it misses a part.
    """

    macs: int = 0
    bias: int = 0
    inputs: int = 0
    scaled: int = 0
    outputs: int = 0
    quirk: Callable[[Seen], Number] | None = None
    own_statistics: Rule | None = None
    fused: bool = False
    fails: Callable[[Seen], str] | None = None
    partial: Callable[[Seen], bool] | None = None

    def for_(self, seen: Seen) -> Rule:
        """The rule that holds for this module or function."""
        return self.own_statistics if self.own_statistics is not None and seen.training else self

    def count(self, seen: Seen) -> Number:
        """The tool's number.

        Raises:
            CannotCount: the tool fails.
        """
        error = "" if self.fails is None else self.fails(seen)
        if error:
            raise CannotCount(error)
        return (
            self.macs * seen.macs
            + (self.outputs + self._bias(seen)) * seen.output_elements
            + self._per_input(seen) * seen.input_elements
            + (self.quirk(seen) if self.quirk is not None else 0)
        )

    def _per_input(self, seen: Seen) -> int:
        return self.inputs + self.scaled * (seen.weight is not None)

    def _bias(self, seen: Seen) -> int:
        return self.bias * (seen.bias and (seen.in_order or not self.fused))

    def says(self, seen: Seen) -> str:
        """The same in words, for this module or function."""
        parts = []
        if self.macs:
            parts.append("each multiply-accumulate" + (f" as {self.macs}" if self.macs > 1 else ""))
        for weight, what in (
            (self._per_input(seen), "input element"),
            (self.outputs, "output element"),
            (self._bias(seen), "output element for the bias"),
        ):
            if weight:
                parts.append(f"{weight} per {what}")
        if self.quirk is not None:
            parts.append(" ".join((self.quirk.__doc__ or "").split()))
        return " and ".join(parts) or "nothing"


NOTHING = Rule()
"""Known to the tool, and counted as 0."""
Rules = Mapping[str, Rule]


class Convention(Struct, frozen=True):
    """A tool's way of counting, according to its source code of one version.

    ``modules`` are looked up by class, ``functions`` by their name in a trace, or, where ``patches`` is
    true, by the Python name that the tool replaces. ``other`` is the rule for modules that ``modules`` does not
    hold. With ``confesses`` such a module makes the tool's total partial; the others pass over it in silence.
    ``per_sample`` tools divide what they count for modules by the batch. One that ``inherits`` knows the classes
    derived of those it knows. A ``traces`` tool never sees what no output of the net depends on: PyTorch takes that
    out of its traces.
    """

    name: str
    tool: str
    version: str
    unit: Unit
    counts: str
    modules: Rules | None = None
    functions: Rules | None = None
    patches: bool = False
    other: Rule | None = None
    confesses: bool = False
    per_sample: bool = False
    inherits: bool = False
    traces: bool = False
    reads: str = ""

    @property
    def per_mac(self) -> int:
        """One multiply-accumulate in the tool's unit."""
        return 2 if self.unit == "FLOPs" else 1


class NodeCount(Struct, frozen=True):
    """What a tool counts for one node, in words too; ``None`` where it or we cannot tell."""

    count: Number | None
    says: tuple[str, ...] = ()
    problem: str = ""


class Answer(Struct, frozen=True):
    """A tool's answer for a net: the total, and each node's share.

    ``count`` is ``None`` where the tool fails, or (``untold``) where a layer does not say what it is in PyTorch;
    ``problem`` then says why. ``partial`` is what the tool itself says of its number.
    """

    convention: Convention
    count: int | None
    nodes: tuple[NodeCount, ...]
    partial: bool = False
    unknown: tuple[str, ...] = ()
    problem: str = ""
    untold: bool = False


def answer(graph: Graph, convention: Convention, batch: int = 1, functional: frozenset[str] = frozenset()) -> Answer:
    """The tool's answer for the PyTorch module of this net, in evaluation mode.

    Layers of the types ``functional`` are taken for calls of functions in the net's own code, as many nets have
    their activations and all have their sums; no tool sees a module there. Of a captured net it is known which are.
    """
    nodes, unknown, problem = [], [], ""
    of_modules: Number = 0
    of_functions: Number = 0
    confessed, untold = False, False
    rules = (convention.functions or {}).values()
    tensors = _tensors(graph, batch) if any(rule.fused for rule in rules) else []
    for node, needed, samples in zip(graph.nodes, graph.needed(), graph.samples(batch), strict=True):
        if node.layer is None or (convention.traces and not needed):
            nodes.append(NodeCount(0))
            continue
        try:
            function = node.kind in functional or node.called == ()
            module = (0, (), False, False) if function else _of_module(convention, node, samples)
            here, said, lacks, unsure = module
            there, says = _of_functions(convention, node, samples, tensors)
        except CannotCount as error:
            problem = problem or f"{node.path}: {error}"
            untold |= isinstance(error, Untold)
            nodes.append(NodeCount(None, problem=str(error)))
            continue
        of_modules += here
        of_functions += there
        confessed |= unsure
        if lacks:
            unknown.append(node.kind)
        share: Number = here
        if convention.per_sample:
            share = here // batch if here % batch == 0 else here / batch
        nodes.append(NodeCount(share + there, tuple(dict.fromkeys((*said, *says)))))
    total = (of_modules / batch if convention.per_sample else of_modules) + of_functions
    return Answer(
        convention,
        None if problem else int(total),
        tuple(nodes),
        partial=confessed,
        unknown=tuple(dict.fromkeys(unknown)),
        problem=problem,
        untold=untold,
    )


def _of_module(convention: Convention, node: Node, batch: int) -> tuple[Number, tuple[str, ...], bool, bool]:
    """The count for the node's module, and in words; whether the tool lacks it; whether its total is then partial."""
    layer = node.layer
    if convention.modules is None or layer is None:
        return 0, (), False, False
    names = node.called or (layer.torch_module(*node.input_shapes),)
    known = (name for name in names if convention.inherits and name in convention.modules)
    name = next(known, names[0])
    rule = convention.modules.get(name, convention.other)
    if rule is None:
        return 0, (), True, convention.confesses
    seen = _module(name, layer, node, batch)
    rule = rule.for_(seen)
    lacks = rule.partial is not None and rule.partial(seen)
    return rule.count(seen), (rule.says(seen),), lacks, lacks


def _module(name: str, layer: Layer, node: Node, batch: int) -> Seen:
    macs = layer.macs(*node.input_shapes)
    if isinstance(macs, Unknown):
        raise Untold(macs.reason)
    learned = tuple(weight for weight in layer.weights(*node.input_shapes) if weight.learnable)
    named = {weight.name: weight.shape for weight in learned}
    return Seen(
        name,
        layer,
        batch,
        _batched(node.input_shapes, batch),
        _batched(node.output_shapes, batch),
        macs * batch,
        named.get("weight"),
        "bias" in named,
        learned=learned,
    )


def _of_functions(
    convention: Convention, node: Node, batch: int, tensors: list[tuple[Held, ...]]
) -> tuple[Number, tuple[str, ...]]:
    """The count for the functions that the node's module calls, and the same in words.

    ``tensors`` are the outputs of all nodes, where the tool's rules ask how they lie in memory.
    """
    layer = node.layer
    if convention.functions is None or layer is None:
        return 0, ()
    calls = layer.torch_calls(*node.input_shapes)
    if isinstance(calls, Unknown):
        raise Untold(calls.reason)
    total: Number = 0
    says = []
    for call in calls:
        name = call.patched if convention.patches else f"aten::{call.name}"
        rule = convention.functions.get(name)
        if rule is not None:
            seen = _function(call, layer, batch)
            if tensors and call.reads is not None:
                ref = node.inputs[call.reads]
                read = tensors[ref.node][ref.port]
                # one of two axes may have any stride
                seen = seen._replace(in_order=len(read.shape) == 2 or read.is_contiguous)
            rule = rule.for_(seen)
            total += rule.count(seen)
            says.append(f"{rule.says(seen)} of {name}")
    if len(says) == 1 and not convention.patches:
        says = [said.rpartition(" of ")[0] for said in says]
    return total, tuple(says)


def _function(call: Call, layer: Layer, batch: int) -> Seen:
    own = batch if call.batched else None
    return Seen(
        call.name,
        layer,
        batch,
        _batched(call.inputs, own),
        _batched((call.output,), own),
        call.macs * batch,
        call.weight,
        call.bias,
        call.training,
        call.in_order,
    )


def _tensors(graph: Graph, batch: int) -> list[tuple[Held, ...]]:
    """The outputs of all nodes, with their strides, as the layers record them."""
    known: dict[tuple[Layer, tuple[Held, ...]], tuple[Held, ...]] = {}
    made: list[tuple[Held, ...]] = []
    for node in graph.nodes:
        if node.layer is None:
            sizes = [(batch, *shape) for shape in node.output_shapes]
            made.append(tuple(Held(size, contiguous(size), 0, FLOAT_BYTES, False) for size in sizes))
            continue
        inputs = tuple(made[ref.node][ref.port]._replace(storage=0) for ref in node.inputs)
        key = (node.layer, inputs)
        if key not in known:
            known[key] = write(node.layer, inputs, 1, training=False, element=FLOAT_BYTES).outputs
        made.append(known[key])
    return made


def _batched(shapes: Shapes, batch: int | None) -> Shapes:
    return shapes if batch is None else tuple((batch, *shape) for shape in shapes)


def each_rank(name: str, rule: Rule) -> dict[str, Rule]:
    """The same rule for 1, 2 and 3 spatial axes, written ``Nd`` in the name."""
    return {name.replace("Nd", f"{rank}d"): rule for rank in (1, 2, 3)}
