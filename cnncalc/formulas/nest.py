"""A layer's equation as a loop nest, ``y[f(loops)] ⊕= Π operand[e(loops)]``, and the costs that follow from it.

A convolution is ``y[o, p] += w[o, c, k] · x[⌊o/O⌋·C + c, S·p − P + D·k]``: four kinds of loops (``p`` the output's
positions, ``k`` the taps, ``c`` the input channels of a group, ``o`` the output channels), a result and two
operands, each with an :class:`Index` for each of its axes. The nest of a transposed convolution is the same with
``x`` and ``y`` exchanged, and so is that of either's gradients: backpropagation exchanges the result and an operand.

``C`` and ``O`` are the channels of one group, ``S`` stride, ``P`` padding before, ``D`` dilation.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Literal, NamedTuple

from cnncalc.formulas import traffic

Source = int | str
"""What an operand is: the number of an input, the name of a weight, or ``~k`` for the result of the layer's nest k."""


class Term(NamedTuple):
    """``times·⌊loop/per⌋``"""

    loop: str
    times: int = 1
    per: int = 1


class Index(NamedTuple):
    """The place along one axis: ``Σ terms − before``."""

    terms: tuple[Term, ...]
    before: int = 0

    def loops(self) -> set[str]:
        """The loops that it moves with."""
        return {term.loop for term in self.terms}


class Operand(NamedTuple):
    """A tensor that a nest reads: what it is, its shape, and the index along each axis."""

    source: Source
    shape: tuple[int, ...]
    at: tuple[Index, ...]

    @property
    def learned(self) -> bool:
        """Whether it is a weight of the layer."""
        return isinstance(self.source, str)


