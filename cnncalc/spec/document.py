"""A spec's structure: nodes to blocks and items, with everything checked that needs no numbers."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from cnncalc.graph import Place
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import choices, required_fields
from cnncalc.spec.expression import MAX_LENGTH, ExpressionError, evaluate, template, whole
from cnncalc.spec.fields import (
    aliases,
    field_name,
    find_layer,
    make_layer,
    missing_field,
    named_layer,
    unknown_field,
)
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Mapping, Node, Scalar, Sequence, Source

TOP_KEYS = (
    "name", "source", "input", "args", "variants", "flat_branches", "numbered", "blocks", "layers", "outputs", "budget",
)  # fmt: skip
STRUCTURES = ("repeat", "if", "residual", "activation")
META = ("name", "from", "share")


class Call(Struct):
    """A layer, a block, or what an argument names, with its fields.

    ``layer`` is the class, or ``block`` the block, where the name alone decides it; ``ready`` the layer
    itself where no field needs evaluation.
    """

    name: str
    node: Node
    place: Place
    fields: dict[str, tuple[Scalar, Node]]
    layer: type[Layer] | None = None
    block: Block | None = None
    ready: Layer | None = None
    branches: list[Body] | None = None
    scalar: Node | None = None
    label: Scalar | None = None
    source: Node | None = None
    share: Scalar | None = None
    named_by: Scalar | None = None


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
    name: str
    citation: str
    input: Node
    args: dict[str, Node | None]
    arg_keys: dict[str, Scalar]
    variants: dict[str, dict[str, tuple[Scalar, Node]]]
    blocks: dict[str, Block]
    body: Body
    layers: Node
    """Where the body was written."""
    outputs: Node | None
    budget: Mapping | None
    flat_branches: bool = False
    """Whether branches and shortcuts add no level to paths."""
    numbered: bool = False
    least: dict[int, int] = {}
    """Results of :func:`least_layers` for each body, by its identity."""


def bodies(item: Item) -> list[Body]:
    """The bodies inside an item."""
    if isinstance(item, Call):
        return item.branches or []
    if isinstance(item, Repeat):
        return [item.body]
    if isinstance(item, Choice):
        return [item.then, item.otherwise]
    return [item.body, item.shortcut or []]


def parse(source: Source, root: Node) -> Document:
    """The document of a spec.

    Raises:
        SpecError: a key, name or form that the language does not have.
    """
    return _Parser(source).document(root)


def constant(node: Node, words: frozenset[str]) -> tuple[bool, Any]:
    """Whether a value needs no evaluation, and its value then; strings among ``words`` need none."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            return (True, node.value) if node.value in words else (False, None)
        return True, whole(node.value)
    if isinstance(node, Sequence):
        values = []
        for item in node.items:
            known, value = constant(item, words)
            if not known:
                return False, None
            values.append(value)
        return True, tuple(values)
    return False, None


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
    if isinstance(item, Choice):
        condition = _known(item.condition)
        if condition is not None:
            return least_layers(document, item.then if condition else item.otherwise)
        return min(least_layers(document, item.then), least_layers(document, item.otherwise))
    if isinstance(item, Repeat):
        times = _known(item.times)
        return times * least_layers(document, item.body) if isinstance(times, int) and times > 0 else 0
    if isinstance(item, Residual):
        return least_layers(document, item.body) + (item.when is None)
    if item.layer is not None:
        return 1 + sum(least_layers(document, branch) for branch in item.branches or ())
    return least_layers(document, item.block.body) if item.block is not None else 0


