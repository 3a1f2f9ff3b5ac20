"""Parameters, and multiply-accumulates per sample (multiply these by the batch).

Sizes are given as products: ``taps`` = K_h·K_w, ``positions`` = H·W.
"""

from __future__ import annotations


def conv_weight_count(taps: int, in_channels: int, out_channels: int, groups: int) -> int:
    """Weights of a convolution without bias: ``K_h·K_w·(C_in/G)·C_out`` (Goodfellow, Bengio & Courville 2016,
    "Deep Learning", ch. 9; Howard et al. 2017, MobileNets, for groups).
    """
    return taps * (in_channels // groups) * out_channels


def conv_macs(positions: int, taps: int, in_channels: int, out_channels: int, groups: int) -> int:
    """Convolution: ``H_out·W_out·K_h·K_w·(C_in/G)·C_out`` (Goodfellow, Bengio & Courville 2016, "Deep
    Learning", ch. 9; Howard et al. 2017, MobileNets, arXiv:1704.04861, for groups).

    A transposed convolution scatters from every *input* position instead, so there ``positions`` is
    ``H_in·W_in``; the rest is the same.
    """
    return positions * conv_weight_count(taps, in_channels, out_channels, groups)


def matmul_macs(rows: int, inner: int, columns: int) -> int:
    """Matrix product (rows × inner)·(inner × columns): ``rows·inner·columns`` (Golub & Van Loan 2013,
    "Matrix Computations", §1.1).
    """
    return rows * inner * columns


def flops(macs: int) -> int:
    """One multiply-accumulate is two floating-point operations: ``2·MACs`` (``torch.utils.flop_counter``)."""
    return 2 * macs


def tensor_bytes(elements: int, width: int) -> int:
    """A tensor in memory: ``elements·b`` bytes for ``b`` bytes per element (``torch.Tensor.nbytes``)."""
    return elements * width
