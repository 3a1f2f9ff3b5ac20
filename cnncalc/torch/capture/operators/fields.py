"""Arguments of ATen operators as the fields of layers."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncalc.graph import Ref
from cnncalc.layers.base import Layer
from cnncalc.layers.shape import Transpose
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


def fields(call: Call, kind: type[Layer]) -> dict[str, Any]:
    """The layer's fields for which the operator has an argument of that name, or of one that people type for it.

    A list with a number for each axis is one number if all are equal; a dimension is an axis of the first argument.
    """
    found: dict[str, Any] = {}
    for name, value in call.arguments.items():
        field = kind.field_aliases.get(name, name)
        if field in kind.__struct_fields__ and isinstance(value, (int, float, str, list)) and value != []:
            found[field] = one_or_each(value) if isinstance(value, list) else value
    if "axis" in found:
        found["axis"] = call.tensors[0].axis(found["axis"])
    return found


def one_or_each(values: Any) -> Any:
    """One number if all are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def numbers(values: int | list[int]) -> list[int]:
    """A list, or one number as a list."""
    return [values] if isinstance(values, int) else values


def feature_map(tracer: Tracer, value: Value, rank: int) -> Ref:
    """The tensor of a feature map of ``rank`` spatial axes, each sample by itself.

    Raises:
        UnsupportedError: it is not one.
    """
    if not (value.batch is None or value.batch_first) or len(value.sample) != rank + 1:
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
    rank: int
    spread: bool

    def fields(self, call: Call, kind: type[Layer], **more: Any) -> dict[str, Any]:
        """The operator's arguments that are fields of the layer, with one for the further axis; ``more`` are others."""
        found = {**fields(call, kind), **more}
        if self.spread:
            for name in {"kernel", "stride", "padding", "dilation"} & found.keys():
                if not isinstance(found[name], str):
                    each = found[name] if isinstance(found[name], tuple) else (found[name],) * self.rank
                    found[name] = (int(name != "padding"), *each)
        return found

    def back(self, tracer: Tracer, ref: Ref) -> Value:
        """A layer's result, arranged as PyTorch has it."""
        if self.spread:
            (ref,) = tracer.emit(Transpose(axis0=0, axis1=1), ref)
        batch, own = self.value.batch, -self.rank - 1
        leading = self.value.shape[:own] if batch is None else batch.factors
        return tracer.value(tracer.reshaped(ref, leading + tracer.shape(ref)[own:]), batch)


def as_map(tracer: Tracer, value: Value, rank: int) -> Map:
    """A tensor as a feature map of ``rank`` spatial axes.

    Raises:
        UnsupportedError: it is not one.
    """
    batch = value.batch
    if batch is None and len(value.shape) == rank + 2 and value.shape[0] == 1:
        return Map(tracer.reshaped(tracer.ref(value), value.shape[1:]), value, rank, False)
    each = value.shape[0] if batch is None else batch.before * batch.after
    if (batch is not None and batch.dim) or len(value.shape) != rank + 2 or each == 1:
        return Map(feature_map(tracer, value, rank), value, rank, False)
    if rank > 2:
        raise UnsupportedError("it works on samples that are merged with other axes")
    ref = tracer.reshaped(tracer.ref(value), (each, *value.shape[1:]))
    (ref,) = tracer.emit(Transpose(axis0=0, axis1=1), ref)
    return Map(ref, value, rank, True)
