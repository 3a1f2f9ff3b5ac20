"""Names: the automatic name of each item, and so which items need an explicit one; and names of blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cnncalc.convert.spec.blocks import (
    SQUEEZE_EXCITE,
    Block,
    Leaf,
    Named,
    TCall,
    TFork,
    TIf,
    TItem,
    TOp,
    TRepeat,
    TSkip,
)
from cnncalc.convert.spec.classes import Mismatch, stem
from cnncalc.graph import Graph
from cnncalc.layers import REGISTRY
from cnncalc.layers.merge import Multiply
from cnncalc.spec.fields import aliases
from cnncalc.spec.language import META, STRUCTURES

RESERVED = ("layers", "index", "in_channels", "in_size")
MARKS = ("branch", "shortcut", "module", "block", "blocks", "layers")
"""Names without meaning."""
LEAST_GATHERED = 3
"""Layers from which on a branch can squeeze and excite."""
MOST_LOOKED_AT = 12
MOST_LETTERS = 24
SHORT = 4
LONG = 12
"""The longest alias that replaces a layer's name in a block's name."""


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
        """Marks what needs a name, numbering the scope where that leaves fewer to be named.

        Raises:
            Mismatch: a name that must be given differs between instances.
        """
        best: tuple[int, bool, set[int]] | None = None
        for numbered in (False, True):
            explicit = self.settle(numbered)
            if best is None or len(explicit) < best[0]:
                best = (len(explicit), numbered, explicit)
        assert best is not None
        self.block.numbered = best[1]
        self.mark(self.block.body, best[2])

    def settle(self, numbered: bool) -> set[int]:
        explicit: set[int] = set()
        while True:
            before = len(explicit)
            for number in range(len(self.block.groups)):
                self.walk(self.block.body, number, Counters(numbered=numbered), explicit)
            if len(explicit) == before:
                return explicit

    def walk(self, body: Sequence[TItem], number: int, names: Counters, explicit: set[int]) -> None:
        for item in body:
            if isinstance(item, TOp):
                self.name(item.named, number, names, explicit)
            elif isinstance(item, TCall):
                self.name(item.named, number, names, explicit, item.block.name)
            elif isinstance(item, TRepeat):
                for name in item.names[number]:
                    if id(item) in explicit or not names.automatic(item.call.block.name, name):
                        explicit.add(id(item))
                        names.given(name)
            elif isinstance(item, TIf):
                if item.present[number]:
                    self.walk(item.then, number, names, explicit)
            elif isinstance(item, TFork):
                if item.op.named.names[number] is not None:
                    for branch in item.branches:
                        self.branch(branch, number, names, explicit, "branch")
                    self.name(item.op.named, number, names, explicit)
            else:
                self.walk(item.body, number, names, explicit)
                if item.named.names[number] is not None:
                    if item.has_shortcut[number]:
                        self.branch(item.shortcut or [], number, names, explicit, "shortcut")
                    self.name(item.named, number, names, explicit)

    def branch(self, body: Sequence[TItem], number: int, names: Counters, explicit: set[int], mark: str) -> None:
        if self.nested:
            names.automatic(mark, mark=True)
            names = Counters(numbered=False)
        self.walk(body, number, names, explicit)

    def name(self, named: Named, number: int, names: Counters, explicit: set[int], kind: str = "") -> None:
        name = named.names[number]
        if name is None:
            return
        if id(named) in explicit or not names.automatic(kind or named.kinds[number], name):
            explicit.add(id(named))
            names.given(name)

    def mark(self, body: Sequence[TItem], explicit: set[int]) -> None:
        for item in body:
            if isinstance(item, TRepeat):
                item.pattern = pattern(item.names) if id(item) in explicit else None
            elif isinstance(item, TIf):
                self.mark(item.then, explicit)
            elif isinstance(item, TFork):
                self.set(item.op.named, explicit)
                for branch in item.branches:
                    self.mark(branch, explicit)
            else:
                self.set(item.named, explicit)
                if isinstance(item, TSkip):
                    self.mark(item.body, explicit)
                    self.mark(item.shortcut or [], explicit)

    @staticmethod
    def set(named: Named, explicit: set[int]) -> None:
        named.explicit = id(named) in explicit
        named.label()


def braced(name: str) -> str:
    """A name as ``name:`` takes it, where braces hold expressions."""
    return name.replace("{", "{{").replace("}", "}}")


def pattern(rows: Sequence[Sequence[str]]) -> str:
    """One name with ``index`` in it for all rounds of a repeat.

    Raises:
        Mismatch: the names do not count on, or differ between instances.
    """
    starts = {stem(row[0]) for row in rows if row}
    if len(starts) != 1:
        raise Mismatch
    ((text, start),) = starts
    if start is None or any(list(row) != [f"{text}{start + i}" for i in range(len(row))] for row in rows):
        raise Mismatch
    return f"{braced(text)}{{index{f' + {start}' if start else ''}}}"


# -- blocks ----------------------------------------------------------------------------------------


class BlockNames:
    """Names each block after its instances or after its layers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.taken = {*REGISTRY, *aliases(), *STRUCTURES, *META, *RESERVED}

    def name(self, block: Block) -> str:
        name, content = common_name(block), content_name(block, self.graph)
        lasts = {group.name.rpartition(".")[2] for group in block.groups}
        counted = any(stem(last)[0].rstrip("_") == name != last for last in lasts)
        tells = counted or lasts == {name} or content.endswith("block")
        if not name or name in aliases() or not tells or content == SQUEEZE_EXCITE:
            name = content
        unique, number = name, 2
        while unique in self.taken:
            unique = f"{name}_block" if name in aliases() and number == 2 else f"{name}_{number}"
            number += 1
        self.taken.add(unique)
        return unique


