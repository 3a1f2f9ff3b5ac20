"""What a spec writes of a layer: the fields of its class."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from cnncalc.convert.spec.names import Namer
from cnncalc.convert.template import ABSENT, CHANNELS, WINDOW, Block, Leaf, TOp, Word, leaves
from cnncalc.convert.tree import Group, Op
from cnncalc.graph import Graph, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import choices, settings_of
from cnncalc.spec.fields import find_layer

FAMILIES = {
    **dict.fromkeys(("out", "channels", "groups", "width"), CHANNELS),
    **dict.fromkeys(("kernel", "dilation"), WINDOW),
}
"""Fields whose values may follow from each other; any other's only from one of its own name."""


class Literal(str):
    """A text that is not a name."""

    __slots__ = ()


class SpecLanguage:
    """The language of specs, for one graph; ``nested``: branches and shortcuts are path levels of their own."""

    explicit = False
    channel_names = ("channels", "out", "width")
    channel_fields: tuple[str, ...] = ("out",)

    def __init__(self, graph: Graph, *, nested: bool) -> None:
        self.graph = graph
        self.nested = nested
        self.words: dict[int, bool] = {}

    def form(self, op: Op) -> Any:
        """A layer's kind; layers that a name says wholly are of one form."""
        return "" if self.is_word(op) else op.layer.kind

    def is_word(self, op: Op) -> bool:
        """Whether a layer is written as just its name and keeps the shape."""
        if op.node not in self.words:
            self.words[op.node] = is_word(self.graph, op)
        return self.words[op.node]

    def stands_in_place(self, group: Group) -> bool:
        """A row of layers and calls stands in place under longer names."""
        return all(isinstance(item, (Op, Group)) for item in group.body) and group.body[0].reads == group.reads

    def template(self, ops: Sequence[Op | None], channels: Sequence[int | None]) -> TOp:
        """The template of layers: a leaf for each field, or one for the layer's name."""
        first = next(op for op in ops if op is not None)
        layer = type(first.layer)
        if len({op.layer.kind for op in ops if op is not None}) > 1:
            words = [ABSENT if op is None else Word(op.layer.kind) for op in ops]
            return TOp(list(ops), Leaf(words, "act", "act"), {})
        fields = {}
        for name in layer.__struct_fields__:
            by_word = bool(choices(layer)[name])  # what a word can say in its stead is told by kernel and dilation
            values = [ABSENT if op is None else _value(layer, name, getattr(op.layer, name)) for op in ops]
            kind = WINDOW if by_word else FAMILIES.get(name, name)
            fields[name] = Leaf(values, name, kind, channels, by_word)
        return TOp(list(ops), first.layer.kind, fields)

    def reserved(self, block: Block, taken: Set[str]) -> set[str]:
        """Names of the language and of blocks; and an argument would stand in the way of a tensor of its name."""
        tensors = {self.graph.path(leaf.constant) for leaf in leaves(block.body) if isinstance(leaf.constant, Ref)}
        return {word for word in taken if word in REGISTRY or find_layer(word) is None} | {
            name.removeprefix(f"{group.path}.") for name in tensors for group in block.groups
        }

    def check(self, block: Block) -> None:
        """Finds the layers that must be named."""
        Namer(block, nested=self.nested).run()


def is_word(graph: Graph, op: Op) -> bool:
    """Whether a layer is written as just its name and keeps the shape: then an argument can hold that name."""
    node = graph.nodes[op.node]
    return (
        len(node.input_shapes) == 1
        and node.output_shapes == node.input_shapes
        and node.layer is not None
        and not node.layer.weights(*node.input_shapes)
        and op.share is None
        and not settings_of(op.layer)
    )


def _value(layer: type[Layer], field: str, value: Any) -> Any:
    """A field's value, told apart where it is a free text."""
    return Literal(value) if type(value) is str and value not in choices(layer)[field] else value
