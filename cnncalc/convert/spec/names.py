"""Names of layers: the automatic name of each item, and so which items need an explicit one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnncalc.convert.template import Block, Leaf, Mismatch, TCall, TFork, TGroup, TItem, TOp, TRepeat, TSkip
from cnncalc.convert.tree import stem


class Counters:
    """The names of one scope, as the builder gives them."""

    def __init__(self, *, numbered: bool) -> None:
        self.numbered = numbered
        self.next = 0
        self.counters: dict[str, int] = {}
        self.taken: set[str] = set()

    def automatic(self, kind: str, wanted: str | None = None, *, mark: bool = False) -> bool:
        """Gives the next name to something of a kind, if it is the one that is wanted; ``mark`` for branches,
        which are never numbered alone.
        """
        numbered = self.numbered and not mark
        number = self.next if numbered else self.counters.get(kind, 0) + 1
        gap = "_" if kind[-1].isdigit() else ""
        while (name := str(number) if numbered else f"{kind}{gap}{number}") in self.taken:
            number += 1
        if wanted is not None and name != wanted:
            return False
        self.taken.add(name)
        if numbered:
            self.next = number + 1
        else:
            self.counters[kind] = number
        return True

    def given(self, name: str) -> None:
        self.taken.add(name)
        if re.fullmatch("[0-9]+", first := name.partition(".")[0]):
            self.next = int(first) + 1


class Namer:
    """Finds what must be named in a block."""

    def __init__(self, block: Block, *, nested: bool) -> None:
        self.block = block
        self.nested = nested

    def run(self) -> None:
        """Labels what needs a name, numbering the scope where that leaves fewer to be named.

        Raises:
            Mismatch: a name that must be given differs between instances.
        """
        plain, numbered = self.settled(numbered=False), self.settled(numbered=True)
        self.block.numbered = len(numbered) < len(plain)
        self.label(self.block.body, numbered if self.block.numbered else plain)

    def settled(self, *, numbered: bool) -> set[int]:
        """The identities of the items that no instance gives their name by itself."""
        explicit: set[int] = set()
        while True:
            before = len(explicit)
            for number in range(len(self.block.groups)):
                self.walk(self.block.body, number, Counters(numbered=numbered), explicit)
            if len(explicit) == before:
                return explicit

    def walk(self, body: Sequence[TItem], number: int, names: Counters, explicit: set[int], prefix: str = "") -> None:
        for item in body:
            if isinstance(item, TOp):
                kind = str(item.kind.values[number]) if isinstance(item.kind, Leaf) else item.kind
                self.name(item, item.names[number], kind, names, explicit, prefix)
            elif isinstance(item, TCall):
                self.name(item, item.names[number], item.block.name, names, explicit, prefix)
            elif isinstance(item, TRepeat):
                for group in item.rows[number]:
                    self.name(item, group.name, item.call.block.name, names, explicit, prefix)
            elif isinstance(item, TGroup):
                self.walk(item.body, number, names, explicit, f"{prefix}{item.name}.")
            elif isinstance(item, TFork):
                for branch in item.branches if item.op.names[number] is not None else ():
                    self.branch(branch, number, names, explicit, "branch")
                self.walk([item.op], number, names, explicit)
            else:
                self.walk(item.body, number, names, explicit)
                if item.shortcut is not None and has_any(item.shortcut, number):
                    self.branch(item.shortcut, number, names, explicit, "shortcut")
                self.walk([item.op], number, names, explicit)

    def branch(self, body: Sequence[TItem], number: int, names: Counters, explicit: set[int], mark: str) -> None:
        if self.nested:
            names.automatic(mark, mark=True)
            names = Counters(numbered=False)
        self.walk(body, number, names, explicit)

    @staticmethod
    def name(item: TItem, name: str | None, kind: str, names: Counters, explicit: set[int], prefix: str) -> None:
        if name is not None and (id(item) in explicit or not names.automatic(kind, prefix + name)):
            explicit.add(id(item))
            names.given(prefix + name)

    def label(self, body: Sequence[TItem], explicit: set[int], prefix: str = "") -> None:
        for item in body:
            if isinstance(item, TRepeat):
                item.pattern = pattern(item, prefix) if id(item) in explicit else None
            elif isinstance(item, TGroup):
                self.label(item.body, explicit, f"{prefix}{item.name}.")
            elif isinstance(item, (TFork, TSkip)):
                inner = item.branches if isinstance(item, TFork) else [item.body, item.shortcut or []]
                for part in inner:
                    self.label(part, explicit)
                self.label([item.op], explicit)
            elif id(item) in explicit:
                names = {name for name in item.names if name is not None}
                if len(names) != 1:
                    raise Mismatch
                item.label = prefix + names.pop()


def has_any(body: Sequence[TItem], number: int) -> bool:
    """Whether an instance has a body."""
    first = body[0]
    while isinstance(first, (TGroup, TSkip)):
        first = first.body[0]
    if isinstance(first, TRepeat):
        return bool(first.rows[number])
    return (first.op if isinstance(first, TFork) else first).names[number] is not None


def braced(name: str) -> str:
    """A name as ``name:`` takes it, where braces hold expressions."""
    return name.replace("{", "{{").replace("}", "}}")


def pattern(repeat: TRepeat, prefix: str) -> str:
    """One name with ``index`` in it for all rounds of a repeat.

    Raises:
        Mismatch: the names differ between instances.
    """
    starts = {stem(row[0].name) for row in repeat.rows if row}
    if len(starts) != 1:
        raise Mismatch
    ((text, start),) = starts
    return f"{braced(prefix + text)}{{index{f' + {start}' if start else ''}}}"
