"""Every layer class, on inputs that lie in memory in any way, against PyTorch: strides, what is kept, the peak."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import PackageNotFoundError
from random import Random

import pytest
import torch
from torch import Tensor

from cnncalc.layers import REGISTRY, tape
from cnncalc.layers.base import Layer, ShortForm
from cnncalc.layers.norm import GroupNorm, InstanceNorm, RmsNorm
from cnncalc.layers.tape import Held, Tape
from cnncalc.torch.memory import ONLY_IN_TRAINING, several_threads
from tests.memory.measure import claimed, draw_layer, draw_tensor, measured

CHANGED = [(RmsNorm(), (2, 9)), (InstanceNorm(track_running_stats=True), (2, 11)), (GroupNorm(groups=2), (2, 14))]
"""What PyTorch changed in the memory of a layer, and the first version that has the change."""


def compare(seed: int, seen: Counter[str]) -> None:
    rng = Random(seed)
    drawn = draw_layer(rng)
    if drawn is None:
        return
    layer, shapes = drawn
    training = seed % 2 == 1
    batch = rng.randint(1, 3)
    inputs: list[Tensor] = [draw_tensor(rng, (batch, *shape)) for shape in shapes]
    if len(inputs) > 1 and shapes[0] == shapes[1] and rng.random() < 0.2:
        inputs[1] = inputs[0]
    if training:
        for x in inputs:
            x.requires_grad_(rng.random() < 0.7)
    found = measured(layer, inputs, training)
    if isinstance(found, str):
        assert any(refusal in found for refusal in ONLY_IN_TRAINING)
        return
    seen[layer.kind] += 1
    ours = claimed(layer, inputs, training)
    assert ours == found, f"seed {seed}: {layer} of {[(tuple(x.shape), x.stride()) for x in inputs]}"


def compare_all(seeds: range) -> Counter[str]:
    seen: Counter[str] = Counter()
    torch.manual_seed(0)
    with several_threads():
        for seed in seeds:
            compare(seed, seen)
    return seen


def test_layers_on_inputs_that_lie_in_any_way() -> None:
    seen = compare_all(range(900))
    kinds = {kind for kind, layer in REGISTRY.items() if layer.drawn and not issubclass(layer, ShortForm)}
    assert set(seen) == kinds


@pytest.mark.slow
def test_layers_on_many_inputs_that_lie_in_any_way() -> None:
    compare_all(range(900, 15_000))


@pytest.mark.parametrize(("layer", "since"), CHANGED)
def test_a_layer_takes_what_it_takes_in_the_version_of_pytorch_that_runs(
    layer: Layer, since: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(2, 6, 4, 5).transpose(1, 2)
    found = measured(layer, [x], training=False)
    assert claimed(layer, [x], training=False) == found
    there = tape.torch_version() >= since
    monkeypatch.setattr(tape, "torch_version", lambda: (since[0], since[1] - 1) if there else since)
    assert claimed(layer, [x], training=False) != found


def test_without_pytorch_the_newest_version_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    assert tape.torch_version.__wrapped__() == tuple(map(int, torch.__version__.split(".")[:2]))
    monkeypatch.setattr("importlib.metadata.version", none)
    assert tape.torch_version.__wrapped__() == tape.NEWEST_TORCH >= max(since for _, since in CHANGED)


def test_a_layer_that_does_not_say_has_no_false_zero() -> None:
    before = dict(REGISTRY)
    try:

        class Halved(Layer, frozen=True):
            """Half of everything."""

            def output_shape(self, *inputs):
                return inputs[0]

        written = Tape(1, 2, True, 4)
        (out,) = Halved().forward(written, Held((2, 3, 4), (12, 4, 1), 0, 4, False))
        assert out.shape == (2, 3, 4)
        assert written.sizes == [2 * 3 * 4 * 4]
        assert written.unknown == ["halved does not say which tensors its forward pass makes and keeps"]
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
