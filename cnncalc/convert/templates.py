"""From groups that one block stands for to its template: the values of all instances beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cnncalc.convert.arguments import CLASSES, resolve
from cnncalc.convert.names import BlockNames
from cnncalc.convert.template import (
    ABSENT,
    CURRENT,
    DEPTH,
    Block,
    Classes,
    Leaf,
    Mismatch,
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
from cnncalc.convert.tree import MARK, Fork, Group, Item, Op, Refs, Skip, Source

if TYPE_CHECKING:
    from cnncalc.convert.families import Families

LEAST_GROWING = 3
"""The fewest rounds that tell how an argument grows."""
Row = list[Group]
Instances = Sequence["list[Item] | None"]


class Templates:
    """Makes the blocks of one net."""

    def __init__(self, families: Families) -> None:
        self.families = families
        self.graph = families.graph
        self.language = families.language
        self.names = BlockNames(families.graph)
        self.scopes: list[Group | None] = []
        self.place = ""
        self.classifier = self._classifier()
        self.size: int | None = None
        """The size of a classifier's result, where it is an argument of the net."""

    def block(self, groups: Row) -> Block:
        """The block of groups.

        Raises:
            Mismatch: one block cannot stand for them.
        """
        block = Block(groups, [self.channels(group.reads) for group in groups])
        block.position = {id(group): number for number, group in enumerate(groups)}
        self.scopes = [group if group.path else None for group in groups]
        block.body = self.body([group.body for group in groups])
        resolve(block, self.graph, self.language, self.names.taken)
        self.language.check(block)
        block.name = "" if block.is_net else self.names.name(block)
        return block

    def channels(self, refs: Refs) -> int | None:
        """The channels of a single tensor."""
        shape = self.graph.shape(refs[0]) if len(refs) == 1 else ()
        return shape[0] if shape else None

    def _classifier(self) -> int | None:
        """The last layer with weights of a classifier, whose size is an argument of the net."""
        if len(self.graph.outputs) != 1 or any(CLASSES in node.path for node in self.graph.nodes):
            return None
        shape, nodes = self.graph.shape(self.graph.outputs[0][1]), self.graph.nodes
        last = max((number for number, node in enumerate(nodes) if node.layer and node.layer.is_product), default=-1)
        tells = shape and (len(shape) == 1 or self.graph.args.get(CLASSES) == shape[0])
        return last if last >= 0 and tells and nodes[last].output_shape[0] == shape[0] else None

    # -- items ---------------------------------------------------------------------------------

    def body(self, instances: Instances, source: list[Leaf] | None = None) -> list[TItem]:
        """The template of bodies of equal structure, ``None`` for an instance that has none.

        ``source`` is what the first item reads, if that is not the current tensor.
        """
        rows = [
            None if body is None else self.families.runs(body, scope)
            for body, scope in zip(instances, self.scopes, strict=True)
        ]
        count = max(len(row) for row in rows if row is not None)
        columns = [[None if row is None else row[number] for row in rows] for number in range(count)]
        return [item for at, column in enumerate(columns) for item in self.column(column, None if at else source)]

    def column(self, column: Sequence[list[Item] | None], source: list[Leaf] | None = None) -> list[TItem]:
        """The templates of one item or run in each instance."""
        items = [None if run is None else run[0] for run in column]
        first = next(item for item in items if item is not None)
        source = self.source([None if item is None else item.source for item in items]) or source
        if isinstance(first, Group):
            rows = [None if run is None else [item for item in run if isinstance(item, Group)] for run in column]
            if self.families.is_in_place(first):
                return [self.in_place([None if row is None else row[0] for row in rows], source)]
            return self.calls(rows, source)
        if isinstance(first, Op):
            return [self.op([item if isinstance(item, Op) else None for item in items], source)]
        if isinstance(first, Fork):
            forks = [item if isinstance(item, Fork) else None for item in items]
            op = self.op([None if fork is None else fork.op for fork in forks], None)
            around, branches = self.place, []
            for number in range(len(first.branches)):
                self.place = f"b{number + 1}"
                branches.append(self.body([None if fork is None else fork.branches[number] for fork in forks]))
            self.place = around
            return [TFork(op, branches, source)]
        return [self.skip([item if isinstance(item, Skip) else None for item in items], source)]

    def skip(self, skips: Sequence[Skip | None], source: list[Leaf] | None) -> TSkip:
        """The template of residuals, in some of which sum or shortcut may not be there."""
        body = self.body([None if skip is None else skip.body for skip in skips])
        shortcuts = [None if skip is None else skip.shortcut for skip in skips]
        shortcut = self.body(shortcuts) if any(part is not None for part in shortcuts) else None
        applies = [ABSENT if skip is None else skip.op.node >= 0 for skip in skips]
        reshapes = [ABSENT if skip is None else skip.shortcut is not None for skip in skips]
        op = self.op([None if skip is None or skip.op.node < 0 else skip.op for skip in skips], None)
        when = Leaf(applies, "has_skip") if False in applies else None
        asked = self.language.explicit and shortcut is not None and False in reshapes
        return TSkip(op, body, shortcut, when, Leaf(reshapes, "shortcut") if asked else None, source)

    def op(self, ops: Sequence[Op | None], source: list[Leaf] | None) -> TOp:
        """The template of layers."""
        channels = [None if op is None else self.channels(op.reads) for op in ops]
        made = self.language.template(ops, channels)
        made.source = source
        for leaf in (*made.fields.values(), *([made.kind] if isinstance(made.kind, Leaf) else ())):
            leaf.place = self.place
        if [op.node for op in ops if op is not None] == [self.classifier]:
            size = self.graph.nodes[self.classifier].output_shape[0]  # type: ignore[index]
            leaf = next((leaf for leaf in made.fields.values() if leaf.hint.startswith("out")), None)
            if leaf is not None and leaf.values == [size]:
                self.size = size
                leaf.values = [Classes(size)]
        return made

    def source(self, sources: Sequence[Source | None]) -> list[Leaf] | None:
        """What is read by name: a leaf for each tensor."""
        given = next((source for source in sources if source is not None), None)
        if given is None:
            return None
        return [
            Leaf([ABSENT if source is None else source[number] or CURRENT for source in sources], "skip")
            for number in range(len(given))
        ]

    def in_place(self, groups: list[Group | None], source: list[Leaf] | None) -> TGroup:
        """Groups that are written where they stand."""
        first = next(group for group in groups if group is not None)
        around = self.place
        if MARK.fullmatch(first.name) and first.name.startswith("branch"):
            self.place = f"b{first.name.removeprefix('branch')}"
        body = self.body([None if group is None else group.body for group in groups], source)
        self.place = around
        return TGroup(first.name, body, groups)

    # -- calls ---------------------------------------------------------------------------------

    def calls(self, rows: Sequence[Row | None], source: list[Leaf] | None) -> list[TItem]:
        """Calls of a block: one for each group of the runs, or a repeat where one call can stand for several."""
        block = self.families.block_of[id(next(row for row in rows if row)[0])]
        if source is not None and any(len(row) > 1 for row in rows if row is not None):
            tails = [None if row is None else row[1:] for row in rows]
            if any(row is not None and len(row) == 1 for row in rows):
                raise Mismatch
            # what reads by name is in no repeat
            cut = [[None if row is None else row[:1] for row in rows], *self.cut(tails, block)]
        else:
            cut = self.cut(rows, block)
        made: list[TItem] = []
        for number, segment in enumerate(cut):
            call = self.call(block, [row[0] if row else None for row in segment], source if number == 0 else None)
            if all(row is None or len(row) == 1 for row in segment):
                made.append(call)
                continue
            singles = all(row is None or len(row) <= 1 for other in cut[:number] for row in other)
            whole = singles and number == len(cut) - 1
            counted = rows if whole else segment
            times = Leaf([ABSENT if row is None else len(row) for row in counted], DEPTH, DEPTH)
            growth = self.growth(segment, block) if self.language.explicit else {}
            made.append(TRepeat(times, number if whole else 0, call, [row or [] for row in segment], growth))
        return made

    def call(self, block: Block, groups: list[Group | None], source: list[Leaf] | None) -> TCall:
        """One call in each instance."""
        channels = [None if group is None else self.channels(group.reads) for group in groups]
        args = {}
        for param in block.params:
            if param is not block.entry:
                values = [ABSENT if group is None else self.value(param, block, group) for group in groups]
                channels_in = () if self.language.explicit else channels
                hint = param.name.rstrip("0123456789") if param.kind != "channels" else param.hint
                args[param.name] = Leaf(values, hint, param.kind, channels_in, param.last, self.place)
        return TCall(block, args, groups, source)

    @staticmethod
    def value(param: Param, block: Block, group: Group) -> Any:
        """An argument's value in a group."""
        return param.values[block.position[id(group)]]

    def cut(self, rows: Sequence[Row | None], block: Block) -> list[list[Row | None]]:
        """The runs of all instances cut at the same places, so that within each piece one call stands for all.

        Raises:
            Mismatch: they differ in length, and not in how often equal calls are repeated.
        """
        there = [row for row in rows if row is not None]
        heads: list[Row | None] = [None if row is None else row[:1] for row in rows]
        tails: list[Row | None] = [None if row is None else row[1:] for row in rows]
        whole = not any(map(self.is_entered, there))
        if whole and all(self.is_regular(row, block) for row in there):
            return [[*rows]]
        pieces = [None if row is None else self.pieces(row, block) for row in rows]
        if whole and len({tuple(map(len, cut)) for cut in pieces if cut is not None}) == 1:
            count = len(next(cut for cut in pieces if cut is not None))
            if not all(self.is_regular(row[1:], block) for row in there) or count <= 2:
                return [[None if cut is None else cut[number] for cut in pieces] for number in range(count)]
        if whole and all(self.is_regular(row[1:], block) for row in there):
            return [heads, tails]
        if len({len(row) for row in there}) > 1:
            raise Mismatch
        return [[None if row is None else [row[number]] for row in rows] for number in range(len(there[0]))]

    def is_entered(self, row: Row) -> bool:
        """Whether code reads a tensor from within a run, other than what the next group takes: no loop can give it."""
        if not self.language.explicit or len(row) < 2:
            return False
        kept = {ref for _, ref in self.graph.outputs}
        passed = {ref for group in row[:-1] for ref in group.result}
        within = frozenset[int]().union(*(group.nodes for group in row))
        read = self.families.readers
        return any(group.escapes or len(group.reads) != 1 or len(group.result) != 1 for group in row) or any(
            ref in kept or not read.get(ref, set()) <= within for ref in passed
        )

    def is_regular(self, row: Row, block: Block) -> bool:
        """Whether one call stands for a run: equal arguments, which in code may also grow evenly."""
        growing = self.language.explicit and len(row) >= LEAST_GROWING
        for param in block.params:
            values = [self.value(param, block, group) for group in row] if param is not block.entry else []
            if len(set(map(keyed, values))) > 1 and not (growing and steps_of(values) is not None):
                return False
        return True

    def pieces(self, row: Row, block: Block) -> list[Row]:
        """A run cut where the arguments change."""
        cut: list[Row] = []
        before: Any = None
        for group in row:
            now = [keyed(self.value(param, block, group)) for param in block.params if param is not block.entry]
            if cut and now == before:
                cut[-1].append(group)
            else:
                cut.append([group])
            before = now
        return cut

    def growth(self, rows: Sequence[Row | None], block: Block) -> dict[str, Leaf]:
        """What the arguments of a regular run grow by in each round, where they do."""
        found = {}
        for param in block.params:
            values = [[self.value(param, block, group) for group in row or ()] for row in rows]
            steps = [steps_of(row) if len(row) > 1 else ABSENT for row in values]
            if any(step not in (0, ABSENT, None) for step in steps):
                found[param.name] = Leaf(steps, "growth", param.kind)
        return found


def steps_of(values: Iterable[Any]) -> int | None:
    """What whole numbers grow by, if it is always the same."""
    given = list(values)
    if any(type(value) is not int for value in given):
        return None
    steps = {after - before for before, after in pairwise(given)}
    return steps.pop() if len(steps) == 1 else None
