"""Nets that no memory holds: one message before anything is made, and one where PyTorch finds out."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import torch

from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch import room
from cnncalc.torch.bench import measure
from cnncalc.torch.module import Net
from cnncalc.torch.verify import CHECKS, verify

pytestmark = pytest.mark.torch

HUGE = {
    "an axis": ("[1, 400000000000000]", "tanh"),
    "an axis whose bytes are no number": ("[1, 9000000000000000000]", "tanh"),
    "a weight": ("[8]", "linear: {out: 40000000000000}"),
    "a map within": ("[1, 8, 8]", "upsample: {size: 100000000}"),
    "a constant": ("[4]", "constant: {shape: [4611686018427387904]}"),
    "padding": ("[2, 64]", "pad: {padding: 30000000000000}"),
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("checks", [CHECKS, ("shape",), ("init",), ("peak",), ("pixels",), ("values",)], ids=len)
def test_what_no_memory_holds_is_refused_before_anything_is_made(name: str, checks: tuple[str, ...]) -> None:
    shape, layer = HUGE[name]
    graph = load_text(f"input: {shape}\nlayers:\n  - {layer}\n  - identity\n")
    if name == "a weight" and "init" not in checks and checks in (("pixels",), ("values",)):
        pytest.skip("narrowed, it fits")
    tracemalloc.start()
    with pytest.raises(CnncalcError, match=r"not enough memory: .* needs at least .* of .*\n  hint: a smaller"):
        verify(graph, checks=checks)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_a_batch_that_no_memory_holds_is_refused() -> None:
    graph = load_text("input: [1, 8, 8]\nlayers: [tanh]\n")
    for run in (lambda: verify(graph, batch=10**14, checks=("shape",)), lambda: measure(graph, batch=10**14)):
        with pytest.raises(CnncalcError, match="not enough memory"):
            run()


def test_pixels_of_an_axis_too_long_for_sets_of_them_are_refused() -> None:
    graph = load_text("input: [1, 100000000]\nlayers: [tanh]\n")
    with pytest.raises(CnncalcError, match="not enough memory: what each of 100,000,000 units sees"):
        verify(graph, checks=("pixels",))


@pytest.mark.parametrize(
    "message",
    ["[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 160", None],
)
def test_where_pytorch_finds_no_memory_it_is_said_so(message: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*args: Any) -> None:
        if message is None:
            torch.empty(1 << 61)
        raise RuntimeError(message)

    graph = load_text("input: [1, 8, 8]\nlayers: [tanh]\n")
    monkeypatch.setattr(room, "bytes_there", lambda device: None)
    monkeypatch.setattr(Net, "start", no_room)
    for run in (lambda: verify(graph, checks=("shape",)), lambda: measure(graph)):
        with pytest.raises(CnncalcError, match=r"not enough memory: .*\n  hint: a smaller --batch"):
            run()
