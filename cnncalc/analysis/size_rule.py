"""A set of sizes as a rule: from some size on it is periodic.

Along one axis the sizes of a net are compositions of floors of affine maps, so that what they do to a
size depends, once no kernel is too large, on the size modulo the product of the strides. The rule is
found from the set itself and describes exactly the sizes that are in it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

REPEATS = 3
"""How often a period must occur within the range to be accepted."""

Run = tuple[int, int]


class Rule(NamedTuple):
    """The sizes of a set within ``1…most``: those of ``before``, and from ``start`` on those whose
    remainder by ``period`` is one of ``residues``.
    """

    before: tuple[Run, ...]
    start: int
    period: int
    residues: tuple[int, ...]
    most: int

    def __contains__(self, size: object) -> bool:
        if not isinstance(size, int) or not 1 <= size <= self.most:
            return False
        if size >= self.start:
            return size % self.period in self.residues
        return any(first <= size <= last for first, last in self.before)


def runs(sizes: Collection[int]) -> tuple[Run, ...]:
    """The first and the last of each run of neighbouring sizes, in order."""
    found: list[Run] = []
    for size in sorted(sizes):
        if found and size == found[-1][1] + 1:
            found[-1] = (found[-1][0], size)
        else:
            found.append((size, size))
    return tuple(found)


def find_rule(sizes: Collection[int], most: int) -> Rule | None:
    """The shortest rule that describes exactly these sizes of ``1…most``; ``None`` where a list of runs is as short.

    A rule's length is the number of runs before its start and within one period; of equal ones that of the
    smallest period is taken.
    """
    chosen = frozenset(sizes)
    if not chosen:
        return None
    bits = sum(1 << size for size in chosen)
    best, length = None, len(runs(chosen))
    for period in range(1, most // REPEATS + 1):
        # The last size that differs from the one a period later: the rule begins after it.
        differing = (bits ^ bits >> period) & ((2 << most - period) - 2)
        odd = max(0, differing.bit_length() - 1)
        if most - odd < REPEATS * period:
            continue
        cycle = bits >> odd + 1 & (1 << period) - 1
        if not cycle:
            continue
        before = bits & (2 << odd) - 1
        # Of the runs in a cycle the last is the first's neighbour.
        cost = _runs(before, before << 1) + max(1, _runs(cycle, cycle << 1 | cycle >> period - 1))
        if cost < length or (best is None and cost == length and period == 1):
            residues = (size % period for size in range(odd + 1, odd + 1 + period) if size in chosen)
            rule = Rule(runs([size for size in chosen if size <= odd]), odd + 1, period, tuple(sorted(residues)), most)
            best, length = rule, cost
    return best


def _runs(bits: int, neighbours: int) -> int:
    """How many runs of bits there are: those that begin one, without a neighbour below."""
    return (bits & ~neighbours).bit_count()


def describe(sizes: Collection[int], rule: Rule | None, *, most_runs: int = 6) -> str:
    """A set of sizes in words: by its rule, or by its runs if it has none."""
    if rule is None:
        listed = [_run_text(run) for run in runs(sizes)]
        more = f", … ({len(listed) - most_runs} more)" if len(listed) > most_runs else ""
        return ", ".join(listed[:most_runs]) + more or "none"
    first = min(size for size in range(rule.start, rule.most + 1) if size in rule)
    before = "".join(f"{_run_text(run)}, " for run in rule.before)
    return f"{before}{'and ' if before else ''}{_periodic_text(rule, first)}"


def _periodic_text(rule: Rule, first: int) -> str:
    period = rule.period
    if period == 1:
        return "every size" if first == 1 else f"every size from {first}"
    if period == 2:
        parity = "odd sizes" if rule.residues == (1,) else "even sizes"
        return parity + ("" if first <= 2 else f" from {first}")
    if rule.residues == (0,):
        return f"multiples of {period}" + ("" if first == period else f" from {first}")
    if len(rule.residues) == 1:
        return f"{period}·k + {rule.residues[0]} (k ≥ {first // period})"
    # Neighbours modulo the period in one run: {29…32} rather than {0, 29…31}.
    gap = next(residue for residue in range(period) if residue not in rule.residues)
    around = runs([residue if residue > gap else residue + period for residue in rule.residues])
    others = ", ".join(_run_text(run) for run in sorted((a % period, a % period + b - a) for a, b in around))
    return f"{period}·k + {{{others}}}" + (f" from {first}" if first >= period else "")


def _run_text(run: Run) -> str:
    first, last = run
    return f"{first}" if first == last else f"{first}…{last}"
