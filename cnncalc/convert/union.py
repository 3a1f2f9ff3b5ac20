"""Blocks that differ by a step or two as one: a shortcut that only some have, another activation.

The steps of two blocks are aligned; a step that only one has is *optional*: without it, its readers
read one of its inputs. Two blocks are merged if that explains all the wiring of both.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from cnncalc.convert.blocks import Block, Step, Value, base_of

MOST_OPTIONAL = 3
"""Most steps of a class that only some of its blocks have."""


class Row:
    """One step of a union: which step it is in each group that has it."""

    __slots__ = ("steps",)

    def __init__(self, steps: dict[int, int]) -> None:
        self.steps = steps


class Union:
    """Groups of equal blocks that can be one class."""

    def __init__(self, blocks: list[Block], alike: Callable[[Step, Step], int]) -> None:
        self.groups = [blocks]
        self.rows = [Row({0: index}) for index in range(len(blocks[0].steps))]
        self.alike = alike
        self.args: list[tuple[Value, ...]] = [step.args for step in blocks[0].steps]
        self.outputs = blocks[0].outputs
        self.instead: list[int] = [0] * len(self.rows)

    def sample(self, row: Row) -> Step:
        """A step of a row."""
        group, index = next(iter(row.steps.items()))
        return self.groups[group][0].steps[index]

    def absorb(self, blocks: list[Block], can_miss: Callable[[Step], bool]) -> bool:
        """Takes another group of equal blocks in, if that can be.

        ``can_miss`` tells the steps that may be optional.
        """
        block = blocks[0]
        if len(block.inputs) != len(self.groups[0][0].inputs) or len(block.outputs) != len(self.outputs):
            return False
        number = len(self.groups)
        rows = self.aligned(block, number)
        groups = [*self.groups, blocks]
        optional = [index for index, row in enumerate(rows) if len(row.steps) < len(groups)]
        matched = sum(number in row.steps and len(row.steps) > 1 for row in rows)
        if len(optional) > MOST_OPTIONAL or 2 * matched < len(rows):
            return False
        samples = [groups[g][0].steps[i] for g, i in (next(iter(row.steps.items())) for row in rows)]
        if not all(can_miss(samples[index]) for index in optional):
            return False
        # one more block at the end of a row of equal ones is another number of rounds, not an option
        bases = [base_of(sample.attributes[-1]) for sample in samples]
        if any(samples[index].block is not None and bases.count(bases[index]) > 1 for index in optional):
            return False
        wired = wiring(rows, [group[0] for group in groups], optional)
        if wired is None:
            return False
        self.rows, self.groups = rows, groups
        self.args, self.outputs, self.instead = wired
        return True

    def aligned(self, block: Block, number: int) -> list[Row]:
        """The rows with the steps of a block beside them, so that as many as can be are alike."""
        rows, steps = self.rows, block.steps
        best = [[0] * (len(steps) + 1) for _ in range(len(rows) + 1)]
        for i in range(len(rows) - 1, -1, -1):
            for j in range(len(steps) - 1, -1, -1):
                score = self.alike(self.sample(rows[i]), steps[j])
                together = best[i + 1][j + 1] + score if score else 0
                best[i][j] = max(best[i + 1][j], best[i][j + 1], together)
        made, i, j = [], 0, 0
        while i < len(rows) or j < len(steps):
            score = self.alike(self.sample(rows[i]), steps[j]) if i < len(rows) and j < len(steps) else 0
            if score and best[i][j] == best[i + 1][j + 1] + score:
                made.append(Row({**rows[i].steps, number: j}))
                i, j = i + 1, j + 1
            elif i < len(rows) and best[i][j] == best[i + 1][j]:
                made.append(Row(dict(rows[i].steps)))
                i += 1
            else:
                made.append(Row({number: j}))
                j += 1
        return made


Wiring = tuple[list[tuple[Value, ...]], tuple[Value, ...], list[int]]
"""What each row reads, what the block gives, and which input stands for a row that is not there."""


def wiring(rows: list[Row], blocks: list[Block], optional: list[int]) -> Wiring | None:
    """How the rows are wired, if that is how each of the blocks is."""
    row_of = [{row.steps[g]: index for index, row in enumerate(rows) if g in row.steps} for g in range(len(blocks))]

    def in_rows(group: int, value: Value) -> Value:
        return value if value.step < 0 else Value(row_of[group][value.step], value.port)

    args: list[tuple[Value, ...]] = []
    for row in rows:
        given = [[in_rows(g, value) for value in blocks[g].steps[index].args] for g, index in row.steps.items()]
        if len({len(values) for values in given}) != 1:
            return None
        args.append(tuple(max(values) for values in zip(*given, strict=True)))
    results = [[in_rows(g, value) for value in block.outputs] for g, block in enumerate(blocks)]
    outputs = tuple(max(values) for values in zip(*results, strict=True))
    for choice in product(*(range(len(args[index])) for index in optional)):
        instead = [0] * len(rows)
        for index, chosen in zip(optional, choice, strict=True):
            instead[index] = chosen
        if all(explains(rows, block, g, args, outputs, instead) for g, block in enumerate(blocks)):
            return args, outputs, instead
    return None


def explains(
    rows: list[Row],
    block: Block,
    group: int,
    args: list[tuple[Value, ...]],
    outputs: tuple[Value, ...],
    instead: list[int],
) -> bool:
    """Whether the rows, without those that a block does not have, are wired as it is."""

    def in_block(value: Value) -> Value:
        while value.step >= 0 and group not in rows[value.step].steps:
            value = args[value.step][instead[value.step]]
        return value if value.step < 0 else Value(rows[value.step].steps[group], value.port)

    for index, row in enumerate(rows):
        if group in row.steps and block.steps[row.steps[group]].args != tuple(map(in_block, args[index])):
            return False
    return block.outputs == tuple(map(in_block, outputs))
