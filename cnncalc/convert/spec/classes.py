"""Which of a net's scopes are the same piece of net: classes of groups that one block can stand for.

First by exact structure (everything but the numbers), bottom-up. Then classes are joined that differ in
what the language can make depend on an argument: a residual that stands or not, a shortcut that is needed
or not, a layer that is there or not, how often a block is repeated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from typing import Any

from msgspec import NODEFAULT, Struct

from cnncalc.convert.spec.structure import Fork, Group, Item, Op, Skip, Source, Tree, bodies, name_of
from cnncalc.graph import Graph, Ref
from cnncalc.layers import Layer

MOST_OPTIONAL = 4
"""The most parts that only some instances of a block have, in total; a layer counts double."""
MOST_DOUBTS = 4
"""Failed texts blamed on single layers, after which all groups are set apart."""
MOST_CLASSES = 200
"""The most classes to join, since each pair is tried."""
Key = tuple[Any, ...]
Bodies = Sequence["list[Item] | None"]


class Mismatch(Exception):  # noqa: N818
    """Two pieces of net that one block cannot stand for; ``groups`` where it was found."""

    groups: list[Group] | None = None
    runs = False
    """Whether it is repeats that differ."""

    def structured(self) -> bool:
        """Whether the groups have branches, and so are more than a row of calls."""
        return any(not isinstance(item, (Op, Group)) for group in self.groups or () for item in group.body)


def is_word(graph: Graph, op: Op) -> bool:
    """Whether a layer is written as just its name and keeps the shape: then an argument can hold that name."""
    layer = op.layer
    node = graph.nodes[op.node]
    return (
        len(node.input_shapes) == 1
        and node.output_shapes == node.input_shapes
        and not node.layer.weights(*node.input_shapes)  # type: ignore[union-attr]
        and op.share is None
        and not written_fields(layer)
    )


def written_fields(layer: Layer) -> dict[str, Any]:
    """The fields of a layer that are not at their defaults, in order."""
    return {name: getattr(layer, name) for name in layer.__struct_fields__ if not at_default(layer, name)}


def default_of(layer: type[Layer] | Layer, name: str) -> Any:
    """A field's default; :data:`REQUIRED` where it has none."""
    fields, defaults = layer.__struct_fields__, layer.__struct_defaults__
    position = fields.index(name) - (len(fields) - len(defaults))
    return defaults[position] if position >= 0 and defaults[position] is not NODEFAULT else REQUIRED


REQUIRED: Any = object()


def at_default(layer: Layer, name: str) -> bool:
    """Whether a field need not be written."""
    value, default = getattr(layer, name), default_of(layer, name)
    return type(value) is type(default) and bool(value == default)


@lru_cache(maxsize=4096)
def stem(name: str) -> tuple[str, int | None]:
    """A name without the number at its end, and that number."""
    match = re.fullmatch(r"(.*?)(0|[1-9][0-9]*)", name, re.DOTALL)
    return (match[1], int(match[2])) if match else (name, None)


class Apart(Struct):
    """Findings about groups, by path, from texts that were tried."""

    unjoined: set[str] = set()
    """Groups that are no class together with others of another structure."""
    rigid: set[str] = set()
    """Groups whose repeats differ, so that only those of equal lengths are of one class."""
    lone: set[str] = set()
    """Groups each of which is a class of its own."""
    loose: set[str] = set()
    """Path levels that are better not made groups at all."""
    doubts: int = 0

    def doubt(self, paths: Set[str], unequal: str) -> bool:
        """Sets groups apart after a text that does not load, or not to an equal graph: those around the layer that a
        message names, or all.
        """
        self.doubts += 1
        named = re.match("'(.*?)' ", unequal) if self.doubts <= MOST_DOUBTS else None
        about = {named[1]} if named else paths
        levels = {path[: dot.start()] for path in about for dot in re.finditer(r"\.", path)}
        for apart in (self.unjoined, self.lone, self.loose):
            if not levels <= apart:
                apart |= levels
                return True
        return False

    def learn(self, error: Mismatch) -> bool:
        """Sets groups apart that were taken to be of one class; whether there is anything left to try."""
        paths = {group.path for group in error.groups or ()} - {""}
        if not paths <= self.unjoined:
            self.unjoined |= paths
        elif error.runs and not paths <= self.rigid and error.structured():
            self.rigid |= paths
        elif not error.runs and not paths <= self.lone:
            self.lone |= paths
        elif not paths <= self.loose:
            self.loose |= paths
        else:
            return False
        return True


