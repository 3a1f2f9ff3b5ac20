"""The state of a run of a document: the scopes, the nodes so far, and the meaning of names and expressions."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from msgspec import Struct

from cnncalc.graph import Node, Place, Ref
from cnncalc.layers import REGISTRY
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Shape, Shapes
from cnncalc.spec import reader, trace
from cnncalc.spec.document import Block, Call, Document
from cnncalc.spec.expression import ExpressionError, Name, UnknownNameError, check_size, evaluate, template, whole
from cnncalc.spec.fields import choice_words, find_layer, written
from cnncalc.spec.language import SIZES
from cnncalc.spec.problem import listed, nearest

MOST_CALLS = 8
"""The most lines of a message about the chain of block calls."""

SIZE_NAMES = {1: ("in_length",), 2: ("in_height", "in_width"), 3: ("in_depth", "in_height", "in_width")}
MAX_WORK = 2_000_000
WORK_PER_LAYER = 100
"""The most steps of evaluation for a net, and how many more for each of its layers."""
MISSING: Any = object()
Tensors = tuple[Ref, ...]


class Scope(Struct):
    """A scope of names: the arguments, the counters of automatic names, and the scopes around it, the nearest first.

    ``home`` is the number of the block call whose share names these are, the same for calls that share all their
    weights, and ``start`` the length of its path. In a ``twinned`` call every layer shares with its twin.
    """

    prefix: str
    args: dict[str, Any]
    around: tuple[Scope, ...] = ()
    block: Block | None = None
    call: Call | None = None
    numbered: bool = False
    home: int = 0
    start: int = 0
    twinned: bool = False
    counters: dict[str, int] = {}
    """The next number of each automatic name."""

    @property
    def outwards(self) -> tuple[Scope, ...]:
        """This scope and those around it."""
        return (self, *self.around)


class State:
    """The nodes so far, the current tensor and scope, and what a name or an expression means there."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.source = document.source
        self.maker = document.maker
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensors] = {}
        self.places: dict[str, Place | None] = {}
        self.shapes: dict[tuple[int, Shapes], Shapes] = {}
        """Output shapes by the layer's identity and its input shapes; the nodes keep the layers alive."""
        self.homes: dict[tuple[int, str], int] = {}
        """Numbers of block calls by their home and the share name or path there."""
        self.owners: dict[tuple[int, str], int] = {}
        """The first layer of each share, by home and by name or path there."""
        self.current: Tensors = ()
        self.file_args: dict[str, Any] = {}
        self.replaced: dict[str, Shape] = {}
        self.scope = Scope("", {}, numbered=document.numbered)
        self.rounds = 1
        self.calls = 0
        self.work = 0

    # -- values --------------------------------------------------------------------------------

    def value(self, node: reader.Node, words: frozenset[str] = frozenset()) -> Any:
        """A value: a literal, a fixed choice, or the result of its expression; lists become tuples."""
        if isinstance(node, reader.Scalar):
            if not isinstance(node.value, str):
                return whole(node.value)
            if node.value in words:
                return node.value
            try:
                return self.evaluated(node.value, node)
            except ExpressionError as error:
                if isinstance(error, UnknownNameError) and words:
                    error.hint = nearest(node.text, words) or f"choices: {listed(sorted(words))}; {error.hint}"
                self.bad_expression(node, error)
        if isinstance(node, reader.Sequence):
            self.spend(len(node.items), node)
            values = tuple([self.value(item, words) for item in node.items])
            try:
                check_size(values)
            except ExpressionError as error:
                raise self.source.error(error.message, node) from None
            return values
        raise self.source.error("expected a value, got a mapping", node)

    def evaluated(self, text: str, at: reader.Node) -> Any:
        """The value of an expression."""
        return whole(evaluate(text, self.lookup, partial(self.spend, at=at)))

    def spend(self, steps: int, at: reader.Node | None) -> None:
        """Counts work, so that rounds and lists that make no layers are stopped."""
        self.work += steps
        if self.work > MAX_WORK + WORK_PER_LAYER * len(self.nodes):
            what = f"take more than {MAX_WORK:,} steps and {WORK_PER_LAYER} for each layer"
            message = f"the expressions, choices and repeats up to here {what}"
            raise self.problem(message, at, hint="make repeats and lists shorter")

    def bad_expression(self, node: reader.Scalar, error: ExpressionError) -> NoReturn:
        if isinstance(error, UnknownNameError) and node.value in ("yes", "no", "on", "off"):
            error.hint = "YAML 1.2 only has true and false"
        lines = self.source.text.splitlines()
        row = lines[node.line - 1] if node.line <= len(lines) else ""
        begin = row.find(node.text.strip(), node.column - 1)
        column = begin + 1 + error.offset if begin >= 0 else node.column
        raise self.problem(error.message, (node.line, column), hint=error.hint) from None

    def label(self, node: reader.Scalar) -> str:
        """The text of a ``name:`` or ``share:`` in the current scope, with expressions in braces evaluated."""
        pieces = template(node.text)
        if len(pieces) == 1:
            return pieces[0]
        for number in range(1, len(pieces), 2):
            try:
                value = self.evaluated(pieces[number], node)
            except ExpressionError as error:
                raise self.problem(f"in '{node.text}': {error.message}", node, hint=error.hint) from None
            if isinstance(value, bool) or not isinstance(value, (int, str)) or not all(str(value).split(".")):
                expected = f"'{pieces[number]}' in a name must give a whole number or a word"
                raise self.problem(f"{expected}, got {written(value)}", node)
            pieces[number] = str(value)
        return "".join(pieces)

    def argument(self, name: str) -> Any:
        """The value of an argument in scope; :data:`MISSING` where there is no such argument."""
        return self.scope.args.get(name, self.file_args.get(name, MISSING))

    def lookup(self, name: str) -> Any:
        """The value of a name in the current scope."""
        held = self.argument(name)
        if held is not MISSING:
            return held
        if name in SIZES:
            return self.in_size(name)
        if name in self.document.blocks or find_layer(name):
            return Name(name)
        path = self.find_path(name)
        if path is not None:
            return Name(path)
        if name in choice_words():
            return Name(name)
        sizes = sizes_of(self.shape(self.current[0])) if len(self.current) == 1 else {}
        known = [*dict.fromkeys([*self.scope.args, *self.file_args, *sizes])]
        hint = (
            nearest(name, known)
            or nearest(name, [*REGISTRY, *self.document.blocks], likeness=0.8)
            or f"in scope here: {listed(known) or 'nothing'}"
        )
        if name in self.document.args:
            hint = "an argument's value can use the arguments above it"
        raise UnknownNameError(f"there is no variable '{name}' here", hint)

    def in_size(self, name: str) -> Any:
        """A size of the current tensor."""
        if len(self.current) != 1:
            several = f"{len(self.current)} of them" if self.current else "none"
            raise UnknownNameError(f"'{name}' needs exactly one tensor before it; here there is {several}")
        shape = self.shape(self.current[0])
        sizes = sizes_of(shape)
        if name in sizes:
            return sizes[name]
        hint = f"choose from: {listed(sizes)}" if sizes else "a scalar has neither channels nor spatial sizes"
        raise UnknownNameError(f"the tensor {describe(shape)} here has no '{name}'", hint)

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
        """The full path of a name, looked up from the innermost scope outwards."""
        for scope in self.scope.outwards:
            if scope.prefix + name in self.tensors:
                return scope.prefix + name
        return None

    def tensor(self, node: reader.Node) -> Tensors:
        """The tensors that one entry of ``from:`` refers to."""
        if isinstance(node, reader.Scalar):
            if node.value == -1:
                return self.need_current(node)
            if isinstance(node.value, str):
                return self.named_tensor(node)
        got = node.text if isinstance(node, reader.Scalar) else "a list"
        hint = "-1 is the tensor before; give others a 'name:'"
        raise self.problem(f"'from' takes a name or -1, got {got}", node, hint=hint)

    def named_tensor(self, node: reader.Scalar) -> Tensors:
        name = node.text
        held = self.argument(name)
        if isinstance(held, str):
            name = held
        path = self.find_path(name)
        if path is not None:
            return self.tensors[path]
        whole, _, port = name.rpartition(".")
        path = self.find_path(whole) if port.isdecimal() else None
        if path is not None:
            parts = self.tensors[path]
            if len(port) > 9 or int(port) >= len(parts):
                message = f"'{whole}' has {len(parts)} outputs, there is no '{name}'"
                raise self.problem(message, node, hint="they count from 0")
            return (parts[int(port)],)
        raise self.unknown_tensor(name, node)

    def unknown_tensor(self, name: str, node: reader.Scalar) -> Exception:
        later = trace.find_label(self.document, name)
        if later is not None and later.line == node.line:
            return self.problem(f"'{name}' is this layer's own name, which it cannot read from", node)
        if later is not None and later.line > node.line:
            message = f"'{name}' is defined only later, in line {later.line}"
            return self.problem(message, node, hint="a layer can only read what is above it")
        prefix = self.scope.prefix
        known = [path.removeprefix(prefix) for path in self.tensors if path.startswith(prefix)] + self.input_names()
        inside = "layers inside a block or branch have a path, e.g. block1.conv2"
        hint = nearest(name, known) or f"choose from: {listed(dict.fromkeys(known))}; {inside}"
        return self.problem(f"there is no tensor '{name}' to read from", node, hint=hint)

    def need_current(self, node: reader.Node) -> Tensors:
        if not self.current:
            hint = f"the net has several inputs; say 'from:' one of {listed(self.input_names())}"
            raise self.problem("no tensor comes before this", node, hint=hint)
        return self.current

    def input_names(self) -> list[str]:
        return [node.path for node in self.nodes if node.layer is None]

    def sources(self, node: reader.Node | None, at: reader.Node) -> Tensors:
        if node is None:
            return self.current or self.need_current(at)
        if isinstance(node, reader.Sequence):
            return tuple(ref for item in node.items for ref in self.tensor(item))
        return self.tensor(node)

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
        chain = [
            f"  in block '{scope.block.name}', called at {':'.join(map(str, scope.call.place))}"
            for scope in self.scope.outwards
            if scope.block is not None and scope.call is not None
        ]
        if len(chain) > MOST_CALLS:
            chain[MOST_CALLS - 2 : -1] = [f"  … {len(chain) - MOST_CALLS + 1} more calls"]
        return self.source.error(message, at, details=[*(details or []), *chain], hint=hint)


def sizes_of(shape: Shape) -> dict[str, Any]:
    """The sizes of a tensor that expressions can name; a scalar has none."""
    if not shape:
        return {}
    named = zip(SIZE_NAMES.get(len(shape) - 1, ()), shape[1:], strict=False)
    return {"in_channels": shape[0], "in_size": shape[1:], **dict(named)}
