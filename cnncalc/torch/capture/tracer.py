"""An exported program, operator by operator, as the nodes of a graph."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch._ops import HigherOrderOperator

from cnncalc.errors import LayerError
from cnncalc.graph import Ref
from cnncalc.layers.base import Layer, Shape, Shapes
from cnncalc.layers.shape import Broadcast, PerSample, Reshape, Squeeze, Unsqueeze
from cnncalc.layers.tensor import Constant, Opaque, Parameter
from cnncalc.torch.capture.naming import Scope, Scopes
from cnncalc.torch.capture.program import FRESH, SAME, named_arguments, output_shapes, writes
from cnncalc.torch.capture.registry import HANDLERS, MULTIPLYING, OWNED
from cnncalc.torch.capture.values import (
    Batch,
    UnsupportedError,
    Value,
    guessed_batch,
    new_batch,
    sample_shape,
    whole_shape,
    written,
)

Refs = tuple[Ref, ...]


@dataclass(slots=True)
class Call:
    """One call of an operator: its arguments by the names of its schema."""

    node: fx.Node
    name: str
    arguments: dict[str, Any]
    outputs: Shapes

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def shape(self) -> Shape:
        """PyTorch's shape of the (first) result."""
        return self.outputs[0]

    @property
    def tensors(self) -> list[Value]:
        """All arguments that are tensors."""
        return [value for value in _flat(self.arguments.values()) if isinstance(value, Value)]

    def check_first_alone(self, others: str) -> None:
        """Only the first of several results may be read: ``others`` says what the further ones are.

        Raises:
            UnsupportedError: something reads them.
        """
        if len(self.outputs) > 1 and any(user.args[1:] != (0,) and user.users for user in self.node.users):
            raise UnsupportedError(f"the {others} used")


@dataclass(slots=True, eq=False)
class Pending:
    """A future node: a layer on its inputs, and its place in the module.

    ``weights`` holds for each of the layer's weights the module's name of the tensor, and ``owner`` is the module that
    has them all. What is ``alike`` depends on no input, and so is the same for all samples.
    """

    layer: Layer | None
    inputs: Refs
    input_shapes: Shapes
    output_shapes: Shapes
    scope: Scope
    weights: dict[str, str] = field(default_factory=dict)
    alike: bool = False
    owner: str | None = None
    shared: int | None = None


