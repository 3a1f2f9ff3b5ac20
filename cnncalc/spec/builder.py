"""Items to nodes: the document is run once, with the tensor of the moment and the arguments in scope."""

from __future__ import annotations

import os
from collections.abc import Mapping as MappingABC
from typing import Any, NoReturn

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.graph import Graph, Node, Place, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Shape, Shapes, ShortForm
from cnncalc.layers.merge import Add
from cnncalc.spec import reader, trace
from cnncalc.spec.document import (
    Block,
    Body,
    Call,
    Choice,
    Document,
    Item,
    Repeat,
    Residual,
    least_layers,
    least_of_block,
    missing_arguments,
    unknown_argument,
)
from cnncalc.spec.expression import MAX_BITS, ExpressionError, Name, UnknownNameError, check_size, evaluate, whole
from cnncalc.spec.fields import choice_words, choices, field_name, find_layer, make_layer, unknown_field, written
from cnncalc.spec.problem import listed, nearest
from cnncalc.units import parse as parse_count

MAX_LAYERS = 500_000
MAX_EMPTY_CALLS = 20_000
MAX_CALL_DEPTH = 60
TOO_DEEP = "blocks, branches and repeats are nested too deeply"
MOST_CALLS = 8
"""Lines that a message spends on the chain of block calls."""

METRICS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
SIZE_NAMES = {1: ("in_length",), 2: ("in_height", "in_width"), 3: ("in_depth", "in_height", "in_width")}
IN_NAMES = ("in_channels", "in_size", "in_length", "in_height", "in_width", "in_depth")
Tensors = tuple[Ref, ...]


class Scope:
    """Where names live: the arguments, the counters of automatic names, and the way out."""

    __slots__ = ("args", "block", "call", "counters", "parent", "prefix", "share")

    def __init__(
        self,
        prefix: str,
        args: dict[str, Any],
        parent: Scope | None = None,
        *,
        block: Block | None = None,
        call: Call | None = None,
        share: tuple[str, int] | None = None,
    ) -> None:
        self.prefix = prefix
        self.args = args
        self.parent = parent
        self.block = block
        self.call = call
        self.share = share
        self.counters: dict[str, int] = {}


