"""What nets use and PyTorch lacks. ``cnncalc convert`` copies each of these into the code that uses it, so they
need nothing but ``torch``, ``nn``, ``F`` and ``Tensor``, and their lines are at most 88 characters long.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def center_crop(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """The middle of the last axes; of an odd rest the smaller part is cut off before."""
    for axis, wanted in enumerate(size, x.dim() - len(size)):
        x = x.narrow(axis, (x.shape[axis] - wanted) // 2, wanted)
    return x


def take(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """Elements along one axis; the index is that of the first sample, and counts around."""
    axis = axis % x.dim()
    chosen = index[0].long() % x.shape[axis]
    return x[(slice(None),) * axis + (chosen,)]


def per_sample(x: Tensor, other: Tensor) -> Tensor:
    """The tensor, the same for all samples or not, once for each sample of another."""
    return x.expand(len(other), *x.shape[1:])


class LearnedTensor(nn.Module):
    """A learned tensor, given as a batch of one; positive at first."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.rand(shape) * 0.1)

    def forward(self) -> Tensor:
        """The tensor, as a batch of one."""
        return self.weight[None]


class FixedTensor(nn.Module):
    """A tensor that is not learned, given as a batch of one: a buffer, or beside them.

    Its elements count up from 0 until it is given others.
    """

    def __init__(self, shape: tuple[int, ...], buffer: bool) -> None:
        super().__init__()
        self.shape = shape
        self.buffer = buffer
        self.weight: Tensor
        count = torch.Size(shape).numel()
        self.value = torch.arange(count, dtype=torch.get_default_dtype()).reshape(shape)
        if buffer:
            self.register_buffer("weight", self.value.clone())

    def forward(self) -> Tensor:
        """The tensor, as a batch of one."""
        return self.weight[None] if self.buffer else self.value[None]

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]
        """Moves the value with the module."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.value = fn(self.value)
        return self


class StochasticDepth(nn.Module):
    """In training, zero for whole samples (row) or for the whole batch; else scaled."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """The input itself in evaluation."""
        if not self.training or self.p == 0:
            return x
        kept = 1 - self.p
        shape = (x.shape[0] if self.mode == "row" else 1, *(1,) * (x.dim() - 1))
        keep = torch.bernoulli(torch.full(shape, kept, dtype=x.dtype, device=x.device))
        return x * (keep / kept if kept else keep)


class LayerScale(nn.Module):
    """Product with one learned factor per channel, at every place of so many axes."""

    def __init__(self, channels: int, init_value: float, axes: int = 2) -> None:
        super().__init__()
        self.channels = channels
        self.init_value = init_value
        self.axes = axes
        self.weight = nn.Parameter(torch.full((channels, *[1] * axes), init_value))

    def forward(self, x: Tensor) -> Tensor:
        """The scaled input."""
        return x * self.weight
