"""Linear maps, matrix products and attention."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from cnncalc.layers.activation import Softmax
from cnncalc.layers.attention import ScaledDotProductAttention
from cnncalc.layers.linear import Linear
from cnncalc.layers.merge import Add, Matmul, Multiply
from cnncalc.layers.reduce import Sum
from cnncalc.torch.capture.operators import shape as shapes
from cnncalc.torch.capture.operators.merge import by_number
from cnncalc.torch.capture.operators.reduce import reduced
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


@captures("linear", owns=("weight", "bias"), multiplies=True)
def linear(tracer: Tracer, call: Call, x: Value, weight: Value, bias: Value | None) -> Value:
    """``F.linear``; by a weight that is computed a matrix product."""
    weights = tracer.owned(call, "weight", "bias")
    if weights is not None and len(weight.shape) == 2:
        x.axis(-1)
        return tracer.one(Linear(out=weight.shape[0], bias=bias is not None), x, weights)
    out = product(tracer, x, shapes.transposed(tracer, weight))
    return out if bias is None else tracer.merged(Add(), out, bias)


@captures("matmul", "bmm", "mm", "__matmul__", multiplies=True)
def matmul(tracer: Tracer, call: Call) -> Value:
    """``torch.matmul``"""
    return product(tracer, *list(call.arguments.values())[:2])


@captures("addmm", "baddbmm", multiplies=True)
def addmm(tracer: Tracer, call: Call, x: Value, alpha: float, beta: float) -> Value:
    """``beta·input + alpha·(a·b)``"""
    out = by_number(tracer, product(tracer, *list(call.arguments.values())[1:3]), "multiply", alpha)
    return out if beta == 0 else tracer.merged(Add(), by_number(tracer, x, "multiply", beta), out)


def product(tracer: Tracer, first: Value, second: Value) -> Value:
    """The matrix product of the last two axes of two tensors; a vector is a matrix of one row or column.

    Its multiply-accumulates count as they are computed; ``torch.utils.flop_counter`` does not know ``mv``.
    """
    if len(first.shape) == 1:
        return shapes.squeezed(tracer, product(tracer, shapes.unsqueezed(tracer, first, 0), second), -2)
    if len(second.shape) == 1:
        return shapes.squeezed(tracer, product(tracer, first, shapes.unsqueezed(tracer, second, 1)), -1)
    rank = max(len(first.shape), len(second.shape))
    if second.batch is None and len(second.shape) == 2:
        # The rows may hold the batch: each sample then has the remaining factors.
        first.axis(-1)
        ref = tracer.ref(first)
        rows = tracer.shape(ref)
        if len(rows) == 1:
            ref = tracer.reshaped(ref, (1, *rows))
        other = tracer.reshaped(tracer.ref(second), (1,) * (len(tracer.shape(ref)) - 2) + second.shape)
        (made,) = tracer.emit(Matmul(), ref, other)
        return tracer.value(tracer.reshaped(made, (*rows[:-1], second.shape[1])), first.batch)
    if second.batch is None and first.batch is not None and first.batch.dim == len(first.shape) - 2:
        return _by_rows(tracer, first, second, rank, rows=True)
    if first.batch is None and second.batch is not None and second.batch.dim == len(second.shape) - 1:
        return _by_rows(tracer, second, first, rank, rows=False)
    for value in (first, second):
        if value.batch is not None and value.batch.dim >= len(value.shape) - 2:
            raise UnsupportedError("it multiplies matrices whose rows or columns are samples")
    refs, batch = tracer.together(first, second)
    return tracer.result(Matmul(), *refs, batch=batch)


def _by_rows(tracer: Tracer, own: Value, other: Value, rank: int, *, rows: bool) -> Value:
    """A product with a matrix that all samples share, where the rows (or columns) of ``own`` are samples too."""
    batch = own.batch
    assert batch is not None
    each = batch.before * batch.after
    matrix = (each, own.shape[-1]) if rows else (own.shape[-2], each)
    mine = tracer.reshaped(tracer.ref(own), (*(1,) * (rank - len(own.shape)), *own.shape[:-2], *matrix))
    theirs = tracer.reshaped(tracer.ref(other), (1,) * (rank - len(other.shape)) + other.shape)
    (made,) = tracer.emit(Matmul(), *((mine, theirs) if rows else (theirs, mine)))
    *leading, height, width = tracer.shape(made)
    shape = (*leading, *batch.factors, width) if rows else (*leading, height, *batch.factors)
    return tracer.value(tracer.reshaped(made, shape), batch.at(rank - (2 if rows else 1)))


@captures("scaled_dot_product_attention", multiplies=True)
def scaled_dot_product_attention(
    tracer: Tracer, call: Call, x: Value, key: Value, value: Value, attn_mask: Value | None
) -> Value:
    """``F.scaled_dot_product_attention``; with a mask or a scale of its own by its parts."""
    if call["enable_gqa"]:
        raise UnsupportedError("its heads share keys")
    usual = x.shape[-1] ** -0.5
    scale = usual if call["scale"] is None else call["scale"]
    if attn_mask is None and abs(scale - usual) < 1e-12:
        refs, batch = tracer.together(x, key, value)
        leading = torch.broadcast_shapes(*(tracer.shape(ref)[:-2] for ref in refs))
        refs = [tracer.expanded(ref, (*leading, *tracer.shape(ref)[-2:])) for ref in refs]
        return tracer.result(ScaledDotProductAttention(is_causal=call["is_causal"]), *refs, batch=batch)
    if call["is_causal"]:
        raise UnsupportedError("it is causal, with a scale of its own")
    scores = by_number(tracer, product(tracer, x, shapes.transposed(tracer, key)), "multiply", scale)
    if attn_mask is not None:
        scores = tracer.merged(Add(), scores, attn_mask)
    return product(tracer, tracer.one(Softmax(axis=scores.axis(-1)), scores), value)


# -- equations -------------------------------------------------------------------------------------


@captures("einsum", multiplies=True)
def einsum(tracer: Tracer, equation: str, tensors: list[Value]) -> Value:
    """``torch.einsum`` of one or two tensors, as moves of axes around one matrix product."""
    equation, tensors = equation.replace(" ", ""), list(tensors)
    terms, after = _terms(equation, tensors)
    sizes: dict[str, int] = {}
    for term, one in zip(terms, tensors, strict=True):
        for letter, size in zip(term, one.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise UnsupportedError(f"the equation '{equation}' with axes of size 1")
    for place, term in enumerate(terms):
        others = {*after, *"".join(other for one, other in enumerate(terms) if one != place)}
        alone = [dim for dim, letter in enumerate(term) if letter not in others]
        if alone:
            tensors[place] = reduced(tracer, tensors[place], alone, False, Sum)
            terms[place] = "".join(letter for letter in term if letter in others)
    if len(terms) == 1:
        return _ordered(tracer, tensors[0], terms[0], after)
    first, second = terms
    shared = [letter for letter in first if letter in second and letter in after]
    inner = [letter for letter in first if letter in second and letter not in after]
    rows = [letter for letter in first if letter not in second]
    columns = [letter for letter in second if letter not in first]
    if not inner:
        return _outer(tracer, tensors, terms, after)

    def grouped(value: Value, term: str, *groups: list[str]) -> Value:
        """The tensor with its shared axes first, and then each group of axes as one."""
        value = _ordered(tracer, value, term, [*shared, *(letter for group in groups for letter in group)])
        merged = (prod(sizes[letter] for letter in group) for group in groups)
        return shapes.viewed(tracer, value, (*(sizes[letter] for letter in shared), *merged))

    out = product(tracer, grouped(tensors[0], first, rows, inner), grouped(tensors[1], second, inner, columns))
    order = [*shared, *rows, *columns]
    out = shapes.viewed(tracer, out, tuple(sizes[letter] for letter in order))
    return _ordered(tracer, out, order, after)


def _ordered(tracer: Tracer, value: Value, term: Sequence[str], after: Sequence[str]) -> Value:
    """A tensor of these axes with the axes in another order."""
    return shapes.permuted(tracer, value, tuple(term.index(letter) for letter in after))


def _outer(tracer: Tracer, tensors: list[Value], terms: list[str], after: str) -> Value:
    """A product without a sum, element by element, as PyTorch computes it."""
    factors = []
    for term, value in zip(terms, tensors, strict=True):
        value = _ordered(tracer, value, term, sorted(term, key=after.index))
        for dim, letter in enumerate(after):
            if letter not in term:
                value = shapes.unsqueezed(tracer, value, dim)
        factors.append(value)
    return tracer.merged(Multiply(), *factors)


def _terms(equation: str, tensors: list[Value]) -> tuple[list[str], str]:
    """The letters of each tensor's axes and of the result's; axes of an ellipsis are digits.

    Raises:
        UnsupportedError: of three tensors and more, or with a letter twice in one of them.
    """
    before, arrow, after = equation.partition("->")
    terms = before.split(",")
    if len(terms) != len(tensors) or len(tensors) > 2:
        raise UnsupportedError(f"the equation '{equation}'")
    most = 0
    for place, (term, one) in enumerate(zip(terms, tensors, strict=True)):
        if "..." in term:
            more = len(one.shape) - (len(term) - 3)
            most = max(most, more)
            # the last ones are the same axes in all tensors
            terms[place] = term.replace("...", "".join(str(axis) for axis in reversed(range(more))))
    if not arrow:
        letters = "".join(terms)
        after = "..." + "".join(sorted(one for one in set(letters) if letters.count(one) == 1 and one.isalpha()))
    after = after.replace("...", "".join(str(axis) for axis in reversed(range(most))))
    if most > 9 or any(len(set(term)) != len(term) for term in (*terms, after)):
        raise UnsupportedError(f"the equation '{equation}'")
    return terms, after