class Run(Struct):
    """Consecutive items that are alike: groups of one class whose names count on, or one item alone."""

    key: Key
    items: list[Item]


class Classes:
    """The classes of a tree's groups."""

    def __init__(self, tree: Tree, apart: Apart) -> None:
        self.apart = apart
        self.tree_nested = tree.nested
        self.counted: set[int] = set()
        """Layers and groups whose names are numbers that count on in their scope, by identity."""
        self.count(tree.body, [0])
        self.tree = tree
        self.graph = tree.graph
        self.parent: list[int] = []
        self.members: dict[int, list[Group]] = {}
        self.of: dict[int, int] = {}
        """The class of each group, by the group's identity."""
        self.words: dict[int, bool] = {}
        while True:
            self.exact()
            self.join()
            if not self.inline():
                break

    # -- exact classes -------------------------------------------------------------------------

    def exact(self) -> None:
        self.of, self.members, self.parent = {}, {}, []
        known: dict[Key, int] = {}
        for group in groups_of(self.tree.body):
            rigid = group.path in self.apart.rigid
            signature = (rigid, *self.body_signature(group.body, group, rigid=rigid))
            if group.path in self.apart.lone:
                signature = (group.path,)
            if signature not in known:
                known[signature] = len(self.parent)
                self.parent.append(len(self.parent))
            self.of[id(group)] = known[signature]
            self.members.setdefault(known[signature], []).append(group)

    def find(self, group: Group) -> int:
        """The class of a group after joining."""
        return self.root(self.of[id(group)])

    def root(self, number: int) -> int:
        while self.parent[number] != number:
            number = self.parent[number]
        return number

    def body_signature(self, body: Sequence[Item], scope: Group | None, *, rigid: bool) -> Key:
        """What a body has in common with others of its class; with ``rigid`` how long its runs are, too."""
        return tuple(
            [
                (run.key, len(run.items) if rigid else 0, *self.inner(run.items[0], scope, rigid))
                for run in self.runs(body, scope)
            ]
        )

    def inner(self, item: Item, scope: Group | None, rigid: bool) -> Key:
        if isinstance(item, Fork):
            return tuple([self.body_signature(branch, scope, rigid=rigid) for branch in item.branches])
        if isinstance(item, Skip):
            shortcut = None if item.shortcut is None else self.body_signature(item.shortcut, scope, rigid=rigid)
            return self.body_signature(item.body, scope, rigid=rigid), shortcut
        return ()

    def runs(self, body: Sequence[Item], scope: Group | None) -> list[Run]:
        """The items of a body, groups of one class that follow each other taken together."""
        runs: list[Run] = []
        for item in body:
            key = self.key(item, scope)
            last = runs[-1] if runs else None
            if (
                last is not None
                and last.key[:2] == key[:2]
                and isinstance(item, Group)
                and item.source is None
                and counts_on(name_of(last.items[-1]), item.name)
            ):
                last.items.append(item)
            else:
                runs.append(Run(key, [item]))
        return runs

    def key(self, item: Item, scope: Group | None) -> Key:
        """What two items must have in common to be one in a block."""
        if isinstance(item, Group):
            name, number = stem(item.name)
            label = "#" if id(item) in self.counted else name if name and number is not None else item.name
            return "group", self.find(item), label, self.source(item.source, scope), item.share
        op = item if isinstance(item, Op) else item.op
        label = self.label(op)
        source = self.source(item.source, scope)
        if isinstance(item, Fork):
            return "fork", op.layer.kind, label, source, len(item.branches), op.share
        if isinstance(item, Skip):
            return "skip", label, source, len(item.reads)
        if self.word(op):
            return "op", "", label, source, None
        return "op", op.layer.kind, label, source, op.share

    def word(self, op: Op) -> bool:
        if op.node not in self.words:
            self.words[op.node] = is_word(self.graph, op)
        return self.words[op.node]

    def label(self, op: Op) -> str:
        """A layer's name as far as it distinguishes layers: numbers and automatic names follow from the place."""
        name, number = stem(op.name)
        if id(op) in self.counted:
            return "#"
        if number is not None and name == op.layer.kind:
            return "~" if self.word(op) else f"~{op.name}"
        return op.name

    def count(self, body: Sequence[Item], at: list[int]) -> None:
        """Marks what is called by the number after the one before it, in the order in which names are given."""
        for item in body:
            if isinstance(item, Group):
                self.count(item.body, [0])
            else:
                for inner in bodies(item):
                    self.count(inner, [0] if self.tree_nested and isinstance(item, Fork) else at)
            named = item if isinstance(item, (Op, Group)) else item.op
            first = named.name.partition(".")[0]
            if re.fullmatch("0|[1-9][0-9]*", first):
                if first == named.name and int(first) == at[0]:
                    self.counted.add(id(named))
                at[0] = int(first) + 1

    def source(self, source: Source | None, scope: Group | None) -> Any:
        """What a source has in common between instances: tensors of the scope's own by path, others by their number."""
        if source is None:
            return None
        return tuple(["-1" if ref is None else self.within(ref, scope) for ref in source])

    def within(self, ref: Ref, scope: Group | None) -> str | None:
        path = self.graph.path(ref)
        if scope is None:
            return path
        prefix = f"{scope.path}."
        return path[len(prefix) :] if path.startswith(prefix) else None

    # -- groups that are better written where they stand ---------------------------------------

    def inline(self) -> bool:
        """Puts small groups that stand in one place of one class into their scope, with longer names."""
        sites: dict[int, set[tuple[int, str]]] = {}
        kept = {self.root(number) for number in range(len(self.parent)) if self.root(number) != number}
        for scope, group in scoped(self.tree.body, None):
            number = self.find(group)
            sites.setdefault(number, set()).add((self.of[id(scope)] if scope else -1, group.name))
            if not all(isinstance(item, (Op, Group)) for item in group.body):
                kept.add(number)
        small = set()
        for number, places in sites.items():
            length = len(self.members[number][0].body)
            alone = len(places) == 1 and length <= 4
            together = len({scope for scope, _ in places}) == 1 and len(places) * length <= 4
            if number not in kept and (alone or together):
                small.add(number)
        return bool(small) and self.put_in(self.tree.body, small)

    def put_in(self, body: list[Item], small: set[int]) -> bool:
        changed = False
        position = 0
        while position < len(body):
            item = body[position]
            for inner in bodies(item):
                changed |= self.put_in(inner, small)
            if isinstance(item, Group) and self.of.get(id(item)) in small:
                for part in item.body:
                    rename(part, f"{item.name}.{name_of(part)}")
                first = item.body[0]
                first.source = item.source
                body[position : position + 1] = item.body
                changed = True
                position += len(item.body)
            else:
                position += 1
        return changed

    # -- joined classes ------------------------------------------------------------------------

    def join(self) -> None:
        """Joins classes for which one block can do, until no two are left."""
        if len(self.parent) > MOST_CLASSES:
            return
        numbers = range(len(self.parent))
        outlines = [self.outline(self.members[number][0].body) for number in numbers]
        pairs = [(a, b) for a in numbers for b in numbers[a + 1 :] if alike(outlines[a], outlines[b])]
        inner = [list(groups_of(self.members[number][0].body)) for number in numbers]
        tried: dict[Key, Fit | None] = {}
        while True:
            classes: dict[int, list[int]] = {}
            for number in numbers:
                classes.setdefault(self.root(number), []).append(number)
            calls = {
                root: tuple([(number, *[self.find(group) for group in inner[number]]) for number in joined])
                for root, joined in classes.items()
            }
            within = reached({root: {to for _, *found in rows for to in found} for root, rows in calls.items()})
            fits: list[tuple[float, int, int]] = []
            for a, b in pairs:
                if a not in classes or b not in classes or a in within[b] or b in within[a]:
                    continue
                key = calls[a], calls[b]
                if key not in tried:
                    tried[key] = self.fit_of([self.members[number][0] for number in classes[a] + classes[b]])
                if (fit := tried[key]) is not None:
                    fits.append((fit.optional / fit.matched, a, b))
            if not fits:
                return
            _, a, b = min(fits)  # the best fit first: others may fit it less well
            self.parent[b] = a

    def outline(self, body: Sequence[Item]) -> Counter[str]:
        """The kinds of layers at the top of a body, other than those that an argument can name."""
        kinds: Counter[str] = Counter()
        for item in body:
            if isinstance(item, Skip):
                kinds += self.outline(item.body)
            elif isinstance(item, Fork):
                kinds[f"{item.op.layer.kind} of branches"] += 1
            elif isinstance(item, Op) and not self.word(item):
                kinds[item.layer.kind] += 1
        return kinds

    def fit_of(self, groups: list[Group]) -> Fit | None:
        """How well groups fit one block, if they do."""
        if any(group.path in self.apart.unjoined for group in groups):
            return None
        scopes: list[Group | None] = list(groups)
        try:
            cost = self.fit([group.body for group in groups], scopes)
        except Mismatch:
            return None
        return cost if cost.good() else None

    def fit(self, instances: Bodies, scopes: list[Group | None]) -> Fit:
        """How well bodies fit one block.

        Raises:
            Mismatch: they do not.
        """
        total = Fit(0, 0)
        instances = self.wrapped(instances, scopes)
        columns = self.columns(instances, scopes)
        if any(map(exclusive, columns, columns[1:])):
            raise Mismatch  # either one or the other: two kinds of block
        for column in columns:
            present = [run for run in column if run is not None]
            there = [body is not None for body in instances]
            missing = sum(run is None for run, body in zip(column, there, strict=True) if body)
            first = present[0].items[0]
            if missing:
                word = isinstance(first, Op) and self.word(first)
                total.words += word
                total.optional += 0 if word else 2 if isinstance(first, Op) else 1
            elif len(present) > 1:
                total.matched += 1
            inner = [None if run is None else run.items[0] for run in column]
            if isinstance(first, Fork):
                for number in range(len(first.branches)):
                    if len({bool(i.branches[number]) for i in inner if isinstance(i, Fork)}) > 1:
                        raise Mismatch  # an empty branch differs from one that may be empty
                    branches = [i.branches[number] if isinstance(i, Fork) else None for i in inner]
                    total.add(self.fit(branches, scopes), whole=not missing)
            elif isinstance(first, Skip):
                total.matched -= 1
                parts = [i.body if isinstance(i, Skip) else None for i in inner]
                total.add(self.fit(parts, scopes), whole=not missing)
                shortcuts = [i.shortcut if isinstance(i, Skip) else None for i in inner]
                if any(shortcut is not None for shortcut in shortcuts):
                    self.check_shortcuts(inner)
                    total.add(self.fit(shortcuts, scopes), whole=False)
        return total

    def check_shortcuts(self, items: Sequence[Item | None]) -> None:
        """A shortcut is taken only where the body changes the shape: who has none must keep it.

        Raises:
            Mismatch: one does not.
        """
        for item in items:
            if isinstance(item, Skip) and item.shortcut is None and item.op.node >= 0:
                out, start = item.op.reads
                if self.graph.shape(out) != self.graph.shape(start):
                    raise Mismatch

    def wrapped(self, instances: Bodies, scopes: list[Group | None]) -> Bodies:
        """The bodies, with those that lack a residual that others have put into one that does not apply."""
        skips = [
            None if body is None else [i for i, item in enumerate(body) if isinstance(item, Skip)] for body in instances
        ]
        counts = {len(found) for found in skips if found is not None}
        if counts != {0, 1}:
            return instances
        body, at = next((body, found[0]) for body, found in zip(instances, skips, strict=True) if body and found)
        before, after = at, len(body) - at - 1
        model = body[at]
        assert isinstance(model, Skip)
        if model.shortcut is not None or len(model.reads) != 1:
            return instances
        result: list[list[Item] | None] = []
        for given, found in zip(instances, skips, strict=True):
            if given is None or found:
                result.append(given)
                continue
            end = len(given) - after
            if end <= before or given[before].source is not None:
                return instances
            op = Op("", -1, model.op.layer, (), None)
            virtual = Skip(op, given[before:end], None, given[before].reads)
            result.append([*given[:before], virtual, *given[end:]])
        return result

    def columns(self, instances: Bodies, scopes: list[Group | None]) -> list[list[Run | None]]:
        """The runs of all bodies, those that belong together in one column.

        Raises:
            Mismatch: their order differs, or nothing belongs together.
        """
        rows = [None if body is None else self.runs(body, scope) for body, scope in zip(instances, scopes, strict=True)]
        keys = [None if row is None else tuple([column_key(run) for run in row]) for row in rows]
        merged: list[Key] = []
        for sequence in sorted(dict.fromkeys(row for row in keys if row is not None), key=len, reverse=True):
            merged = supersequence(merged, list(sequence)) if merged else list(sequence)
        table: list[list[Run | None]] = [[None] * len(rows) for _ in merged]
        for number, row in enumerate(rows):
            position = 0
            for run in row or ():
                key = column_key(run)
                while position < len(merged) and merged[position] != key:
                    position += 1
                if position == len(merged):
                    raise Mismatch
                table[position][number] = run
                position += 1
        return table


