"""Equal pieces of a net as one block: the one finder of blocks and repeats, for specs and for code.

Groups are of one block if their layers have the same names, kinds and wiring, whatever their numbers; runs of equal
groups may differ in length. Two differences more are allowed, which a residual can have: no shortcut, where the body
keeps the shape, and no sum at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncalc.convert.template import Block, Language, Mismatch
from cnncalc.convert.templates import Templates
from cnncalc.convert.tree import (
    MARK,
    Fork,
    Group,
    Item,
    Op,
    Skip,
    Source,
    Tree,
    bodies,
    counts_on,
    groups_of,
    stem,
)
from cnncalc.graph import Ref

MOST_IN_PLACE = 4
"""The most layers of a group that is written where it stands."""
Key = tuple[Any, ...]
Body = Sequence[Item]


class Families:
    """The blocks of one net, each after those it calls (``order``), and the net itself as one more (``net``)."""

    def __init__(self, tree: Tree, language: Language) -> None:
        self.tree = tree
        self.graph = tree.graph
        self.language = language
        self.order: list[Block] = []
        self.block_of: dict[int, Block] = {}
        """The block of each group, by the group's identity."""
        self.kin: dict[int, int] = {}
        """Groups that shortcuts and sums alone may tell apart have the same number."""
        self.in_place: set[int] = set()
        """The identities of groups that are written where they stand."""
        self.sites: dict[int, tuple[int, str]] = {}
        """Where each group stands: the number of what is around it, and its name there."""
        self.members: list[list[Group]] = []
        self.readers: dict[Ref, set[int]] = {}
        """The nodes that read each tensor."""
        for number, node in enumerate(self.graph.nodes):
            for ref in node.inputs:
                self.readers.setdefault(ref, set()).add(number)
        self._find_kin()
        self.templates = Templates(self)
        self.begun: set[int] = set()
        for number in range(len(self.members)):
            self._make(number)
        self.net = self.templates.block([Group("", "", tree.body, frozenset(range(len(self.graph.nodes))), (), ())])

    def is_in_place(self, group: Group) -> bool:
        """Whether a group is written where it stands."""
        return id(group) in self.in_place

    # -- what groups have in common ------------------------------------------------------------

    def _find_kin(self) -> None:
        known: dict[Key, int] = {}
        for _, group in groups_of(self.tree.body):
            key = (len(group.reads), *self.signature(group.body, group, strict=False))
            self.kin[id(group)] = number = known.setdefault(key, len(known))
            if number == len(self.members):
                self.members.append([])
            self.members[number].append(group)
        for around, group in groups_of(self.tree.body):
            self.sites[id(group)] = (-1 if around is None else self.kin[id(around)], group.name)

    def _stand_in_place(self, groups: list[Group]) -> bool:
        """Whether groups of one block are short chains in one place of a block, or branches that code has there."""
        sites = {self.sites[id(group)] for group in groups}
        few = len(sites) * len(groups[0].body) <= MOST_IN_PLACE and len({where for where, _ in sites}) == 1
        if not few and not all(map(self._is_marked, groups)):
            return False
        same = len({self._lengths(group.body, group) for group in groups}) == 1
        return same and all(map(self.language.stands_in_place, groups))

    def _is_marked(self, group: Group) -> bool:
        """Whether a group is a branch or shortcut, which code has in its place."""
        return self.language.explicit and MARK.fullmatch(group.name) is not None

    def signature(self, body: Body, scope: Group | None, *, strict: bool) -> Key:
        """What a body has in common with others of its block."""
        return tuple([self.key(run[0], scope, strict=strict) for run in self.runs(body, scope, strict=strict)])

    def runs(self, body: Body, scope: Group | None, *, strict: bool = True) -> list[list[Item]]:
        """The items of a body, groups of one block that follow each other and whose names count on taken together."""
        runs: list[list[Item]] = []
        for item in body if strict else flat(body):
            last = runs[-1][-1] if runs else None
            if (
                isinstance(item, Group)
                and isinstance(last, Group)
                and item.source is None
                and item.share == last.share
                and not (item.share and self.language.explicit)
                and counts_on(last.name, item.name)
                and self._class(item, strict) == self._class(last, strict)
                and not self.is_in_place(item)
            ):
                runs[-1].append(item)
            else:
                runs.append([item])
        return runs

    def _class(self, group: Group, strict: bool) -> int:
        return id(self.block_of.get(id(group))) if strict else self.kin[id(group)]

    def key(self, item: Item, scope: Group | None, *, strict: bool) -> Key:
        """What two items must have in common to be one in a block."""
        source = self._source(item.source, scope)
        if isinstance(item, Group):
            shown = (source, item.name, item.share, len(item.reads))
            outer = tuple([self._within(ref, scope) for ref in item.outer if ref not in item.reads])
            escapes = tuple([self._within(ref, item) for ref in item.escapes])
            if strict and self.is_in_place(item):
                return "in place", *shown, outer, escapes, self.signature(item.body, item, strict=True)
            return "group", self._class(item, strict), *shown, outer, escapes
        if isinstance(item, Op):
            return "op", self.language.form(item), self._label(item), source, item.share
        named = (source, self._label(item.op), len(item.reads))
        if isinstance(item, Fork):
            branches = tuple([self.signature(branch, scope, strict=strict) for branch in item.branches])
            return "fork", self.language.form(item.op), item.op.share, *named, branches
        shortcut = None if item.shortcut is None else self.signature(item.shortcut, scope, strict=True)
        inner = self.signature(item.body, scope, strict=strict)
        return ("skip", *named, inner, shortcut) if strict else ("skip", *named, inner)

    def _label(self, op: Op) -> str:
        """A layer's name; an automatic one of a layer that an argument can name follows from the layer."""
        name, number = stem(op.name)
        return "~" if name == op.layer.kind and number is not None and self.language.is_word(op) else op.name

    def _source(self, source: Source | None, scope: Group | None) -> Any:
        """Tensors of the scope's own by path; those of others may differ."""
        return None if source is None else tuple(["-1" if ref is None else self._within(ref, scope) for ref in source])

    def _within(self, ref: Ref, scope: Group | None) -> str | None:
        path = self.graph.path(ref)
        if scope is None:
            return path
        return path[len(scope.path) + 1 :] if ref.node in scope.nodes else None

    # -- blocks --------------------------------------------------------------------------------

    def _make(self, number: int) -> None:
        """The blocks of groups that are akin, after those that they call."""
        if number in self.begun:
            return
        self.begun.add(number)
        groups = self.members[number]
        for group in groups:
            for _, inner in groups_of(group.body):
                self._make(self.kin[id(inner)])
        variants: dict[Key, list[Group]] = {}
        for group in groups:
            if any(
                id(inner) not in self.block_of and not self.is_in_place(inner) for _, inner in groups_of(group.body)
            ):
                variants[(group.path,)] = [group]  # a group within one of its own kin
            else:
                apart = (group.name, self._lengths(group.body, group)) if self._is_marked(group) else ()
                variants.setdefault((*apart, *self.signature(group.body, group, strict=True)), []).append(group)
        found: list[list[Group]] = []
        for alike in sorted(variants.values(), key=lambda alike: richness(alike[0].body), reverse=True):
            for others in found if not self._is_marked(alike[0]) else ():
                made = [self._conformed(group.body, group, others[0].body, others[0]) for group in alike]
                if None not in made:
                    for group, body in zip(alike, made, strict=True):
                        group.body = body or []
                    others += alike
                    break
            else:
                found.append(alike)
        for alike in found:
            order = {id(group): at for at, group in enumerate(groups)}
            self._make_block(sorted(alike, key=lambda group: order[id(group)]))

    def _make_block(self, groups: list[Group]) -> None:
        """One block of groups, or where that cannot be one for each of those whose runs are equally long."""
        if self._stand_in_place(groups):
            self.in_place.update(map(id, groups))
            return
        try:
            block = self.templates.block(groups)
        except Mismatch:
            if len(groups) == 1:
                raise
            lengths: dict[Key, list[Group]] = {}
            for group in groups:
                lengths.setdefault(self._lengths(group.body, group), []).append(group)
            for alike in lengths.values() if len(lengths) > 1 else [[group] for group in groups]:
                self._make_block(alike)
            return
        self.order.append(block)
        for group in groups:
            self.block_of[id(group)] = block

    def _lengths(self, body: Body, scope: Group) -> Key:
        shown = [item for item in body if not isinstance(item, Group) or self.is_in_place(item)]
        inner = [part for item in shown for part in bodies(item)]
        return (*map(len, self.runs(body, scope)), *(self._lengths(part, scope) for part in inner))

    def _conformed(self, body: Body, scope: Group, model: Body, other: Group) -> list[Item] | None:
        """A body in the form of a model that has shortcuts and sums where it has none; ``None`` where it does not fit.

        Items that the model adds to what comes in are put into a residual that does not apply.
        """
        runs = self.runs(body, scope)
        made: list[Item] = []
        for like in self.runs(model, other):
            first = like[0]
            if not runs:
                return None
            item = runs[0][0]
            if isinstance(first, Skip) and not isinstance(item, Skip) and first.source is None:
                count = len(self.runs(first.body, other))
                parts = [part for run in runs[:count] for part in run]
                inner = self._conformed(parts, scope, first.body, other)
                if inner is None or item.source is not None or len(item.reads) != 1 or first.shortcut is not None:
                    return None
                made.append(Skip(Op("", -1, first.op.layer, ()), inner, None, item.reads))
                runs = runs[count:]
            elif isinstance(first, Skip) and isinstance(item, Skip) and item.shortcut is None:
                inner = self._conformed(item.body, scope, first.body, other)
                shapes = {self.graph.shape(ref) for ref in item.op.reads}
                if inner is None or (first.shortcut is not None and len(shapes) > 1):
                    return None
                if self.key(_bare(item), scope, strict=True) != self.key(_bare(first), other, strict=True):
                    return None
                item.body = inner
                made.append(item)
                runs = runs[1:]
            elif self.key(item, scope, strict=True) == self.key(first, other, strict=True):
                made += runs.pop(0)
            else:
                return None
        return None if runs else made


def flat(body: Body) -> list[Item]:
    """The items of a body, residuals that begin with the current tensor opened."""
    items: list[Item] = []
    for item in body:
        items += flat(item.body) if isinstance(item, Skip) and item.source is None else [item]
    return items


def _bare(skip: Skip) -> Skip:
    return Skip(skip.op, [], None, skip.reads, skip.source)


def richness(body: Body) -> tuple[int, int]:
    """How many sums and shortcuts a body has."""
    skips = [item for item in body if isinstance(item, Skip)]
    inner = [richness(skip.body) for skip in skips]
    applied = sum(skip.op.node >= 0 for skip in skips) + sum(sums for sums, _ in inner)
    return applied, sum(skip.shortcut is not None for skip in skips) + sum(shortcuts for _, shortcuts in inner)
