"""Products with real input: the pairs of an output and a tap, and the taps, that do not only see padding.

Symbols along one axis: H input size, O output size, K kernel, S stride, P padding before, D dilation.
"""

from __future__ import annotations


def floor_sum(count: int, divisor: int, step: int, offset: int) -> int:
    """``Σ ⌊(step·i + offset)/divisor⌋`` for ``0 ≤ i < count``, in as many rounds as Euclid's algorithm takes (Graham,
    Knuth & Patashnik 1994, "Concrete Mathematics", §3.5).
    """
    total = 0
    while count > 0:
        whole, step = divmod(step, divisor)
        more, offset = divmod(offset, divisor)
        total += count * (count - 1) // 2 * whole + count * more
        # the rest are the lattice points below a line, counted along the other axis
        count, offset = divmod(step * count + offset, divisor)
        divisor, step = step, divisor
    return total


def pairs_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Pairs of an output and a tap that fall on the input, not on its padding: ``#{(o, k) : 0 ≤ o·S + k·D − P < H}``
    for ``0 ≤ o < O`` and ``0 ≤ k < K``.
    """

    def up_to(place: int) -> int:
        """``#{(o, k) : o·S + k·D ≤ place}``: for each output, none to all of the taps."""
        some = min(max(place // stride + 1, 0), output_size)
        every = min(max((place - (kernel - 1) * dilation) // stride + 1, 0), output_size)
        rest = some - every
        return every * kernel + rest + floor_sum(rest, dilation, stride, place - (some - 1) * stride)

    return 0 if min(output_size, kernel) < 1 else up_to(size - 1 + before) - up_to(before - 1)


def taps_inside(size: int, output_size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Taps that fall on the input for at least one output; the others only see padding.

    Tap ``k`` does where ``(k·D − P) mod S < H``, unless already the first output lies after the input, or even the
    last one before it.
    """
    first = max(-((stride * (output_size - 1) - before) // dilation), 0)
    last = min((before + size - 1) // dilation, kernel - 1)
    offset = first * dilation - before
    return floor_sum(last - first + 1, stride, dilation, offset) - floor_sum(
        last - first + 1, stride, dilation, offset - min(size, stride)
    )
