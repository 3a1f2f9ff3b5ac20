"""A tensor of an exported net: its node in the graph, its shape in PyTorch, and the place of the batch in it.

The graph's shapes carry no batch. PyTorch's do, mostly as axis 0, but a net may move it (attention works on
``L×N×E``) or merge it with other axes (the windows of a Swin stage are ``N·windows×…``). Nothing is
guessed from sizes: the place of the batch is followed from operator to operator, and an operator that
would mix samples is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from cnncalc.errors import LayerError
from cnncalc.graph import Ref
from cnncalc.layers.base import Shape

BATCH = 997
"""The number of samples in the recorded sizes, once it is known which of them hold the batch: a prime that no net has
as a size. No net is run or exported with it, and no message shows it."""


class UnsupportedError(LayerError):
    """An operator, or a use of one, that no layer covers; the user sees the reason."""


class Batch(NamedTuple):
    """Axis ``dim`` has ``before·samples·after`` elements; the outermost factor first."""

    dim: int
    before: int = 1
    after: int = 1

    @property
    def factors(self) -> Shape:
        """What the samples are merged with: the axes of one sample in this place."""
        return tuple(size for size in (self.before, self.after) if size > 1)

    def at(self, dim: int) -> Batch:
        """The same in another dimension."""
        return self._replace(dim=dim)


@dataclass(slots=True, frozen=True, eq=False)
class Value:
    """One tensor.

    ``ref`` is its tensor in the graph, whose shape is ``sample``; ``None`` for what does not depend on the
    net's inputs or weights, until it meets something that does. ``name`` says what it is then.
    """

    shape: Shape
    batch: Batch | None
    ref: Ref | None = None
    name: str = ""

    @property
    def sample(self) -> Shape:
        """The shape without the batch: PyTorch's axes in their order, a merged one as its other factors."""
        return sample_shape(self.shape, self.batch)

    @property
    def batch_first(self) -> bool:
        """Whether the first dimension is the batch, and nothing else."""
        return self.batch == Batch(0)

    def dim(self, dim: int, beyond: int = 0) -> int:
        """A dimension counted from the front; ``beyond`` more of them are there (for ``unsqueeze``)."""
        rank = len(self.shape) + beyond
        return dim % rank if rank else 0

    def axes(self, dim: int) -> tuple[int, ...]:
        """The axes of ``sample`` for a PyTorch dimension: one, except for the one that holds the batch."""
        dim, batch = self.dim(dim), self.batch
        if batch is None or dim < batch.dim:
            return (dim,)
        factors = len(batch.factors)
        return tuple(range(dim, dim + factors)) if dim == batch.dim else (dim - 1 + factors,)

    def axis(self, dim: int) -> int:
        """The one axis of ``sample`` for a dimension.

        Raises:
            UnsupportedError: the batch lies in that dimension.
        """
        if self.batch is not None and self.batch.dim == self.dim(dim):
            raise UnsupportedError("it works along the axis that holds the batch")
        return self.axes(dim)[0]


def sample_shape(shape: Shape, batch: Batch | None) -> Shape:
    """A shape without the batch."""
    return shape if batch is None else (*shape[: batch.dim], *batch.factors, *shape[batch.dim + 1 :])


def whole_shape(sample: Shape, batch: Batch | None, samples: int) -> Shape:
    """PyTorch's shape of a tensor whose sample has this shape."""
    if batch is None:
        return sample
    rest = sample[batch.dim + len(batch.factors) :]
    return (*sample[: batch.dim], batch.before * samples * batch.after, *rest)


def written(shape: Shape, batch: Batch | None) -> str:
    """A shape for a message, with ``N`` for the samples: ``[N, 3, 224]``, ``[64·N, 49]``."""
    sizes = [str(size) for size in shape]
    if batch is not None:
        rest = batch.before * batch.after
        sizes[batch.dim] = f"{rest}·N" if rest > 1 else "N"
    return f"[{', '.join(sizes)}]"


def reshaped(value: Value, shape: Shape, samples: int) -> Batch | None:
    """Where the batch is once the elements, in their order, have this shape.

    Of the elements after the batch's factor there are as many as before, so the factor must lie in the
    one dimension whose elements reach across that place; of one sample the first of size 1 that stands there.

    Raises:
        UnsupportedError: it lies across the border of two dimensions.
    """
    if value.batch is None:
        return None
    behind = value.batch.after * prod(value.shape[value.batch.dim + 1 :])
    if samples == 1:
        for dim, size in enumerate(shape):
            if size == 1 and prod(shape[dim:]) == behind:
                return Batch(dim)
    rest = 1
    for dim in reversed(range(len(shape))):
        if rest * shape[dim] >= behind * samples:
            after, over = divmod(behind, rest)
            before, left = divmod(shape[dim], after * samples) if after else (0, 1)
            if over or left:
                break
            return Batch(dim, before, after)
        rest *= shape[dim]
    raise UnsupportedError("the batch is mixed with other axes")


def new_batch(shape: Shape, samples: int) -> Batch | None:
    """The batch in a shape of unknown origin: the one dimension of its size."""
    found = [dim for dim, size in enumerate(shape) if size == samples > 1]
    return Batch(found[0]) if len(found) == 1 else None


def guessed_batch(shape: Shape, samples: int) -> Batch | None:
    """The batch in the output of an unknown operator: the first dimension that is a multiple of it."""
    if samples == 1:
        return Batch(0) if shape[:1] == (1,) else None
    for dim, size in enumerate(shape):
        if size and size % samples == 0:
            return Batch(dim, 1, size // samples)
    return None