class Tracer:
    """Follows the program's tensors; ``pending`` holds the nodes so far."""

    def __init__(
        self, graph: fx.Graph, parameters: dict[str, str], buffers: dict[str, str], inputs: list[str], samples: int
    ) -> None:
        self.graph = graph
        self.samples = samples
        """The number of samples in the program's sizes."""
        self.names = {**parameters, **buffers}
        """The module's names of its tensors, by the program's."""
        self.learned = frozenset(parameters.values())
        self.buffers = frozenset(buffers.values())
        self.held_shapes: dict[str, Shape] = {}
        self.inputs = inputs
        self.pending: list[Pending] = []
        self.scopes = Scopes()
        self.root = self.scopes.known[()]
        self.scope = self.root
        self.values: dict[fx.Node, Any] = {}
        self.made: dict[Any, Ref] = {}
        """What is one node however often it is used: tensors that the net holds, by name; the first layer with its
        weights; the copies for each sample of a tensor that is the same for all."""
        self.loose = self._loose()

    # -- the program -------------------------------------------------------------------------------

    def run(self) -> list[fx.Node | None]:
        """Processes all operators in order; returns the program's results."""
        results: list[fx.Node | None] = []
        for node in self.graph.nodes:
            if node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                results = list(node.args[0])
            else:
                self.values[node] = self._leaf(node)
        claimed = {name for one in self.pending for name in one.weights.values()}
        for name in self.names.values():
            if name not in claimed and 0 not in self.held_shapes[name]:
                self.held(name)
        return results

    def _leaf(self, node: fx.Node) -> Any:
        """What no operator makes: an input, a tensor of the module's, or a constant."""
        found = node.meta.get("val")
        if not isinstance(found, torch.Tensor):
            return found
        (shape,) = output_shapes(node)
        if node.name in self.names:
            name = self.names[node.name]
            self.held_shapes[name] = shape
            return Value(shape, None, None, name)
        batch = new_batch(shape, self.samples)
        if node.name not in self.inputs:
            return Value(shape, batch, None, f"%{node.name}")
        batch = Batch(0) if shape[:1] == (self.samples,) else batch
        self.pending.append(Pending(None, (), (), (sample_shape(shape, batch),), self.root))
        return Value(shape, batch, Ref(len(self.pending) - 1))

    def is_constant(self, value: Value) -> bool:
        """Whether it depends neither on an input nor on a parameter."""
        return value.ref is None and value.name not in self.learned

    def _loose(self) -> set[str]:
        """Parameters that no single layer owns: used in different combinations, or by another operator."""
        uses: dict[str, set[Any]] = {}
        for node in self.graph.nodes:
            if node.op != "call_function":
                continue
            name, named = named_arguments(node)
            owned = OWNED.get(name, ())
            together = tuple(named[one].name for one in owned if isinstance(named.get(one), fx.Node))
            for one, argument in named.items():
                as_weight = one in owned and all(other in self.names for other in together)
                for part in _flat([argument]):
                    if isinstance(part, fx.Node) and self.names.get(part.name) in self.learned:
                        uses.setdefault(self.names[part.name], set()).add(together if as_weight else node)
        return {name for name, own in uses.items() if len(own) > 1 or any(isinstance(use, fx.Node) for use in own)}

    def _call(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            container: Any = node.args[0]
            index: Any = node.args[1]
            whole = self.values.get(container)
            self.values[node] = whole[index] if isinstance(whole, (list, tuple)) else None
            return
        name, named = named_arguments(node)
        outputs = output_shapes(node)
        if not outputs:
            return
        writing = writes(node)
        arguments = {key: self._value(argument) for key, argument in named.items()}
        call = Call(node, name.rstrip("_") if writing else name, arguments, outputs)
        if call.name in SAME:
            result: Any = next(iter(arguments.values()))
        elif call.name in FRESH or (all(map(self.is_constant, call.tensors)) and not _works(call)):
            result = self._folded(call)
        else:
            self.scope = self.scopes.of(node)
            reason = _unsaid(node)
            result = self._opaque(call, reason) if reason else self._handled(call)
        self.values[node] = result
        if writing and isinstance(node.args[0], fx.Node):
            self.values[node.args[0]] = result

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values.get(argument)
        if isinstance(argument, (list, tuple)):
            return [self._value(part) for part in argument]
        return argument

    def _folded(self, call: Call) -> Any:
        """The results of an operator on constants are constants."""
        batches = [new_batch(shape, self.samples) for shape in call.outputs]
        both = enumerate(zip(_one_batch(call, batches), batches, strict=True))
        return _arranged(call, [Value(*pair, None, f"%{call.node.name}.{port}") for port, pair in both])

    def _handled(self, call: Call) -> Any:
        """The layers of one call, or one for an unknown operator."""
        handler = HANDLERS.get(call.name)
        if handler is None:
            return self._opaque(call, "")
        before = len(self.pending)
        try:
            result = _checked(call, handler(self, call))
            if self._once_for_all(before, call.tensors):
                self._undo(before)
                call.arguments = {key: self._for_each_sample(value) for key, value in call.arguments.items()}
                result = _checked(call, handler(self, call))
        except LayerError as error:
            self._undo(before)
            return self._opaque(call, error.message)
        return result

    def _undo(self, before: int) -> None:
        """Removes the nodes from number ``before`` on."""
        del self.pending[before:]
        self.made = {what: ref for what, ref in self.made.items() if ref.node < before}

    def _once_for_all(self, before: int, tensors: list[Value]) -> bool:
        """Whether PyTorch repeats for each sample what the nodes from ``before`` on compute once for all."""
        if all(value.batch is None for value in tensors):
            return False
        if any(value.ref is not None and not self.pending[value.ref.node].alike for value in tensors):
            return False
        works = ((node.layer, node.input_shapes) for node in self.pending[before:])
        return any(layer and (layer.macs(*shapes) or layer.elementwise_ops(*shapes)) for layer, shapes in works)

    def _for_each_sample(self, value: Any) -> Any:
        """A tensor with one copy for each sample, if the batch is in its shape."""
        if isinstance(value, list):
            return [self._for_each_sample(one) for one in value]
        like = next((number for number, node in enumerate(self.pending) if node.layer is None), None)
        if not isinstance(value, Value) or value.batch is None or like is None:
            return value
        ref = self.ref(value)
        if ref not in self.made:
            (self.made[ref],) = self.emit(PerSample(), ref, Ref(like))
        return Value(value.shape, value.batch, self.made[ref])

    def _opaque(self, call: Call, reason: str) -> Any:
        batches = [guessed_batch(shape, self.samples) for shape in call.outputs]
        outputs = _one_batch(call, batches)
        samples = (sample_shape(shape, batch) for shape, batch in zip(outputs, batches, strict=True))
        shapes = tuple(tuple(max(size, 1) for size in shape) for shape in samples)
        target = call.node.target
        named = target if isinstance(target, str) else str(target).replace(".default", "")
        inputs = map(self.ref, dict.fromkeys(call.tensors))
        refs = self.emit(Opaque(operator=named, shapes=shapes, reason=reason), *inputs)
        return _arranged(call, [*map(Value, outputs, batches, refs)])

    # -- nodes -------------------------------------------------------------------------------------

    def emit(self, layer: Layer, *inputs: Ref, weights: dict[str, str] | None = None) -> Refs:
        """Adds a node; its outputs.

        Args:
            layer: what it computes.
            inputs: its input tensors.
            weights: the module's name of each of its weights.

        Raises:
            LayerError: the layer does not accept such tensors.
        """
        shapes = tuple(map(self.shape, inputs))
        outputs = layer.checked_shapes(*shapes)
        alike = all(self.pending[ref.node].alike for ref in inputs)
        node = Pending(layer, inputs, shapes, outputs, self.scope, weights or {}, alike)
        number = len(self.pending)
        if weights:
            node.owner = _common_owner(weights)
            first = self.made.setdefault(tuple(sorted(weights.items())), Ref(number)).node
            if first != number:
                theirs = self.pending[first]
                assert theirs.layer is not None
                if theirs.layer.weights(*theirs.input_shapes) != layer.weights(*shapes):
                    raise UnsupportedError("two layers use the same weights in different ways")
                node.shared = first
        self.pending.append(node)
        return tuple(Ref(number, port) for port in range(len(outputs)))

    def shape(self, ref: Ref) -> Shape:
        """A tensor's shape without the batch."""
        return self.pending[ref.node].output_shapes[ref.port]

    def ref(self, value: Value) -> Ref:
        """A value's tensor in the graph; a constant or a parameter gets its node at its first use."""
        if value.ref is not None:
            return value.ref
        if value.name in self.held_shapes:
            return self.held(value.name)
        if value.name not in self.made:
            if 0 in value.sample:
                raise UnsupportedError("a tensor is empty")
            (self.made[value.name],) = self.emit(Constant(shape=value.sample))
        return self.made[value.name]

    def held(self, name: str) -> Ref:
        """The node of one of the module's own tensors."""
        if name not in self.made:
            shape = self.held_shapes[name]
            if 0 in shape:
                raise UnsupportedError(f"{name} is empty")
            layer = Parameter(shape=shape) if name in self.learned else Constant(shape=shape, buffer=True)
            before, self.scope = self.scope, self.root
            (self.made[name],) = self.emit(layer, weights={"weight": name})
            self.pending[-1].owner = name
            self.scope = before
        return self.made[name]

    def value(self, ref: Ref, batch: Batch | None) -> Value:
        """A tensor of the graph, with the place of the batch."""
        return Value(whole_shape(self.shape(ref), batch, self.samples), batch, ref)

    def result(self, layer: Layer, *inputs: Ref, batch: Batch | None, weights: dict[str, str] | None = None) -> Value:
        """The result of a layer that has one, with the place of the batch in it."""
        (ref,) = self.emit(layer, *inputs, weights=weights)
        return self.value(ref, batch)

    def one(self, layer: Layer, value: Value, weights: dict[str, str] | None = None) -> Value:
        """A layer on one tensor that leaves the batch where it is."""
        return self.result(layer, self.ref(value), batch=value.batch, weights=weights)

    def merged(self, layer: Layer, *values: Value) -> Value:
        """A layer of several tensors that broadcast against each other."""
        refs, batch = self.together(*values)
        return self.result(layer, *refs, batch=batch)

    def owned(self, call: Call, *names: str) -> dict[str, str] | None:
        """The module's names of a layer's weights, which are the call's arguments of these names; ``None`` where some
        of them are no layer's own.
        """
        found = {}
        for name in names:
            value = call[name]
            if value is None:
                continue
            kept = self.buffers if name.startswith("running_") else self.learned
            if value.ref is not None or value.name in self.loose or value.name not in kept:
                return None
            found[name] = value.name
        return found

    # -- arrangements ------------------------------------------------------------------------------

    def reshaped(self, ref: Ref, shape: Shape) -> Ref:
        """The tensor under other axes; no node if it has them already."""
        have = self.shape(ref)
        if have == shape:
            return ref
        for axis in range(max(len(have), len(shape))):
            if shape[axis : axis + 1] == (1,) and (*shape[:axis], *shape[axis + 1 :]) == have:
                return self.emit(Unsqueeze(axis=axis), ref)[0]
            if have[axis : axis + 1] == (1,) and (*have[:axis], *have[axis + 1 :]) == shape:
                return self.emit(Squeeze(axes=axis), ref)[0]
        return self.emit(Reshape(shape=shape), ref)[0]

    def together(self, *values: Value) -> tuple[list[Ref], Batch | None]:
        """Tensors that broadcast against each other with the same axes each, and where the batch then is.

        Raises:
            UnsupportedError: the batch is in different places.
        """
        rank = max(len(value.shape) for value in values)
        places = {
            value.batch.at(value.batch.dim + rank - len(value.shape)) for value in values if value.batch is not None
        }
        if len(places) > 1:
            raise UnsupportedError("its inputs hold the batch in different places")
        batch = next(iter(places), None)
        return [self._aligned(value, rank, batch) for value in values], batch

    def _aligned(self, value: Value, rank: int, batch: Batch | None) -> Ref:
        shape = (1,) * (rank - len(value.shape)) + value.shape
        if batch is None or value.batch is not None:
            return self.reshaped(self.ref(value), sample_shape(shape, batch))
        if shape[batch.dim] == batch.before * self.samples * batch.after and self.is_constant(value):
            return self.emit(Constant(shape=sample_shape(shape, batch)))[0]
        if shape[batch.dim] == 1:
            ones = (1,) * len(batch.factors)
            return self.reshaped(self.ref(value), (*shape[: batch.dim], *ones, *shape[batch.dim + 1 :]))
        raise UnsupportedError("a tensor without the batch meets its axis")

    def expanded(self, ref: Ref, shape: Shape) -> Ref:
        """The tensor with axes of size 1 repeated."""
        return ref if self.shape(ref) == shape else self.emit(Broadcast(shape=shape), ref)[0]


def _common_owner(weights: dict[str, str]) -> str | None:
    """The module that has all these tensors under exactly these names."""
    owners = {name.removesuffix(f".{weight}") for weight, name in weights.items()}
    (owner,) = owners if len(owners) == 1 else (None,)
    return owner if all(name == f"{owner}.{weight}" for weight, name in weights.items()) else None


def _checked(call: Call, result: Any) -> Any:
    """A handler's results, as the operator returns them.

    Raises:
        UnsupportedError: it has another shape than PyTorch's.
    """
    values = result if isinstance(result, tuple) else (result,)
    batches = [value.batch for value in values]
    for value, shape in zip(values, _one_batch(call, batches), strict=True):
        if value.shape != shape:
            raise UnsupportedError(f"its result of {written(shape, value.batch)} is not understood")
    return _arranged(call, values)


def _arranged(call: Call, made: Sequence[Value]) -> Any:
    """Values in the form of what an operator returns, which may contain ``None``; the last ones may be left out."""
    found = call.node.meta.get("val")
    if not isinstance(found, (list, tuple)):
        return made[0]
    rest = iter(made)
    return tuple(next(rest, None) if isinstance(part, torch.Tensor) else None for part in found)


def _one_batch(call: Call, batches: list[Batch | None]) -> list[Shape]:
    """PyTorch's shapes of a call's first results, with the batch in one axis; other axes that grow with it are as for
    one sample.
    """
    singles = call.node.meta.get("single", call.outputs)
    return [
        single if batch is None else (*single[: batch.dim], shape[batch.dim], *single[batch.dim + 1 :])
        for shape, single, batch in zip(call.outputs, singles, batches, strict=False)
    ]


def _works(call: Call) -> bool:
    """Whether it may have multiply-accumulates, which every run of the net repeats, also on constants."""
    return call.name in MULTIPLYING or isinstance(call.node.target, HigherOrderOperator)


def _unsaid(node: fx.Node) -> str:
    """Why no layer can cover an operator, whatever it is, because of its tensors; mostly empty."""
    for one in (node, *node.all_input_nodes):
        for part in _flat([one.meta.get("val")]):
            if isinstance(part, torch.Tensor) and part.is_complex():
                return "it calculates with complex numbers"
            if isinstance(part, torch.Tensor) and any(type(size) is not int for size in part.shape):
                return "a size of it depends on the data; 1 stands for it"
            if isinstance(part, (torch.SymInt, torch.SymFloat, torch.SymBool)):
                return "a number of it depends on the data"
    return ""


def _flat(given: Iterable[Any]) -> list[Any]:
    """Things and lists of them, one after the other."""
    return [part for one in given for part in (one if isinstance(one, (list, tuple)) else [one])]
