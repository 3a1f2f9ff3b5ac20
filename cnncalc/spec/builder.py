"""Items to nodes: bodies are run with the current tensor and the arguments in scope."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.graph import Node, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Shapes, ShortForm
from cnncalc.layers.fields import choices
from cnncalc.layers.merge import Add
from cnncalc.spec import reader, trace
from cnncalc.spec.document import (
    Block,
    Body,
    Call,
    Choice,
    Repeat,
    Residual,
    least_layers,
    missing_arguments,
    unknown_argument,
)
from cnncalc.spec.expression import Name, template
from cnncalc.spec.fields import field_name, find_layer, first_field, written
from cnncalc.spec.problem import nearest
from cnncalc.spec.state import MISSING, Scope, State, Tensors

MAX_LAYERS = 500_000
MAX_EMPTY_CALLS = 20_000
MAX_CALL_DEPTH = 60
NUMBERS = "0"
"""Key of the counter of numbered names; no layer's or block's name is a number."""
TOO_DEEP = "blocks, branches and repeats are nested too deeply"
ADD = Add()


class Builder(State):
    """Runs items: calls of layers and blocks, repeats, choices, residuals and branches."""

    def run(self, body: Body) -> None:
        self.spend(1 + len(body), body[0].node if body else None)
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
            limit = f"a net has at most {MAX_LAYERS:,} layers"
            raise self.problem(f"{count(times)} rounds{of}{inside} are too many: {limit}", item.times)
        scope, outer = self.scope, self.rounds
        outside = scope.args
        self.rounds *= max(times, 1)
        for index in range(times):
            scope.args = {**outside, "index": index}
            self.run(item.body)
        scope.args, self.rounds = outside, outer

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
        path = self.new_path(item.label, Add.kind)
        self.current = self.emit(ADD, (*out, *skip), path, item, None)
        self.bind(path, item.label)

    def branch(self, body: Body, start: Tensors, name: str) -> Tensors:
        """Runs a body on the given tensors, under its own path."""
        scope = self.scope
        self.current = start
        if self.document.flat_branches:
            self.run(body)
            return self.current
        path = self.new_path(None, name, numbered=False)
        around, twinned = scope.outwards, scope.twinned
        self.scope = Scope(f"{path}.", scope.args, around, home=scope.home, start=scope.start, twinned=twinned)
        self.run(body)
        self.scope = scope
        self.tensors[path] = self.current
        return self.current

    def call(self, item: Call) -> None:
        """Runs a block, or makes a layer, its expressions evaluated where the call stands, and places it."""
        target = item.target or self.held(item)
        if target is None:
            return
        if isinstance(target, Block):
            self.block(item, target)
            return
        alone = item.source is None and target.arity[1] == 0
        if item.branches is not None:
            refs = self.branches(item, target)
        else:
            refs = () if alone else self.sources(item.source, item.node)
        layer = item.ready
        if layer is None:
            self.current = self.current if alone else refs
            layer = self.make(item, target)
        self.place_layer(item, layer, refs)

    def held(self, item: Call) -> type[Layer] | Block | None:
        """What a name that is an argument's stands for; ``None`` for nothing."""
        name = item.name
        held = self.argument(name)
        if held is None and not item.fields.keys() - {None}:
            return None
        if isinstance(held, str):
            name = held
        elif held is not MISSING and find_layer(name) is None:
            raise self.problem(f"the argument '{name}' holds {held}, which is not a layer", item.node)
        target = self.document.blocks.get(name) or find_layer(name)
        if target is None:
            hint = nearest(name, [*REGISTRY, *self.document.blocks])
            raise self.problem(f"there is no layer or block '{name}'", item.node, hint=hint)
        return target

    def make(self, item: Call, layer: type[Layer]) -> Layer:
        fields = item.fields
        if item.target is None:
            fields = {
                first_field(self.source, layer, item.name, node)
                if name is None
                else field_name(self.source, layer, key): (key, node)
                for name, (key, node) in fields.items()
            }
        words = choices(layer)
        values = {name: self.value(node, words[str(name)]) for name, (_, node) in fields.items()}
        return self.maker.make(layer, item.node, values, fields)

    def place_layer(self, item: Call, layer: Layer, refs: Tensors) -> None:
        if len(refs) != 1 or layer.arity != (1, 1):
            self.check_arity(item, layer, refs)
        if isinstance(layer, ShortForm):
            self.short_form(item, layer, refs)
            return
        path = self.new_path(item.label, layer.kind)
        self.current = self.emit(layer, refs, path, item, self.label(item.share) if item.share else None)
        if item.label is not None:
            self.bind(path, item.label)

    def short_form(self, item: Call, short: ShortForm, refs: Tensors) -> None:
        """Replaces a short form by the layers that it expands to, under its path."""
        try:
            layers = short.expand(self.shape(refs[0]))
        except LayerError as error:
            self.refuse(item, short, refs, error)
        path = self.new_path(item.label, short.kind)
        share = self.label(item.share) if item.share else None
        for number, made in enumerate(layers, 1):
            layer = self.maker.one(made)
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
        inputs = f"{wanted} input{'s' if max(least, many) > 1 else ''}"
        raise self.problem(f"{layer.kind} takes {inputs}, got {len(refs)}", item.node, hint=hint)

    def block(self, item: Call, block: Block) -> None:
        caller = self.scope
        self.current = self.sources(item.source, item.node)
        args: dict[str, Any] = {}
        for name, (key, node) in item.fields.items():
            if name is None and not block.args:
                raise self.problem(f"block '{block.name}' has no arguments", node)
            name = next(iter(block.args)) if name is None else name
            if name not in block.args:
                raise unknown_argument(self.source, block, key)
            args[name] = self.given(node)
        self.guard(item, block)
        path = self.new_path(item.label, block.name)
        share = path_in(caller, path) if item.share is None else self.label(item.share)
        home = self.homes.setdefault((caller.home, share), len(self.homes) + 1)
        twinned = caller.twinned or item.share is not None
        missing_arguments(self.source, block, args, item.node)
        self.scope = Scope(f"{path}.", args, caller.outwards, block, item, block.numbered, home, len(path), twinned)
        for name, default in block.args.items():
            if name not in args and default is not None:
                args[name] = self.value(default)
        self.run(block.body)
        self.scope = caller
        self.bind(path, item.label)

    def bind(self, path: str, label: reader.Scalar | None) -> None:
        """Lets ``from:`` find the current tensors by a path and, if there is one, a label."""
        self.tensors[path] = self.current
        if label is not None and len(template(label.text)) == 1:
            self.tensors[self.scope.prefix + label.text] = self.current

    def given(self, node: reader.Node) -> Any:
        """An argument's value; a path with dots, or a number in quotes, may name a tensor."""
        text = node.value if isinstance(node, reader.Scalar) else None
        path = self.find_path(text) if isinstance(text, str) and ("." in text or text.isdecimal()) else None
        return self.value(node) if path is None else Name(path)

    def guard(self, item: Call, block: Block) -> None:
        """No block may call itself, and the number of calls is bounded."""
        chain = [scope.block for scope in self.scope.outwards if scope.block is not None]
        if block in chain:
            calls = [block, *chain[: chain.index(block) + 1]]
            names = " → ".join(one.name for one in reversed(calls))
            raise self.problem(f"block '{block.name}' calls itself: {names}", item.node)
        try:
            least = least_layers(self.document, block.body)
        except RecursionError:
            raise self.problem(TOO_DEEP, item.node) from None
        if least > MAX_LAYERS:
            raise self.problem(f"block '{block.name}' makes more than {MAX_LAYERS:,} layers", item.node)
        self.calls += 1
        if len(chain) >= MAX_CALL_DEPTH:
            raise self.problem(f"blocks call each other more than {MAX_CALL_DEPTH} deep", item.node)
        if self.calls > MAX_EMPTY_CALLS + 20 * len(self.nodes):
            hint = "where each block calls the next twice, the work doubles from block to block"
            message = f"more than {MAX_EMPTY_CALLS:,} calls of blocks make almost no layers"
            raise self.problem(message, item.node, hint=hint)

    # -- nodes ---------------------------------------------------------------------------------

    def new_path(self, label: reader.Scalar | None, kind: str, *, numbered: bool | None = None) -> str:
        """A path that is not yet taken: the label's, or the kind's with the next number, or just the number."""
        scope = self.scope
        if label is not None:
            return self.labelled_path(label)
        if scope.numbered if numbered is None else numbered:
            counter, stem, first = NUMBERS, scope.prefix, 0
        else:
            gap = "_" if kind[-1].isdigit() else ""  # relu6_1, not relu61
            counter, stem, first = kind, f"{scope.prefix}{kind}{gap}", 1
        while True:
            number = scope.counters.get(counter, first)
            scope.counters[counter] = number + 1
            path = f"{stem}{number}"
            if path not in self.places:
                self.places[path] = None
                return path

    def labelled_path(self, label: reader.Scalar) -> str:
        """The path of a name, numbered where a repeat gives the same name in each round."""
        scope, name = self.scope, self.label(label)
        path = scope.prefix + name
        if "index" in scope.args and len(template(label.text)) == 1:
            number = scope.counters.get(name, 1)
            scope.counters[name] = number + 1
            path = f"{path}{number}"
        elif re.fullmatch("[0-9]+", first := name.partition(".")[0]):
            scope.counters[NUMBERS] = int(first) + 1
        if path in self.places:
            other = self.places[path]
            where = f"; it is already in line {other.line}" if other else ""
            raise self.problem(f"the name '{name}' is taken{where}", label)
        self.places[path] = self.place(label)
        return path

    def emit(self, layer: Layer, refs: Tensors, path: str, item: Call | Residual, share: str | None) -> Tensors:
        """Adds one node and returns its outputs."""
        nodes = self.nodes
        shapes = tuple([nodes[ref.node].output_shapes[ref.port] for ref in refs])
        known = (id(layer), shapes)
        outputs = self.shapes.get(known)
        if outputs is None:
            try:
                outputs = self.shapes[known] = layer.checked_shapes(*shapes)
            except LayerError as error:
                self.refuse(item, layer, refs, error)
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
        """The node whose weights this one shares: that of the same share name, or its twin in a shared call."""
        if share is None and self.scope.twinned:
            share = path_in(self.scope, path)
        if share is None or not layer.weights(*shapes):
            return None
        owner = self.owners.setdefault((self.scope.home, share), number)
        if owner == number:
            return None
        first = self.nodes[owner]
        assert first.layer is not None
        if first.layer.kind != layer.kind or first.layer.weights(*first.input_shapes) != layer.weights(*shapes):
            theirs, ours = _weights(first.layer, first.input_shapes), _weights(layer, shapes)
            shared = f"'{share.removeprefix('.')}' is shared with {first.path}"
            hint = "layers that share weights need the same fields and the same channels coming in"
            raise self.problem(f"{shared}, but the weights differ: {theirs} and {ours}", item.node, hint=hint)
        return owner

    def refuse(self, item: Call | Residual, layer: Layer, refs: Tensors, error: LayerError) -> NoReturn:
        """A layer's error at the field at fault, with the sizes that led to it."""
        at: reader.Node = item.node
        if isinstance(item, Call) and error.field is not None:
            for wrote, (_, node) in item.fields.items():
                if wrote is not None and error.field in (wrote, layer.field_aliases.get(wrote)):
                    at = node
        titles, hint = None, error.hint
        if isinstance(item, Residual):
            titles = ("body", "skip" if item.shortcut is None else "shortcut")
            if item.shortcut is None:
                out, skip = describe(self.shape(refs[0])), describe(self.shape(refs[1]))
                otherwise = f"or a 'shortcut:' of layers must make it {out}"
                hint = f"the body must keep {skip} (padding, stride, channels), {otherwise}"
        several = isinstance(error, ShapeMismatchError) or len(refs) > 1
        details = trace.sizes(self.nodes, refs, several=several, titles=titles)
        named = error.message.startswith(("cannot ", layer.kind))
        message = error.message if named else f"{layer.kind}: {error.message}"
        raise self.problem(message, at, details=details, hint=hint) from None


def _weights(layer: Layer, inputs: Shapes) -> str:
    """A layer's weights in a message: ``conv (weight 8×3×3×3, bias 8)``."""
    weights = (f"{weight.name} {'×'.join(map(str, weight.shape))}" for weight in layer.weights(*inputs))
    return f"{layer.kind} ({', '.join(weights)})"


def path_in(scope: Scope, path: str) -> str:
    """A path within the block call of a scope; its leading dot tells it from a share name."""
    return f".{path[scope.start :].removeprefix('.')}"


def count(number: int) -> str:
    """A count for a message; it may be absurdly large."""
    return f"{number:,}" if number < 10**18 else f"more than {10**18:,}"
