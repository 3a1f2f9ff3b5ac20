"""Nets whose sizes are known by hand, and the same nets in PyTorch alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PADDED_UNET = """\
name: padded_unet
input: [1, 64, 64]
blocks:
  double:
    args: {out: required}
    layers:
      - conv: {out: out, kernel: 3, padding: 1}
      - relu
      - conv: {out: out, kernel: 3, padding: 1}
      - relu
  up:
    args: {out: required, skip: required}
    layers:
      - conv_transpose: {out: out, kernel: 2, stride: 2}
      - concat: {from: [skip, -1]}
      - double: {out: out}
layers:
  - double: {name: down1, out: 4}
  - max_pool: 2
  - double: {name: down2, out: 6}
  - max_pool: 2
  - double: {name: down3, out: 8}
  - max_pool: 2
  - double: {name: down4, out: 10}
  - max_pool: 2
  - double: {name: bottom, out: 12}
  - up: {out: 10, skip: down4}
  - up: {out: 8, skip: down3}
  - up: {out: 6, skip: down2}
  - up: {out: 4, skip: down1}
  - conv: {out: 2, kernel: 1}
"""


class TorchUNet(nn.Module):
    """A U-Net of 4 levels written by hand: padded, or of valid convolutions with centre crops as in the paper.

    ``output_padding``: of the four transposed convolutions in turn, along height and width.
    """

    def __init__(self, *, padded: bool, output_padding: Sequence[tuple[int, int]] = ((0, 0),) * 4) -> None:
        super().__init__()
        pad = 1 if padded else 0
        widths = [4, 6, 8, 10, 12]

        def double(before: int, after: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, padding=pad), nn.ReLU(), nn.Conv2d(after, after, 3, padding=pad), nn.ReLU()
            )

        self.padded = padded
        self.down = nn.ModuleList(map(double, [1, *widths[:-1]], widths))
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, 2, output_padding=more)
            for a, b, more in zip(widths[:0:-1], widths[-2::-1], output_padding, strict=True)
        )
        self.up = nn.ModuleList(double(2 * width, width) for width in widths[-2::-1])

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for number, block in enumerate(self.down):
            x = block(self.pool(x) if number else x)
            skips.append(x)
        for grow, block, skip in zip(self.grow, self.up, skips[-2::-1], strict=True):
            x = grow(x)
            if not self.padded:
                top, left = ((have - want) // 2 for have, want in zip(skip.shape[2:], x.shape[2:], strict=True))
                skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = block(torch.cat([skip, x], 1))
        return x


def output_size(net: nn.Module, *size: int) -> tuple[int, ...] | None:
    """The spatial sizes that a net makes of these, on the meta device; ``None`` where PyTorch refuses."""
    try:
        return tuple(net.to("meta")(torch.empty(1, 1, *size, device="meta")).shape[2:])
    except RuntimeError:
        return None