class Fit(Struct):
    """The numbers of items that all instances have, and that only some have."""

    matched: int
    optional: int
    words: int = 0
    """Layers written as just their name that only some instances have: an argument can be null for them."""

    def add(self, other: Fit, *, whole: bool) -> None:
        """Counts what stands in an item; ``whole``: the item is there in all instances."""
        self.words += other.words
        self.matched += other.matched if whole else 0
        self.optional += other.optional

    def good(self) -> bool:
        return self.matched >= 1 and self.words <= 1 and self.optional <= min(self.matched, MOST_OPTIONAL)


def exclusive(one: Sequence[Run | None], other: Sequence[Run | None]) -> bool:
    """Whether some instances have the items of one column and others those of another, and none both."""
    return all(a is None or b is None for a, b in zip(one, other, strict=True))


def reached(calls: dict[int, set[int]]) -> dict[int, set[int]]:
    """For each class those that a block for it would call, or that they would call in turn."""
    result: dict[int, set[int]] = {}
    for root in calls:
        found: set[int] = set()
        open_roots = [root]
        while open_roots:
            new = calls[open_roots.pop()] - found
            found |= new
            open_roots += new
        result[root] = found
    return result


def alike(one: Counter[str], other: Counter[str]) -> bool:
    """Whether two outlines differ by so little that one block may do for both: a cheap test before the whole one."""
    differ = (one - other) + (other - one)
    return differ.total() <= MOST_OPTIONAL


