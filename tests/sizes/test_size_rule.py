"""Rules describe exactly the sets that they are found from."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.size_rule import describe, find_rule, runs

MOST = 1024


def words(chosen: set[int], most: int = MOST) -> str:
    return describe(chosen, find_rule(chosen, most))


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (range(1, 1025), "every size"),
        (range(188, 1025), "every size from 188"),
        (range(32, 1025, 32), "multiples of 32"),
        (range(96, 1025, 32), "multiples of 32 from 96"),
        (range(188, 1025, 16), "16·k + 12 (k ≥ 11)"),
        (range(1, 1025, 32), "32·k + 1 (k ≥ 0)"),
        (range(15, 1025, 2), "odd sizes from 15"),
        (range(1, 1025, 2), "odd sizes"),
        (range(2, 1025, 2), "even sizes"),
        ([5, *range(21, 1025)], "5, and every size from 21"),
        ([s for s in range(1, 1025) if s % 4], "4·k + {1…3}"),
        ([s for s in range(30, 1025) if s % 8 in (1, 2, 5)], "8·k + {1…2, 5} from 33"),
        ([s for s in range(29, 1025) if s % 32 in (29, 30, 31, 0)], "32·k + {29…32}"),
        ([s for s in range(1, 1025) if s % 5 in (0, 1, 3)], "5·k + {0…1, 3}"),
        ([1, 2, 3, *range(10, 1025, 7)], "1…2, and 7·k + 3 (k ≥ 0)"),
        (range(32, 36), "32…35"),
        ([7, 100, 700], "7, 100, 700"),
        ([], "none"),
        # three sizes 500 apart are no rule: a period must be seen three times over
        ([3, 503, 1003], "3, 503, 1003"),
        ([1, 4, 9, 16, 25, 36, 49, 64], "1, 4, 9, 16, 25, 36, … (2 more)"),
    ],
)
def test_in_words(chosen: list[int], text: str) -> None:
    assert words(set(chosen)) == text


@given(
    most=st.integers(1, 120),
    start=st.integers(1, 60),
    period=st.integers(1, 20),
    data=st.data(),
)
def test_a_rule_is_exact_and_no_longer_than_what_made_the_set(
    most: int, start: int, period: int, data: st.DataObject
) -> None:
    """Against the definition: residues from a start on, anything before."""
    residues = data.draw(st.sets(st.integers(0, period - 1)))
    before = data.draw(st.sets(st.integers(1, start)))
    chosen = {s for s in range(1, most + 1) if (s in before if s < start else s % period in residues)}
    rule = find_rule(chosen, most)
    text = describe(chosen, rule)
    assert (text == "none") == (not chosen)
    if rule is None:
        return
    assert {size for size in range(-5, most + 50) if size in rule} == chosen
    assert rule.most == most
    assert all(0 <= residue < rule.period for residue in rule.residues)
    assert 3 * rule.period <= most - rule.start + 1
    # no smaller start or divisor of the period does
    tail = [size in chosen for size in range(rule.start, most + 1)]
    for divisor in range(1, rule.period):
        if rule.period % divisor == 0:
            assert tail[divisor:] != tail[:-divisor]


@given(chosen=st.sets(st.integers(1, 60)))
def test_runs_hold_each_size_once(chosen: set[int]) -> None:
    found = runs(chosen)
    assert sorted(size for first, last in found for size in range(first, last + 1)) == sorted(chosen)
    assert all(second - last > 1 for (_, last), (second, _) in pairwise(found))
