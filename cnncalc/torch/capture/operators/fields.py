"""Arguments of ATen operators as the fields of layers."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncalc.graph import Ref
from cnncalc.layers.shape import Transpose
from cnncalc.torch.capture.tracer import Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


def one_or_each(values: Any, rank: int) -> Any:
    """A list with one entry per axis as a field: one number if all are equal."""
    given = list(values) if isinstance(values, (list, tuple)) else [values]
    each = given * rank if len(given) == 1 else given
    return each[0] if all(one == each[0] for one in each) else tuple(each)


def numbers(values: Any) -> list[int]:
    """Whole numbers of a list, or of one.

    Raises:
        UnsupportedError: a size that depends on data.
    """
    given = list(values) if isinstance(values, (list, tuple)) else [values]
    if not all(isinstance(one, int) for one in given):
        raise UnsupportedError("a size of it depends on the data")
    return given


def number(value: Any) -> float:
    """A fixed number.

    Raises:
        UnsupportedError: it is not one.
    """
    if isinstance(value, (int, float)):
        return value
    raise UnsupportedError("a number of it depends on the data")


def feature_map(tracer: Tracer, value: Value, rank: int) -> Ref:
    """The tensor of a feature map of ``rank`` spatial axes, each sample by itself.

    Raises:
        UnsupportedError: it is not one.
    """
    alone = value.batch is None or (value.batch.dim, value.batch.before, value.batch.after) == (0, 1, 1)
    if not alone or len(value.sample) != rank + 1:
        raise UnsupportedError(f"it works on samples that are merged with other axes, or not of {rank} spatial axes")
    return tracer.ref(value)


class Map(NamedTuple):
    """A feature map, and the changes that made it one.

    A tensor of one sample and no batch (a learned map) loses its first axis. Where samples are merged with other axes,
    as windows are, or where there are several maps and no batch, these are a further spatial axis, the first, along
    which no window may reach: ``spread``.
    """

    ref: Ref
    value: Value
    spread: bool

    def each(self, values: Any, rank: int, along: int) -> Any:
        """A field of ``rank`` axes, with ``along`` for the further one."""
        field = one_or_each(values, rank)
        if not self.spread:
            return field
        return (along, *(field if isinstance(field, tuple) else (field,) * rank))

    def back(self, tracer: Tracer, ref: Ref, shape: tuple[int, ...]) -> Value:
        """The result, arranged as PyTorch has it."""
        if self.spread:
            (ref,) = tracer.emit(Transpose(axis0=0, axis1=1), ref)
        out = Value(shape, self.value.batch, None)
        return tracer.checked(Value(shape, self.value.batch, tracer.reshaped(ref, out.sample)))


def as_map(tracer: Tracer, value: Value, rank: int) -> Map:
    """A tensor as a feature map of ``rank`` spatial axes.

    Raises:
        UnsupportedError: it is not one.
    """
    batch = value.batch
    if batch is None and len(value.shape) == rank + 2 and value.shape[0] == 1:
        return Map(tracer.reshaped(tracer.ref(value), value.shape[1:]), value, False)
    each = value.shape[0] if batch is None else batch.before * batch.after
    if (batch is not None and batch.dim) or len(value.shape) != rank + 2 or each == 1:
        return Map(feature_map(tracer, value, rank), value, False)
    if rank > 2:
        raise UnsupportedError("it works on samples that are merged with other axes")
    ref = tracer.reshaped(tracer.ref(value), (each, *value.shape[1:]))
    (ref,) = tracer.emit(Transpose(axis0=0, axis1=1), ref)
    return Map(ref, value, True)