def _known(node: Node) -> Any:
    """A value without names in it; ``None`` for every other."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return node.value if isinstance(node, Scalar) else None

    def no_names(name: str) -> Any:
        raise ExpressionError(name)

    try:
        return evaluate(node.value, no_names)
    except ExpressionError:
        return None


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.blocks: dict[str, Block] = {}
        self.args: frozenset[str] = frozenset()
        self.file_args: frozenset[str] = frozenset()
        self.layers: dict[Layer, Layer] = {}
        self.bare: dict[str, Call] = {}
        """Layers written as just a name."""
        self.ready: dict[tuple[Any, ...], Layer] = {}
        """Layers by their class and their fields as written."""

    def document(self, root: Node) -> Document:
        top = self.mapping(root, "a spec", TOP_KEYS)
        for key in ("input", "layers"):
            if key not in top:
                raise self.source.error(f"the spec has no '{key}:'", root, hint=_REQUIRED_HINT[key])
        args = self.arguments(top["args"][1]) if "args" in top else {}
        self.file_args = self.args = frozenset(args)
        variants = self.variants(top["variants"][1], args) if "variants" in top else {}
        if "blocks" in top:
            self.block_list(top["blocks"][1])
        self.args = self.file_args
        return Document(
            source=self.source,
            name=self.word(top["name"][1], "name") if "name" in top else "",
            citation=self.word(top["source"][1], "source") if "source" in top else "",
            input=top["input"][1],
            args=args,
            arg_keys={key.text: key for key, _ in self.expect_mapping(top["args"][1], "'args'").entries}
            if args
            else {},
            variants=variants,
            blocks=self.blocks,
            body=self.body(top["layers"][1]),
            layers=top["layers"][1],
            outputs=top["outputs"][1] if "outputs" in top else None,
            budget=self.expect_mapping(top["budget"][1], "'budget'") if "budget" in top else None,
            flat_branches=self.flag(top, "flat_branches"),
            numbered=self.flag(top, "numbered"),
        )

    # -- forms ---------------------------------------------------------------------------------

    def expect_mapping(self, node: Node, what: str) -> Mapping:
        if not isinstance(node, Mapping):
            raise self.source.error(f"{what} must be a mapping of names to values, got {_form(node)}", node)
        return node

    def mapping(self, node: Node, what: str, keys: tuple[str, ...]) -> dict[str, tuple[Scalar, Node]]:
        """The entries of a mapping that may have only certain keys."""
        entries = {}
        for key, value in self.expect_mapping(node, what).entries:
            if key.text not in keys:
                hint = nearest(key.text, keys) or f"choose from: {listed(keys)}"
                raise self.source.error(f"{what} has no key '{key.text}'", key, hint=hint)
            entries[key.text] = (key, value)
        return entries

    def word(self, node: Node, what: str) -> str:
        if not isinstance(node, Scalar) or node.value is None:
            raise self.source.error(f"'{what}' must be a text, got {_form(node)}", node)
        return node.text

    def flag(self, parts: dict[str, tuple[Scalar, Node]], name: str) -> bool:
        """A setting that is on or off, and off where it is not given."""
        if name not in parts:
            return False
        node = parts[name][1]
        if not isinstance(node, Scalar) or not isinstance(node.value, bool):
            raise self.source.error(f"'{name}' is true or false, got {_form(node)}", node)
        return node.value

    def label(self, node: Node, what: str) -> Scalar:
        """A name: a word, a number, or several with dots between; expressions in braces may be parts of it."""
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            raise self.source.error(f"'{what}' must be a word or a number, got {_form(node)}", node)
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

    def arguments(self, node: Node) -> dict[str, Node | None]:
        """Argument names with their defaults."""
        args: dict[str, Node | None] = {}
        for key, value in self.expect_mapping(node, "'args'").entries:
            if not key.text.isidentifier() or key.text in ("true", "false", "null", *META):
                raise self.source.error(f"'{key.text}' cannot be the name of an argument", key, hint=_NAMES)
            required = isinstance(value, Scalar) and value.value == "required"
            args[key.text] = None if required else value
        return args

    def variants(self, node: Node, args: dict[str, Node | None]) -> dict[str, dict[str, tuple[Scalar, Node]]]:
        variants = {}
        for key, value in self.expect_mapping(node, "'variants'").entries:
            settings = {}
            for name, setting in self.expect_mapping(value, f"variant '{key.text}'").entries:
                if name.text not in args:
                    hint = nearest(name.text, args) or f"arguments: {listed(args) or 'none'}"
                    raise self.source.error(
                        f"variant '{key.text}' sets '{name.text}', which is not an argument", name, hint=hint
                    )
                settings[name.text] = (name, setting)
            variants[key.text] = settings
        return variants

    def block_list(self, node: Node) -> None:
        entries = self.expect_mapping(node, "'blocks'").entries
        for key, _ in entries:
            if key.text in STRUCTURES or key.text in REGISTRY:
                raise self.source.error(f"'{key.text}' is a layer's name; a block needs another", key)
            if not key.text.isidentifier():
                raise self.source.error(f"'{key.text}' cannot be the name of a block", key, hint=_NAMES)
            self.blocks[key.text] = Block(key.text, {}, [], key)
        for key, value in entries:
            parts = self.mapping(value, f"block '{key.text}'", ("args", "numbered", "layers"))
            if "layers" not in parts:
                raise self.source.error(f"block '{key.text}' has no 'layers:'", key)
            block = self.blocks[key.text]
            block.args = self.arguments(parts["args"][1]) if "args" in parts else {}
            block.numbered = self.flag(parts, "numbered")
        for key, value in entries:
            block = self.blocks[key.text]
            self.args = self.file_args | frozenset(block.args)
            block.body = self.body(self.expect_mapping(value, "a block").get("layers") or value)

    # -- items ---------------------------------------------------------------------------------

    def body(self, node: Node) -> Body:
        if not isinstance(node, Sequence):
            raise self.source.error(
                f"expected a list of layers, got {_form(node)}", node, hint="write one layer per line, each after '- '"
            )
        return [self.item(item) for item in node.items]

    def item(self, node: Node) -> Item:
        if isinstance(node, Scalar):
            if not isinstance(node.value, str):
                raise self.source.error(f"expected a layer, got {node.text or 'nothing'}", node)
            known = self.bare.get(node.value)
            if known is not None and node.value not in self.args:
                place = Place(self.source.name, node.line, node.column)
                return Call(node.value, node, place, known.fields, known.layer, None, known.ready)
            call = self.call(node, None)
            if call.ready is not None:
                self.bare[node.value] = call
            return call
        if isinstance(node, Sequence):
            raise self.source.error(
                "expected a layer, got a list", node, hint="branches belong under concat, add or multiply"
            )
        if any(key.text == "if" for key, _ in node.entries):
            return self.choice(node)
        if len(node.entries) != 1:
            keys = ", ".join(f"'{key.text}'" for key, _ in node.entries)
            hint = f"indent the fields below '{node.entries[0][0].text}:'" if node.entries else None
            raise self.source.error(
                f"a layer is one name with its fields below it, got keys {keys or '(none)'}", node, hint=hint
            )
        key, value = node.entries[0]
        if key.text == "repeat":
            parts = self.mapping(value, "repeat", ("times", "layers"))
            self.need(parts, "repeat", ("times", "layers"), key)
            return Repeat(parts["times"][1], self.body(parts["layers"][1]), key)
        if key.text == "residual":
            return self.residual(key, value)
        if key.text == "activation":
            if not isinstance(value, Scalar) or not isinstance(value.value, str):
                raise self.source.error("activation needs the name of a layer or an argument that holds one", value)
            return self.call(value, None, named_by=value)
        return self.call(key, value)

    def need(self, parts: dict[str, tuple[Scalar, Node]], what: str, keys: tuple[str, ...], at: Node) -> None:
        for name in keys:
            if name not in parts:
                raise self.source.error(f"{what} needs '{name}:'", at)

    def choice(self, node: Mapping) -> Choice:
        parts = self.mapping(node, "if", ("if", "then", "else"))
        self.need(parts, "if", ("then",), node)
        otherwise = self.body(parts["else"][1]) if "else" in parts else []
        return Choice(parts["if"][1], self.body(parts["then"][1]), otherwise, node)

    def residual(self, key: Scalar, value: Node) -> Residual:
        place = Place(self.source.name, key.line, key.column)
        if isinstance(value, Sequence):
            return Residual(self.body(value), None, None, key, place)
        parts = self.mapping(value, "residual", ("body", "shortcut", "when", "name", "from"))
        self.need(parts, "residual", ("body",), key)
        return Residual(
            body=self.body(parts["body"][1]),
            shortcut=self.body(parts["shortcut"][1]) if "shortcut" in parts else None,
            when=parts["when"][1] if "when" in parts else None,
            node=key,
            place=place,
            label=self.label(parts["name"][1], "name") if "name" in parts else None,
            source=parts["from"][1] if "from" in parts else None,
        )

    def call(self, key: Scalar, value: Node | None, named_by: Scalar | None = None) -> Call:
        name = key.text
        call = Call(name, key, Place(self.source.name, key.line, key.column), {}, named_by=named_by)
        layer = None if name in self.args else find_layer(name)
        block = self.blocks.get(name)
        if layer is None and block is None and name not in self.args:
            what = "no layer or block" if not named_by else "no layer"
            raise self.source.error(f"there is {what} '{name}'", key, hint=self.near_layer(name))
        call.layer = None if block else layer
        call.block = None if name in self.args else block
        if isinstance(value, Mapping):
            self.settings(call, value, block)
        elif isinstance(value, Sequence) and call.layer is not None and call.layer.arity[1] != 1:
            call.branches = [self.body(branch) for branch in value.items]
        elif isinstance(value, Sequence) and call.layer is None:
            raise self.source.error(
                f"'{name}' takes fields, got a list", value, hint=f"write '- {name}: {{field: value}}'"
            )
        elif value is not None and not (isinstance(value, Scalar) and value.value is None):
            self.short_value(call, value)
        if call.layer is not None:
            self.check_layer(call, call.layer)
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

    def short_value(self, call: Call, value: Node) -> None:
        """``- linear: 10``: the value is that of the first field."""
        if call.layer is None:
            call.scalar = value
        elif call.layer.__struct_fields__:
            call.fields[call.layer.__struct_fields__[0]] = (self.key(call), value)
        else:
            raise self.source.error(f"{call.name} takes no value, got {_form(value)}", value)

    def key(self, call: Call) -> Scalar:
        assert isinstance(call.node, Scalar)
        return call.node

    def settings(self, call: Call, value: Mapping, block: Block | None) -> None:
        for key, setting in value.entries:
            if key.text == "name":
                call.label = self.label(setting, "name")
            elif key.text == "from":
                call.source = setting
            elif key.text == "share":
                call.share = self.label(setting, "share")
            elif call.layer is None:
                if block is not None and key.text not in block.args:
                    raise unknown_argument(self.source, block, key)
                call.fields[key.text] = (key, setting)
            elif key.text == "branches" and call.layer.arity[1] != 1:
                if not isinstance(setting, Sequence):
                    raise self.source.error(
                        f"'branches' must be a list of lists of layers, got {_form(setting)}", setting
                    )
                call.branches = [self.body(branch) for branch in setting.items]
            else:
                field = field_name(call.layer, key.text)
                if field is None:
                    raise unknown_field(self.source, call.layer, key)
                if field in call.fields:
                    raise self.source.error(f"'{key.text}' and '{call.fields[field][0].text}' are the same field", key)
                call.fields[field] = (key, setting)
        if block is not None:
            missing_arguments(self.source, block, call)

    def check_layer(self, call: Call, layer: type[Layer]) -> None:
        """What is known about a layer before its expressions are evaluated; without expressions, all of it."""
        # A large net writes the same few layers again and again; the type distinguishes 1 from true.
        known_by: list[Any] = [layer]
        for name, (_, node) in call.fields.items():
            if type(node) is not Scalar:
                break
            known_by += (name, type(node.value), node.value)
        else:
            call.ready = self.ready.get(tuple(known_by))
            if call.ready is not None:
                return
        fields: dict[str, tuple[Any, Node]] = {}
        for name, (_, node) in call.fields.items():
            words = choices(layer)[name] if not isinstance(node, Scalar) or isinstance(node.value, str) else frozenset()
            known, value = constant(node, words)
            if not known:
                if isinstance(node, Mapping):
                    raise self.source.error(f"'{name}' of {layer.kind} cannot be a mapping", node)
                break
            fields[name] = (value, node)
        else:
            ready = make_layer(self.source, layer, call.node, fields)
            call.ready = self.layers.setdefault(ready, ready)
            if len(known_by) == 1 + 3 * len(fields):
                self.ready[tuple(known_by)] = call.ready
            return
        for name in required_fields(layer):
            if name not in call.fields:
                raise missing_field(self.source, layer, call.node, name)


_NAMES = "a name consists of letters, digits and '_', and is not a word of the language"
_REQUIRED_HINT = {
    "input": "write 'input: [3, 224, 224]': channels, then the spatial sizes",
    "layers": "write 'layers:' and below it one layer per line, each after '- '",
}


def unknown_argument(source: Source, block: Block, key: Scalar) -> Exception:
    """The error for an argument that a block does not have."""
    hint = nearest(key.text, block.args) or f"'{block.name}' takes {listed(block.args) or 'no arguments'}"
    return source.error(f"block '{block.name}' has no argument '{key.text}'", key, hint=hint)


def missing_arguments(source: Source, block: Block, call: Call) -> None:
    """Raises where a call leaves out a required argument."""
    for name, default in block.args.items():
        if default is None and name not in call.fields:
            raise source.error(
                f"block '{block.name}' needs the argument '{name}'", call.node, hint=f"write '{name}: …'"
            )


def _form(node: Node) -> str:
    if isinstance(node, Scalar):
        return "nothing" if node.value is None else f"'{node.text}'"
    return "a list" if isinstance(node, Sequence) else "a mapping"
