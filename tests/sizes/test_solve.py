"""The inverse question against PyTorch: every solution does it, and none within the bounds is missing."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from msgspec import UNSET
from torch import nn

from cnncalc.analysis.solve import MOST_DILATION, MOST_KERNEL, MOST_STRIDE, SolutionReport, Wanted, solvable, solve
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY

MODULES = {
    "conv": lambda **fields: nn.Conv1d(1, 1, fields.pop("kernel"), **fields),
    "conv_transpose": lambda **fields: nn.ConvTranspose1d(1, 1, fields.pop("kernel"), **fields),
    "max_pool": lambda **fields: nn.MaxPool1d(fields.pop("kernel"), **fields),
    "avg_pool": lambda **fields: nn.AvgPool1d(fields.pop("kernel"), **fields),
}


def measured(kind: str, size: int, fields: dict[str, int]) -> int | None:
    """The output size of PyTorch's module; ``None`` where PyTorch refuses."""
    try:
        module = MODULES[kind](**fields).to("meta")
        return module(torch.empty(1, 1, size, device="meta")).shape[2]
    except RuntimeError:
        return None


def fields_of(one: SolutionReport) -> dict[str, int]:
    """The window's fields that the layer has."""
    fields = ((name, getattr(one, name)) for name in ("kernel", "stride", "padding", "dilation", "output_padding"))
    return {name: value for name, value in fields if value is not UNSET}


def key(fields: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, value) for name, value in fields.items() if value is not False))


@pytest.mark.parametrize(("kind", "size", "out"), [("conv", 13, 5), ("max_pool", 9, 4), ("avg_pool", 9, 3)])
def test_nothing_is_missing(kind: str, size: int, out: int) -> None:
    """By brute force: kernels up to 5, all strides and pads and dilations within the bounds."""
    found = {}
    for kernel in range(1, 6):
        found |= {key(fields_of(one)): one for one in solve(REGISTRY[kind], Wanted(((size, out),), kernel=kernel))}
    dilations = range(1, MOST_DILATION + 1) if kind != "avg_pool" else (None,)
    count = 0
    for kernel, stride, dilation in product(range(1, 6), range(1, MOST_STRIDE + 1), dilations):
        if kernel == 1 and dilation not in (1, None):
            continue  # says nothing
        extent = (kernel - 1) * (dilation or 1) + 1
        for padding in range(extent):
            fields = {"kernel": kernel, "stride": stride, "padding": padding}
            fields |= {"dilation": dilation} if dilation else {}
            does = measured(kind, size, dict(fields)) == out
            assert (key(fields) in found) == does, fields
            count += does
    assert count == len(found) > 5


def test_nothing_is_missing_of_transposed_convolutions() -> None:
    found = {key(fields_of(one)) for one in solve(REGISTRY["conv_transpose"], Wanted(((5, 11),), kernel=3, dilation=1))}
    expected = set()
    for stride, padding, more in product(range(1, MOST_STRIDE + 1), range(3), range(MOST_STRIDE)):
        fields = {"kernel": 3, "stride": stride, "padding": padding, "dilation": 1, "output_padding": more}
        if more < stride and measured("conv_transpose", 5, dict(fields)) == 11:
            expected.add(key(fields))
    assert found == expected
    # (5 − 1)·2 + 3 = 11, and (5 − 1)·3 + 3 − 2·2 = 11; no other stride is near enough for a padding below 3.
    assert len(found) == 2


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize(("size", "out"), [(224, 56), (7, 1), (28, 56), (15, 15), (14, 27)])
def test_every_solution_does_it(kind: str, size: int, out: int) -> None:
    for one in solve(REGISTRY[kind], Wanted(((size, out),)))[:60]:
        assert measured(kind, size, fields_of(one)) == out, one
        assert one.kernel <= MOST_KERNEL


@pytest.mark.parametrize(
    ("kind", "size", "out", "first"),
    [
        # what people write
        ("conv", 224, 224, ["conv: {kernel: 1, stride: 1}", "conv: {kernel: 3, stride: 1, padding: 1}"]),
        ("conv", 224, 112, ["conv: {kernel: 2, stride: 2}", "conv: {kernel: 3, stride: 2, padding: 1}"]),
        ("conv", 224, 56, ["conv: {kernel: 4, stride: 4}", "conv: {kernel: 7, stride: 4, padding: 3}"]),
        ("max_pool", 112, 56, ["max_pool: {kernel: 2, stride: 2}", "max_pool: {kernel: 3, stride: 2, padding: 1}"]),
        ("avg_pool", 7, 1, ["avg_pool: {kernel: 7, stride: 1}"]),
        (
            "conv_transpose",
            28,
            56,
            ["conv_transpose: {kernel: 2, stride: 2}", "conv_transpose: {kernel: 4, stride: 2, padding: 1}"],
        ),
    ],
)
def test_the_natural_ones_come_first(kind: str, size: int, out: int, first: list[str]) -> None:
    texts = [one.settings for one in solve(REGISTRY[kind], Wanted(((size, out),)))]
    found = [text for text in texts if text in first]
    assert found == first
    assert texts[0] == first[0]


