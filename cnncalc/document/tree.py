"""Rows with dotted paths as a tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnncalc.document.blocks import Branch


def tree(
    rows: Sequence[Any], depth: int, block: Callable[[str, list[Any]], Any], path: str = "path", level: int = 0
) -> list[Branch]:
    """The rows down to a level, each below its block.

    Args:
        rows: the rows, in order.
        depth: how many levels.
        block: the row of a block, from its path and its rows.
        path: the attribute that is a row's path.
        level: the level of the first.
    """
    branches = []
    for name, members in groups(rows, level + 1, path).items():
        own = name.rpartition(".")[2]
        if len(members) == 1 and getattr(members[0], path) == name:
            branches.append(Branch(level, own, members[0]))
            continue
        opened = level + 1 < depth
        branches.append(Branch(level, own, block(name, members), opened))
        if opened:
            branches += tree(members, depth, block, path, level + 1)
    return branches


def groups(rows: Sequence[Any], depth: int, path: str = "path") -> dict[str, list[Any]]:
    """The rows by the first ``depth`` parts of their paths, in the order they begin."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(".".join(getattr(row, path).split(".")[:depth]), []).append(row)
    return found


def folded(rows: Sequence[Any], depth: int, block: Callable[[str, list[Any]], Any]) -> tuple[Any, ...]:
    """One row for each block at a level, and each row above it."""
    return tuple(
        members[0] if len(members) == 1 and members[0].path == name else block(name, members)
        for name, members in groups(rows, depth).items()
    )


def levels(rows: Sequence[Any], path: str = "path") -> int:
    """The deepest level of the rows' paths."""
    return max((1 + getattr(row, path).count(".") for row in rows), default=1)
