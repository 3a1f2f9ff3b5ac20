"""Equal blocks as one class: what differs between them becomes its arguments.

Blocks are equal where their steps have the same names, the same modules and functions and the same wiring;
their numbers may differ. Each number of a class's code is a *column*: its value in each of the blocks. A column
of one value is written as it is; columns that are equal, or multiples of one another, are one argument.
Within a chain, steps that differ only by the number at the end of their names are a *run*, written as a loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from cnncalc.convert.blocks import Block, Path, Step, Value, base_of
from cnncalc.convert.code import Arg, Call, Tensor, Text, Verbatim
from cnncalc.convert.union import Union
from cnncalc.graph import Graph

SCOPES = ("branch", "shortcut")
"""Names of a merge's branches in the spec language: chains that are written in place."""
MIN_ROUNDS = 3
"""Fewest rounds of a loop that is the same in all blocks, and of numbers that grow evenly."""


class Any_:  # noqa: N801
    """No value: the block does not have it."""

    def __repr__(self) -> str:
        return "ANY"


ANY = Any_()
CHOSEN = "chosen"
"""The function of a call whose argument names the module to make."""


class Hole(NamedTuple):
    """Stands for column number ``column`` in a class's code."""

    column: int


class Column:
    """One number of a class's code, with its value in each block.

    ``hint`` is what it is called where it is used, ``kind`` what it counts: only columns of one kind are
    compared. ``where`` are the names that lead to its use, ``default`` is what it is when it is not given.
    """

    __slots__ = ("default", "hint", "kind", "values", "where")

    def __init__(self, hint: str, kind: str, values: list[Any], where: Path, default: Any = ...) -> None:
        self.hint = hint
        self.kind = kind
        self.values = values
        self.where = where
        self.default = default


COUNTS = re.compile("channels|features|num_|shape|groups|dim$|size$")
HALVED = re.compile("padding kernel_size$")
"""An argument of a module that may be half of another one, rounded down: the padding that keeps the size."""
WINDOWS = re.compile("kernel|stride|padding|dilation")


def kind_of(hint: str) -> str:
    """The quantity that a module's argument counts, by its name."""
    return "window" if WINDOWS.search(hint) else "count" if COUNTS.search(hint) else hint


class Meaning(NamedTuple):
    """What a column is: a ``value``, or what follows from argument number ``argument``.

    That is a multiple (``times``) of it, a part (``over``), what is ``plus`` so much, or whether it is ``given`` at
    all (not ``None``).
    """

    value: Any = None
    argument: int | None = None
    times: int = 1
    over: int = 1
    plus: int = 0
    given: bool = False


class Argument:
    """An argument of a class: its name, its value in each block, and what it is when it is not given."""

    __slots__ = ("column", "default", "name", "values")

    def __init__(self, column: Column) -> None:
        self.column = column
        self.name = column.hint
        self.values = list(column.values)
        self.default: Any = ...


class Item(NamedTuple):
    """What one step makes and calls: a layer's code with holes, or an inner class with a hole for each argument."""

    attributes: Path
    text: Text | None
    inner: Class | None = None
    given: tuple[Hole, ...] = ()


class Slot:
    """A step of a class, or a run of steps.

    ``items`` are the steps that repeat (mostly one), ``first`` the number at the end of their names in the first
    round, ``rounds`` the column of how many there are (``None`` where this is a single step). In a run a hole has
    a column for the first round, and ``growth`` names those that change from round to round: a column of what is
    added each time; ``listed`` those that list their values. ``present`` is the column of whether a block has the
    step at all, and ``instead`` the number of the input that is read where it has not.
    """

    __slots__ = (
        "args",
        "first",
        "growth",
        "instead",
        "items",
        "listed",
        "own",
        "present",
        "results",
        "rounds",
        "sample",
        "steps",
    )

    def __init__(self, steps: list[list[Step]]) -> None:
        self.sample = next(one[0] for one in steps if one)
        self.steps = steps
        self.args: tuple[Value, ...] = self.sample.args
        self.own = self.sample.own
        self.results = len(self.sample.results)
        self.items: list[Item] = []
        self.first = number_of(self.sample.attributes[-1])
        self.rounds: Hole | None = None
        self.present: Hole | None = None
        self.instead = 0
        self.growth: dict[int, Hole] = {}
        self.listed: dict[int, Hole] = {}

    @property
    def is_run(self) -> bool:
        """Whether a loop makes the steps."""
        return self.rounds is not None or bool(self.listed)


