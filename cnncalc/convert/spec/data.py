"""A block's template as the data that a spec's text holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cnncalc.convert.families import Families
from cnncalc.convert.spec.language import Literal
from cnncalc.convert.spec.names import braced
from cnncalc.convert.spec.repeats import compress
from cnncalc.convert.spec.text import Data, Text
from cnncalc.convert.template import (
    ABSENT,
    Block,
    Leaf,
    Param,
    TCall,
    TFork,
    TGroup,
    TItem,
    TOp,
    TRepeat,
    TSkip,
    keyed,
)
from cnncalc.graph import Ref
from cnncalc.layers.fields import defaults_of


class BlockData:
    """Writes one block."""

    def __init__(self, block: Block, families: Families) -> None:
        self.written = block
        self.graph = families.graph
        self.ends: dict[Ref, list[str]] = {}
        """The groups that end in a tensor: their paths name it too."""
        for block_ in families.order:
            for group in block_.groups:
                if len(group.result) == 1:
                    self.ends.setdefault(group.result[0], []).append(group.path)

    def block(self) -> Data:
        """The block's definition."""
        data: dict[str, Data] = {}
        if self.written.params:
            data["args"] = {param.name: self.default(param) for param in self.written.ordered()}
        if self.written.numbered:
            data["numbered"] = True
        data["layers"] = self.items(self.written.body)
        return data

    def default(self, param: Param) -> Data:
        """What stands for an argument in the list of all."""
        if param.default is ...:
            return Text("required")
        return Text(param.default) if param is self.written.entry else self.constant(param.default)

    def items(self, body: Sequence[TItem]) -> list[Data]:
        """Layers, calls and structures, equal ones that follow each other as repeats."""
        return compress([data for item in body for data in self.item(item)])

    def item(self, item: TItem) -> list[Data]:
        """One of them; of a group that is written in place, all of its items."""
        if isinstance(item, TGroup):
            return [data for part in item.body for data in self.item(part)]
        if isinstance(item, TOp):
            return [self.layer(item, item.source, None)]
        if isinstance(item, TFork):
            return [self.layer(item.op, item.source, [self.items(branch) for branch in item.branches])]
        if isinstance(item, TCall):
            return [self.call(item, item.label)]
        if isinstance(item, TRepeat):
            return [{"repeat": {"times": self.times(item), "layers": [self.call(item.call, None, item.pattern)]}}]
        return [self.residual(item)]

    def residual(self, item: TSkip) -> Data:
        """A residual, as short as it can be."""
        data = self.meta(item.op.label, item.source, None)
        if item.when is not None:
            data["when"] = self.value(item.when)
        data["body"] = self.items(item.body)
        if item.shortcut is not None:
            data["shortcut"] = self.items(item.shortcut)
        return {"residual": data["body"] if list(data) == ["body"] else data}

    def meta(self, label: str | None, source: list[Leaf] | None, share: str | None) -> dict[str, Data]:
        """What any item can have: its name, what it reads, and whose weights it shares."""
        data: dict[str, Data] = {}
        if label is not None:
            number = re.fullmatch(r"[0-9]+(\.[0-9]+)*", label)
            data["name"] = Text(label) if number else braced(label)
        if source is not None:
            names = [self.value(leaf) for leaf in source]
            data["from"] = names[0] if len(names) == 1 else names
        if share is not None:
            data["share"] = braced(share)
        return data

    def layer(self, item: TOp, source: list[Leaf] | None, branches: list[Data] | None) -> Data:
        """A layer: its name, or that with its fields."""
        data = self.meta(item.label, source, item.sample.share)
        if isinstance(item.kind, Leaf):
            return {"activation": self.value(item.kind), **data}
        defaults = defaults_of(type(item.sample.layer))
        for name, leaf in item.fields.items():
            if leaf.expression or not is_default(defaults[name], leaf.constant):
                data[name] = self.value(leaf)
        if branches is None:
            return {item.kind: data} if data else item.kind
        return {item.kind: {**data, "branches": branches} if data else branches}

    def call(self, item: TCall, label: str | None, pattern: str | None = None) -> Data:
        """A call: the block's name, or that with its arguments."""
        data = self.meta(label, item.source, item.sample.share)
        if pattern is not None:
            data = {"name": pattern, **data}
        for param in item.block.ordered():
            leaf = item.args.get(param.name)
            if leaf is None:
                continue
            value = leaf.constant
            if value is ABSENT:  # no instance needs it
                value = next(v for v in (param.default, *param.values) if v is not ... and v is not ABSENT)
            if leaf.expression or not is_default(param.default, value):
                data[param.name] = self.value(leaf) if leaf.expression else self.constant(value)
        return {item.block.name: data} if data else item.block.name

    def times(self, item: TRepeat) -> Data:
        """How often a call is repeated."""
        if not item.times.expression:
            return item.times.constant - item.less
        text = str(self.value(item.times))
        return Text(f"{text} - {item.less}" if item.less else text)

    def value(self, leaf: Leaf) -> Data:
        """A value, or an expression over the block's arguments."""
        if leaf.expression:
            return Text(leaf.code(leaf.param.name if leaf.param is not None else ""))
        return self.constant(leaf.constant)

    def constant(self, value: Any) -> Data:
        """A value as data: a word stands for itself, a text in quotes for a text."""
        if isinstance(value, Ref):
            return self.tensor(value)
        if isinstance(value, Literal):
            return Text(repr(str(value)))
        if isinstance(value, tuple):
            return [self.constant(part) for part in value]
        return Text(value) if isinstance(value, str) else value

    def tensor(self, ref: Ref) -> str:
        """The shortest name of a tensor in the block."""
        path = self.graph.path(ref)
        scope = f"{self.written.groups[0].path}." if not self.written.is_net else ""
        names: list[str] = [path, *self.ends.get(ref, ())]
        if not path.startswith(scope):
            scope = ""
        return min((name for name in names if name.startswith(scope)), key=len).removeprefix(scope)


def is_default(default: Any, value: Any) -> bool:
    """Whether a value is the default, and need not be written."""
    return bool(keyed(default) == keyed(value))
