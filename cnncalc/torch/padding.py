"""What the fields of a window mean, read here once more, for the modules alone.

The claims read kernels, strides and paddings in :mod:`cnncalc.layers.axes`. Were the modules built
from that reading, a mistake in it would shift claim and measurement alike, and no comparison could
find it. So PyTorch gets the fields as they were written, and what it has no word for (padding that
differs between the ends, and ``same``) is worked out here from its own source.

Source of ``same``: "Notes on padding" in TensorFlow's documentation of ``tf.nn.convolution``.
"""

from __future__ import annotations

from typing import Any

Ends = tuple[int, int]


def each(value: Any, rank: int) -> tuple[Any, ...]:
    """A field's value for each of ``rank`` spatial axes."""
    return value if isinstance(value, tuple) else (value,) * rank


def explicit_ends(padding: Any, rank: int) -> tuple[Ends, ...]:
    """Pixels before and after along each axis, of an int, one per axis, or a pair per axis."""
    return tuple((one[0], one[1]) if isinstance(one, tuple) else (one, one) for one in each(padding, rank))


def same_ends(size: int, kernel: int, stride: int, dilation: int) -> Ends:
    """TensorFlow's ``SAME``: what the last stride leaves of the kernel is padded, the odd pixel behind.

    ``pad = max(filter − stride, 0)`` where the stride divides the size, else ``max(filter − size mod
    stride, 0)``; half of it, rounded down, goes before. A dilated filter counts with its holes.
    """
    taps_apart = range(0, kernel * dilation, dilation)
    extent = taps_apart[-1] + 1
    pad = max(extent - (size % stride or stride), 0)
    return pad // 2, pad - pad // 2


def ends(padding: Any, sizes: tuple[int, ...], kernel: Any, stride: Any, dilation: Any = 1) -> tuple[Ends, ...]:
    """Pixels before and after along each axis of an input of these spatial sizes, for any ``padding``."""
    rank = len(sizes)
    if padding == "same":
        return tuple(map(same_ends, sizes, each(kernel, rank), each(stride, rank), each(dilation, rank)))
    return explicit_ends(0 if padding == "valid" else padding, rank)


def symmetric(padding: Any, rank: int) -> tuple[int, ...] | None:
    """The padding as PyTorch's modules take it: one number per axis; ``None`` where that cannot say it."""
    if padding == "same":
        return None
    pairs = explicit_ends(0 if padding == "valid" else padding, rank)
    return tuple(before for before, _ in pairs) if all(before == after for before, after in pairs) else None


def flat(pairs: tuple[Ends, ...]) -> list[int]:
    """Pairs as ``torch.nn.functional.pad`` wants them: flat, the last axis first."""
    return [end for pair in reversed(pairs) for end in pair]