def common_name(block: Block) -> str:
    """The name of most instances without the number at the end, or the common prefix of all their names."""
    names = [group.name.rpartition(".")[2] for group in block.groups]
    (most, count), *_ = Counter(stem(name)[0] for name in names).most_common(1)
    word = re.sub(r"[_\d]+$", "", most) if 2 * count >= len(names) else common_prefix(names).rstrip("_")
    return word if word.isidentifier() and len(word) > 1 and word not in MARKS else ""


def common_prefix(names: Sequence[str]) -> str:
    """The common prefix of all names."""
    low, high = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


def content_name(block: Block, graph: Graph) -> str:
    """A name from a block's layers."""
    structures = [item for item in block.body if isinstance(item, (TSkip, TFork))]
    if structures:
        first = structures[0]
        if isinstance(first, TSkip):
            return residual_name(first, block, graph)
        if first.op.layer is Multiply and [] in first.branches:
            return SQUEEZE_EXCITE if gathers(first, block, graph) else "gate"
        return f"{first.op.layer.kind}_block"
    if any(isinstance(item, TRepeat) for item in block.body):
        return "stage"
    words = [word_of(item) for item in block.body]
    name = "_".join(words)
    return name if all(words) and len(name) <= MOST_LETTERS else "block"


def word_of(item: TItem) -> str:
    """One layer or call in a block's name."""
    if isinstance(item, TOp):
        if isinstance(item.kind, Leaf):
            return "act"
        layer = REGISTRY[item.kind]
        short = SHORT if len(item.kind) < LONG else SHORT + 2
        return min((alias for alias in layer.aliases if len(alias) <= short), key=len, default=item.kind)
    return item.block.name if isinstance(item, TCall) else ""


def residual_name(skip: TSkip, block: Block, graph: Graph) -> str:
    """``bottleneck`` where the body is narrower within than at its end (He et al. 2015), ``inverted_residual``
    where it is wider (Sandler et al. 2018).
    """
    kinds: Counter[str] = Counter()
    for group in block.groups[:MOST_LOOKED_AT]:
        outs = [
            node.output_shape[0]
            for node in graph.nodes
            if node.path.startswith(f"{group.path}.") and node.layer is not None and node.layer.is_product
        ]
        out = max(graph.shape(group.result[0])[:1], default=0)
        if len(outs) > 2:
            kinds["bottleneck" if max(outs[:2]) < out else "inverted_residual" if max(outs) > out else ""] += 1
    return (kinds.most_common(1)[0][0] if kinds else "") or "residual_block"


def gathers(fork: TFork, block: Block, graph: Graph) -> bool:
    """Whether a branch beside an empty one ends in one value per channel, as squeeze-and-excitation does."""
    if max(map(len, fork.branches)) < LEAST_GATHERED:
        return False
    name = next(name for name in fork.op.named.names if name is not None)
    number = fork.op.named.names.index(name)
    path = f"{block.groups[number].path}.{name}"
    node = next((node for node in graph.nodes if node.path == path), None)
    return node is not None and any(set(shape[1:]) == {1} for shape in node.input_shapes)
