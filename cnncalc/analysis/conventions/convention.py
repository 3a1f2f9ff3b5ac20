"""A convention: data that says how much a tool counts for each PyTorch module or function that it sees.

The tools count different things, and look at different things: some at modules by their class
(``BatchNorm2d``), some at the functions in a trace (``batch_norm``), one at both. A layer says what
it is in PyTorch (:meth:`~cnncalc.layers.base.Layer.torch_module`, ``torch_calls``), a convention
what a tool counts for that; anything in neither table the tool does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Literal, NamedTuple

from msgspec import Struct

from cnncalc.analysis.memory.passes import write
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shape, Shapes, Unknown, Weight
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

    layer: Layer
    inputs: Shapes
    output: Shape
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
        return prod(self.output)


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

    def _weights(self, seen: Seen) -> tuple[tuple[int, int, str], ...]:
        """Each weight of elements, how many there are, and what they are."""
        inputs = self.inputs + self.scaled * (seen.weight is not None)
        bias = self.bias * (seen.bias and (seen.in_order or not self.fused))
        return (
            (inputs, seen.input_elements, "input element"),
            (self.outputs, seen.output_elements, "output element"),
            (bias, seen.output_elements, "output element for the bias"),
        )

    def count(self, seen: Seen) -> Number:
        """The tool's number.

        Raises:
            CannotCount: the tool fails.
        """
        if self.fails is not None and (error := self.fails(seen)):
            raise CannotCount(error)
        elements = sum(weight * count for weight, count, _ in self._weights(seen))
        return self.macs * seen.macs + elements + (self.quirk(seen) if self.quirk is not None else 0)

    def says(self, seen: Seen) -> str:
        """The same in words, for this module or function."""
        parts = []
        if self.macs:
            parts.append("each multiply-accumulate" + (f" as {self.macs}" if self.macs > 1 else ""))
        parts += [f"{weight} per {what}" for weight, _, what in self._weights(seen) if weight]
        if self.quirk is not None:
            parts.append(" ".join((self.quirk.__doc__ or "").split()))
        return " and ".join(parts) or "nothing"


NOTHING = Rule()
"""Known to the tool, and counted as 0."""
Rules = Mapping[str, Rule]


def table(*rows: tuple[Rule, str]) -> Rules:
    """A tool's rules by name, from each rule with the names that it is for."""
    return {name: rule for rule, names in rows for name in names.split()}


class Convention(Struct, frozen=True):
    """A tool's way of counting, according to its source code of one version.

    ``modules`` are looked up by class, ``functions`` by their name in a trace, or, where ``patches`` is
    true, by the Python name that the tool replaces; ``Nd`` in a name stands for any number of spatial axes. ``other``
    is the rule for modules that ``modules`` does not hold. With ``confesses`` such a module makes the tool's total
    partial; the others pass over it in silence. ``per_sample`` tools divide what they count for modules by the batch.
    One that ``inherits`` knows the classes derived of those it knows. A ``traces`` tool never sees what no output of
    the net depends on: PyTorch takes that out of its traces.
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
            hidden = convention.modules is None or node.kind in functional or node.called == ()
            module = NOT_SEEN if hidden else _module(convention, node, node.layer, samples)
            calls = list(_calls(convention, node, node.layer, samples, tensors))
            there: Number = sum(rule.count(seen) for _, rule, seen in calls)
        except CannotCount as error:
            problem = problem or f"{node.path}: {error}"
            untold |= isinstance(error, Untold)
            nodes.append(NodeCount(None, problem=str(error)))
            continue
        of_modules += module.number
        of_functions += there
        confessed |= module.lacks and (convention.confesses or module.says != ())
        unknown += [node.kind] if module.lacks else []
        by_name = convention.patches or len(calls) > 1
        says = [rule.says(seen) + (f" of {name}" if by_name else "") for name, rule, seen in calls]
        share = quotient(module.number, batch if convention.per_sample else 1)
        nodes.append(NodeCount(share + there, tuple(dict.fromkeys((*module.says, *says)))))
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


def quotient(number: Number, by: int) -> Number:
    """A share, whole where it is."""
    return number // by if number % by == 0 else number / by


class Module(NamedTuple):
    """What a tool counts for a node's module, and in words; ``lacks``: it knows nothing of it, or not all."""

    number: Number
    says: tuple[str, ...]
    lacks: bool


NOT_SEEN = Module(0, (), lacks=False)


def _rule(rules: Rules, name: str) -> Rule | None:
    """The rule of a name, or of all numbers of spatial axes."""
    return rules.get(name) or rules.get(re.sub("[123]d$", "Nd", name))


def _module(convention: Convention, node: Node, layer: Layer, batch: int) -> Module:
    rules = convention.modules or {}
    names = node.called or (layer.torch_module(*node.input_shapes),)
    known = (rule for name in names if convention.inherits and (rule := _rule(rules, name)) is not None)
    rule = next(known, None) or _rule(rules, names[0]) or convention.other
    if rule is None:
        return Module(0, (), lacks=True)
    macs = layer.macs(*node.input_shapes)
    if isinstance(macs, Unknown):
        raise Untold(macs.reason)
    learned = tuple(weight for weight in layer.weights(*node.input_shapes) if weight.learnable)
    named = {weight.name: weight.shape for weight in learned}
    inputs, (output, *_) = _batched(node.input_shapes, batch), _batched(node.output_shapes, batch)
    seen = Seen(layer, inputs, output, macs * batch, named.get("weight"), "bias" in named, learned=learned)
    rule = rule.for_(seen)
    lacks = rule.partial is not None and rule.partial(seen)
    return Module(rule.count(seen), (rule.says(seen),), lacks)


def _calls(
    convention: Convention, node: Node, layer: Layer, batch: int, tensors: list[tuple[Held, ...]]
) -> Iterator[tuple[str, Rule, Seen]]:
    """The functions that the node's module calls and the tool knows, each with its rule.

    ``tensors`` are the outputs of all nodes, where the tool's rules ask how they lie in memory.
    """
    if convention.functions is None:
        return
    calls = layer.torch_calls(*node.input_shapes)
    if isinstance(calls, Unknown):
        raise Untold(calls.reason)
    for call in calls:
        name = call.patched if convention.patches else f"aten::{call.name}"
        rule = _rule(convention.functions, name)
        if rule is None:
            continue
        own = batch if call.batched else None
        inputs, (output,) = _batched(call.inputs, own), _batched((call.output,), own)
        seen = Seen(layer, inputs, output, call.macs * batch, call.weight, call.bias, call.training, call.in_order)
        if tensors and call.reads is not None:
            ref = node.inputs[call.reads]
            read = tensors[ref.node][ref.port]
            # one of two axes may have any stride
            seen = seen._replace(in_order=len(read.shape) == 2 or read.is_contiguous)
        yield name, rule.for_(seen), seen


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
