"""An exported program, operator by operator, as the nodes of a graph."""

from __future__ import annotations

import operator
from collections.abc import Sequence
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
from cnncalc.torch.capture.registry import HANDLERS, MULTIPLYING, OWNED
from cnncalc.torch.capture.values import (
    Batch,
    UnsupportedError,
    Value,
    guessed_batch,
    new_batch,
    sample_shape,
    written,
)

Refs = tuple[Ref, ...]
IGNORED = {
    "_assert_tensor_metadata",
    "_assert_async",
    "_assert_scalar",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
}
"""Operators that return no tensor."""
SAME = {
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh",
    "lift_fresh_copy",
    "to",
    "_to_copy",
    "type_as",
    "positive",
}
"""Operators that return the tensor itself, or a copy of it."""
ALIASES = {"alias", "contiguous", "detach", "lift_fresh", "to", "type_as"}
"""Those of them that may return the tensor itself, so that a write through the result changes it."""
FRESH = {
    *(f"new_{what}" for what in ("empty", "empty_strided", "full", "ones", "zeros")),
    *(f"{what}_like" for what in ("empty", "full", "ones", "rand", "randn", "zeros")),
    "fill",
    "zero",
}
"""Operators that use a tensor's shape or device, not its values."""
VIEWS = {"slice", "select", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "flatten", "narrow"}
"""Operators whose result shares memory with their input."""


class Call:
    """One call of an operator: its arguments by the names of its schema."""

    __slots__ = ("arguments", "name", "node", "outputs")

    def __init__(self, node: fx.Node, name: str, arguments: dict[str, Any], outputs: tuple[Shape, ...]) -> None:
        self.node = node
        self.name = name
        self.arguments = arguments
        self.outputs = outputs

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def shape(self) -> Shape:
        """PyTorch's shape of the (first) result."""
        return self.outputs[0]

    def first(self) -> Value:
        """The first tensor argument."""
        value = next(iter(self.arguments.values()))
        if not isinstance(value, Value):
            raise UnsupportedError("it has no tensor")
        return value


