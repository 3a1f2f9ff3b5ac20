"""Normalisation: over the batch (running statistics), over axes, over groups of channels, across channels.

All is as in evaluation: batch_norm uses its running statistics. PyTorch refuses a few tiny inputs in
training alone; those are taken here. Elementwise operations of statistics over n elements: the mean takes n
(n − 1 additions, 1 division), the differences n, the variance 2n (squares; additions and a
division), ``1/√(variance + eps)`` 3, the product with it n.
"""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from cnncalc.errors import LayerError
from cnncalc.formulas.receptive_field import sliding_window
from cnncalc.layers import strides as layout
from cnncalc.layers.axes import channels, check_rank, few_spatial, spatial
from cnncalc.layers.base import (
    EVERYTHING,
    Call,
    Elementwise,
    Positive,
    Reads,
    Shape,
    Weight,
    along,
    normal_axis,
    pointwise,
)

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

Epsilon = Annotated[float, Meta(ge=0)]


def normalisation_ops(elements: int, sets: int) -> int:
    """Operations that bring ``elements`` to zero mean and unit variance in ``sets`` equal parts: 5 each, 3 per set."""
    return 5 * elements + 3 * sets


def running_statistics(channels: int) -> tuple[Weight, ...]:
    """The buffers of a norm that tracks statistics, as PyTorch names them."""
    return (
        Weight("running_mean", (channels,), learnable=False),
        Weight("running_var", (channels,), learnable=False),
        Weight("num_batches_tracked", (), learnable=False),
    )


def scale_and_shift(shape: Shape, scale: bool = True, shift: bool = True) -> tuple[Weight, ...]:
    """A learnable factor and summand, each if wanted."""
    names = (*(("weight",) if scale else ()), *(("bias",) if shift else ()))
    return tuple(Weight(name, shape, multiplies=False) for name in names)


