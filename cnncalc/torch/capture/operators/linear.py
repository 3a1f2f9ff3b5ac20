"""Linear maps and matrix products."""

from __future__ import annotations

from math import prod

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Shape
from cnncalc.layers.linear import Linear
from cnncalc.layers.merge import Matmul, Multiply
from cnncalc.layers.reduce import Sum
from cnncalc.torch.capture.operators import merge as merges
from cnncalc.torch.capture.operators import shape as shapes
from cnncalc.torch.capture.operators.fields import number
from cnncalc.torch.capture.operators.reduce import reduced
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


@captures("linear", owns=("weight", "bias"), multiplies=True)
def linear(tracer: Tracer, call: Call) -> Value:
    """``F.linear``; by a weight that is computed a matrix product."""
    x, weight = call["input"], call["weight"]
    weights = tracer.owned(call, weight="weight", bias="bias")
    if weights is not None and len(weight.shape) == 2:
        x.axis(-1)
        return tracer.one(Linear(out=weight.shape[0], bias=call["bias"] is not None), x, call.shape, weights)
    out = product(tracer, x, shapes.transposed(tracer, weight, -2, -1))
    return out if call["bias"] is None else merges.added(tracer, [out, call["bias"]], call.shape)


@captures("matmul", "bmm", "mm", "__matmul__", multiplies=True)
def matmul(tracer: Tracer, call: Call) -> Value:
    """``torch.matmul``"""
    first, second = list(call.arguments.values())[:2]
    return product(tracer, first, second)


@captures("addmm", "baddbmm", multiplies=True)
def addmm(tracer: Tracer, call: Call) -> Value:
    """``beta·input + alpha·(a·b)``"""
    first, second = list(call.arguments.values())[1:3]
    out = product(tracer, first, second)
    if number(call["alpha"]) != 1:
        out = tracer.one(Math(function="multiply", value=number(call["alpha"])), out)
    own = call["self"]
    if number(call["beta"]) == 0:
        return out
    if number(call["beta"]) != 1:
        own = tracer.one(Math(function="multiply", value=number(call["beta"])), own)
    return merges.added(tracer, [own, out], call.shape)


def product(tracer: Tracer, first: Value, second: Value) -> Value:
    """The matrix product of the last two axes of two tensors; a vector is a matrix of one row or column.

    Its multiply-accumulates count as they are computed; ``torch.utils.flop_counter`` does not know ``mv``.
    """
    if len(first.shape) == 1:
        out = product(tracer, shapes.unsqueezed(tracer, first, 0), second)
        return shapes.squeezed(tracer, out, -2)
    if len(second.shape) == 1:
        out = product(tracer, first, shapes.unsqueezed(tracer, second, 1))
        return shapes.squeezed(tracer, out, -1)
    rank = max(len(first.shape), len(second.shape))
    leading = merges.broadcast(first.shape[:-2], second.shape[:-2])
    shape = (*leading, first.shape[-2], second.shape[-1])
    if second.batch is None and len(second.shape) == 2:
        # The rows may hold the batch: each sample then has the remaining factors.
        first.axis(-1)
        ref = tracer.ref(first)
        rows = tracer.shape(ref)
        alone = len(rows) == 1
        if alone:
            ref = tracer.reshaped(ref, (1, *rows))
        other = tracer.reshaped(tracer.ref(second), (1,) * (len(tracer.shape(ref)) - 2) + second.shape)
        (made,) = tracer.emit(Matmul(), ref, other)
        out = Value(shape, first.batch, None)
        return tracer.checked(Value(shape, first.batch, tracer.reshaped(made, out.sample)))
    if second.batch is None and first.batch is not None and first.batch.dim == len(first.shape) - 2:
        return _by_rows(tracer, first, second, shape, rank, rows=True)
    if first.batch is None and second.batch is not None and second.batch.dim == len(second.shape) - 1:
        return _by_rows(tracer, second, first, shape, rank, rows=False)
    for value in (first, second):
        if value.batch is not None and value.batch.dim >= len(value.shape) - 2:
            raise UnsupportedError("it multiplies matrices whose rows or columns are samples")
    (one, other), batch = tracer.together([first, second], rank)
    (made,) = tracer.emit(Matmul(), one, other)
    return tracer.checked(Value(shape, batch, made))


def _by_rows(tracer: Tracer, own: Value, other: Value, shape: Shape, rank: int, *, rows: bool) -> Value:
    """A product with a matrix that all samples share, where the rows (or columns) of ``own`` are samples too."""
    batch = own.batch
    assert batch is not None
    each = batch.before * batch.after
    matrix = (each, own.shape[-1]) if rows else (own.shape[-2], each)
    leading = (1,) * (rank - len(own.shape)) + own.shape[:-2]
    mine = tracer.reshaped(tracer.ref(own), (*leading, *matrix))
    theirs = tracer.reshaped(tracer.ref(other), (1,) * (rank - len(other.shape)) + other.shape)
    (made,) = tracer.emit(Matmul(), *((mine, theirs) if rows else (theirs, mine)))
    batch = batch._replace(dim=len(shape) - (2 if rows else 1))
    out = Value(shape, batch, None)
    return tracer.checked(Value(shape, batch, tracer.reshaped(made, out.sample)))


@captures("einsum", multiplies=True)
def einsum(tracer: Tracer, call: Call) -> Value:
    """``torch.einsum`` of one or two tensors, as moves of axes around one matrix product."""
    equation, tensors = call["equation"].replace(" ", ""), list(call["tensors"])
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
        return shapes.permuted(tracer, tensors[0], tuple(terms[0].index(letter) for letter in after))
    first, second = terms
    shared = [letter for letter in first if letter in second and letter in after]
    inner = [letter for letter in first if letter in second and letter not in after]
    rows = [letter for letter in first if letter not in second]
    columns = [letter for letter in second if letter not in first]
    if not inner:
        return _outer(tracer, tensors, terms, after, sizes)
    one = _grouped(tracer, tensors[0], first, shared, rows, inner, sizes)
    other = _grouped(tracer, tensors[1], second, shared, inner, columns, sizes)
    out = product(tracer, one, other)
    order = [*shared, *rows, *columns]
    out = shapes.viewed(tracer, out, tuple(sizes[letter] for letter in order))
    return shapes.permuted(tracer, out, tuple(order.index(letter) for letter in after))


def _outer(tracer: Tracer, tensors: list[Value], terms: list[str], after: str, sizes: dict[str, int]) -> Value:
    """A product without a sum, element by element, as PyTorch computes it."""
    factors = []
    for term, value in zip(terms, tensors, strict=True):
        order = sorted(term, key=after.index)
        value = shapes.permuted(tracer, value, tuple(term.index(letter) for letter in order))
        for dim, letter in enumerate(after):
            if letter not in term:
                value = shapes.unsqueezed(tracer, value, dim)
        factors.append(value)
    return merges.merged(tracer, Multiply(), factors, tuple(sizes[letter] for letter in after))


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


def _grouped(
    tracer: Tracer,
    value: Value,
    term: str,
    shared: list[str],
    first: list[str],
    second: list[str],
    sizes: dict[str, int],
) -> Value:
    """A tensor with its shared axes first, and then two groups of axes, each as one."""
    value = shapes.permuted(tracer, value, tuple(term.index(letter) for letter in (*shared, *first, *second)))
    groups = (prod(sizes[letter] for letter in group) for group in (first, second))
    return shapes.viewed(tracer, value, (*(sizes[letter] for letter in shared), *groups))
