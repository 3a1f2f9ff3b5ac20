"""A spec's structure: nodes to blocks and items, with everything checked that needs no numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from cnncalc.graph import Place
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import choices, required_fields
from cnncalc.spec.expression import CONSTANTS, MAX_LENGTH, ExpressionError, template, whole
from cnncalc.spec.fields import (
    Maker,
    aliases,
    field_name,
    find_layer,
    first_field,
    form,
    missing_field,
    named_layer,
)
from cnncalc.spec.language import BLOCK, CHOICE, META, REPEAT, RESIDUAL, SPEC, STRUCTURES, Keys
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Entry, Mapping, Node, Scalar, Sequence, Source, read


class Call(Struct):
    """A layer, a block, or what an argument names, with its fields.

    ``target`` is the layer's class or the block where the name alone decides it, and ``ready`` the layer itself where
    no field needs evaluation. A value without a field's name, which is that of the first, stands under ``None``
    where ``target`` is no layer.
    """

    name: str
    node: Scalar
    place: Place
    target: type[Layer] | Block | None
    fields: dict[str | None, Entry] = {}
    ready: Layer | None = None
    branches: list[Body] | None = None
    label: Scalar | None = None
    source: Node | None = None
    share: Scalar | None = None


class Repeat(Struct):
    """``times`` rounds of ``body``."""

    times: Node
    body: Body
    node: Node


class Choice(Struct):
    """``if``: one of two bodies."""

    condition: Node
    then: Body
    otherwise: Body
    node: Node


class Residual(Struct):
    """A body, and what is added to its result."""

    body: Body
    shortcut: Body | None
    when: Node | None
    node: Node
    place: Place
    label: Scalar | None = None
    source: Node | None = None


Item = Call | Repeat | Choice | Residual
Body = list[Item]


class Block(Struct):
    """A named piece of net with arguments; ``None`` as a default means that the argument is required."""

    name: str
    args: dict[str, Node | None]
    body: Body
    node: Node
    numbered: bool = False
    """Whether unnamed items in it are called 0, 1, 2, …"""


class Document(Struct):
    """A whole spec with expressions not yet evaluated."""

    source: Source
    maker: Maker
    name: str
    citation: str
    input: Node
    args: dict[str, Node | None]
    arg_keys: dict[str, Scalar]
    variants: dict[str, dict[str, Node]]
    blocks: dict[str, Block]
    body: Body
    layers: Node
    """Where the body was written."""
    outputs: Node | None
    budget: list[Entry]
    flat_branches: bool = False
    """Whether branches and shortcuts add no level to paths."""
    numbered: bool = False
    least: dict[int, int] = {}
    """Results of :func:`least_layers` for each body, by its identity."""


def items(body: Body) -> Iterator[Item]:
    """The items of a body, each followed by those inside it."""
    for item in body:
        yield item
        for inner in bodies(item):
            yield from items(inner)


def bodies(item: Item) -> list[Body]:
    """The bodies inside an item."""
    if isinstance(item, Call):
        return item.branches or []
    if isinstance(item, Repeat):
        return [item.body]
    if isinstance(item, Choice):
        return [item.then, item.otherwise]
    return [item.body, item.shortcut or []]


def parse(source: Source) -> Document:
    """The document of a spec.

    Raises:
        SpecError: not YAML as :func:`read` takes it; a key, name or form that the language does not have.
    """
    return _Parser(source).document(read(source))


class _NotConstantError(Exception):
    """A value that needs evaluation."""


def constant(node: Node, words: Iterable[str]) -> Any:
    """A value as it stands, lists as tuples.

    Raises:
        _NotConstantError: it has an expression or a name that is not one of ``words``, or it is a mapping.
    """
    if isinstance(node, Scalar) and (not isinstance(node.value, str) or node.value in words):
        return whole(node.value)
    if isinstance(node, Sequence):
        return tuple([constant(item, words) for item in node.items])
    raise _NotConstantError


def least_layers(document: Document, body: Body) -> int:
    """A lower bound of how many layers a body makes, found without running it.

    With it an exponential chain of blocks is refused before it fills the memory.
    """
    known = document.least.get(id(body))
    if known is None:
        document.least[id(body)] = 0  # what a block that calls itself adds
        known = document.least[id(body)] = sum(_least(document, item) for item in body)
    return known


def _least(document: Document, item: Item) -> int:
    inside = [least_layers(document, body) for body in bodies(item)]
    if isinstance(item, Choice):
        return {True: inside[0], False: inside[1]}.get(_literal(item.condition), min(inside))
    if isinstance(item, Repeat):
        times = _literal(item.times)
        return times * inside[0] if isinstance(times, int) and times > 0 else 0
    if isinstance(item, Residual):
        return inside[0] + (item.when is None)
    if isinstance(item.target, Block):
        return least_layers(document, item.target.body)
    return sum(inside, 1 if item.target else 0)


def _literal(node: Node) -> Any:
    """A value that is written as it is; ``None`` for an expression."""
    return node.value if isinstance(node, Scalar) and not isinstance(node.value, str) else None


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.maker = Maker(source)
        self.blocks: dict[str, Block] = {}
        self.args: frozenset[str] = frozenset()
        self.file_args: frozenset[str] = frozenset()
        self.bare: dict[str, Call] = {}
        """Layers written as just a name."""

    def document(self, root: Node) -> Document:
        top = self.mapping(root, "a spec", SPEC, root, missing="the spec has no")
        args = self.arguments(top.get("args"))
        self.file_args = self.args = frozenset(args)
        variants = self.variants(top["variants"], args) if "variants" in top else {}
        self.block_list(top.get("blocks"))
        self.args = self.file_args
        return Document(
            source=self.source,
            maker=self.maker,
            name=self.word(top, "name"),
            citation=self.word(top, "source"),
            input=top["input"],
            args=args,
            arg_keys={key.text: key for key, _ in self.entries(top.get("args"), "'args'")},
            variants=variants,
            blocks=self.blocks,
            body=self.body(top["layers"]),
            layers=top["layers"],
            outputs=top.get("outputs"),
            budget=self.entries(top.get("budget"), "'budget'"),
            flat_branches=self.flag(top, "flat_branches"),
            numbered=self.flag(top, "numbered"),
        )

    # -- forms ---------------------------------------------------------------------------------

    def entries(self, node: Node | None, what: str) -> list[Entry]:
        """The entries of a mapping; none where it is left out."""
        if node is None:
            return []
        if not isinstance(node, Mapping):
            raise self.source.error(f"{what} must be a mapping of names to values, got {form(node)}", node)
        return node.entries

    def mapping(self, node: Node, what: str, keys: Keys, at: Node, *, missing: str | None = None) -> dict[str, Node]:
        """The values of a mapping that may have only certain keys and must have some; else the error is at ``at``."""
        values = {}
        for key, value in self.entries(node, what):
            if key.text not in keys:
                hint = nearest(key.text, keys) or f"choose from: {listed(keys)}"
                raise self.source.error(f"{what} has no key '{key.text}'", key, hint=hint)
            values[key.text] = value
        for name, key_ in keys.items():
            if key_.required and name not in values:
                raise self.source.error(f"{missing or f'{what} needs'} '{name}:'", at, hint=key_.hint)
        return values

    def word(self, parts: dict[str, Node], name: str) -> str:
        """A text, empty where it is not given."""
        if name not in parts:
            return ""
        node = parts[name]
        if not isinstance(node, Scalar) or node.value is None:
            raise self.source.error(f"'{name}' must be a text, got {form(node)}", node)
        return node.text

    def flag(self, parts: dict[str, Node], name: str) -> bool:
        """A setting that is on or off, and off where it is not given."""
        if name not in parts:
            return False
        node = parts[name]
        if not isinstance(node, Scalar) or not isinstance(node.value, bool):
            raise self.source.error(f"'{name}' is true or false, got {form(node)}", node)
        return node.value

    def label(self, node: Node, what: str) -> Scalar:
        """A name: a word, a number, or several with dots between; expressions in braces may be parts of it."""
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            raise self.source.error(f"'{what}' must be a word or a number, got {form(node)}", node)
        if len(node.text) > MAX_LENGTH:
            raise self.source.error(f"'{what}' is longer than {MAX_LENGTH:,} characters", node)
        try:
            pieces = template(node.text)
        except ExpressionError as error:
            raise self.source.error(f"'{what}': {error.message}", node, hint=error.hint) from None
        pieces[1::2] = ["0"] * (len(pieces) // 2)
        if not all("".join(pieces).split(".")):
            raise self.source.error(
                f"'{what}' must be a word or a number, got '{node.text}'", node, hint="dots separate words"
            )
        return node

    def arguments(self, node: Node | None) -> dict[str, Node | None]:
        """Argument names with their defaults."""
        args: dict[str, Node | None] = {}
        for key, value in self.entries(node, "'args'"):
            if not key.text.isidentifier() or key.text in CONSTANTS or key.text in META:
                raise self.source.error(f"'{key.text}' cannot be the name of an argument", key, hint=_NAMES)
            required = isinstance(value, Scalar) and value.value == "required"
            args[key.text] = None if required else value
        return args

    def variants(self, node: Node, args: dict[str, Node | None]) -> dict[str, dict[str, Node]]:
        variants: dict[str, dict[str, Node]] = {}
        for key, value in self.entries(node, "'variants'"):
            settings = variants[key.text] = {}
            for name, setting in self.entries(value, f"variant '{key.text}'"):
                if name.text not in args:
                    hint = nearest(name.text, args) or f"arguments: {listed(args) or 'none'}"
                    raise self.source.error(
                        f"variant '{key.text}' sets '{name.text}', which is not an argument", name, hint=hint
                    )
                settings[name.text] = setting
        return variants

    def block_list(self, node: Node | None) -> None:
        """The blocks: their names first, then their arguments, then the bodies, which may call each of them."""
        entries = self.entries(node, "'blocks'")
        for key, _ in entries:
            if key.text in STRUCTURES or key.text in REGISTRY:
                raise self.source.error(f"'{key.text}' is a layer's name; a block needs another", key)
            if not key.text.isidentifier():
                raise self.source.error(f"'{key.text}' cannot be the name of a block", key, hint=_NAMES)
            self.blocks[key.text] = Block(key.text, {}, [], key)
        layers = {}
        for key, value in entries:
            block, what = self.blocks[key.text], f"block '{key.text}'"
            parts = self.mapping(value, what, BLOCK, key, missing=f"{what} has no")
            block.args = self.arguments(parts.get("args"))
            block.numbered = self.flag(parts, "numbered")
            layers[key.text] = parts["layers"]
        for name, body in layers.items():
            self.args = self.file_args | frozenset(self.blocks[name].args)
            self.blocks[name].body = self.body(body)

    # -- items ---------------------------------------------------------------------------------

    def body(self, node: Node) -> Body:
        if not isinstance(node, Sequence):
            raise self.source.error(
                f"expected a list of layers, got {form(node)}", node, hint="write one layer per line, each after '- '"
            )
        return [self.item(item) for item in node.items]

    def item(self, node: Node) -> Item:
        if isinstance(node, Scalar):
            if not isinstance(node.value, str):
                raise self.source.error(f"expected a layer, got {node.text or 'nothing'}", node)
            known = self.bare.get(node.value)
            if known is not None and node.value not in self.args:
                return Call(node.value, node, self.place(node), known.target, known.fields, known.ready)
            call = self.call(node)
            if call.ready is not None:
                self.bare[node.value] = call
            return call
        if isinstance(node, Sequence):
            raise self.source.error(
                "expected a layer, got a list", node, hint="branches belong under concat, add or multiply"
            )
        if any(key.text == "if" for key, _ in node.entries):
            parts = self.mapping(node, "if", CHOICE, node)
            otherwise = self.body(parts["else"]) if "else" in parts else []
            return Choice(parts["if"], self.body(parts["then"]), otherwise, node)
        if len(node.entries) != 1:
            keys = ", ".join(f"'{key.text}'" for key, _ in node.entries)
            hint = f"indent the fields below '{node.entries[0][0].text}:'" if node.entries else None
            raise self.source.error(
                f"a layer is one name with its fields below it, got keys {keys or '(none)'}", node, hint=hint
            )
        key, value = node.entries[0]
        if key.text == "repeat":
            parts = self.mapping(value, "repeat", REPEAT, key)
            return Repeat(parts["times"], self.body(parts["layers"]), key)
        if key.text == "residual":
            return self.residual(key, value)
        if key.text == "activation":
            if not isinstance(value, Scalar) or not isinstance(value.value, str):
                raise self.source.error("activation needs the name of a layer or an argument that holds one", value)
            return self.call(value, what="layer")
        return self.call(key, value)

    def residual(self, key: Scalar, value: Node) -> Residual:
        if isinstance(value, Sequence):
            return Residual(self.body(value), None, None, key, self.place(key))
        parts = self.mapping(value, "residual", RESIDUAL, key)
        return Residual(
            body=self.body(parts["body"]),
            shortcut=self.body(parts["shortcut"]) if "shortcut" in parts else None,
            when=parts.get("when"),
            node=key,
            place=self.place(key),
            label=self.label(parts["name"], "name") if "name" in parts else None,
            source=parts.get("from"),
        )

    def place(self, node: Node) -> Place:
        return Place(self.source.name, node.line, node.column)

    def call(self, key: Scalar, value: Node | None = None, what: str = "layer or block") -> Call:
        name = key.text
        target = None if name in self.args else self.blocks.get(name) or find_layer(name)
        if target is None and name not in self.args:
            raise self.source.error(f"there is no {what} '{name}'", key, hint=self.near_layer(name))
        call = Call(name, key, self.place(key), target)
        layer = None if isinstance(target, Block) else target
        if isinstance(value, Mapping):
            self.settings(call, value)
        elif isinstance(value, Sequence) and layer is not None and layer.arity[1] != 1:
            call.branches = [self.body(branch) for branch in value.items]
        elif isinstance(value, Sequence) and layer is None:
            raise self.source.error(
                f"'{name}' takes fields, got a list", value, hint=f"write '- {name}: {{field: value}}'"
            )
        elif value is not None and not (isinstance(value, Scalar) and value.value is None):
            field = None if layer is None else first_field(self.source, layer, name, value)
            call.fields[field] = (key, value)
        if layer is not None:
            self.make(call, layer)
        return call

    def near_layer(self, name: str) -> str:
        """A hint for a name that is not a layer's."""
        first = re.split(r"[^\w.]", name, maxsplit=1)[0]
        known = {*REGISTRY, *self.blocks, *STRUCTURES, *self.args}
        if first != name and (first in known or find_layer(first)):
            return f"write ': ' between a name and its fields: '- {first}: …'"
        if layer := named_layer(name):
            return f"did you mean '{layer.kind}'?"
        meanings = {alias: layer.kind for alias, layer in aliases().items()}
        return nearest(name, sorted(known), meanings) or "'cnncalc layers' lists all layers"

    def settings(self, call: Call, value: Mapping) -> None:
        target = call.target
        layer = None if isinstance(target, Block) else target
        for key, setting in value.entries:
            if key.text == "name":
                call.label = self.label(setting, "name")
            elif key.text == "from":
                call.source = setting
            elif key.text == "share":
                call.share = self.label(setting, "share")
            elif layer is None:
                if isinstance(target, Block) and key.text not in target.args:
                    raise unknown_argument(self.source, target, key)
                call.fields[key.text] = (key, setting)
            elif key.text == "branches" and layer.arity[1] != 1:
                if not isinstance(setting, Sequence):
                    raise self.source.error(
                        f"'branches' must be a list of lists of layers, got {form(setting)}", setting
                    )
                call.branches = [self.body(branch) for branch in setting.items]
            else:
                field = field_name(self.source, layer, key)
                if field in call.fields:
                    raise self.source.error(f"'{key.text}' and '{call.fields[field][0].text}' are the same field", key)
                call.fields[field] = (key, setting)
        if isinstance(target, Block):
            missing_arguments(self.source, target, call.fields, call.node)

    def make(self, call: Call, layer: type[Layer]) -> None:
        """Makes the layer if none of its fields needs evaluation; else checks what can be checked without."""
        values: dict[str | None, Any] = {}
        for name, (_, node) in call.fields.items():
            if type(node) is Scalar and type(node.value) is not str:
                values[name] = whole(node.value)
                continue
            if isinstance(node, Mapping):
                raise self.source.error(f"'{name}' of {layer.kind} cannot be a mapping", node)
            try:
                values[name] = constant(node, choices(layer)[str(name)])
            except _NotConstantError:
                break
        else:
            call.ready = self.maker.make(layer, call.node, values, call.fields)
            return
        for name in required_fields(layer):
            if name not in call.fields:
                raise missing_field(self.source, layer, call.node, name)


_NAMES = "a name consists of letters, digits and '_', and is not a word of the language"


def unknown_argument(source: Source, block: Block, key: Scalar) -> Exception:
    """The error for an argument that a block does not have."""
    hint = nearest(key.text, block.args) or f"'{block.name}' takes {listed(block.args) or 'no arguments'}"
    return source.error(f"block '{block.name}' has no argument '{key.text}'", key, hint=hint)


def missing_arguments(source: Source, block: Block, given: Iterable[str | None], at: Node) -> None:
    """Raises where a call leaves out a required argument."""
    for name, default in block.args.items():
        if default is None and name not in given:
            raise source.error(f"block '{block.name}' needs the argument '{name}'", at, hint=f"write '{name}: …'")