def normalised_axes(axes: int | tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """The axes to normalise over, in order; ``None`` is all of them.

    Raises:
        LayerError: an axis that does not exist or is given twice, or no axis.
    """
    if axes is None and rank:
        return tuple(range(rank))
    given = axes if isinstance(axes, tuple) else () if axes is None else (axes,)
    chosen = tuple(sorted({normal_axis(axis, rank, field="axes") for axis in given}))
    if len(chosen) != len(given) or not chosen:
        raise LayerError(
            f"axes {list(given)} must name each axis once" if given else "axes must name at least one axis",
            field="axes",
        )
    return chosen


def norm_call(layer: Elementwise, shape: Shape, *, training: bool = False) -> tuple[Call, ...]:
    """The one call of a norm's module, with the shape of the learned factor where it has one."""
    factor = next((weight.shape for weight in layer.weights(shape) if weight.name == "weight"), None)
    return (Call(layer.kind, (shape,), shape, weight=factor, training=training),)


def axes_last(axes: int | tuple[int, ...] | None, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The order that puts ``axes`` last (of ``rank`` axes, the batch among them), the way back, and their number."""
    last = [axis + 1 for axis in normalised_axes(axes, rank - 1)]
    order = (*(axis for axis in range(rank) if axis not in last), *last)
    return order, tuple(order.index(axis) for axis in range(rank)), len(last)


def reads_whole(shape: Shape, whole: tuple[int, ...]) -> tuple[Reads, ...]:
    """Pointwise except for the axes ``whole``, which every output reads from end to end."""
    return (tuple(EVERYTHING if axis in whole else along(axis) for axis in range(len(shape))),)


class BatchNorm(Elementwise, frozen=True):
    """Batch normalisation by running statistics, as ``torch.nn.BatchNorm2d`` in evaluation.

    Elementwise operations: 2 per element, the folded scale and shift. Without running statistics
    (``track_running_stats: false``) the batch's own are taken even then: per element 5 (mean,
    difference, square and sum, product), 1 for the weight and 1 for the bias where they are, and
    3 per channel, if the batch is one sample.
    """

    role = "channel norm"
    torch_name = "BatchNormNd"
    aliases = ("bn", "batchnorm", "batch_norm1d", "batch_norm2d", "batch_norm3d")
    ops_per_element = 2

    eps: Epsilon = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        channels(inputs[0])
        check_rank(inputs[0])
        if not self.track_running_stats and self.eps == 0:
            raise LayerError("eps must be above 0 without running statistics", field="eps")
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        count = inputs[0][0]
        learned = scale_and_shift((count,)) if self.affine else ()
        return (*learned, *running_statistics(count)) if self.track_running_stats else learned

    def elementwise_ops(self, *inputs: Shape) -> int:
        elements = prod(inputs[0])
        if self.track_running_stats:
            return self.ops_per_element * elements
        return normalisation_ops(elements, inputs[0][0]) + 2 * self.affine * elements

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return norm_call(self, *inputs, training=not self.track_running_stats)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        own = tape.training or not self.track_running_stats
        return tape.batch_normalised(x, tape.weight(learnable=self.affine), (x.shape[1],) if own else ())

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        return (pointwise(shape),) if self.track_running_stats else reads_whole(shape, tuple(range(1, len(shape))))


class LayerNorm(Elementwise, frozen=True):
    """Normalisation of each sample over ``axes`` (0 = channels); over all of them where not given.

    ``axes: [0]`` is the norm over channels alone that ConvNeXt uses; the last axes are
    ``torch.nn.LayerNorm``. The weights have the sizes of those axes. Elementwise operations: 5 per
    element (mean, difference, square and sum, product), 1 for the weight and 1 for the bias where
    they are, and 3 per set that is normalised.
    """

    role = "norm"
    torch_name = "LayerNorm"
    aliases = ("ln", "layernorm")
    field_aliases: ClassVar[dict[str, str]] = {"axis": "axes", "dim": "axes"}
    ops_per_element = 5

    axes: int | tuple[int, ...] | None = None
    eps: Epsilon = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        normalised_axes(self.axes, len(inputs[0]))
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        sizes = tuple(shape[axis] for axis in normalised_axes(self.axes, len(shape)))
        return scale_and_shift(sizes, self.elementwise_affine, self.elementwise_affine and self.bias)

    def elementwise_ops(self, *inputs: Shape) -> int:
        (shape,) = inputs
        over = normalised_axes(self.axes, len(shape))
        sets = prod(size for axis, size in enumerate(shape) if axis not in over)
        return normalisation_ops(prod(shape), sets) + len(self.weights(shape)) * prod(shape)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return norm_call(self, *inputs)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        order, back, count = axes_last(self.axes, len(inputs[0].shape))
        x = tape.permute(inputs[0], order)
        statistics = (*x.shape[:-count], *(1 for _ in range(count)))
        return tape.permute(tape.normalised(x, tape.weight(learnable=self.elementwise_affine), statistics), back)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        return reads_whole(shape, normalised_axes(self.axes, len(shape)))


class RmsNorm(Elementwise, frozen=True):
    """Division of each sample by its root mean square over ``axes`` (Zhang & Sennrich 2019); all where not given.

    The last axes are ``torch.nn.RMSNorm``. Elementwise operations: 3 per element (square, sum and
    division, product), 1 for the weight where there is one, and 3 per set that is normalised (eps, root, reciprocal).
    """

    role = "norm"
    torch_name = "RMSNorm"
    aliases = ("rmsnorm",)
    field_aliases: ClassVar[dict[str, str]] = {"axis": "axes", "dim": "axes"}
    ops_per_element = 3

    axes: int | tuple[int, ...] | None = None
    eps: Epsilon | None = None
    elementwise_affine: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        normalised_axes(self.axes, len(inputs[0]))
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        sizes = tuple(shape[axis] for axis in normalised_axes(self.axes, len(shape)))
        return scale_and_shift(sizes, scale=self.elementwise_affine, shift=False)

    def elementwise_ops(self, *inputs: Shape) -> int:
        (shape,) = inputs
        over = normalised_axes(self.axes, len(shape))
        sets = prod(size for axis, size in enumerate(shape) if axis not in over)
        return (self.ops_per_element + self.elementwise_affine) * prod(shape) + 3 * sets

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return norm_call(self, *inputs)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        order, back, count = axes_last(self.axes, len(inputs[0].shape))
        x = tape.permute(inputs[0], order)
        squares = tape.pointwise(x, keep=(x,))
        mean = tape.new((*x.shape[:-count], *(1 for _ in range(count))), squares)
        reciprocal = tape.pointwise(mean)
        tape.keep(reciprocal, reciprocal)
        tape.free(squares, mean)
        out = tape.product(x, reciprocal)
        if self.elementwise_affine:
            scaled = tape.product(out, tape.weight(*x.shape[-count:]))
            tape.free(out)
            out = scaled
        if tape.torch >= (2, 9):
            out = tape.in_format(out, x)
        return tape.permute(out, back)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        return reads_whole(shape, normalised_axes(self.axes, len(shape)))


def check_more_than_one(count: int, what: str) -> None:
    """Statistics of a single value normalise it to 0 whatever it is; PyTorch refuses that.

    Raises:
        LayerError: there is only one value.
    """
    if count == 1:
        raise LayerError(
            f"{what} holds a single value, which normalises to 0 whatever it is",
            hint="put the norm where the feature map is larger, or use batch_norm or layer_norm",
        )


class GroupNorm(Elementwise, frozen=True):
    """Normalisation of each sample over ``groups`` of channels and all of space, as ``torch.nn.GroupNorm``.

    A group of one value is refused, as PyTorch does for a batch of one. Elementwise operations: 5
    per element (mean, difference, square and sum, product), 2 for weight and bias where they are,
    and 3 per group.
    """

    role = "norm"
    torch_name = "GroupNorm"
    aliases = ("gn", "groupnorm")
    field_aliases: ClassVar[dict[str, str]] = {"num_groups": "groups"}
    ops_per_element = 5

    groups: Positive
    eps: Epsilon = 1e-5
    affine: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if channels(shape) % self.groups:
            raise LayerError(
                f"groups {self.groups} does not divide the {shape[0]} channels",
                field="groups",
                hint="group_norm needs a number of channels that is a multiple of groups",
            )
        check_more_than_one(prod(shape) // self.groups, "each group")
        return shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return scale_and_shift((inputs[0][0],)) if self.affine else ()

    def elementwise_ops(self, *inputs: Shape) -> int:
        elements = prod(inputs[0])
        return normalisation_ops(elements, self.groups) + 2 * self.affine * elements

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return norm_call(self, *inputs)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        if tape.torch < (2, 14):  # since then the copy is made within the operation (pytorch/pytorch#186414)
            x = tape.in_format(x, x)
        strides = layout.formatted(x.shape, x.lies)
        return tape.normalised(x, tape.weight(learnable=self.affine), (tape.batch, self.groups), strides)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        return reads_whole(shape, tuple(range(len(shape))))

    def narrowed(self, divisor: int, *inputs: Shape) -> GroupNorm:
        return replace(self, groups=gcd(self.groups, inputs[0][0]))


class InstanceNorm(Elementwise, frozen=True):
    """Normalisation of each channel of each sample over space, as ``torch.nn.InstanceNorm2d``.

    One spatial element is refused, as in PyTorch. Elementwise operations: 5 per element (mean,
    difference, square and sum, product), 2 for weight and bias where they are, and 3 per channel.
    With ``track_running_stats`` it is, in evaluation, a batch norm: 2 per element.
    """

    role = "channel norm"
    torch_name = "InstanceNormNd"
    aliases = ("instancenorm", "instance_norm1d", "instance_norm2d", "instance_norm3d")
    ops_per_element = 5

    eps: Epsilon = 1e-5
    momentum: float | None = 0.1
    affine: bool = False
    track_running_stats: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        elements = prod(few_spatial(shape))
        if not self.track_running_stats:
            check_more_than_one(elements, "each channel")
        return shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        count = inputs[0][0]
        learned = scale_and_shift((count,)) if self.affine else ()
        return (*learned, *running_statistics(count)) if self.track_running_stats else learned

    def elementwise_ops(self, *inputs: Shape) -> int:
        elements = prod(inputs[0])
        if self.track_running_stats:
            return 2 * elements
        return normalisation_ops(elements, inputs[0][0]) + 2 * self.affine * elements

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return norm_call(self, *inputs)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        own = tape.training or not self.track_running_stats
        channels = (tape.batch * x.shape[1],)  # it is a batch norm of one sample, the weights once for each
        learned = [tape.new(channels, tape.weight()) for _ in range(2 * self.affine)]
        running = [tape.new(channels) for _ in range(2 * self.track_running_stats)]
        flat = tape.reshape(tape.contiguous(x), (1, *channels, *x.shape[2:]))
        out = tape.batch_normalised(
            flat, learned[0] if learned else tape.weight(learnable=False), channels if own else ()
        )
        tape.keep(out, *learned[:1], *running)
        if running and (own or tape.torch < (2, 11)):  # before, evaluation wrote the means back too, unchanged
            for _ in running:
                tape.free(tape.new((x.shape[1],)))
        return tape.view(out, x.shape, layout.contiguous(x.shape))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        return (pointwise(shape),) if self.track_running_stats else reads_whole(shape, tuple(range(1, len(shape))))


class LocalResponseNorm(Elementwise, frozen=True):
    """Division by ``(k + alpha/size · Σ x²)^beta`` over ``size`` neighbouring channels (Krizhevsky et al. 2012),
    as ``torch.nn.LocalResponseNorm``.

    Elementwise operations: ``size + 4`` per element: 1 square, ``size − 1`` additions, a product, an
    addition, a power and a division; every neighbourhood taken as full.
    """

    torch_name = "LocalResponseNorm"
    aliases = ("lrn",)
    symbols: ClassVar[dict[str, str]] = {"size": "n"}
    ops_per_element = 4

    size: Positive
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def output_shape(self, *inputs: Shape) -> Shape:
        spatial(inputs[0])
        return inputs[0]

    def elementwise_ops(self, *inputs: Shape) -> int:
        return (self.ops_per_element + self.size) * prod(inputs[0])

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        (shape,) = inputs
        # the squares are averaged over neighbouring channels by a pool over an axis of their own
        pool = "avg_pool2d" if len(shape) == 2 else "avg_pool3d"
        padded = (1, shape[0] + self.size // 2 + (self.size - 1) // 2, *shape[1:])
        return (
            Call("mul", inputs, shape, patched="Tensor.mul"),
            Call(pool, (padded,), shape, patched=f"F.{pool}"),
            Call("mul", inputs, shape, patched="Tensor.mul"),
            Call("add", inputs, shape, patched="Tensor.add"),
        )

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        x = tape.contiguous(inputs[0])
        squares = tape.product(x, x)
        shape = (tape.batch, x.shape[1] + self.size - 1, *x.shape[2:])
        padded = tape.new(shape, squares)
        tape.free(squares)
        mean = tape.new(x.shape, padded, keep=(padded,))
        tape.free(padded)
        scaled = tape.pointwise(mean)
        shifted = tape.pointwise(scaled)
        tape.free(scaled)
        power = tape.pointwise(shifted, keep=(shifted,))
        tape.free(shifted, mean)
        return tape.quotient(x, power)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        channels = along(0, sliding_window(self.size, 1, self.size // 2, 1))
        return ((channels, *pointwise(shape)[1:]),)
