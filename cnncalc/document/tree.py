"""Rows with dotted paths as a tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnncalc.document.blocks import Branch, Table
from cnncalc.document.column import Column


def outline(
    columns: Sequence[Column],
    rows: Sequence[Any],
    block: Callable[[str, list[Any]], Any],
    whole: Any = None,
    *,
    flat: Sequence[Any] | None = None,
    depth: int | None = None,
    drop: bool = True,
    noun: str = "layers",
    hint: str = ", or --all",
) -> Table:
    """A table of rows with paths: on a terminal a tree, folded into its height, elsewhere row after row.

    Args:
        columns: what to show.
        rows: all rows, in order.
        block: the row of a block, from its path and its rows.
        whole: what the columns are given beside a row.
        flat: what is shown in an order of its own, with no tree.
        depth: the level to which blocks are folded; by default as many as fit.
        drop: whether columns may be left out on a narrow terminal.
        noun: what the rows are.
        hint: what is said behind ``--depth``, where levels are left out.
    """
    shown = flat if flat is not None else rows if depth is None else folded(rows, depth, block)
    return Table(
        columns,
        shown,
        whole,
        drop=drop,
        tree=None if flat is not None else lambda depth: tree(rows, depth, block),
        levels=levels(rows),
        depth=depth,
        folded=f"{len(rows)} {noun}: --depth {{depth}}{hint}",
    )


def tree(rows: Sequence[Any], depth: int, block: Callable[[str, list[Any]], Any], level: int = 0) -> list[Branch]:
    """The rows down to a level, each below its block.

    Args:
        rows: the rows, in order.
        depth: how many levels.
        block: the row of a block, from its path and its rows.
        level: the level of the first.
    """
    branches = []
    for name, members in groups(rows, level + 1).items():
        own = name.rpartition(".")[2]
        if len(members) == 1 and members[0].path == name:
            branches.append(Branch(level, own, members[0]))
            continue
        opened = level + 1 < depth
        branches.append(Branch(level, own, block(name, members), opened))
        if opened:
            branches += tree(members, depth, block, level + 1)
    return branches


def groups(rows: Sequence[Any], depth: int) -> dict[str, list[Any]]:
    """The rows by the first ``depth`` parts of their paths, in the order they begin."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(".".join(row.path.split(".")[:depth]), []).append(row)
    return found


def folded(rows: Sequence[Any], depth: int, block: Callable[[str, list[Any]], Any]) -> tuple[Any, ...]:
    """One row for each block at a level, and each row above it."""
    return tuple(
        members[0] if len(members) == 1 and members[0].path == name else block(name, members)
        for name, members in groups(rows, depth).items()
    )


def levels(rows: Sequence[Any]) -> int:
    """The deepest level of the rows' paths."""
    return max((1 + row.path.count(".") for row in rows), default=1)