class Builder:
    """Runs one document. After :meth:`build`, ``nodes`` is the graph."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.source = document.source
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensors] = {}
        self.places: dict[str, Place | None] = {}
        self.shapes: dict[tuple[Layer, Shapes], Shapes] = {}
        self.owners: dict[str, int] = {}
        self.current: Tensors = ()
        self.file_args: dict[str, Any] = {}
        self.scope = Scope("", {})
        self.rounds = 1
        self.calls = 0
        self.labels: dict[str, Item] = {}

    # -- the whole -----------------------------------------------------------------------------

    def build(self, variant: str | None, settings: MappingABC[str, str], inputs: MappingABC[str, Shape]) -> Graph:
        """The graph for a variant, argument settings (as text) and input shapes that replace the file's."""
        self.bind_file_args(variant, settings)
        self.inputs(inputs)
        try:
            self.run(self.document.body)
        except RecursionError:
            scope: Scope | None = self.scope
            while scope is not None and scope.call is None:
                scope = scope.parent
            raise self.problem(TOO_DEEP, scope.call.node if scope and scope.call else None) from None
        if all(node.layer is None for node in self.nodes):
            raise self.source.error("the net has no layers", self.document.layers)
        return Graph(
            name=variant or self.document.name or _stem(self.source.name),
            nodes=tuple(self.nodes),
            outputs=self.outputs(),
            source=self.source.name,
            citation=self.document.citation,
            args={name: _plain(value) for name, value in self.file_args.items()},
            budget=self.budget(),
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
                self.file_args[name] = self.value(chosen[name][1])
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
            shape = given.get(name) or self.input_shape(value)
            ref = Ref(len(self.nodes))
            self.nodes.append(Node(name, None, (), (), (shape,), self.place(value)))
            self.tensors[name] = (ref,)
            self.places[name] = self.place(value)
        self.current = (Ref(0),) if len(named) == 1 else ()

    def input_shape(self, node: reader.Node) -> Shape:
        shape = self.value(node) if _may_be_list(node) else None
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4:
            raise self.source.error(
                "an input is a list of 1 to 4 sizes: channels, then the spatial axes", node, hint="as in [3, 224, 224]"
            )
        for position, size in enumerate(shape):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                at = node.items[position] if isinstance(node, reader.Sequence) else node
                raise self.source.error(f"an input size must be a whole number of at least 1, got {written(size)}", at)
        return shape

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
        for key, value in self.document.budget.entries if self.document.budget else ():
            if key.text not in METRICS:
                hint = nearest(key.text, METRICS) or f"metrics: {listed(METRICS)}"
                raise self.source.error(f"there is no metric '{key.text}' to limit", key, hint=hint)
            if not isinstance(value, reader.Mapping):
                raise self.source.error("a limit is a mapping", value, hint=f"write '{key.text}: {{max: 26M}}'")
            sides = limits[key.text] = {}
            for side, bound in value.entries:
                if side.text not in ("max", "min"):
                    raise self.source.error(f"a limit has 'max' or 'min', not '{side.text}'", side)
                sides[side.text] = self.bound(bound)
        return limits

    def bound(self, node: reader.Node) -> int:
        if isinstance(node, reader.Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        try:
            return parse_count(node.text if isinstance(node, reader.Scalar) else "?")
        except ValueError as error:
            raise self.source.error(str(error), node) from None

    # -- values --------------------------------------------------------------------------------

    def value(self, node: reader.Node, words: frozenset[str] = frozenset()) -> Any:
        """A value: a literal, a fixed choice, or what its expression gives; lists become tuples."""
        if isinstance(node, reader.Scalar):
            if not isinstance(node.value, str):
                return whole(node.value)
            if node.value in words:
                return node.value
            try:
                result = evaluate(node.value, self.lookup)
            except ExpressionError as error:
                if isinstance(error, UnknownNameError) and words:
                    error.hint = nearest(node.text, words) or f"choices: {listed(sorted(words))}; {error.hint}"
                self.bad_expression(node, error)
            return whole(result)
        if isinstance(node, reader.Sequence):
            values = tuple([self.value(item, words) for item in node.items])
            try:
                check_size(values)
            except ExpressionError as error:
                raise self.source.error(error.message, node) from None
            return values
        raise self.source.error("expected a value, got a mapping", node)

    def bad_expression(self, node: reader.Scalar, error: ExpressionError) -> NoReturn:
        if isinstance(error, UnknownNameError) and node.value in ("yes", "no", "on", "off"):
            error.hint = "YAML 1.2 knows true and false only"
        lines = self.source.text.splitlines()
        row = lines[node.line - 1] if node.line <= len(lines) else ""
        begin = row.find(node.text.strip(), node.column - 1)
        column = (begin + 1 if begin >= 0 else node.column) + (error.offset if begin >= 0 else 0)
        raise self.problem(error.message, (node.line, column), hint=error.hint) from None

    def lookup(self, name: str) -> Any:
        """The value of a name where the builder stands."""
        for values in (self.scope.args, self.file_args):
            if name in values:
                return values[name]
        if name in IN_NAMES:
            return self.in_size(name)
        if name in self.document.blocks or find_layer(name):
            return Name(name)
        path = self.find_path(name)
        if path is not None:
            return Name(path)
        if name in choice_words():
            return Name(name)
        rank = len(self.shape(self.current[0])) if len(self.current) == 1 else 0
        sizes = ["in_channels", "in_size", *SIZE_NAMES.get(rank - 1, ())] if rank else []
        known = [*dict.fromkeys([*self.scope.args, *self.file_args, *sizes])]
        hint = (
            nearest(name, known)
            or nearest(name, [*REGISTRY, *self.document.blocks], likeness=0.8)
            or f"in scope here: {listed(known) or 'nothing'}"
        )
        if name in self.document.args:
            hint = "an argument's value can use the arguments above it"
        raise UnknownNameError(f"there is no variable '{name}' here", 0, hint)

    def in_size(self, name: str) -> Any:
        """A size of the tensor where the builder stands."""
        if len(self.current) != 1:
            several = f"{len(self.current)} of them" if self.current else "none"
            raise UnknownNameError(f"'{name}' needs one tensor that comes before; here there is {several}", 0)
        shape = self.shape(self.current[0])
        if name == "in_channels":
            return shape[0]
        if name == "in_size":
            return shape[1:]
        sizes = SIZE_NAMES.get(len(shape) - 1, ())
        if name in sizes:
            return shape[1 + sizes.index(name)]
        hint = f"known here: {listed(['in_channels', 'in_size', *sizes])}"
        raise UnknownNameError(f"the tensor {describe(shape)} here has no '{name}'", 0, hint)

    # -- tensors -------------------------------------------------------------------------------

    def shape(self, ref: Ref) -> Shape:
        return self.nodes[ref.node].output_shapes[ref.port]

    def differ(self, one: Ref, other: Ref) -> bool:
        """Whether two tensors have different shapes."""
        return self.shape(one) != self.shape(other)

    def tensor_path(self, ref: Ref) -> str:
        node = self.nodes[ref.node]
        return node.path if len(node.output_shapes) == 1 else f"{node.path}.{ref.port}"

    def find_path(self, name: str) -> str | None:
        """The full path that a name means, seen from the innermost scope outwards."""
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.prefix + name in self.tensors:
                return scope.prefix + name
            scope = scope.parent
        return None

    def tensor(self, node: reader.Node) -> Tensors:
        """The tensors that one entry of ``from:`` means."""
        if isinstance(node, reader.Scalar):
            if node.value == -1:
                return self.need_current(node)
            if isinstance(node.value, str):
                return self.named_tensor(node)
        raise self.problem(
            f"'from' takes a name or -1, got {node.text if isinstance(node, reader.Scalar) else 'a list'}",
            node,
            hint="-1 is the tensor before; give others a 'name:'",
        )

    def named_tensor(self, node: reader.Scalar) -> Tensors:
        name = node.text
        for values in (self.scope.args, self.file_args):
            if isinstance(values.get(name), str):
                name = values[name]
                break
        path = self.find_path(name)
        if path is not None:
            return self.tensors[path]
        whole, _, port = name.rpartition(".")
        path = self.find_path(whole) if port.isdigit() else None
        if path is not None:
            parts = self.tensors[path]
            if int(port) >= len(parts):
                raise self.problem(
                    f"'{whole}' has {len(parts)} outputs, there is no '{name}'", node, hint="they count from 0"
                )
            return (parts[int(port)],)
        raise self.unknown_tensor(name, node)

    def unknown_tensor(self, name: str, node: reader.Scalar) -> Exception:
        later = trace.find_label(self.document, name)
        if later is not None and later.line == node.line:
            return self.problem(f"'{name}' is this layer's own name, which it cannot read from", node)
        if later is not None and later.line > node.line:
            return self.problem(
                f"'{name}' is defined only later, in line {later.line}",
                node,
                hint="a layer can read what stands above it",
            )
        names = [path for path in self.tensors if path.startswith(self.scope.prefix)]
        known = [
            *(path.removeprefix(self.scope.prefix) for path in names),
            *(n.path for n in self.nodes if n.layer is None),
        ]
        hint = (
            nearest(name, known)
            or f"known here: {listed(dict.fromkeys(known))}; what stands inside a block or branch has a path, "
            "as block1.conv2"
        )
        return self.problem(f"there is no tensor '{name}' to read from", node, hint=hint)

    def need_current(self, node: reader.Node) -> Tensors:
        if not self.current:
            names = [n.path for n in self.nodes if n.layer is None]
            raise self.problem(
                "no tensor comes before this",
                node,
                hint=f"the net has several inputs; say 'from:' one of {listed(names)}",
            )
        return self.current

    def sources(self, node: reader.Node | None, at: reader.Node) -> Tensors:
        if node is None:
            return self.need_current(at)
        if isinstance(node, reader.Sequence):
            return tuple(ref for item in node.items for ref in self.tensor(item))
        return self.tensor(node)

    # -- items ---------------------------------------------------------------------------------

    def run(self, body: Body) -> None:
        for item in body:
            if type(item) is Call:
                self.call(item)
            elif type(item) is Repeat:
                self.repeat(item)
            elif type(item) is Residual:
                self.residual(item)
            elif type(item) is Choice:
                self.run(item.then if self.value(item.condition) else item.otherwise)

    def repeat(self, item: Repeat) -> None:
        times = self.value(item.times)
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            raise self.problem(f"'times' must be a whole number of at least 0, got {written(times)}", item.times)
        least = max(least_layers(self.document, item.body), 1)
        if times * self.rounds * least > MAX_LAYERS:
            inside = f" inside {self.rounds:,} rounds" if self.rounds > 1 else ""
            of = f" of at least {least:,} layers" if least > 1 else ""
            raise self.problem(
                f"{count(times)} rounds{of}{inside} are too many: a net has at most {MAX_LAYERS:,} layers", item.times
            )
        args, outer, before = self.scope.args, self.rounds, self.scope.args.get("index")
        had_index = "index" in args
        self.rounds *= max(times, 1)
        for index in range(times):
            args["index"] = index
            self.run(item.body)
        self.rounds = outer
        if had_index:
            args["index"] = before
        else:
            args.pop("index", None)

    def residual(self, item: Residual) -> None:
        self.current = start = self.sources(item.source, item.node)
        applies = item.when is None or bool(self.value(item.when))
        if len(start) != 1:
            raise self.problem("a residual needs one tensor before it", item.node)
        self.run(item.body)
        if not applies:
            return
        out = self.current
        if len(out) != 1:
            raise self.problem("the body of a residual must end in one tensor", item.node)
        if item.shortcut is not None and self.differ(out[0], start[0]):
            skip = self.branch(item.shortcut, start, "shortcut")
        else:
            skip = start
        path = self.new_path(item.label.text if item.label else None, Add.kind, item.label or item.node)
        self.current = self.emit(Add(), (*out, *skip), path, item, None)
        self.bind(path, item.label)

    def branch(self, body: Body, start: Tensors, name: str) -> Tensors:
        """Runs a body on tensors of its own, under a path of its own."""
        scope = self.scope
        path = self.new_path(None, name, None)
        self.scope = Scope(f"{path}.", scope.args, scope, share=scope.share)
        self.current = start
        self.run(body)
        self.scope = scope
        self.tensors[path] = self.current
        return self.current

    def call(self, item: Call) -> None:
        layer = item.layer
        if layer is None:
            self.dynamic_call(item)
            return
        if item.branches is not None:
            refs = self.branches(item, layer)
        elif item.source is None and self.current:
            refs = self.current
        else:
            refs = self.sources(item.source, item.node)
        ready = item.ready
        if ready is None:
            self.current = refs
            ready = self.make(item, layer)
        self.place_layer(item, ready, refs)

    def place_layer(self, item: Call, layer: Layer, refs: Tensors) -> None:
        self.check_arity(item, layer, refs)
        if isinstance(layer, ShortForm):
            self.short_form(item, layer, refs)
            return
        path = self.new_path(item.label.text if item.label else None, layer.kind, item.label or item.node)
        self.current = self.emit(layer, refs, path, item, item.share.text if item.share else None)
        if item.label is not None:
            self.bind(path, item.label)

    def short_form(self, item: Call, short: ShortForm, refs: Tensors) -> None:
        """Puts what a short form stands for in its place, under its path."""
        try:
            layers = short.expand(self.shape(refs[0]))
        except LayerError as error:
            self.refuse(item, short, refs, error)
        path = self.new_path(item.label.text if item.label else None, short.kind, item.label or item.node)
        share = item.share.text if item.share else None
        for number, layer in enumerate(layers, 1):
            inner = path if len(layers) == 1 else f"{path}.{layer.kind}{number}"
            self.current = refs = self.emit(layer, refs, inner, item, f"{share}.{number}" if share else None)
        self.bind(path, item.label)

    def branches(self, item: Call, layer: type[Layer]) -> Tensors:
        assert item.branches is not None
        if item.source is not None:
            raise self.problem(f"{layer.kind} takes branches or 'from', not both", item.source)
        start = self.need_current(item.node)
        parted = len(start) > 1 and len(start) == len(item.branches)
        refs: list[Ref] = []
        for number, body in enumerate(item.branches):
            refs += self.branch(body, (start[number],) if parted else start, "branch")
        return tuple(refs)

    def check_arity(self, item: Call, layer: Layer, refs: Tensors) -> None:
        least, most = layer.arity
        if least <= len(refs) and (most is None or len(refs) <= most):
            return
        many = most if most is not None else 2
        wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        hint = None
        if most == 1 and not refs:
            hint = "leave 'from' out to read the tensor before"
        elif least > len(refs):
            hint = f"give it branches, or several inputs: '- {layer.kind}: {{from: [-1, other]}}'"
        elif len({ref.node for ref in refs}) == 1:
            hint = f"choose one part with 'from: {self.nodes[refs[0].node].path}.0'"
        raise self.problem(
            f"{layer.kind} takes {wanted} input{'s' if max(least, many) > 1 else ''}, got {len(refs)}",
            item.node,
            hint=hint,
        )

    def dynamic_call(self, item: Call) -> None:
        """A block, or a name that an argument holds."""
        if item.block is not None:
            self.block(item, item.block)
            return
        name = item.name
        for values in (self.scope.args, self.file_args):
            if name in values:
                held = values[name]
                if held is None and not item.fields:
                    return
                if isinstance(held, str):
                    name = held
                elif find_layer(name) is None:
                    raise self.problem(f"the argument '{name}' holds {held}, which is no layer", item.node)
                break
        block = self.document.blocks.get(name)
        if block is not None:
            self.block(item, block)
            return
        layer = find_layer(name)
        if layer is None:
            hint = nearest(name, [*REGISTRY, *self.document.blocks])
            raise self.problem(f"there is no layer or block '{name}'", item.node, hint=hint)
        refs = self.sources(item.source, item.node)
        self.current = refs
        self.place_layer(item, self.make(item, layer), refs)

    def make(self, item: Call, layer: type[Layer]) -> Layer:
        """The layer of a call, its expressions evaluated where the call stands."""
        fields: dict[str, tuple[Any, reader.Node]] = {}
        if item.scalar is not None and layer.__struct_fields__:
            first = layer.__struct_fields__[0]
            fields[first] = (self.value(item.scalar, choices(layer)[first]), item.scalar)
        for wrote, (key, node) in item.fields.items():
            field = field_name(layer, wrote)
            if field is None:
                raise unknown_field(self.source, layer, key)
            fields[field] = (self.value(node, choices(layer)[field]), node)
        return make_layer(self.source, layer, item.node, fields)

    def block(self, item: Call, block: Block) -> None:
        caller = self.scope
        self.current = self.sources(item.source, item.node)
        args: dict[str, Any] = {}
        for wrote, (key, node) in item.fields.items():
            if wrote not in block.args:
                raise unknown_argument(self.source, block, key)
            args[wrote] = self.argument(node)
        if item.scalar is not None:
            if not block.args:
                raise self.problem(f"block '{block.name}' has no arguments", item.scalar)
            args[next(iter(block.args))] = self.argument(item.scalar)
        self.guard(item, block)
        segment = item.label.text if item.label else None
        path = self.new_path(segment, block.name, item.label or item.node)
        share = caller.share if item.share is None else (item.share.text, len(path))
        self.scope = Scope(f"{path}.", args, caller, block=block, call=item, share=share)
        missing = [name for name in block.args if name not in args]
        for name in missing:
            default = block.args[name]
            if default is None:
                self.scope = caller
                missing_arguments(self.source, block, item if item.scalar is None else _with_first(item, block))
            else:
                args[name] = self.value(default)
        self.run(block.body)
        self.scope = caller
        self.bind(path, item.label)

    def bind(self, path: str, label: reader.Scalar | None) -> None:
        """Lets ``from:`` find the tensors of the moment by a path and, where there is one, a label."""
        self.tensors[path] = self.current
        if label is not None:
            self.tensors[self.scope.prefix + label.text] = self.current

    def argument(self, node: reader.Node) -> Any:
        """An argument's value; a dotted path may name a tensor."""
        if isinstance(node, reader.Scalar) and isinstance(node.value, str) and "." in node.value:
            path = self.find_path(node.value)
            if path is not None:
                return Name(path)
        return self.value(node)

    def guard(self, item: Call, block: Block) -> None:
        """No block may call itself, and the number of calls is bounded."""
        chain = [block.name]
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.block is not None:
                chain.append(scope.block.name)
                if scope.block is block:
                    raise self.problem(f"block '{block.name}' calls itself: {' → '.join(reversed(chain))}", item.node)
            scope = scope.parent
        try:
            least = least_of_block(self.document, block)
        except RecursionError:
            raise self.problem(TOO_DEEP, item.node) from None
        if least > MAX_LAYERS:
            raise self.problem(f"block '{block.name}' makes more than {MAX_LAYERS:,} layers", item.node)
        self.calls += 1
        if len(chain) > MAX_CALL_DEPTH:
            raise self.problem(f"blocks call each other more than {MAX_CALL_DEPTH} deep", item.node)
        if self.calls > MAX_EMPTY_CALLS + 20 * len(self.nodes):
            raise self.problem(
                f"more than {MAX_EMPTY_CALLS:,} calls of blocks make hardly a layer",
                item.node,
                hint="where each block calls the next twice, the work doubles from block to block",
            )

    # -- nodes ---------------------------------------------------------------------------------

    def new_path(self, label: str | None, kind: str, at: reader.Node | None) -> str:
        """A path that is not yet taken: the label's, or the kind's with the next number."""
        scope = self.scope
        if label is not None:
            path = scope.prefix + label
            if "index" in scope.args:
                number = scope.counters[label] = scope.counters.get(label, 0) + 1
                path = f"{path}{number}"
            if path in self.places:
                first = self.places[path]
                where = f"; it stands already in line {first.line}" if first else ""
                raise self.problem(f"the name '{label}' is taken{where}", at)
            self.places[path] = self.place(at) if at else None
            return path
        gap = "_" if kind[-1].isdigit() else ""  # relu6_1, not relu61
        while True:
            number = scope.counters[kind] = scope.counters.get(kind, 0) + 1
            path = f"{scope.prefix}{kind}{gap}{number}"
            if path not in self.places:
                self.places[path] = None
                return path

    def emit(self, layer: Layer, refs: Tensors, path: str, item: Call | Residual, share: str | None) -> Tensors:
        """Adds one node and gives its outputs."""
        nodes = self.nodes
        shapes = tuple([nodes[ref.node].output_shapes[ref.port] for ref in refs])
        known = (layer, shapes)
        outputs = self.shapes.get(known)
        if outputs is None:
            try:
                outputs = self.shapes[known] = layer.output_shapes(*shapes)
            except LayerError as error:
                self.refuse(item, layer, refs, error)
            if any(size.bit_length() > MAX_BITS for shape in outputs for size in shape):
                raise self.problem(f"{layer.kind}: a size of the output is beyond 2^{MAX_BITS}", item.node)
        number = len(nodes)
        if number > MAX_LAYERS:
            raise self.problem(f"the net has more than {MAX_LAYERS:,} layers", item.node)
        shared = self.shared(layer, shapes, path, item, share, number)
        nodes.append(Node(path, layer, refs, shapes, outputs, item.place, shared))
        result = (Ref(number),) if len(outputs) == 1 else tuple(Ref(number, port) for port in range(len(outputs)))
        self.tensors[path] = result
        return result

    def shared(
        self, layer: Layer, shapes: Shapes, path: str, item: Call | Residual, share: str | None, number: int
    ) -> int | None:
        """The node whose weights this one uses too, under ``share``."""
        if share is None and self.scope.share is not None:
            name, length = self.scope.share
            share = name + path[length:]
        if share is None or not layer.weights(*shapes):
            return None
        owner = self.owners.setdefault(share, number)
        if owner == number:
            return None
        first = self.nodes[owner]
        assert first.layer is not None
        if first.layer.kind != layer.kind or first.layer.weights(*first.input_shapes) != layer.weights(*shapes):
            theirs, ours = (
                ", ".join(f"{w.name} {'×'.join(map(str, w.shape))}" for w in lay.weights(*shp))
                for lay, shp in ((first.layer, first.input_shapes), (layer, shapes))
            )
            raise self.problem(
                f"'{share}' is shared with {first.path}, but the weights differ: {first.layer.kind} ({theirs}) "
                f"and {layer.kind} ({ours})",
                item.node,
                hint="layers that share weights need the same fields and the same channels coming in",
            )
        return owner

    # -- messages ------------------------------------------------------------------------------

    def place(self, node: reader.Node) -> Place:
        return Place(self.source.name, node.line, node.column)

    def problem(
        self,
        message: str,
        at: reader.Node | tuple[int, int] | None,
        *,
        details: list[str] | None = None,
        hint: str | None = None,
    ) -> Exception:
        """An error at a node, with the chain of block calls that led there."""
        chain = []
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.block is not None and scope.call is not None:
                place = scope.call.place
                chain.append(f"  in block '{scope.block.name}', called at {place.file}:{place.line}:{place.column}")
            scope = scope.parent
        if len(chain) > MOST_CALLS:
            chain[MOST_CALLS - 2 : -1] = [f"  … {len(chain) - MOST_CALLS + 1} more calls"]
        return self.source.error(message, at, details=[*(details or []), *chain], hint=hint)

    def refuse(self, item: Call | Residual, layer: Layer, refs: Tensors, error: LayerError) -> NoReturn:
        """A layer's complaint at the field at fault, with the sizes that led to it."""
        at: reader.Node = item.node
        if isinstance(item, Call) and error.field is not None:
            if error.field in item.fields:
                at = item.fields[error.field][1]
            else:
                for wrote, (_, node) in item.fields.items():
                    if type(layer).field_aliases.get(wrote) == error.field:
                        at = node
        titles, hint = None, error.hint
        if isinstance(item, Residual):
            titles = ("body", "skip" if item.shortcut is None else "shortcut")
            if item.shortcut is None:
                hint = (
                    f"the body must keep {describe(self.shape(refs[1]))} (padding, stride, channels), or a 'shortcut:' "
                    f"of layers must make it {describe(self.shape(refs[0]))}"
                )
        several = isinstance(error, ShapeMismatchError) or len(refs) > 1
        details = trace.sizes(self.nodes, refs, several=several, titles=titles)
        message = (
            error.message if error.message.startswith(("cannot ", layer.kind)) else f"{layer.kind}: {error.message}"
        )
        raise self.problem(message, at, details=details, hint=hint) from None


def count(number: int) -> str:
    """A count for a message, which may be beyond reason."""
    return f"{number:,}" if number < 10**18 else f"more than {10**18:,}"


def _may_be_list(node: reader.Node) -> bool:
    """Whether an input's shape can be a list at all: written as one, or the name of an argument or a call."""
    if isinstance(node, reader.Scalar):
        return isinstance(node.value, str) and not node.value[:1].isdigit()
    return True


def _stem(file: str) -> str:
    """What a net without a name is called: its file's name without folders and ending."""
    return os.path.splitext(os.path.basename(file))[0]


def _plain(value: Any) -> Any:
    """An argument's value for readers of the graph: names are plain text."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return str(value) if isinstance(value, Name) else value


def _with_first(item: Call, block: Block) -> Call:
    """The call with its short value under the name of the block's first argument."""
    assert isinstance(item.node, reader.Scalar)
    assert item.scalar is not None
    first = next(iter(block.args))
    return Call(item.name, item.node, item.place, {first: (item.node, item.scalar), **item.fields})
