"""Runs of equal items to ``repeat``."""

from __future__ import annotations

from typing import Any

from cnncalc.convert.spec.text import Data, inline
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import ShortForm

LONGEST_PERIOD = 24


def compress(items: list[Data]) -> list[Data]:
    """The items with equal ones that follow each other, alone or in groups, made a repeat where that is shorter."""
    keys: list[Any] = [number if named(item) else inline(item) for number, item in enumerate(items)]
    result: list[Data] = []
    at = 0
    while at < len(items):
        best = (0, 1, 1)
        for period in range(1, min(LONGEST_PERIOD, (len(items) - at) // 2) + 1):
            if keys[at] != keys[at + period]:
                continue
            times = 1
            end = at + period
            while end + period <= len(items) and keys[end : end + period] == keys[at : at + period]:
                times += 1
                end += period
            saved = period * (times - 1) - (2 if period > 1 else 0)
            if times > 1 and saved > max(best[0], 1 if period == 1 else 0):
                best = (saved, period, times)
        saved, period, times = best
        if saved:
            later = rotation(items, keys, at, period, times)
            result += items[at : at + later]
            at += later
            result.append({"repeat": {"times": times, "layers": compress(items[at : at + period])}})
            at += period * times
        else:
            result.append(items[at])
            at += 1
    return result


def rotation(items: list[Data], keys: list[Any], at: int, period: int, times: int) -> int:
    """How much later a repeat should begin, with as many rounds: at a product or block after something else.

    Of ``pool conv relu conv relu pool`` the repeat is ``conv relu pool``, not ``pool conv relu``.
    """
    for later in range(period):
        end = at + later + period * times
        if later and (end > len(items) or keys[end - 1] != keys[end - 1 - period]):
            break
        if is_heavy(items[at + later]) and not is_heavy(items[at + (later - 1) % period]):
            return later
    return 0


def is_heavy(item: Data) -> bool:
    """Whether an item is a product or a call of a block, or holds others."""
    kind = item if isinstance(item, str) else next(iter(item))
    layer = REGISTRY.get(kind)
    return layer is None or layer.is_product or layer.arity[1] != 1 or issubclass(layer, ShortForm)


def named(data: Data) -> bool:
    """Whether something in an item has an explicit name, so that no other item is equal to it."""
    if isinstance(data, dict):
        return "name" in data or any(named(value) for value in data.values())
    return isinstance(data, (list, tuple)) and any(map(named, data))