class Class:
    """A class to write: its steps with holes, its arguments, and what each column of the holes means."""

    def __init__(self, blocks: list[Block], is_chain: bool) -> None:
        self.name = ""
        self.blocks = blocks
        self.number = {id(block): index for index, block in enumerate(blocks)}
        self.is_chain = is_chain
        self.slots: list[Slot] = []
        self.columns: list[Column] = []
        self.meanings: list[Meaning] = []
        self.arguments: list[Argument] = []
        self.outputs = blocks[0].outputs
        self.inputs = len(blocks[0].inputs)

    def values(self, block: Block) -> list[Any]:
        """The arguments' values in a block."""
        number = self.number[id(block)]
        return [argument.values[number] for argument in self.arguments]


def number_of(name: str) -> int | None:
    """The number at the end of a name."""
    found = re.search(r"(?<![0-9])(0|[1-9][0-9]*)\Z", name)
    return int(found[1]) if found else None


# -- keys: what must be equal ----------------------------------------------------------------------


def key_of(value: Any) -> Any:
    """The form of a call without its numbers."""
    if isinstance(value, Call):
        return (value.function, tuple((arg.name, arg.keyword, key_of(arg.value)) for arg in value.args))
    return value if isinstance(value, (Tensor, Verbatim)) else "?"