class Pending:
    """A future node: a layer on its inputs, and its place in the module."""

    __slots__ = ("input_shapes", "inputs", "layer", "output_shapes", "owner", "scope", "shared", "weights")

    def __init__(
        self,
        layer: Layer | None,
        inputs: Refs,
        input_shapes: Shapes,
        output_shapes: Shapes,
        scope: Scope,
        owner: str | None = None,
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.input_shapes = input_shapes
        self.output_shapes = output_shapes
        self.scope = scope
        self.owner = owner
        self.shared: int | None = None
        self.weights: dict[str, str] = {}
        """For each of the layer's weights the module's name of the tensor."""


class Tracer:
    """Follows the program's tensors; ``pending`` holds the nodes so far."""

    def __init__(
        self, graph: fx.Graph, parameters: dict[str, str], buffers: dict[str, str], inputs: list[str], samples: int
    ) -> None:
        self.graph = graph
        self.samples = samples
        """The number of samples in the program's sizes."""
        self.parameters = parameters
        self.buffers = buffers
        self.inputs = inputs
        self.pending: list[Pending] = []
        self.scopes = Scopes()
        self.scope = self.scopes.root
        self.values: dict[fx.Node, Any] = {}
        self.claimed: set[str] = set()
        """Names of the module's tensors that belong to some node."""
        self.owners: dict[tuple[tuple[str, str], ...], int] = {}
        self.made: dict[str, Ref] = {}
        """Nodes of tensors that the net holds itself, by the tensors' names."""
        self.alike: set[int] = set()
        """Nodes that depend on no input, and so are the same for all samples."""
        self.spread: dict[Ref, Ref] = {}
        """For tensors that are the same for all samples, their copies for each sample."""
        self.loose = self._loose()
        self.order = {node: number for number, node in enumerate(graph.nodes)}

    # -- the program -------------------------------------------------------------------------------

    def run(self) -> list[fx.Node | None]:
        """Processes all operators in order; returns the program's results."""
        results: list[fx.Node | None] = []
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "get_attr":
                self.values[node] = self._constant(node)
            elif node.op == "output":
                results = list(node.args[0])
        for name in [*self.parameters.values(), *self.buffers.values()]:
            if name not in self.claimed:
                self.held(name)
        return results

    def _placeholder(self, node: fx.Node) -> Any:
        found = node.meta.get("val")
        if not isinstance(found, torch.Tensor):
            return found
        (shape,) = output_shapes(node)
        if node.name in self.parameters or node.name in self.buffers:
            return Value(shape, None, None, (self.parameters.get(node.name) or self.buffers[node.name]))
        if node.name in self.inputs:
            batch = new_batch(shape, self.samples) if shape[:1] != (self.samples,) else Batch(0)
            sample = sample_shape(shape, batch)
            self.pending.append(Pending(None, (), (), (sample,), self.scopes.root))
            return Value(shape, batch, Ref(len(self.pending) - 1))
        return Value(shape, new_batch(shape, self.samples), None, node.name)

    def _constant(self, node: fx.Node) -> Any:
        found = node.meta.get("val")
        if not isinstance(found, torch.Tensor):
            return None
        (shape,) = output_shapes(node)
        return Value(shape, new_batch(shape, self.samples), None, str(node.target))

    def is_learned(self, value: Value) -> bool:
        """Whether it is one of the module's parameters."""
        return value.fixed and value.name in self.learned

    @property
    def learned(self) -> set[str]:
        """The names of the parameters."""
        return self._learned

    def _loose(self) -> set[str]:
        """Parameters that no single layer owns: used in different combinations, or by another operator."""
        self._learned = set(self.parameters.values())
        company: dict[str, set[Any]] = {}
        for node in self.graph.nodes:
            if node.op != "call_function":
                continue
            name, named = named_arguments(node)
            owned = OWNED.get(name, ())
            key = tuple(named[one].name for one in owned if isinstance(named.get(one), fx.Node))
            for one, argument in named.items():
                for part in argument if isinstance(argument, (list, tuple)) else [argument]:
                    if isinstance(part, fx.Node) and part.name in self.parameters:
                        together = (
                            key
                            if one in owned and all(other in self.parameters or other in self.buffers for other in key)
                            else node
                        )
                        company.setdefault(self.parameters[part.name], set()).add(together)
        return {name for name, keys in company.items() if len(keys) > 1 or any(isinstance(k, fx.Node) for k in keys)}

    def _call(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            container: Any = node.args[0]
            index: Any = node.args[1]
            whole = self.values.get(container)
            self.values[node] = whole[index] if isinstance(whole, (list, tuple)) else None
            return
        name, named = named_arguments(node)
        outputs = output_shapes(node)
        if name in IGNORED or (not outputs and not _tensors(named)):
            return
        arguments = {key: self._value(argument) for key, argument in named.items()}
        call = Call(node, name, arguments, outputs)
        mutated = name if name.endswith("_") and not name.startswith("__") else None
        call.name = name.rstrip("_") if mutated else name
        if not outputs:
            return
        tensors = [value for value in _values(arguments) if isinstance(value, Value)]
        if call.name in SAME:
            result: Any = call.first()
        elif call.name in FRESH or (
            all(value.fixed and not self.is_learned(value) for value in tensors) and not self._works(call)
        ):
            result = self._folded(call)
        else:
            self.scope = self.scopes.of(node)
            reason = unsaid(node)
            result = self._opaque(call, tensors, reason) if reason else self._handled(call, tensors)
        self.values[node] = result
        if mutated:
            self._write(node.args[0], result)

    def _works(self, call: Call) -> bool:
        """Whether it may have multiply-accumulates, which every run of the net repeats, also on constants."""
        return call.name in MULTIPLYING or isinstance(call.node.target, HigherOrderOperator)

    def _folded(self, call: Call) -> Any:
        """The results of an operator on constants are constants."""
        batches = [new_batch(shape, self.samples) for shape in call.outputs]
        made = [
            Value(shape, batch, None, f"{call.node.name}.{port}" if port else call.node.name)
            for port, (shape, batch) in enumerate(zip(_one_batch(call, batches), batches, strict=True))
        ]
        return self._arranged(call, made)

    def _arranged(self, call: Call, made: list[Value]) -> Any:
        """Values at the positions of an operator's results in its return value, which may contain ``None``."""
        found = call.node.meta.get("val")
        if not isinstance(found, (list, tuple)):
            return made[0]
        rest = iter(made)
        return tuple(next(rest) if isinstance(part, torch.Tensor) else None for part in found)

    def _handled(self, call: Call, tensors: list[Value]) -> Any:
        """The layers of one call, or one for an unknown operator."""
        handler = HANDLERS.get(call.name)
        before, made, claimed = len(self.pending), dict(self.made), set(self.claimed)
        reason = ""
        if handler is not None:
            try:
                result = handler(self, call)
                if not self._once_for_all(before, tensors):
                    return result
                self._undo(before, made, claimed)
                call.arguments = {key: self._for_each_sample(value) for key, value in call.arguments.items()}
                return handler(self, call)
            except UnsupportedError as error:
                reason = str(error)
            except LayerError as error:
                reason = error.message
            self._undo(before, made, claimed)
        return self._opaque(call, tensors, reason)

    def _undo(self, before: int, made: dict[str, Ref], claimed: set[str]) -> None:
        """Removes the nodes from number ``before`` on."""
        del self.pending[before:]
        self.made, self.claimed = dict(made), set(claimed)
        self.owners = {key: number for key, number in self.owners.items() if number < before}
        self.spread = {ref: own for ref, own in self.spread.items() if own.node < before}
        self.alike = {number for number in self.alike if number < before}

    def _once_for_all(self, before: int, tensors: list[Value]) -> bool:
        """Whether PyTorch repeats for each sample what the nodes from ``before`` on compute once for all."""
        if not any(value.batch is not None for value in tensors):
            return False
        if any(value.ref is not None and value.ref.node not in self.alike for value in tensors):
            return False
        works = ((node.layer, node.input_shapes) for node in self.pending[before:])
        return any(layer and (layer.macs(*shapes) or layer.elementwise_ops(*shapes)) for layer, shapes in works)

    def _for_each_sample(self, value: Any) -> Any:
        """A tensor with one copy for each sample, if the batch is in its shape."""
        if isinstance(value, list):
            return [self._for_each_sample(one) for one in value]
        if not isinstance(value, Value) or value.batch is None:
            return value
        like = next((number for number, node in enumerate(self.pending) if node.layer is None), None)
        if like is None:
            return value
        ref = self.ref(value)
        if ref not in self.spread:
            (self.spread[ref],) = self.emit(PerSample(), ref, Ref(like))
        return Value(value.shape, value.batch, self.spread[ref])

    def _opaque(self, call: Call, tensors: list[Value], reason: str) -> Any:
        batches = [guessed_batch(shape, self.samples) for shape in call.outputs]
        outputs = _one_batch(call, batches)
        shapes = tuple(sample_shape(shape, batch) for shape, batch in zip(outputs, batches, strict=True))
        if any(size < 1 for shape in shapes for size in shape):
            shapes = tuple(tuple(max(size, 1) for size in shape) for shape in shapes)
        inputs = tuple(self.ref(value) for value in dict.fromkeys(tensors))
        target = call.node.target
        named = str(target).replace(".default", "") if not isinstance(target, str) else target
        refs = self.emit(Opaque(operator=named, shapes=shapes, reason=reason), *inputs)
        values = [Value(shape, batch, ref) for shape, batch, ref in zip(outputs, batches, refs, strict=True)]
        return self._arranged(call, values)

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values.get(argument)
        if isinstance(argument, (list, tuple)):
            return [self._value(part) for part in argument]
        return argument

    # -- in-place operators ------------------------------------------------------------------------

    def _write(self, target: Any, result: Any) -> None:
        """From here on the mutated tensor, and its base if it is a view, have the new values."""
        if not isinstance(target, fx.Node) or not isinstance(result, Value):
            return
        now = next(reversed(self.values))
        self.values[target] = result
        if target.op != "call_function" or not target.args:
            return
        name, named = named_arguments(target)
        base = target.args[0]
        if name.rstrip("_") not in VIEWS | ALIASES or not isinstance(base, fx.Node):
            return
        old = self.values.get(base)
        if not isinstance(old, Value) or all(self.order[user] <= self.order[now] for user in base.users):
            return
        self._write(base, self._written(name, named, old, result))

    def _written(self, name: str, named: dict[str, Any], old: Value, part: Value) -> Value:
        """The base of a view after something was written through the view."""
        from cnncalc.torch.capture.operators.shape import overwrite

        if old.fixed and part.fixed and not self.is_learned(old):
            return Value(old.shape, old.batch, None, f"{old.name} {part.name}")
        try:
            if name in ALIASES:
                return part
            if name in ("slice", "select") and (not old.fixed or self.is_learned(old)):
                return overwrite(self, name, named, old, part)
        except (UnsupportedError, LayerError):
            pass
        inputs = [self.ref(old), self.ref(part)]
        opaque = Opaque(operator="a write through a view", shapes=(old.sample,))
        return Value(old.shape, old.batch, self.emit(opaque, *inputs)[0])

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
        shapes = tuple(self.shape(ref) for ref in inputs)
        outputs = layer.checked_shapes(*shapes)
        node = Pending(layer, inputs, shapes, outputs, self.scope)
        number = len(self.pending)
        if weights:
            node.weights = weights
            self.claimed |= set(weights.values())
            key = tuple(sorted(weights.items()))
            first = self.owners.setdefault(key, number)
            if first != number:
                theirs = self.pending[first]
                assert theirs.layer is not None
                if theirs.layer.weights(*theirs.input_shapes) != layer.weights(*shapes):
                    raise UnsupportedError("two layers use the same weights in different ways")
                node.shared = first
            node.owner = common_owner(weights)
        if all(ref.node in self.alike for ref in inputs):
            self.alike.add(number)
        self.pending.append(node)
        return tuple(Ref(number, port) for port in range(len(outputs)))

    def shape(self, ref: Ref) -> Shape:
        """A tensor's shape without the batch."""
        return self.pending[ref.node].output_shapes[ref.port]

    def ref(self, value: Value) -> Ref:
        """A value's tensor in the graph; a constant or a parameter gets its node at its first use."""
        if value.ref is not None:
            return value.ref
        if value.name in self._learned or value.name in set(self.buffers.values()):
            return self.held(value.name, value.shape)
        if value.name not in self.made:
            shape = value.sample
            if any(size < 1 for size in shape):
                raise UnsupportedError("a tensor is empty")
            (self.made[value.name],) = self.emit(Constant(shape=shape))
        return self.made[value.name]

    def held(self, name: str, shape: Shape | None = None) -> Ref:
        """The node of one of the module's own tensors."""
        if name not in self.made:
            if shape is None:
                shape = self._held_shapes()[name]
            learned = name in self._learned
            if any(size < 1 for size in shape):
                self.claimed.add(name)
                raise UnsupportedError(f"{name} is empty")
            layer = Parameter(shape=shape) if learned else Constant(shape=shape, buffer=True)
            before, self.scope = self.scope, self.scopes.root
            (self.made[name],) = self.emit(layer, weights={"weight": name})
            self.pending[-1].owner = name
            self.scope = before
        return self.made[name]

    def _held_shapes(self) -> dict[str, Shape]:
        own = {**self.parameters, **self.buffers}
        holders = (node for node in self.graph.nodes if node.op == "placeholder" and node.name in own)
        return {own[node.name]: output_shapes(node)[0] for node in holders}

    def one(
        self, layer: Layer, value: Value, shape: Shape | None = None, weights: dict[str, str] | None = None
    ) -> Value:
        """A layer on one tensor that leaves the batch where it is; ``shape`` is PyTorch's of the result."""
        (ref,) = self.emit(layer, self.ref(value), weights=weights)
        shape = value.shape if shape is None else shape
        return self.checked(Value(shape, value.batch, ref))

    def checked(self, value: Value) -> Value:
        """The value, if the graph's tensor has the same shape.

        Raises:
            UnsupportedError: it has another.
        """
        if value.ref is not None and self.shape(value.ref) != value.sample:
            raise UnsupportedError(f"its result of {written(value.shape, value.batch)} is not understood")
        return value

    def owned(self, call: Call, **names: str) -> dict[str, str] | None:
        """For weights (by the layer's names) the module's names, where all are a layer's own; else ``None``.

        ``names``: for each weight the call's argument.
        """
        found = {}
        for weight, argument in names.items():
            value = call[argument]
            if value is None:
                continue
            if not isinstance(value, Value) or not value.fixed or value.name in self.loose:
                return None
            statistic = weight.startswith("running_")
            if value.name not in (set(self.buffers.values()) if statistic else self._learned):
                return None
            found[weight] = value.name
        return found

    # -- arrangements ------------------------------------------------------------------------------

    def reshaped(self, ref: Ref, shape: Shape) -> Ref:
        """The tensor under other axes; no node if it has them already."""
        have = self.shape(ref)
        if have == shape:
            return ref
        for axis in range(len(shape)):
            if shape[axis] == 1 and (*shape[:axis], *shape[axis + 1 :]) == have:
                return self.emit(Unsqueeze(axis=axis), ref)[0]
        for axis in range(len(have)):
            if have[axis] == 1 and (*have[:axis], *have[axis + 1 :]) == shape:
                return self.emit(Squeeze(axes=axis), ref)[0]
        return self.emit(Reshape(shape=shape), ref)[0]

    def together(self, values: Sequence[Value], rank: int | None = None) -> tuple[list[Ref], Batch | None]:
        """Tensors that broadcast against each other with the same axes each, and where the batch then is.

        Raises:
            UnsupportedError: the batch is in different places.
        """
        rank = max(len(value.shape) for value in values) if rank is None else rank
        places = {
            value.batch._replace(dim=value.batch.dim + rank - len(value.shape))
            for value in values
            if value.batch is not None
        }
        if len(places) > 1:
            raise UnsupportedError("its inputs hold the batch in different places")
        batch = next(iter(places), None)
        return [self._aligned(value, rank, batch) for value in values], batch

    def _aligned(self, value: Value, rank: int, batch: Batch | None) -> Ref:
        shape = (1,) * (rank - len(value.shape)) + value.shape
        if batch is None:
            return self.reshaped(self.ref(value), shape)
        if value.batch is not None:
            return self.reshaped(self.ref(value), sample_shape(shape, batch))
        whole = batch.before * self.samples * batch.after
        if shape[batch.dim] == 1:
            ones = tuple(1 for size in (batch.before, batch.after) if size > 1)
            return self.reshaped(self.ref(value), (*shape[: batch.dim], *ones, *shape[batch.dim + 1 :]))
        if shape[batch.dim] == whole and value.fixed and not self.is_learned(value):
            (ref,) = self.emit(Constant(shape=sample_shape(shape, batch)))
            return ref
        raise UnsupportedError("a tensor without the batch meets its axis")

    def expanded(self, ref: Ref, shape: Shape) -> Ref:
        """The tensor with axes of size 1 repeated."""
        return ref if self.shape(ref) == shape else self.emit(Broadcast(shape=shape), ref)[0]


def common_owner(weights: dict[str, str]) -> str | None:
    """The module that has all these tensors under exactly these names."""
    owners = {
        name.removesuffix(f".{weight}") if name.endswith(f".{weight}") else None for weight, name in weights.items()
    }
    (owner,) = owners if len(owners) == 1 else (None,)
    return owner


def named_arguments(node: fx.Node) -> tuple[str, dict[str, Any]]:
    """An operator's name without namespace and overload, and its arguments by name, defaults included."""
    target = node.target
    schema = getattr(target, "_schema", None)
    if schema is None:
        names = [f"argument{number}" for number in range(len(node.args))]
        return getattr(target, "__name__", str(target)), {**dict(zip(names, node.args, strict=True)), **node.kwargs}
    named: dict[str, Any] = {}
    for position, argument in enumerate(schema.arguments):
        if position < len(node.args):
            named[argument.name] = node.args[position]
        elif argument.name in node.kwargs:
            named[argument.name] = node.kwargs[argument.name]
        else:
            named[argument.name] = argument.default_value
    return str(schema.name).partition("::")[2], named


def output_shapes(node: fx.Node) -> tuple[Shape, ...]:
    """PyTorch's shapes of an operator's results, for the recorded number of samples."""
    if "shapes" in node.meta:
        written: tuple[Shape, ...] = node.meta["shapes"]
        return written
    found = node.meta.get("val")
    parts = found if isinstance(found, (list, tuple)) else [found]
    return tuple(
        tuple(size if type(size) is int else 1 for size in part.shape)
        for part in parts
        if isinstance(part, torch.Tensor)
    )


def _one_batch(call: Call, batches: list[Batch | None]) -> list[Shape]:
    """PyTorch's shapes of a call's results with the batch in one axis; other axes that grow with it are as for one
    sample.
    """
    singles = call.node.meta.get("single", call.outputs)
    return [
        single if batch is None else (*single[: batch.dim], shape[batch.dim], *single[batch.dim + 1 :])
        for shape, single, batch in zip(call.outputs, singles, batches, strict=True)
    ]


def unsaid(node: fx.Node) -> str:
    """Why no layer can cover an operator, whatever it is, because of its tensors; mostly empty."""
    for one in (node, *node.all_input_nodes):
        found = one.meta.get("val")
        for part in found if isinstance(found, (list, tuple)) else [found]:
            if isinstance(part, torch.Tensor) and part.is_complex():
                return "it calculates with complex numbers"
            if isinstance(part, torch.Tensor) and any(type(size) is not int for size in part.shape):
                return "a size of it depends on the data; 1 stands for it"
    return ""


def _values(arguments: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for argument in arguments.values():
        found += argument if isinstance(argument, (list, tuple)) else [argument]
    return found


def _tensors(arguments: dict[str, Any]) -> bool:
    return any(isinstance(value, fx.Node) for value in _values(arguments))
