"""The input sizes at which CNN101 says that nothing is lost: those at which the text's own net loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch import build
from tests.commands.conftest import Run

TEXTS = {
    "always": "padding: [[in_height % 2, 0], [0, 0]]",  # odd or even, one row is left over
    "threes": "padding: [[in_height % 3 // 2, 0], [0, 0]]",
    "large": "padding: '[[1, 0], [0, 0]] if in_height > 13 else 0'",
    "plain": "padding: 0",
}
HEIGHT, WIDTH = 10, 9


def net(padding: str) -> str:
    return f"input: [1, {HEIGHT}, {WIDTH}]\nlayers:\n  - conv: {{out: 1, kernel: 3, stride: 2, {padding}}}\n"


def loses(text: str, by: int) -> bool:
    """Whether some row of a longer input gets no gradient, in PyTorch; every size of the input is changed."""
    size = (1, HEIGHT + by, WIDTH + by)
    try:
        module = build(load_text(text, input=size))
    except CnncalcError:
        return True
    image = torch.rand(1, *size, requires_grad=True)
    torch.nn.init.ones_(next(module.parameters()))
    module(image).sum().backward()
    assert image.grad is not None
    return bool((image.grad.abs().sum(3) == 0).any())


@pytest.mark.parametrize("name", TEXTS)
def test_the_sizes_that_are_named(run: Run, tmp_path: Path, name: str) -> None:
    text = net(TEXTS[name])
    (tmp_path / "net.yaml").write_text(text)
    (found,) = json.loads(run("lint", tmp_path / "net.yaml", "--format", "json", "--select", "CNN101").out)["findings"]
    (axis,) = [axis for axis in found["numbers"]["axes"] if axis["axis"] == "height"]
    smaller = next((HEIGHT - by for by in range(1, HEIGHT - 2) if not loses(text, -by)), None)
    larger = next((HEIGHT + by for by in range(1, 65) if not loses(text, by)), None)
    assert axis["input_sizes"] == [size for size in (smaller, larger) if size is not None]
