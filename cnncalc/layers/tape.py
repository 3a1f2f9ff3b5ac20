"""A layer's forward pass as a list of tensors made, kept for the backward pass, and freed.

Layers record it with the operations of a :class:`Tape`, on tensors that are shapes, strides and the
number of a storage (:class:`Held`), in the order in which PyTorch runs them; nothing is computed.
Sizes include the batch. Memory that a kernel uses inside one operation is not a tensor of the program and is not
seen.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import NamedTuple

from cnncalc.layers import strides as layout
from cnncalc.layers.base import Shape

WEIGHT = -1
"""The storage of all weights and buffers, which exist anyway."""
INDEX_BYTES = 8
"""Bytes of an index into another tensor: int64."""
NEWEST_TORCH = (2, 15)
"""Major and minor version of the newest PyTorch that the tapes were compared with."""


@cache
def torch_version() -> tuple[int, ...]:
    """Major and minor version of the PyTorch that tapes follow: the one installed, or else the newest known.

    Read from the package's metadata, so that nothing imports PyTorch.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return tuple(map(int, version("torch").split(".")[:2]))
    except PackageNotFoundError:
        return NEWEST_TORCH


class Held(NamedTuple):
    """A tensor: shape and strides (batch first), its storage, bytes per element, whether it gets a gradient."""

    shape: Shape
    strides: Shape
    storage: int
    element: int
    grad: bool

    @property
    def lies(self) -> tuple[Shape, Shape]:
        """Shape and strides."""
        return self.shape, self.strides

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in the order of their indices."""
        return layout.is_contiguous(*self.lies)


class Event(NamedTuple):
    """One storage is made or freed."""

    made: bool
    storage: int


class Tape:
    """The pass of one layer while it is recorded.

    ``inputs``: its inputs, which have the first storage numbers. ``batch``: samples. ``training``:
    whether dropout drops, batch statistics are taken, and autograd keeps tensors.
    """

    def __init__(self, inputs: int, batch: int, training: bool, element: int) -> None:
        self.batch = batch
        self.training = training
        self.element = element
        self.inputs = inputs
        self.sizes: list[int] = []
        self.events: list[Event] = []
        self.kept: dict[int, None] = {}
        self.unknown: list[str] = []

    @property
    def torch(self) -> tuple[int, ...]:
        """Major and minor version of the PyTorch whose pass this is."""
        return torch_version()

    # -- tensors -----------------------------------------------------------------------------------

    def new(
        self,
        shape: Shape,
        *sources: Held,
        keep: tuple[Held, ...] = (),
        strides: Shape | None = None,
        element: int | None = None,
        room: int = 0,
    ) -> Held:
        """A tensor with a new storage, made from ``sources``: contiguous, unless ``strides`` are given.

        The storage has room for ``room`` elements if that is more than the shape has.

        If a source gets a gradient, so does the tensor, and autograd keeps the tensors ``keep``.
        """
        size = self.element if element is None else element
        storage = self.inputs + len(self.sizes)
        self.sizes.append(max(prod(shape), room) * size)
        self.events.append(Event(True, storage))
        out = Held(
            shape, layout.contiguous(shape) if strides is None else strides, storage, size, self._any_grad(sources)
        )
        self.keep(out, *keep)
        return out

    def indices(self, shape: Shape) -> Held:
        """A tensor of indices into another, which gets no gradient."""
        return self.new(shape, element=INDEX_BYTES)

    def keep(self, out: Held, *tensors: Held) -> None:
        """Autograd keeps ``tensors`` for the gradient of ``out``, if it gets one."""
        if out.grad:
            self.kept.update(dict.fromkeys(tensor.storage for tensor in tensors if tensor.storage != WEIGHT))

    def _any_grad(self, sources: tuple[Held, ...]) -> bool:
        return self.training and any(source.grad for source in sources)

    def weight(self, *shape: int, learnable: bool = True) -> Held:
        """A weight of the layer, or a buffer."""
        return Held(shape, layout.contiguous(shape), WEIGHT, self.element, self.training and learnable)

    def free(self, *tensors: Held) -> None:
        """Frees tensors before the layer is done; all others but the outputs are freed at its end."""
        self.events += [Event(False, tensor.storage) for tensor in tensors if tensor.storage >= self.inputs]

    # -- operations --------------------------------------------------------------------------------

    def formatted(self, shape: Shape, x: Held, *others: Held, keep: tuple[Held, ...] = ()) -> Held:
        """A new tensor, channels last where ``x`` is."""
        return self.new(shape, x, *others, keep=keep, strides=layout.formatted(shape, x.lies))

    def pointwise(self, *sources: Held, keep: tuple[Held, ...] = (), scalar: bool = False) -> Held:
        """The result of a pointwise operation, axes of size 1 broadcast; ``scalar``: one operand is a number."""
        shape = sources[0].shape
        for source in sources[1:]:
            longer, shorter = sorted((shape, source.shape), key=len, reverse=True)
            missing = len(longer) - len(shorter)
            both = zip(longer[missing:], shorter, strict=True)
            shape = (*longer[:missing], *(b if a == 1 else a for a, b in both))
        operands = [source.lies for source in sources] + ([((), ())] if scalar else [])
        return self.new(shape, *sources, keep=keep, strides=layout.pointwise(shape, operands))

    def alike(self, x: Held, *sources: Held, keep: tuple[Held, ...] = ()) -> Held:
        """A new tensor with the layout of ``x``."""
        return self.new(x.shape, x, *sources, keep=keep, strides=layout.preserved(*x.lies))

    def in_format(self, x: Held, like: Held) -> Held:
        """``x`` itself, or a copy in the usual order or channels last, whichever ``like`` suggests."""
        strides = layout.formatted(x.shape, like.lies)
        return x if layout.lies_as(*x.lies, strides) else self.new(x.shape, x, strides=strides)

    def joined(self, shape: Shape, *inputs: Held) -> Held:
        """``torch.cat``: channels last where all inputs are."""
        each = [x if x.shape[0] == shape[0] else self.expand(x, (shape[0], *x.shape[1:])) for x in inputs]
        return self.new(shape, *inputs, strides=self.joined_strides(shape, *each))

    def joined_strides(self, shape: Shape, *inputs: Held) -> Shape:
        """Strides of the result of ``torch.cat``."""
        last = all(0 not in x.shape and layout.suggests_channels_last(*x.lies) for x in inputs)
        return layout.channels_last(shape) if last else layout.contiguous(shape)

    def padded(self, x: Held, sizes: Shape, mode: str = "zeros") -> Held:
        """``x`` in new spatial ``sizes``; reflected and replicated padding keeps its input."""
        shape = (*x.shape[:2], *sizes)
        if mode == "zeros" and shape == x.shape:
            return self.alike(x)
        if mode == "circular":
            return self.new(shape, x)
        return self.formatted(shape, x, keep=() if mode == "zeros" else (x,))

    def convolved(
        self,
        shape: Shape,
        x: Held,
        kernel: Shape,
        groups: int,
        *,
        transposed: bool = False,
        weight: Held | None = None,
    ) -> Held:
        """A convolution, whose output is channels last where its input is; one spatial axis is run as two.

        Over three axes PyTorch's own kernels run where oneDNN's do not (``use_mkldnn`` in
        ``aten/src/ATen/native/Convolution.cpp``, here for more than one thread). Those do not support channels
        last, and the transposed one writes its output into a tensor that it first made as large as the input.
        """
        factor = self.weight() if weight is None else weight
        if len(shape) == 3:
            usual = x if x.is_contiguous else x._replace(strides=layout.contiguous(x.shape))  # copied in the kernel
            flat = self.convolved((*shape[:2], 1, shape[2]), self.unsqueeze(usual, 2), kernel, groups, weight=weight)
            return self.squeeze(flat, 2)
        one_dnn = x.shape[0] > 1 or groups > 1 or prod(x.shape[:-1]) > 20480 or min(kernel[-2:]) > 3
        if len(shape) == 4 or (one_dnn and self.element < 8):
            return self.formatted(shape, x, factor, keep=(x, factor))
        room = prod(x.shape) if transposed and groups == 1 else 0
        return self.new(shape, x, factor, keep=(x, factor), room=room)

    def max_pooled(self, shape: Shape, x: Held) -> Held:
        """A sliding maximum, which keeps its input and the indices of the maxima; one axis is run as two."""
        if len(shape) == 3:
            return self.squeeze(self.max_pooled((*shape[:2], 1, shape[2]), self.unsqueeze(x, 2)), 2)
        return self._with_places(self.formatted(shape, x, keep=(x,)))

    def adaptive_max_pooled(self, shape: Shape, x: Held) -> Held:
        """The same to a given size; over three spatial axes it is never channels last."""
        return self._with_places(self.new(shape, x, keep=(x,))) if len(shape) == 5 else self.max_pooled(shape, x)

    def _with_places(self, out: Held) -> Held:
        places = self.indices(out.shape)
        self.keep(out, places)
        self.free(places)
        return out

    def mean_pooled(self, shape: Shape, x: Held) -> Held:
        """A sliding average, which keeps its input; over three spatial axes it is never channels last."""
        if len(shape) == 3:
            return self.squeeze(self.mean_pooled((*shape[:2], 1, shape[2]), self.unsqueeze(x, 2)), 2)
        strides = layout.formatted(shape, x.lies) if len(shape) == 4 else None
        return self.new(shape, x, keep=(x,), strides=strides)

    def averaged(self, shape: Shape, x: Held) -> Held:
        """Average pool to a given size; to one unit it is a mean, which keeps nothing."""
        if any(size > 1 for size in shape[2:]):
            return self.mean_pooled(shape, x)
        if len(shape) == 3:
            return self.squeeze(self.averaged((*shape, 1), self.unsqueeze(x, 2)), 2)
        return self.formatted(shape, x)

    def normalised(self, x: Held, weight: Held, statistics: Shape, strides: Shape | None = None) -> Held:
        """A norm, which makes and keeps mean and deviation of the shape ``statistics`` and keeps its input."""
        out = self.new(x.shape, x, weight, keep=(x,), strides=strides)
        if statistics:
            both = (self.new(statistics), self.new(statistics))
            self.keep(out, *both)
            self.free(*both)
        return out

    def batch_normalised(self, x: Held, weight: Held, statistics: Shape) -> Held:
        """A norm over the batch, which keeps channels last."""
        last = layout.channels_last(x.shape)
        if x.is_contiguous:
            strides = None
        elif len(x.shape) in (4, 5) and layout.lies_as(*x.lies, last):
            strides = last
        else:
            strides = layout.formatted(x.shape, x.lies)
        return self.normalised(x, weight, statistics, strides)

    def product(self, first: Held, second: Held) -> Held:
        """``first·second``, element by element: each is kept for the other's gradient."""
        return self.pointwise(first, second, keep=self.factors(first, second))

    def factors(self, first: Held, second: Held) -> tuple[Held, ...]:
        """What a product keeps: each factor where the other gets a gradient."""
        return ((first,) if second.grad else ()) + ((second,) if first.grad else ())

    def quotient(self, first: Held, second: Held) -> Held:
        """``first/second``: the divisor is kept, and the dividend where the divisor gets a gradient."""
        return self.pointwise(first, second, keep=((first, second) if second.grad else (second,)))

    def matrix_product(self, first: Held, second: Held) -> Held:
        """``torch.matmul`` of two batches of matrices: broadcast, made one batch (a copy if needed), multiplied."""
        shape, rows, columns = _broadcast_matrices(first.shape, second.shape)
        one, other = (
            self.reshape(self.expand(t, (*shape, *t.shape[-2:])), (prod(shape), *t.shape[-2:])) for t in (first, second)
        )
        out = self.new((prod(shape), rows, columns), one, other, keep=self.factors(one, other))
        self.free(*(made for made, given in ((one, first), (other, second)) if made.storage != given.storage))
        return self.view(out, (*shape, rows, columns), layout.contiguous((*shape, rows, columns)))

    def linear(self, x: Held, weight: Held, bias: Held | None) -> Held:
        """``torch.nn.functional.linear``: one product that includes the bias where ``x`` is contiguous."""
        shape = (*x.shape[:-1], weight.shape[0])
        flat = (prod(shape[:-1]), shape[-1])
        fused = bias is not None and (len(shape) == 2 or x.is_contiguous)
        rows = self.reshape(x, (flat[0], x.shape[-1]))
        sources = (rows, weight, bias) if fused and bias is not None else (rows, weight)
        out = self.new(flat, *sources, keep=(rows, weight))
        if rows.storage != x.storage:
            self.free(rows)
        out = self.view(out, shape, layout.contiguous(shape))
        if bias is None or fused:
            return out
        summed = self.pointwise(out, bias)
        self.free(out)
        return summed

    # -- the same storage --------------------------------------------------------------------------

    def view(self, x: Held, shape: Shape, strides: Shape) -> Held:
        """The same storage under other axes."""
        return x._replace(shape=shape, strides=strides)

    def permute(self, x: Held, order: tuple[int, ...]) -> Held:
        """The axes in another order (batch first)."""
        return self.view(x, tuple(x.shape[a] for a in order), tuple(x.strides[a] for a in order))

    def expand(self, x: Held, shape: Shape) -> Held:
        """Axes of size 1 repeated, without a copy."""
        steps = (0 if have == 1 != want else step for have, want, step in zip(x.shape, shape, x.strides, strict=True))
        return self.view(x, shape, tuple(steps))

    def narrow(self, x: Held, axis: int, size: int, step: int = 1) -> Held:
        """Some units of an axis (batch first)."""
        strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :])
        return self.view(x, (*x.shape[:axis], size, *x.shape[axis + 1 :]), strides)

    def unsqueeze(self, x: Held, axis: int) -> Held:
        """A new axis of size 1 (batch first)."""
        step = x.shape[axis] * x.strides[axis] if axis < len(x.shape) else 1
        shape, strides = (*x.shape[:axis], 1, *x.shape[axis:]), (*x.strides[:axis], step, *x.strides[axis:])
        return self.view(x, shape, strides)

    def squeeze(self, x: Held, axis: int) -> Held:
        """Without an axis of size 1 (batch first)."""
        return self.view(x, (*x.shape[:axis], *x.shape[axis + 1 :]), (*x.strides[:axis], *x.strides[axis + 1 :]))

    def contiguous(self, x: Held) -> Held:
        """``x`` itself, or a copy in the order of its indices."""
        return x if x.is_contiguous else self.new(x.shape, x)

    def reshape(self, x: Held, shape: Shape) -> Held:
        """A view where the strides allow it, else a copy."""
        strides = layout.view(*x.lies, shape)
        return self.new(shape, x) if strides is None else self.view(x, shape, strides)


def _broadcast_matrices(first: Shape, second: Shape) -> tuple[Shape, int, int]:
    """The leading axes of a matrix product, its rows and its columns."""
    leading = tuple(b if a == 1 else a for a, b in zip(first[:-2], second[:-2], strict=True))
    return leading, first[-2], second[-1]