class Nest(NamedTuple):
    """The equation ``output[…] ⊕= Π operands[…]`` for all rounds of the loops.

    ``loops`` gives each loop's extent, ``output`` and ``shape`` the index and size of each axis of the result.
    ``collect`` says how the rounds that meet at one element join, and ``start`` what a sum begins with (a bias).
    A round whose index leaves the result is skipped; one that leaves an operand reads a zero there, or what the
    padding mode ``border`` has there.
    """

    loops: dict[str, int]
    output: tuple[Index, ...]
    shape: tuple[int, ...]
    operands: tuple[Operand, ...]
    collect: Literal["sum", "max"] = "sum"
    start: Operand | None = None
    border: str = "zeros"

    def reaches(self, index: Index, size: int) -> bool:
        """Whether an index leaves its axis of ``size`` in some round."""
        last = sum(times * ((self.loops[loop] - 1) // per) for loop, times, per in index.terms)
        return index.before > 0 or last - index.before >= size

    def borders(self) -> Iterator[tuple[int, Index]]:
        """The axes that an index leaves in some rounds, which then add nothing."""
        read = self.operands if self.border == "zeros" else ()
        axes = [*zip(self.shape, self.output, strict=True)]
        axes += [axis for operand in read for axis in zip(operand.shape, operand.at, strict=True)]
        for size, index in axes:
            if self.reaches(index, size):
                yield size, index

    def exchanged(self) -> Nest:
        """The adjoint of a nest of one operand: with the operand as its result."""
        (operand,) = self.operands
        return self._replace(
            output=operand.at, shape=operand.shape, operands=(Operand(operand.source, self.shape, self.output),)
        )

    def split(self) -> Nest:
        """The same nest with each loop that an index divides, ``⌊l/d⌋``, as two: ``l = d·outer + inner``."""
        tensors = (self.output, *(operand.at for operand in self.operands))
        parts = {term.loop: term.per for at in tensors for index in at for term in index.terms if term.per != 1}
        if not parts:
            return self

        def split(index: Index) -> Index:
            terms: list[Term] = []
            for name, times, per in index.terms:
                if name not in parts:
                    terms.append(Term(name, times))
                    continue
                terms.append(Term(f"{name}/", times if per != 1 else times * parts[name]))
                terms += [Term(name, times)] if per == 1 else []
            return Index(tuple(terms), index.before)

        loops: dict[str, int] = {}
        for name, extent in self.loops.items():
            loops |= {f"{name}/": extent // parts[name], name: parts[name]} if name in parts else {name: extent}
        operands = tuple(operand._replace(at=tuple(map(split, operand.at))) for operand in self.operands)
        start = self.start and self.start._replace(at=tuple(map(split, self.start.at)))
        return self._replace(loops=loops, output=tuple(map(split, self.output)), operands=operands, start=start)


def loop(name: str, times: int = 1, per: int = 1) -> Index:
    """The index ``times·⌊name/per⌋``."""
    return Index((Term(name, times, per),))


def slid(number: int, stride: int, before: int, dilation: int) -> Index:
    """``S·p − P + D·k``: where tap ``k`` of the window at position ``p`` lies along axis ``number``."""
    return Index((Term(f"p{number}", stride), Term(f"k{number}", dilation)), before)


def grouped(channel: str, own: int, other: str, others: int, groups: int) -> Index:
    """A channel ``other`` of the group, of ``others`` channels there, that ``channel`` is in, with ``own`` others."""
    group = () if groups == 1 else (Term(channel, others, own),)
    return Index((*group, Term(other)))


def macs(nest: Nest) -> int:
    """Multiply-accumulates: one for each round of the loops (Goodfellow, Bengio & Courville 2016, "Deep Learning",
    ch. 9, for a convolution; Howard et al. 2017, MobileNets, arXiv:1704.04861, for groups; Golub & Van Loan 2013,
    "Matrix Computations", §1.1, for a matrix product).

    Of a convolution ``H_out·W_out·K_h·K_w·(C_in/G)·C_out``, of a transposed one ``H_in·W_in·K_h·K_w·C_in·(C_out/G)``,
    of a matrix product ``rows·inner·columns``.
    """
    return prod(nest.loops.values()) if len(nest.operands) > 1 else 0


def multiplied(nest: Nest) -> int:
    """The MACs that a direct algorithm cannot skip: both operands and the result lie within their tensors."""
    rounds, loops = 1, dict(nest.loops)
    for size, index in nest.borders():
        rounds *= traffic.pairs_inside(size, *_window(nest, index))
        loops = {name: extent for name, extent in loops.items() if name not in index.loops()}
    return rounds * prod(loops.values()) if len(nest.operands) > 1 else 0


def elements_used(nest: Nest, operand: Operand) -> int:
    """The elements of an operand, each of whose axes is one loop, that meet an element of all others in some round."""
    extents = {index.terms[0].loop: size for index, size in zip(operand.at, operand.shape, strict=True)}
    for size, index in nest.borders():
        *_, tap = index.terms
        if tap.loop in extents:
            extents[tap.loop] = traffic.taps_inside(size, *_window(nest, index))
    return prod(extents.values())


def _window(nest: Nest, index: Index) -> tuple[int, int, int, int, int]:
    """Positions, taps, stride, padding before and dilation of a sliding index."""
    position, tap = index.terms
    return nest.loops[position.loop], nest.loops[tap.loop], position.times, index.before, tap.times


def gradient_macs(nests: tuple[Nest, ...], wanted: tuple[bool, ...]) -> tuple[int, int]:
    """Multiply-accumulates of a backward pass: for the gradients of the ``wanted`` inputs and of the results between
    nests, and for those of the weights.

    Of a product ``Y = X·W`` each gradient (``∂L/∂W = Xᵀ·∂L/∂Y``, ``∂L/∂X = ∂L/∂Y·Wᵀ``) runs the same loops with two
    roles exchanged, so each costs what the forward product costs (Goodfellow et al. 2016, §6.5.6; for a convolution
    §9.5).
    """
    inner = learned = 0
    passed: dict[Source, bool] = dict(enumerate(wanted))
    for number, nest in enumerate(nests):
        for operand in nest.operands:
            learned += macs(nest) * operand.learned
            inner += macs(nest) * passed.get(operand.source, False)
        passed[~number] = any(operand.learned or passed[operand.source] for operand in nest.operands)
    return inner, learned
