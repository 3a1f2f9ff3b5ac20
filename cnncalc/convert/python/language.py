"""What code writes of a layer: the call that makes its module, and the one that computes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from typing import Any

from cnncalc.convert.code import CHOSEN, FIXED, Arg, Call, Tensor, Text, Verbatim, attributes_of
from cnncalc.convert.template import ABSENT, CHANNELS, WINDOW, Block, Leaf, Mismatch, TCall, TOp, TRepeat, TSkip
from cnncalc.convert.tree import Group, Op
from cnncalc.graph import Graph, Node

COUNTS = re.compile("channels|features|num_|shape|groups|dim$|size$")
WINDOWS = re.compile("kernel|stride|padding|dilation")


class CodeLanguage:
    """The language of code, for one graph.

    ``text`` tells how a node's layer is written, ``attributes`` what every module has, so that no part of it can be
    called that.
    """

    explicit = True
    channel_names = ("in_channels", "out_channels", "mid_channels")
    channel_fields: tuple[str, ...] = (
        "in_channels",
        "out_channels",
        "in_features",
        "out_features",
        "num_features",
        "normalized_shape",
    )

    def __init__(self, graph: Graph, text: Callable[[Node], Text], attributes: Set[str]) -> None:
        self.graph = graph
        self.node_text = text
        self.attributes = attributes

    def text(self, op: Op) -> Text:
        """How a layer is written."""
        return self.node_text(self.graph.nodes[op.node])

    def form(self, op: Op) -> Any:
        """The calls without their numbers; modules that a name makes wholly are of one form."""
        if self.is_word(op):
            return ""
        text = self.text(op)
        owns = op.share in (None, op.name)
        return owns, key_of(text.module), key_of(text.call), key_of(text.function)

    def is_word(self, op: Op) -> bool:
        """Whether a layer is a module without arguments and weights, as an activation is."""
        node, text = self.graph.nodes[op.node], self.text(op)
        bare = text.is_plain and text.module is not None and all(arg.implied for arg in text.module.args)
        return bare and node.layer is not None and not node.layer.weights(*node.input_shapes)

    def stands_in_place(self, group: Group) -> bool:
        """A chain of modules is an ``nn.Sequential``."""
        if group.escapes or group.share is not None or len(group.reads) != 1 or {*group.outer} != {*group.reads}:
            return False
        return all(
            item.source is None
            and len(item.reads) == 1
            and (isinstance(item, Group) or (isinstance(item, Op) and self.text(item).is_plain and not item.share))
            and not {*attributes_of(item.name)} & self.attributes
            and "." not in item.name
            for item in group.body
        )

    def template(self, ops: Sequence[Op | None], channels: Sequence[int | None]) -> TOp:
        """The template of layers: their calls, with a leaf for each number."""
        texts = [None if op is None else self.text(op) for op in ops]
        sample = next(text for text in texts if text is not None)
        kind = next(op.layer.kind for op in ops if op is not None)
        fields: list[Leaf] = []
        modules = [text and text.module and Verbatim(text.module.function) for text in texts]
        if len({name for name in modules if name}) > 1:
            leaf = Leaf([name or ABSENT for name in modules], "activation", "act")
            chosen = Call(CHOSEN, (Arg("", leaf),))
            return TOp(list(ops), leaf, {}, text=Text(chosen, sample.call))

        def merged(part: str) -> Any:
            values = [ABSENT if text is None else getattr(text, part) for text in texts]
            return None if getattr(sample, part) is None else merge(values, fields)

        helpers = tuple(dict.fromkeys(helper for text in texts if text for helper in text.helpers))
        text = Text(merged("module"), merged("call"), merged("function"), helpers)
        return TOp(list(ops), kind, {str(number): leaf for number, leaf in enumerate(fields)}, text=text)

    def reserved(self, block: Block, taken: Set[str]) -> set[str]:
        """Names of the block's parts and of what the code uses."""
        parts = {part for group in block.groups for item in group.body for part in names_in(item)}
        return {*parts, *self.attributes, *FIXED}

    def check(self, block: Block) -> None:
        """What may not be there must be a module that the identity can stand for, or a function.

        Raises:
            Mismatch: a shortcut has more than one input or result.
        """
        for item in block.body:
            if isinstance(item, TSkip) and item.reshapes is not None:
                for part in item.shortcut or ():
                    if isinstance(part, TRepeat) or (isinstance(part, TOp) and part.source):
                        raise Mismatch
                    if isinstance(part, TCall) and len(part.sample.reads) != 1:
                        raise Mismatch


def names_in(item: Any) -> Sequence[str]:
    """The attributes that an item's name is made of."""
    return attributes_of(item.name if isinstance(item, (Op, Group)) else item.op.name)


def key_of(value: Any) -> Any:
    """The form of a call without its numbers."""
    if isinstance(value, Call):
        return value.function, tuple([(arg.name, arg.keyword, key_of(arg.value)) for arg in value.args])
    return value if value is None or isinstance(value, (Tensor, Verbatim)) else "?"


def merge(values: Sequence[Any], leaves: list[Leaf], name: str = "size") -> Any:
    """Calls of one form as one, with a leaf for each number; arguments implied in all of them are left out."""
    first = next(value for value in values if value is not ABSENT)
    if isinstance(first, Call):
        args = []
        for position, sample in enumerate(first.args):
            given = [ABSENT if value is ABSENT else value.args[position] for value in values]
            if not all(one is ABSENT or one.implied for one in given):
                inner = [ABSENT if one is ABSENT else one.value for one in given]
                merged = merge(inner, leaves, sample.name or "size")
                args.append(sample._replace(value=merged, implied=False))
        return Call(first.function, tuple(args))
    if isinstance(first, (Tensor, Verbatim)):
        return first
    kind = WINDOW if WINDOWS.search(name) else CHANNELS if COUNTS.search(name) else name
    leaves.append(Leaf(list(values), name, kind))
    return leaves[-1]
