"""Output sizes along one axis.

Symbols: H input size, K kernel, S stride, P_b and P_a padding before and after, D dilation.
Sources: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning"
(arXiv:1603.07285); the definitions in PyTorch's ``torch.nn`` documentation.
"""

from __future__ import annotations

Pair = tuple[int, int]


def effective_kernel(kernel: int, dilation: int) -> int:
    """Extent of a dilated kernel: ``(K − 1)·D + 1`` (Dumoulin & Visin 2016, §5.1)."""
    return (kernel - 1) * dilation + 1


def conv_output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Convolution and pooling: ``⌊(H + P_b + P_a − D(K−1) − 1)/S⌋ + 1`` (Dumoulin & Visin 2016, eq. 15)."""
    before, after = padding
    return (size + before + after - effective_kernel(kernel, dilation)) // stride + 1


def ceil_pool_output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Pooling with ``ceil_mode``: ``⌈(H + P_b + P_a − D(K−1) − 1)/S⌉ + 1``, less one where the last
    window would start beyond the input and the leading padding (``torch.nn.MaxPool2d``).
    """
    before, after = padding
    out = -((effective_kernel(kernel, dilation) - size - before - after) // stride) + 1
    return out - ((out - 1) * stride >= size + before)


def conv_transpose_output_size(
    size: int, kernel: int, stride: int, padding: Pair, dilation: int, output_padding: int
) -> int:
    """Transposed convolution: ``(H−1)·S − P_b − P_a + D(K−1) + output_padding + 1``
    (Dumoulin & Visin 2016, §4; ``torch.nn.ConvTranspose2d``).
    """
    before, after = padding
    return (size - 1) * stride - before - after + effective_kernel(kernel, dilation) + output_padding


def same_output_size(size: int, stride: int) -> int:
    """Output under ``same`` padding: ``⌈H/S⌉`` (TensorFlow and Keras)."""
    return -(-size // stride)


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Padding that gives ``⌈H/S⌉``: ``P = max((⌈H/S⌉ − 1)·S + D(K−1) + 1 − H, 0)``, the odd pixel after
    (TensorFlow and Keras).
    """
    need = (same_output_size(size, stride) - 1) * stride + effective_kernel(kernel, dilation) - size
    total = (need + abs(need)) // 2
    return total // 2, total - total // 2


def slice_size(start: int, stop: int, step: int) -> int:
    """Units from ``start`` to before ``stop``, every ``step``-th: ``⌈(stop − start)/step⌉``; none where that is
    negative (Python's slices).
    """
    return -((start - stop) // step)


def adaptive_window(index: int, size: int, output_size: int) -> Pair:
    """Input pixels ``[⌊i·H/O⌋, ⌈(i+1)·H/O⌉)`` that unit ``i`` of an adaptive pool reads
    (``torch.nn.AdaptiveAvgPool2d``).
    """
    return index * size // output_size, -(-(index + 1) * size // output_size)
