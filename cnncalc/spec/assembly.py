"""A document to a graph: the arguments, the inputs, the layers, then the outputs and the budget."""

from __future__ import annotations

import os
from collections.abc import Mapping as MappingABC
from typing import Any

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Place, Ref
from cnncalc.layers.axes import describe
from cnncalc.layers.base import MAX_SIZE, Shape
from cnncalc.spec import reader
from cnncalc.spec.budget import METRICS
from cnncalc.spec.budget import bound as parse_bound
from cnncalc.spec.builder import TOO_DEEP, Builder
from cnncalc.spec.expression import ExpressionError, Name, evaluate
from cnncalc.spec.fields import written
from cnncalc.spec.mentions import leftovers
from cnncalc.spec.problem import listed, nearest


class Assembly(Builder):
    """Runs one whole document."""

    def build(self, variant: str | None, settings: MappingABC[str, str], inputs: MappingABC[str, Shape]) -> Graph:
        """The graph for a variant, argument settings (as text) and input shapes that replace the file's."""
        self.bind_file_args(variant, settings)
        self.inputs(inputs)
        try:
            self.run(self.document.body)
        except RecursionError:
            calls = (scope.call.node for scope in self.scope.outwards if scope.call is not None)
            raise self.problem(TOO_DEEP, next(calls, None)) from None
        if all(node.layer is None for node in self.nodes):
            raise self.source.error("the net has no layers", self.document.layers)
        self.check_paths()
        return Graph(
            name=variant or self.document.name or _stem(self.source.name),
            nodes=tuple(self.nodes),
            outputs=self.outputs(),
            source=self.source.name,
            citation=self.document.citation,
            args={name: _plain(value) for name, value in self.file_args.items()},
            budget=self.budget(),
            budget_places=self.budget_places(),
            replaced=self.replaced,
            leftovers=leftovers(self.document),
        )

    def bind_file_args(self, variant: str | None, settings: MappingABC[str, str]) -> None:
        chosen = {}
        if variant is not None:
            if variant not in self.document.variants:
                hint = nearest(variant, self.document.variants) or (
                    f"variants: {listed(self.document.variants)}" if self.document.variants else "it has no variants"
                )
                raise self.source.error(f"there is no variant '{variant}'", None, hint=hint)
            chosen = self.document.variants[variant]
        for name in settings:
            if name not in self.document.args:
                hint = nearest(name, self.document.args) or f"arguments: {listed(self.document.args) or 'none'}"
                raise self.source.error(f"cannot set '{name}': the spec has no such argument", None, hint=hint)
        for name, default in self.document.args.items():
            if name in settings:
                self.file_args[name] = self.setting(name, settings[name])
            elif name in chosen:
                self.file_args[name] = self.value(chosen[name])
            elif default is not None:
                self.file_args[name] = self.value(default)
            else:
                raise self.source.error(
                    f"the argument '{name}' is required",
                    self.document.arg_keys[name],
                    hint=f"give it with --set {name}=VALUE or choose a variant",
                )

    def setting(self, name: str, text: str) -> Any:
        """An argument's value from the command line: an expression, as in the file."""
        resolved = reader.resolve(text.strip())
        if not isinstance(resolved, str):
            return resolved
        try:
            return evaluate(text, self.lookup)
        except ExpressionError as error:
            raise self.source.error(
                f"cannot set '{name}' to '{text}': {error.message}", None, hint=error.hint
            ) from None

    def inputs(self, given: MappingABC[str, Shape]) -> None:
        node = self.document.input
        named: list[tuple[str, reader.Node]] = (
            [(key.text, value) for key, value in node.entries]
            if isinstance(node, reader.Mapping)
            else [("input", node)]
        )
        names = [name for name, _ in named]
        for name in given:
            if name not in names:
                hint = nearest(name, names) or f"inputs: {listed(names)}"
                raise self.source.error(f"the spec has no input '{name}'", None, hint=hint)
        if not named:
            raise self.source.error("the spec has no input", node)
        for name, value in named:
            if not name or "." in name:
                raise self.source.error(f"'{name}' cannot be the name of an input", value)
            shape = self.given_shape(value, given[name], name) if name in given else self.input_shape(value)
            ref = Ref(len(self.nodes))
            self.nodes.append(Node(name, None, (), (), (shape,), self.place(value)))
            self.tensors[name] = (ref,)
            self.places[name] = self.place(value)
        self.current = (Ref(0),) if len(named) == 1 else ()

    def given_shape(self, node: reader.Node, shape: Shape, name: str) -> Shape:
        """The shape that replaces the spec's own, which may need arguments that are not given."""
        try:
            own = self.input_shape(node)
        except CnncalcError:
            return shape
        if shape[1:] == own and (shape[0] == 1 or len(own) > 1):
            raise self.source.error(
                f"the input {describe(shape)} is the spec's own {describe(own)} with a batch in front",
                node,
                hint=f"leave the batch out: {'x'.join(map(str, own))}; give it with --batch {shape[0]}",
            )
        if shape != own:
            self.replaced[name] = own
        return shape

    def input_shape(self, node: reader.Node) -> Shape:
        shape = self.value(node) if _may_be_list(node) else None
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4:
            raise self.source.error(
                "an input is a list of 1 to 4 sizes: channels, then the spatial axes", node, hint="e.g. [3, 224, 224]"
            )
        for position, size in enumerate(shape):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                at = node.items[position] if isinstance(node, reader.Sequence) else node
                raise self.source.error(f"an input size must be a whole number of at least 1, got {written(size)}", at)
            if size >= MAX_SIZE:
                at = node.items[position] if isinstance(node, reader.Sequence) else node
                raise self.source.error(f"an input size must be below 2^63, got {written(size)}", at)
        return shape

    def check_paths(self) -> None:
        """Checks that no layer's path equals or lies within another's: one module would replace the other."""
        layers: dict[str, tuple[int, int]] = {}
        for node in self.nodes:
            if node.layer is None or node.place is None:
                continue
            at = (node.place.line, node.place.column)
            if layers.setdefault(node.path, at) is not at:
                line, _ = layers[node.path]
                raise self.source.error(f"the name '{node.path}' is taken; it is already in line {line}", at)
        free: set[str] = set()
        for path, at in layers.items():
            head = path.rpartition(".")[0]
            while head and head not in free:
                if head in layers:
                    message = f"'{path}' cannot lie within '{head}', the layer in line {layers[head][0]}"
                    hint = "a dot separates a block from what is in it; rename one of the two"
                    raise self.source.error(message, at, hint=hint)
                free.add(head)
                head = head.rpartition(".")[0]

    def outputs(self) -> tuple[tuple[str, Ref], ...]:
        node = self.document.outputs
        if node is None:
            return tuple((self.tensor_path(ref), ref) for ref in self.current)
        if isinstance(node, reader.Mapping):
            entries = [(key.text, value) for key, value in node.entries]
        elif isinstance(node, reader.Sequence):
            entries = [(item.text if isinstance(item, reader.Scalar) else "", item) for item in node.items]
        else:
            entries = [(node.text, node)]
        named = []
        for name, value in entries:
            refs = self.tensor(value)
            named += [(name if len(refs) == 1 else f"{name}.{port}", ref) for port, ref in enumerate(refs)]
        if not named:
            raise self.source.error("'outputs' names no tensor", node)
        return tuple(named)

    def budget(self) -> dict[str, dict[str, int]]:
        """Limits by metric and side; counts may carry units."""
        limits: dict[str, dict[str, int]] = {}
        for key, value in self.document.budget:
            if key.text not in METRICS:
                hint = nearest(key.text, METRICS) or f"metrics: {listed(METRICS)}"
                raise self.source.error(f"there is no metric '{key.text}' to limit", key, hint=hint)
            if not isinstance(value, reader.Mapping):
                raise self.source.error("a limit is a mapping", value, hint=f"write '{key.text}: {{max: 26M}}'")
            sides = limits[key.text] = {}
            for side, bound in value.entries:
                if side.text not in ("max", "min"):
                    raise self.source.error(f"a limit has 'max' or 'min', not '{side.text}'", side)
                sides[side.text] = self.bound(key.text, bound)
        return limits

    def budget_places(self) -> dict[str, dict[str, Place]]:
        """Where the limits are written, for reports that point at them."""
        return {
            key.text: {side.text: self.place(side) for side, _ in value.entries}
            for key, value in (self.document.budget)
            if isinstance(value, reader.Mapping)
        }

    def bound(self, metric: str, node: reader.Node) -> int:
        if isinstance(node, reader.Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        try:
            return parse_bound(metric, node.text if isinstance(node, reader.Scalar) else "?")
        except ValueError as error:
            raise self.source.error(str(error), node) from None


def _stem(file: str) -> str:
    """The name of a net without one: its file's name without folders and ending."""
    return os.path.splitext(os.path.basename(file))[0]


def _plain(value: Any) -> Any:
    """An argument's value for readers of the graph: names are plain text."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return str(value) if isinstance(value, Name) else value


def _may_be_list(node: reader.Node) -> bool:
    """Whether an input's shape can be a list at all: written as one, or the name of an argument or a call."""
    if isinstance(node, reader.Scalar):
        return isinstance(node.value, str) and not node.value[:1].isdigit()
    return True
