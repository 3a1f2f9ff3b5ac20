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

from cnncalc.convert.blocks import Block, Path, Step, Value
from cnncalc.convert.code import Arg, Call, Tensor, Text, Verbatim
from cnncalc.graph import Graph

MIN_LOOP = 3
"""Fewest steps that are written as a loop where their number is the same in all blocks."""


class Any_:  # noqa: N801
    """No value: what a block does not have."""

    def __repr__(self) -> str:
        return "ANY"


ANY = Any_()


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
WINDOWS = re.compile("kernel|stride|padding|dilation")


def kind_of(hint: str) -> str:
    """What the argument of a module counts, by its name."""
    return "window" if WINDOWS.search(hint) else "count" if COUNTS.search(hint) else hint


class Meaning(NamedTuple):
    """What a column is: a ``value``, or ``times`` or a part (``over``) of argument number ``argument``."""

    value: Any = None
    argument: int | None = None
    times: int = 1
    over: int = 1


class Argument:
    """An argument of a class: its name, its value in each block, and what it is when it is not given."""

    __slots__ = ("column", "default", "name", "values")

    def __init__(self, column: Column) -> None:
        self.column = column
        self.name = column.hint
        self.values = list(column.values)
        self.default = ...


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
    added each time, or (negative) a column that lists the values.
    """

    __slots__ = ("args", "first", "growth", "items", "listed", "own", "results", "rounds", "steps")

    def __init__(self, steps: list[list[Step]]) -> None:
        sample = next(one for one in steps if one)
        self.steps = steps
        self.args: tuple[Value, ...] = sample[0].args
        self.own = sample[0].own
        self.results = len(sample[0].results)
        self.items: list[Item] = []
        self.first = number_of(sample[0].attributes[-1])
        self.rounds: Hole | None = None
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
        self.is_chain = is_chain
        self.slots: list[Slot] = []
        self.columns: list[Column] = []
        self.meanings: list[Meaning] = []
        self.arguments: list[Argument] = []
        self.outputs = blocks[0].outputs
        self.inputs = len(blocks[0].inputs)

    def values(self, block: Block) -> list[Any]:
        """The arguments' values in a block."""
        number = next(index for index, one in enumerate(self.blocks) if one is block)
        return [argument.values[number] for argument in self.arguments]


def base_of(name: str) -> str:
    """A name without the number at its end: ``conv`` of ``conv2``, ``inception`` of ``inception_3a``."""
    return re.sub(r"_?\d+[a-z]?$", "", name)


def number_of(name: str) -> int | None:
    """The number at the end of a name."""
    found = re.search(r"(?<![0-9])(0|[1-9]\d*)$", name)
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
        self.text = text
        self.class_of: dict[int, Class] = {}
        self.classes: list[Class] = []

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
        """The name that a block shares with its like; that of the block around it where it has only a number."""
        return next((base for name in reversed(block.path) if (base := base_of(name))), "block")

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
        if not self.is_sequential(block):
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
            if alone and any(len(set(map(typed, column))) > 1 for column in columns):
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
        for blocks, tokens in groups:
            made = self.build(blocks, *tokens)
            self.classes.append(made)
            for block in blocks:
                self.class_of[id(block)] = made

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
            if all(len(run) == period for run in runs):  # no loop at all
                slots = [(Slot([[run[offset]] for run in runs]), 1) for offset in range(period)]
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
            column_of = [run[offset::period] for run in slot.steps]
            slot.items.append(self.item(made, [step for steps in column_of for step in steps]))
        if set(rounds) == {1}:
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
            made.columns.append(Column("depth", "depth", rounds, slot.items[0].attributes))

    def item(self, made: Class, steps: list[Step]) -> Item:
        """The code of steps that are the same but for numbers."""
        first = steps[0]
        if first.block is not None:
            inner = self.class_of[id(first.block)]
            rows = [inner.values(step.block) for step in steps if step.block is not None]
            holes = []
            for argument, values in zip(inner.arguments, zip(*rows, strict=True), strict=True):
                where = (*first.attributes, *argument.column.where)
                holes.append(Hole(len(made.columns)))
                made.columns.append(Column(argument.name, argument.column.kind, list(values), where, argument.default))
            return Item(first.attributes, None, inner, tuple(holes))
        texts = [self.text(step.node) for step in steps if step.node is not None]
        sample = texts[0]
        with_function = sample.function is not None and not made.is_chain

        def merged(part: str) -> Any:
            return merge([getattr(text, part) for text in texts], made.columns, first.attributes)

        if with_function:
            return Item(first.attributes, Text(None, merged("function"), helpers=sample.helpers))
        module = merged("module") if sample.module is not None else None
        helpers = tuple(dict.fromkeys(helper for text in texts for helper in text.helpers))
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


def parted(values: list[Any], lengths: list[int]) -> Iterator[list[Any]]:
    """Values cut into parts of these lengths."""
    begin = 0
    for length in lengths:
        yield values[begin : begin + length]
        begin += length


def merge(values: list[Any], columns: list[Column], where: Path, arg: Arg | None = None) -> Any:
    """Calls of one form as one, with a column for each number; what is implied in all of them is left out."""
    first = values[0]
    if isinstance(first, Call):
        args = []
        for position, sample in enumerate(first.args):
            given = [value.args[position] for value in values]
            if not all(one.implied for one in given):
                merged = merge([one.value for one in given], columns, where, sample)
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
    for column in made.columns:
        made.meanings.append(meaning(column, made.arguments))
    for argument in made.arguments:
        default = argument.column.default
        if default is not ... and any(typed(value) == typed(default) for value in argument.values):
            argument.default = default


def meaning(column: Column, arguments: list[Argument]) -> Meaning:
    """What a column is; a new argument where it is nothing else."""
    known = [value for value in column.values if value is not ANY]
    if len(set(map(typed, known))) <= 1:
        return Meaning(known[0] if known else 0)
    for number, argument in enumerate(arguments):
        if argument.column.kind == column.kind and agrees(column.values, argument.values):
            argument.values = [
                mine if mine is not ANY else other for mine, other in zip(argument.values, column.values, strict=True)
            ]
            return Meaning(argument=number)
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
    if column.hint == "padding" and argument.column.hint == "kernel_size":
        return (1, 2) if all(one == two // 2 for one, two in pairs) else None
    if column.kind != "count" or argument.column.kind != "count" or any(one < 1 for one, _ in pairs):
        return None
    one, two = pairs[0]
    if one % two == 0 and all(a == b * (one // two) for a, b in pairs):
        return (one // two, 1)
    if two % one == 0 and all(a * (two // one) == b for a, b in pairs):
        return (1, two // one)
    return None
