"""Hypothesis strategies for fields and shapes, legal and not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

MOST = {0: 0, 1: 12, 2: 9, 3: 6}
"""Largest spatial size by rank: small, so that borders matter and the run is quick."""
CHANNELS = st.integers(1, 6)


@st.composite
def shapes(draw: Any, least_rank: int = 1, channels: st.SearchStrategy[int] = CHANNELS) -> tuple[int, ...]:
    """A shape of up to three spatial axes, from the smallest sizes on."""
    rank = draw(st.integers(least_rank, 3))
    sizes = st.integers(1, MOST[rank])
    return (draw(channels), *(draw(sizes) for _ in range(rank)))


def one_or_each(values: st.SearchStrategy[Any], rank: int) -> st.SearchStrategy[Any]:
    """A field as people write it: one value, or a list with one for each axis."""
    return st.one_of(values, st.lists(values, min_size=rank, max_size=rank))


def mostly(values: st.SearchStrategy[Any], *bad: Any) -> st.SearchStrategy[Any]:
    """``values``, and about one time in twelve one of the ``bad``."""
    return st.integers(0, 11).flatmap(lambda dice: values if dice else st.sampled_from(bad))


def per_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """A raw field, once per axis (the tests' own; the package has another)."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