def test_lost_and_skipped_pixels_come_last_and_are_told() -> None:
    """A 2×2 pool makes 3 of 7 too and loses one; a 1×1 convolution of stride 2 skips every other pixel."""
    pool = solve(REGISTRY["max_pool"], Wanted(((7, 3),), kernel=2, stride=2, dilation=1))
    assert [(one.padding, one.lost, one.skipped) for one in pool] == [(0, 1, 0)]
    (conv,) = solve(REGISTRY["conv"], Wanted(((8, 4),), kernel=1))
    assert (conv.lost, conv.padding_left, conv.skipped) == (0, 1, 1)
    several = solve(REGISTRY["conv"], Wanted(((23, 11),)))
    assert [one.lost for one in several] == sorted(one.lost for one in several)


def test_several_sizes_at_once() -> None:
    both = {key(fields_of(one)) for one in solve(REGISTRY["conv"], Wanted(((224, 112), (225, 113))))}
    first = {key(fields_of(one)) for one in solve(REGISTRY["conv"], Wanted(((224, 112),)))}
    second = {key(fields_of(one)) for one in solve(REGISTRY["conv"], Wanted(((225, 113),)))}
    assert both == first & second
    assert both


def test_ceil_mode() -> None:
    """9 → 5 with a 2×2 pool only where the last window may stick out; PyTorch agrees about all of them."""
    wanted = Wanted(((9, 5),), stride=2, ceil_mode=True)
    found = solve(REGISTRY["max_pool"], wanted)
    assert {"kernel": 2, "stride": 2, "padding": 0, "dilation": 1} in [fields_of(one) for one in found]
    assert all(measured("max_pool", 9, {**fields_of(one), "ceil_mode": True}) == 5 for one in found)
    assert all("ceil_mode: true" in one.settings for one in found)
    plain = solve(REGISTRY["max_pool"], Wanted(((9, 5),), stride=2, kernel=2, padding=0, dilation=1))
    assert plain == []


def test_which_layers_can_be_asked_about() -> None:
    assert [kind for kind, layer in REGISTRY.items() if solvable(layer)] == [
        "conv",
        "conv_transpose",
        "max_pool",
        "avg_pool",
        "lp_pool",
    ]
    # one without padding and dilation
    assert [fields_of(one) for one in solve(REGISTRY["lp_pool"], Wanted(((8, 4),)))] == [
        {"kernel": 2, "stride": 2},
        {"kernel": 5, "stride": 1},
        {"kernel": 1, "stride": 2},
    ]


@pytest.mark.parametrize(
    ("kind", "pair", "fixed", "first"),
    [
        ("conv", (10**9, 1), {"kernel": 10**9}, {"kernel": 10**9, "stride": 1, "padding": 0, "dilation": 1}),
        ("conv", (224, 10**9), {"kernel": 10**9, "dilation": 1}, None),
        ("conv", (224, 224), {"dilation": 10**9, "kernel": 3}, {"padding": 10**9, "stride": 1}),
        ("conv_transpose", (8, 10**9), {"kernel": 10**9, "dilation": 1}, {"padding": 7, "stride": 2}),
        ("max_pool", (10**12, 1000), {"kernel": 10**9, "stride": 10**9, "ceil_mode": True, "padding": 0}, {}),
    ],
)
def test_settings_beyond_all_measure(
    kind: str, pair: tuple[int, int], fixed: dict[str, int], first: dict[str, int] | None
) -> None:
    """The paddings that fit are found without trying those that do not, of which there are a thousand million."""
    found = solve(REGISTRY[kind], Wanted((pair,), **fixed))
    fields = [fields_of(one) for one in found]
    if first is None:
        assert fields == []
    else:
        assert [one for one in fields if first.items() <= one.items()]


def test_more_solutions_than_can_be_listed() -> None:
    with pytest.raises(CnncalcError, match=r"solve: more than 20,000 settings do it\n  hint: give more of them"):
        solve(REGISTRY["conv_transpose"], Wanted(((1, 10**9),), kernel=10**9, stride=10**9))
