"""Blocks as templates: for every value in a block its value in each of the block's instances, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any, Protocol

from msgspec import Struct

from cnncalc.convert.tree import Group, Op
from cnncalc.graph import Ref

CHANNELS = "channels"
WINDOW = "window"
DEPTH = "depth"
TENSOR = "tensor"
"""Kinds of values. A number may only be derived from others of its kind; a tensor is read by name."""


class Mismatch(Exception):  # noqa: N818
    """Pieces of net that one block cannot stand for."""


class Absent:
    """The value where an instance has none: any will do."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()
CURRENT = -1
"""The current tensor among tensors read by name."""


class Word(str):
    """A layer's name as a value."""

    __slots__ = ()


class Classes(int):
    """The size of a classifier's result, which is an argument of the whole net."""


def keyed(value: Any) -> Any:
    """A value that equals another only if it is of the same type (``1`` and ``true`` differ)."""
    if isinstance(value, tuple) and not isinstance(value, Ref):
        return tuple([keyed(part) for part in value])
    return type(value), value


class Param(Struct):
    """An argument of a block, with its value in every instance.

    ``place`` is the branch in which it is used, ``default`` ``...`` where it must be given.
    """

    hint: str
    values: list[Any]
    kind: str = ""
    last: bool = False
    place: str = ""
    name: str = ""
    default: Any = ...


class Leaf(Struct):
    """One value of a template in every instance.

    Once resolved it is a ``constant``, or an ``expression`` with a place ``{0}`` for its ``param``. ``channels`` are
    the channels of the current tensor where a spec can speak of them; ``last`` values are resolved after the others of
    their layer, from which they may be derived.
    """

    values: list[Any]
    hint: str
    kind: str = ""
    channels: Sequence[int | None] = ()
    last: bool = False
    place: str = ""
    constant: Any = ABSENT
    expression: str = ""
    param: Param | None = None

    def known(self) -> list[Any]:
        """The values of the instances that have one."""
        return [value for value in self.values if value is not ABSENT]

    def is_same(self) -> bool:
        """Whether all instances that have a value have the same."""
        return len({keyed(value) for value in self.known()}) <= 1

    def code(self, name: str) -> str:
        """The expression with the argument's name in it."""
        return self.expression.replace("{0}", name)


class TOp(Struct):
    """A layer in each instance (``None``: it is not there), and the values of its fields.

    ``kind`` is a leaf where an argument names the layer. ``label`` is the name to write, if one must be; ``text`` is
    the layer's code, with leaves for values, where code is written.
    """

    ops: list[Op | None]
    kind: Leaf | str
    fields: dict[str, Leaf]
    source: list[Leaf] | None = None
    label: str | None = None
    text: Any = None

    @property
    def sample(self) -> Op:
        """The layer of the first instance that has it."""
        return next(op for op in self.ops if op is not None)

    @property
    def names(self) -> list[str | None]:
        """What it is called in each instance."""
        return [None if op is None else op.name for op in self.ops]


class TCall(Struct):
    """A call of a block; ``groups`` are the instances called."""

    block: Block
    args: dict[str, Leaf]
    groups: list[Group | None]
    source: list[Leaf] | None = None
    label: str | None = None

    @property
    def sample(self) -> Group:
        """The first group called."""
        return next(group for group in self.groups if group is not None)

    @property
    def names(self) -> list[str | None]:
        """What it is called in each instance."""
        return [None if group is None else group.name for group in self.groups]


class TRepeat(Struct):
    """Equal calls, ``times - less`` of them, ``rows`` in each instance.

    ``growth`` are the arguments that grow from round to round, and by what. ``pattern`` is the name to write.
    """

    times: Leaf
    less: int
    call: TCall
    rows: list[list[Group]]
    growth: dict[str, Leaf]
    pattern: str | None = None


class TFork(Struct):
    """A layer of several inputs with its branches."""

    op: TOp
    branches: list[list[TItem]]
    source: list[Leaf] | None


class TSkip(Struct):
    """A residual; ``when`` and ``reshapes`` tell whether the sum and the shortcut are there, if that differs."""

    op: TOp
    body: list[TItem]
    shortcut: list[TItem] | None
    when: Leaf | None
    reshapes: Leaf | None
    source: list[Leaf] | None


class TGroup(Struct):
    """The items of a path level, written where they stand."""

    name: str
    body: list[TItem]
    groups: list[Group | None]


TItem = TOp | TCall | TRepeat | TFork | TSkip | TGroup


class Block(Struct):
    """Groups that one block stands for: its template, and its arguments.

    ``channels`` are those at the entrance of each, and ``entry`` the argument that keeps them where some value needs
    them.
    """

    groups: list[Group]
    channels: Sequence[int | None] = ()
    body: list[TItem] = []
    params: list[Param] = []
    entry: Param | None = None
    name: str = ""
    numbered: bool = False
    position: dict[int, int] = {}

    @property
    def is_net(self) -> bool:
        """Whether it is the whole net."""
        return not self.groups[0].path

    def ordered(self) -> list[Param]:
        """Its arguments, those that must be given first."""
        return sorted(self.params, key=lambda param: param.default is not ...)


class Language(Protocol):
    """What is written, and what that asks of a template.

    ``explicit``: code names the channels that come in, is given every tensor from outside, and has arguments that grow
    in a loop.
    """

    explicit: bool
    channel_names: tuple[str, str, str]
    """What the channels at a block's entrance, at its end and within it are called."""
    channel_fields: tuple[str, ...]
    """The fields whose arguments are called so."""

    def form(self, op: Op) -> Any:
        """What must be equal in layers that one template stands for, besides how they are wired."""

    def is_word(self, op: Op) -> bool:
        """Whether a layer is written as just its name, so that an argument can hold that."""

    def stands_in_place(self, group: Group) -> bool:
        """Whether a group can be written where it stands, without a block."""

    def template(self, ops: Sequence[Op | None], channels: Sequence[int | None]) -> TOp:
        """The template of layers of one form, without what they read."""

    def reserved(self, block: Block, taken: Set[str]) -> set[str]:
        """Names that no argument of a block can have; ``taken`` are those of blocks and the like."""

    def check(self, block: Block) -> None:
        """Looks whether a block can be written.

        Raises:
            Mismatch: it cannot.
        """


def leaves(body: Sequence[TItem]) -> Iterator[Leaf]:
    """All values of a template, in the order in which they are written."""
    for item in body:
        if isinstance(item, TRepeat):
            yield from leaves([item.call])
            yield from item.growth.values()
            yield item.times
            continue
        if isinstance(item, TGroup):
            yield from leaves(item.body)
            continue
        yield from item.source or ()
        if isinstance(item, TOp):
            if isinstance(item.kind, Leaf):
                yield item.kind
            yield from sorted(item.fields.values(), key=lambda leaf: leaf.last)
        elif isinstance(item, TCall):
            yield from sorted(item.args.values(), key=lambda leaf: leaf.last)
        elif isinstance(item, TFork):
            yield from leaves([item.op])
            for branch in item.branches:
                yield from leaves(branch)
        else:
            yield from (leaf for leaf in (item.when, item.reshapes) if leaf is not None)
            yield from leaves(item.body)
            yield from leaves(item.shortcut or [])
