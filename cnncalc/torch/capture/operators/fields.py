"""Arguments of ATen operators as the fields of layers."""

from __future__ import annotations

from typing import Any

from cnncalc.graph import Ref
from cnncalc.torch.capture.tracer import Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


def one_or_each(values: Any, rank: int) -> Any:
    """A list with one entry per axis as a field: one number where all are equal."""
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
        UnsupportedError: it is none.
    """
    if isinstance(value, (int, float)):
        return value
    raise UnsupportedError("a number of it depends on the data")


def feature_map(tracer: Tracer, value: Value, rank: int) -> Ref:
    """The tensor of a feature map of ``rank`` spatial axes, each sample by itself.

    Raises:
        UnsupportedError: it is none.
    """
    alone = value.batch is None or (value.batch.dim, value.batch.before, value.batch.after) == (0, 1, 1)
    if not alone or len(value.sample) != rank + 1:
        raise UnsupportedError(f"it works on samples that are merged with other axes, or not of {rank} spatial axes")
    return tracer.ref(value)
