"""A document to a graph: the arguments, the inputs, the layers, then the outputs and the budget."""

from __future__ import annotations

import os
from collections.abc import Mapping as MappingABC
from typing import Any

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.axes import describe
from cnncalc.layers.base import MAX_SIZE, Shape
from cnncalc.spec import reader
from cnncalc.spec.budget import limits
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
        budget, places = limits(self.source, self.document.budget)
        return Graph(
            name=variant or self.document.name or _stem(self.source.name),
            nodes=tuple(self.nodes),
            outputs=self.outputs(),
            source=self.source.name,
            citation=self.document.citation,
            args={name: _plain(value) for name, value in self.file_args.items()},
            budget=budget,
            budget_places=places,
            replaced=self.replaced,
            leftovers=leftovers(self.document),
        )

    def bind_file_args(self, variant: str | None, settings: MappingABC[str, str]) -> None:
        args, variants = self.document.args, self.document.variants
        if variant is not None and variant not in variants:
            known = f"variants: {listed(variants)}" if variants else "it has no variants"
            raise self.source.error(f"there is no variant '{variant}'", None, hint=nearest(variant, variants) or known)
        for name in settings:
            if name not in args:
                hint = nearest(name, args) or f"arguments: {listed(args) or 'none'}"
                raise self.source.error(f"cannot set '{name}': the spec has no such argument", None, hint=hint)
        chosen = {} if variant is None else variants[variant]
        for name, value in {**args, **chosen}.items():
            if name in settings:
                self.file_args[name] = self.setting(name, settings[name])
            elif value is not None:
                self.file_args[name] = self.value(value)
            else:
                at, hint = self.document.arg_keys[name], f"give it with --set {name}=VALUE or choose a variant"
                raise self.source.error(f"the argument '{name}' is required", at, hint=hint)

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
        named = (
            {key.text: value for key, value in node.entries} if isinstance(node, reader.Mapping) else {"input": node}
        )
        for name in given:
            if name not in named:
                hint = nearest(name, named) or f"inputs: {listed(named)}"
                raise self.source.error(f"the spec has no input '{name}'", None, hint=hint)
        if not named:
            raise self.source.error("the spec has no input", node)
        for name, value in named.items():
            if not name or "." in name:
                raise self.source.error(f"'{name}' cannot be the name of an input", value)
            shape = self.given_shape(value, given[name], name) if name in given else self.input_shape(value)
            place = self.places[name] = self.place(value)
            self.tensors[name] = (Ref(len(self.nodes)),)
            self.nodes.append(Node(name, None, (), (), (shape,), place))
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
        # "3x224x224" is no expression: the message is about what an input is.
        is_size = isinstance(node, reader.Scalar) and (not isinstance(node.value, str) or node.value[:1].isdigit())
        shape = None if is_size else self.value(node)
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4:
            message = "an input is a list of 1 to 4 sizes: channels, then the spatial axes"
            raise self.source.error(message, node, hint="e.g. [3, 224, 224]")
        for position, size in enumerate(shape):
            at = node.items[position] if isinstance(node, reader.Sequence) else node
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise self.source.error(f"an input size must be a whole number of at least 1, got {written(size)}", at)
            if size >= MAX_SIZE:
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
        else:
            items = node.items if isinstance(node, reader.Sequence) else [node]
            entries = [(item.text if isinstance(item, reader.Scalar) else "", item) for item in items]
        named = []
        for name, value in entries:
            refs = self.tensor(value)
            named += [(name if len(refs) == 1 else f"{name}.{port}", ref) for port, ref in enumerate(refs)]
        if not named:
            raise self.source.error("'outputs' names no tensor", node)
        return tuple(named)


def _stem(file: str) -> str:
    """The name of a net without one: its file's name without folders and ending."""
    return os.path.splitext(os.path.basename(file))[0]


def _plain(value: Any) -> Any:
    """An argument's value for readers of the graph: names are plain text."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return str(value) if isinstance(value, Name) else value