def column_key(run: Run) -> Key:
    """The key of runs in one column: a residual matches any other, whatever its name."""
    first = run.items[0]
    return ("skip",) if isinstance(first, Skip) else run.key


def counts_on(before: str, name: str) -> bool:
    """Whether a name is the next after another: ``1`` after ``0``, ``block3`` after ``block2``."""
    (one, number), (other, following) = stem(before), stem(name)
    return one == other and number is not None and following == number + 1


def supersequence(one: list[Key], other: list[Key]) -> list[Key]:
    """A shortest list that both are part of, in order."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(other) - 1, -1, -1):
            table[i][j] = table[i + 1][j + 1] + 1 if one[i] == other[j] else max(table[i + 1][j], table[i][j + 1])
    merged = []
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            merged.append(one[i])
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            merged.append(one[i])
            i += 1
        else:
            merged.append(other[j])
            j += 1
    return merged + one[i:] + other[j:]


def rename(item: Item, name: str) -> None:
    """Gives an item another name in its scope."""
    if isinstance(item, (Op, Group)):
        item.name = name
    else:
        item.op.name = name


def groups_of(body: Sequence[Item]) -> Iterator[Group]:
    """All groups, each after those in it."""
    for item in body:
        for inner in bodies(item):
            yield from groups_of(inner)
        if isinstance(item, Group):
            yield item


def scoped(body: Sequence[Item], scope: Group | None) -> Iterator[tuple[Group | None, Group]]:
    """All groups with the group that each stands in."""
    for item in body:
        if isinstance(item, Group):
            yield scope, item
            yield from scoped(item.body, item)
        else:
            for inner in bodies(item):
                yield from scoped(inner, scope)