class Finder:
    """Finds the classes of one net."""

    def __init__(self, graph: Graph, root: Block, text: Callable[[int], Text]) -> None:
        self.graph = graph
        self.root = root
        self.plain_text = text
        self.shares = shares(graph, text)
        self.class_of: dict[int, Class] = {}
        self.classes: list[Class] = []

    def text(self, number: int) -> Text:
        """How a layer is written."""
        return with_shares(self.plain_text(number), self.shares)

    def find(self) -> list[Class]:
        """All classes, each after those that it uses; the net's own is the last."""
        blocks = list(inner_blocks(self.root))
        for family in self.families(blocks):
            self.classify(family)
        self.classes.append(self.build([self.root], self.tokens(self.root, split=False, alone=True)))
        return self.classes

    # -- families -------------------------------------------------------------------------------

    def families(self, blocks: list[Block]) -> list[list[Block]]:
        """Blocks that may become one class: of the same name or the same form; inner ones first."""
        raw: dict[int, int] = {}
        known: dict[Any, int] = {}
        for block in blocks:
            form = self.form(block, lambda inner: raw[id(inner)])
            raw[id(block)] = known.setdefault(form, len(known))
        leader: dict[Any, Any] = {}

        def lead(one: Any) -> Any:
            while leader.setdefault(one, one) != one:
                one = leader[one]
            return one

        for block in blocks:
            leader[lead(("form", raw[id(block)]))] = lead(("name", self.base(block)))
        groups: dict[Any, list[Block]] = {}
        for block in blocks:
            groups.setdefault(lead(("form", raw[id(block)])), []).append(block)
        family_of = {id(block): name for name, members in groups.items() for block in members}
        waits = {
            name: {family_of[id(inner)] for block in members for inner in inner_blocks(block)}
            for name, members in groups.items()
        }
        order: list[list[Block]] = []
        while waits:
            ready = [name for name, others in waits.items() if not others & waits.keys()]
            for name in ready:
                order.append(groups[name])
                del waits[name]
            if not ready:  # blocks within blocks of their own name: one form after the other
                rest = sorted((block for name in waits for block in groups[name]), key=height)
                for _, level in groupby(rest, key=height):
                    alike: dict[int, list[Block]] = {}
                    for block in level:
                        alike.setdefault(raw[id(block)], []).append(block)
                    order += alike.values()
                break
        return order

    def base(self, block: Block) -> str:
        """The name that a block shares with its like; where it has only a number, ``block`` and whose it is."""
        around = next((base for name in reversed(block.path) if (base := base_of(name))), "")
        return around if base_of(block.path[-1]) else f"{around}_block".strip("_")

    def form(self, block: Block, inner: Callable[[Block], Any]) -> Any:
        """All that must be equal in blocks of one class."""
        return (len(block.inputs), block.outputs, tuple(self.step_form(step, inner) for step in block.steps))

    def step_form(self, step: Step, inner: Callable[[Block], Any]) -> Any:
        return (step.attributes, step.args, step.own, len(step.results), self.item_form(step, inner))

    def item_form(self, step: Step, inner: Callable[[Block], Any]) -> Any:
        if step.block is not None:
            return inner(step.block)
        assert step.node is not None
        text = self.text(step.node)
        return (key_of(text.module), key_of(text.call))

    # -- runs -----------------------------------------------------------------------------------

    def tokens(self, block: Block, split: bool, alone: bool) -> list[tuple[int, list[Step]]]:
        """The steps of a block by runs: how many names repeat, and the steps.

        ``split`` keeps the first round apart; in a block that is ``alone`` a loop makes equal steps only.
        """
        if not self.is_sequential(block) or (block.path and base_of(block.path[-1]) in SCOPES):
            return [(1, [step]) for step in block.steps]
        tokens: list[tuple[int, list[Step]]] = []
        position = 0
        steps = block.steps
        while position < len(steps):
            period, rounds = self.longest(steps, position)
            run = steps[position : position + period * rounds]
            position += len(run)
            if rounds == 1:
                tokens += [(1, [step]) for step in run]
            elif not split and self.is_regular(run, period, alone):
                tokens.append((period, run))
            elif self.is_regular(run[period:], period, alone):
                tokens += [*((1, [step]) for step in run[:period]), (period, run[period:])]
            else:
                tokens += [(1, [step]) for step in run]
        return tokens

    def longest(self, steps: list[Step], position: int) -> tuple[int, int]:
        """The period and number of rounds of the longest run from a position."""
        best = (1, 1)
        for period in range(1, min(4, len(steps) - position) + 1):
            first = steps[position : position + period]
            if any(number_of(step.attributes[-1]) is None for step in first):
                break
            rounds = 1
            while self.repeats(first, steps[position + rounds * period : position + (rounds + 1) * period], rounds):
                rounds += 1
            if rounds > 1 and rounds * period > best[0] * best[1]:
                best = (period, rounds)
        return best

    def repeats(self, first: list[Step], then: list[Step], rounds: int) -> bool:
        """Whether steps are the first ones ``rounds`` rounds later."""
        if len(then) != len(first):
            return False
        for one, two in zip(first, then, strict=True):
            number = number_of(one.attributes[-1])
            stem = one.attributes[-1].removesuffix(str(number))
            if number is None or two.attributes != (f"{stem}{number + rounds}",):
                return False
            if self.item_form(one, self.id_of) != self.item_form(two, self.id_of):
                return False
        return True

    def id_of(self, block: Block) -> int:
        return id(self.class_of[id(block)])

    def is_regular(self, run: list[Step], period: int, alone: bool) -> bool:
        """Whether a loop can make the steps: numbers that stay or grow evenly, and one list of others at most."""
        lists = 0
        for offset in range(period):
            rows = [self.numbers(step) for step in run[offset::period]]
            columns = list(zip(*rows, strict=True))
            if any(not may_grow(column, alone) for column in columns):
                return False
            lists += sum(not grows_evenly(column) for column in columns)
        return lists <= 1

    def numbers(self, step: Step) -> list[Any]:
        """All numbers of a step."""
        if step.block is not None:
            return self.class_of[id(step.block)].values(step.block)
        assert step.node is not None
        return list(numbers_in(self.text(step.node).module))

    def is_sequential(self, block: Block) -> bool:
        """Whether a block can be written as ``nn.Sequential``."""
        if not block.is_chain:
            return False
        for step in block.steps:
            if len(step.attributes) != 1 or not step.own:
                return False
            if step.node is not None and not self.text(step.node).is_plain:
                return False
            if step.block is not None and id(step.block) in self.class_of:
                inner = self.class_of[id(step.block)]
                if inner.inputs != 1 or len(inner.outputs) != 1:
                    return False
        return True

    # -- classes --------------------------------------------------------------------------------

    def classify(self, family: list[Block]) -> None:
        """Makes the classes of a family."""
        whole = self.grouped(family, split=False)
        parted = self.grouped(family, split=True) if len(whole) > 1 else whole
        groups = parted if len(parted) < len(whole) else whole
        unions: list[Union] = []
        for blocks, tokens in sorted(groups, key=lambda group: -len(group[0][0].steps)):
            if any(len(run) > 1 for run in (run for one in tokens for _, run in one)):
                self.keep(self.build(blocks, *tokens))
            elif base_of(blocks[0].path[-1]) in SCOPES or not any(
                union.absorb(blocks, self.can_miss) for union in unions
            ):
                unions.append(Union(blocks, self.alike))
        for union in unions:
            self.keep(self.build_union(union))

    def keep(self, made: Class) -> None:
        """Notes a class."""
        self.classes.append(made)
        for block in made.blocks:
            self.class_of[id(block)] = made

    # -- blocks that differ by a step ------------------------------------------------------------

    def alike(self, one: Step, two: Step) -> int:
        """How well two steps go together: not at all (0), as other modules of the same use, or as the same."""
        if one.own != two.own or len(one.results) != len(two.results) or len(one.args) != len(two.args):
            return 0
        same_name = one.attributes == two.attributes
        if self.item_form(one, self.id_of) == self.item_form(two, self.id_of):
            free = self.is_free(one) and self.is_free(two)
            return 4 if same_name else 3 if free else 0
        return 1 if self.is_bare(one) and self.is_bare(two) else 0

    def is_free(self, step: Step) -> bool:
        """Whether a step owns no tensors, so that its name may change."""
        if step.node is None:
            return False
        node = self.graph.nodes[step.node]
        return node.layer is not None and not node.layer.weights(*node.input_shapes)

    def works(self, step: Step) -> bool:
        """Whether a step applies weights to its input: even unread it would cost as much, and train its norms."""
        if step.block is not None:
            return any(map(self.works, step.block.steps))
        return bool(step.args) and not self.is_free(step)

    def is_bare(self, step: Step) -> bool:
        """Whether a step is a module without arguments, as an activation is."""
        if step.node is None or not self.is_free(step):
            return False
        text = self.text(step.node)
        return text.is_plain and text.module is not None and all(arg.implied for arg in text.module.args)

    def can_miss(self, step: Step) -> bool:
        """Whether a class can do without a step in some of its blocks."""
        if len(step.results) != 1 or not step.own:
            return False
        if step.block is not None:
            return len(step.args) == 1
        assert step.node is not None
        text = self.text(step.node)
        return text.is_plain or text.module is None

    def build_union(self, union: Union) -> Class:
        """The class of blocks that differ by a step or two."""
        blocks = [block for group in union.groups for block in group]
        if len(union.groups) == 1:
            return self.build(blocks, *([(1, [step]) for step in block.steps] for block in blocks))
        chain = all(args == (Value(index - 1, 0),) for index, args in enumerate(union.args))
        chain = chain and union.outputs == (Value(len(union.rows) - 1, 0),)
        plain = all(self.is_sequential(block) for block in blocks)
        made = Class(blocks, chain and plain)
        made.outputs = union.outputs
        for row, args, instead in zip(union.rows, union.args, union.instead, strict=True):
            steps = [
                [block.steps[row.steps[number]]] if number in row.steps else []
                for number, group in enumerate(union.groups)
                for block in group
            ]
            slot = Slot(steps)
            slot.args = args
            slot.instead = instead
            self.fill(made, slot, 1)
            made.slots.append(slot)
            if not all(steps):
                slot.present = Hole(len(made.columns))
                hint = self.flag_of(slot)
                flags = Column(hint, f"flag {hint}", [bool(one) for one in steps], slot.items[0].attributes, False)
                made.columns.append(flags)
        rename(made)
        resolve(made)
        return made

    def flag_of(self, slot: Slot) -> str:
        """The name of the argument that says whether a step is there."""
        (item,) = slot.items
        if item.text is not None and isinstance(item.text.call, Call) and item.text.call.function == "+":
            return "residual"
        name = item.attributes[-1]
        return base_of(name) if base_of(name) not in ("", name) else f"has_{name}"

    def grouped(self, family: list[Block], split: bool) -> list[tuple[list[Block], list[list[tuple[int, list[Step]]]]]]:
        """Blocks of the same form, runs of any length being the same."""
        groups: dict[Any, tuple[list[Block], list[list[tuple[int, list[Step]]]]]] = {}
        for block in family:
            tokens = self.tokens(block, split, alone=len(family) == 1)
            if self.is_sequential(block):
                form: Any = tuple(
                    tuple((step.attributes, self.item_form(step, self.id_of)) for step in run[:period])
                    for period, run in tokens
                )
            else:
                form = self.form(block, self.id_of)
            members, all_tokens = groups.setdefault(form, ([], []))
            members.append(block)
            all_tokens.append(tokens)
        return list(groups.values())

    def build(self, blocks: list[Block], *tokens: list[tuple[int, list[Step]]]) -> Class:
        """The class of these blocks, whose steps lie beside each other."""
        made = Class(blocks, self.is_sequential(blocks[0]))
        for parts in zip(*tokens, strict=True):
            period = parts[0][0]
            runs = [run for _, run in parts]
            length = len(runs[0])
            if length < MIN_ROUNDS * period and all(len(run) == length for run in runs):  # no loop at all
                slots = [(Slot([[run[offset]] for run in runs]), 1) for offset in range(length)]
            else:
                slots = [(Slot(runs), period)]
            for slot, repeated in slots:
                self.fill(made, slot, repeated)
                made.slots.append(slot)
        resolve(made)
        return made

    def fill(self, made: Class, slot: Slot, period: int) -> None:
        """The items of a slot, and their columns."""
        rounds = [len(run) // period for run in slot.steps]
        begin = len(made.columns)
        for offset in range(period):
            column_of: list[list[Step | None]] = [[*run[offset::period]] or [None] for run in slot.steps]
            slot.items.append(self.item(made, [step for steps in column_of for step in steps]))
        if set(rounds) <= {0, 1}:
            return
        for index in range(begin, len(made.columns)):
            column = made.columns[index]
            rows = list(parted(column.values, rounds))
            if all(len(set(map(typed, row))) == 1 for row in rows):
                column.values = [row[0] for row in rows]
            elif all(grows_evenly(row) for row in rows):
                column.values = [row[0] for row in rows]
                growth = [row[1] - row[0] if len(row) > 1 else ANY for row in rows]
                slot.growth[index] = Hole(len(made.columns))
                made.columns.append(Column("growth", column.kind, growth, column.where))
            else:
                slot.listed[index] = Hole(index)
                column.values = [tuple(row) for row in rows]
                column.hint = plural(column.hint)
                column.kind = f"list of {column.kind}"
                column.default = ...
        if not slot.listed:
            slot.rounds = Hole(len(made.columns))
            before = max(slot.first or 0, 1) - 1
            made.columns.append(Column("depth", "depth", [n + before for n in rounds], slot.items[0].attributes))

    def item(self, made: Class, steps: list[Step | None]) -> Item:
        """The code of steps that are the same but for numbers; ``None`` where a block has no such step."""
        first = next(step for step in steps if step is not None)
        if first.block is not None:
            inner = self.class_of[id(first.block)]
            missing = [ANY] * len(inner.arguments)
            rows = [missing if step is None or step.block is None else inner.values(step.block) for step in steps]
            holes = []
            for argument, values in zip(inner.arguments, zip(*rows, strict=True), strict=True):
                where = (*first.attributes, *argument.column.where)
                holes.append(Hole(len(made.columns)))
                made.columns.append(Column(argument.name, argument.column.kind, list(values), where, argument.default))
            return Item(first.attributes, None, inner, tuple(holes))
        texts = [None if step is None or step.node is None else self.text(step.node) for step in steps]
        sample = next(text for text in texts if text is not None)
        modules = {text.module.function for text in texts if text is not None and text.module is not None}
        if len(modules) > 1:
            names = [ANY if text is None or text.module is None else Verbatim(text.module.function) for text in texts]
            made.columns.append(Column("activation", "module", names, first.attributes))
            chosen = Call(CHOSEN, (Arg("", Hole(len(made.columns) - 1)),))
            return Item(first.attributes, sample._replace(module=chosen))
        with_function = sample.function is not None and not made.is_chain

        def merged(part: str) -> Any:
            values = [ANY if text is None else getattr(text, part) for text in texts]
            return merge(values, made.columns, first.attributes)

        if with_function:
            return Item(first.attributes, Text(None, merged("function"), helpers=sample.helpers))
        module = merged("module") if sample.module is not None else None
        helpers = tuple(dict.fromkeys(helper for text in texts if text for helper in text.helpers))
        return Item(first.attributes, Text(module, merged("call"), helpers=helpers))


def inner_blocks(block: Block) -> Iterator[Block]:
    """All blocks within a block, inner ones first."""
    for step in block.steps:
        if step.block is not None:
            yield from inner_blocks(step.block)
            yield step.block


def height(block: Block) -> int:
    """How many blocks lie within each other in a block."""
    return 1 + max((height(step.block) for step in block.steps if step.block is not None), default=0)


def plural(hint: str) -> str:
    """The name of a list of such numbers."""
    return f"{hint}_list" if hint.endswith("s") else f"{hint}s"


def numbers_in(value: Any) -> Iterator[Any]:
    """The numbers of a call, in order."""
    if isinstance(value, Call):
        for arg in value.args:
            if not arg.implied:
                yield from numbers_in(arg.value)
            else:
                yield ANY
    elif not isinstance(value, (Tensor, Verbatim)):
        yield value


def typed(value: Any) -> Any:
    """A value that is not equal to that of another type."""
    return (type(value), value)


def grows_evenly(values: Sequence[Any]) -> bool:
    """Whether values are the same, or whole numbers that grow by the same."""
    if len(set(map(typed, values))) == 1:
        return True
    if any(type(value) is not int for value in values):
        return False
    return len({two - one for one, two in pairwise(values)}) == 1


def may_grow(values: Sequence[Any], alone: bool) -> bool:
    """Whether numbers of a run stay, or there are enough of them to say how they grow."""
    if len(set(map(typed, values))) == 1:
        return True
    return not alone and (len(values) >= MIN_ROUNDS or (grows_evenly(values) and values[1] - values[0] == 1))


def parted(values: list[Any], lengths: list[int]) -> Iterator[list[Any]]:
    """Values cut into parts of these lengths."""
    begin = 0
    for length in lengths:
        yield values[begin : begin + length]
        begin += length


# -- numbers that grow from layer to layer ---------------------------------------------------------

Shares = dict[tuple[str, str], tuple[float, int]]
"""For an argument of a module ``(whole, parts)``, where its values are all ``whole * position / parts``."""
MOST_PARTS = 400


def shares(graph: Graph, text: Callable[[int], Text]) -> Shares:
    """The arguments that grow evenly through the net, as the probabilities of stochastic depth do."""
    values: dict[tuple[str, str], list[float]] = {}
    for number, node in enumerate(graph.nodes):
        module = None if node.layer is None else text(number).module
        for arg in () if module is None else module.args:
            if module is not None and isinstance(arg.value, float):
                values.setdefault((module.function, arg.name), []).append(arg.value)
    found = {name: share_of(sorted(set(given))) for name, given in values.items()}
    return {name: share for name, share in found.items() if share is not None}


def share_of(values: list[float]) -> tuple[float, int] | None:
    """``(whole, parts)`` with which all values are exactly ``whole * position / parts``; the fewest parts."""
    positive = [value for value in values if value > 0]
    if len(values) < MIN_ROUNDS or max(len(repr(value)) for value in values) < 8:
        return None
    for parts in range(2, MOST_PARTS):
        for position in range(1, 5):
            whole = round(positive[0] * parts / position, 4)
            if whole >= values[-1] and all(whole * round(value * parts / whole) / parts == value for value in values):
                return whole, parts
    return None


def with_shares(text: Text, known: Shares) -> Text:
    """A layer's text with such numbers written as shares."""
    if text.module is None or not known:
        return text
    args = []
    for arg in text.module.args:
        share = known.get((text.module.function, arg.name))
        if share is not None:
            whole, parts = share
            position = Arg("position", round(arg.value * parts / whole))
            product = Call("*", (Arg("whole", whole), position))
            arg = arg._replace(value=Call("/", (Arg("", product), Arg("parts", parts))))
        args.append(arg)
    return text._replace(module=Call(text.module.function, tuple(args)))


def rename(made: Class) -> None:
    """Gives modules that stand for several names of their own; those of the same name get a number."""
    taken: set[str] = set()
    chosen = 0
    for slot in made.slots:
        (item,) = slot.items
        name = item.attributes[-1]
        if item.text is not None and isinstance(item.text.module, Call) and item.text.module.function == CHOSEN:
            chosen += 1
            name = f"activation{chosen}"
        number = 1
        while name in taken:
            number += 1
            name = f"{base_of(item.attributes[-1])}{number}"
        taken.add(name)
        slot.items = [item._replace(attributes=(*item.attributes[:-1], name))]


def merge(values: list[Any], columns: list[Column], where: Path, arg: Arg | None = None) -> Any:
    """Merges calls of equal structure, with a column for each number; arguments implied in all of them are left out."""
    first = next((value for value in values if value is not ANY), ANY)
    if isinstance(first, Call):
        args = []
        for position, sample in enumerate(first.args):
            given = [ANY if value is ANY else value.args[position] for value in values]
            if not all(one is ANY or one.implied for one in given):
                merged = merge([ANY if one is ANY else one.value for one in given], columns, where, sample)
                args.append(sample._replace(value=merged, implied=False))
        return Call(first.function, tuple(args))
    if isinstance(first, (Tensor, Verbatim)):
        return first
    hint = arg.name if arg is not None and arg.name else "size"
    columns.append(Column(hint, kind_of(hint), values, where, ... if arg is None else arg.default))
    return Hole(len(columns) - 1)


# -- columns to arguments --------------------------------------------------------------------------


def resolve(made: Class) -> None:
    """What each column means, and the arguments that this takes."""
    flags = {slot.present.column for slot in made.slots if slot.present is not None}
    for number, column in enumerate(made.columns):
        if number in flags:
            made.meanings.append(Meaning())
        else:
            made.meanings.append(meaning(column, made.arguments))
    for argument in made.arguments:
        if any(value is ANY for value in argument.values):
            argument.values = [None if value is ANY else value for value in argument.values]
            argument.default = None
        default = argument.column.default
        if (
            argument.default is ...
            and default is not ...
            and any(typed(value) == typed(default) for value in argument.values)
        ):
            argument.default = default

    for number in sorted(flags):
        made.meanings[number] = flag_meaning(made.columns[number], made.arguments)


def flag_meaning(column: Column, arguments: list[Argument]) -> Meaning:
    """The argument that decides whether a step is there: one given only to its blocks, or a new one."""
    for number, argument in enumerate(arguments):
        its_own = argument.default is None and argument.column.where[:1] == column.where[:1]
        if its_own and [value is not None for value in argument.values] == column.values:
            return Meaning(argument=number, given=True)
    made = meaning(column, arguments)
    assert made.argument is not None
    arguments[made.argument].default = False
    return made


def meaning(column: Column, arguments: list[Argument]) -> Meaning:
    """The meaning of a column; a new argument if nothing else fits."""
    known = [value for value in column.values if value is not ANY]
    if len(set(map(typed, known))) <= 1:
        return Meaning(known[0] if known else 0)
    for number, argument in enumerate(arguments):
        if argument.column.kind == column.kind and agrees(column.values, argument.values):
            argument.values = [
                mine if mine is not ANY else other for mine, other in zip(argument.values, column.values, strict=True)
            ]
            return Meaning(argument=number)
        if column.kind == argument.column.kind == "position" and ANY not in (*column.values, *argument.values):
            apart = {one - two for one, two in zip(column.values, argument.values, strict=True)}
            if len(apart) == 1:
                return Meaning(argument=number, plus=apart.pop())
    for number, argument in enumerate(arguments):
        if found := multiple(column, argument):
            return Meaning(None, number, *found)
    arguments.append(Argument(column))
    return Meaning(argument=len(arguments) - 1)


def agrees(values: list[Any], others: list[Any]) -> bool:
    """Whether values are equal wherever both are there."""
    return all(one is ANY or two is ANY or typed(one) == typed(two) for one, two in zip(values, others, strict=True))


def multiple(column: Column, argument: Argument) -> tuple[int, int] | None:
    """By what an argument is to be multiplied or divided to give a column, if by something."""
    pairs = [(one, two) for one, two in zip(column.values, argument.values, strict=True) if one is not ANY]
    if any(type(one) is not int or type(two) is not int or two < 1 for one, two in pairs):
        return None
    if HALVED.match(f"{column.hint} {argument.column.hint}"):
        return (1, 2) if all(one == two // 2 for one, two in pairs) else None
    if column.kind != "count" or argument.column.kind != "count" or any(one < 1 for one, _ in pairs):
        return None
    one, two = pairs[0]
    if one % two == 0 and all(a == b * (one // two) for a, b in pairs):
        return (one // two, 1)
    if two % one == 0 and all(a * (two // one) == b for a, b in pairs):
        return (1, two // one)
    return None
