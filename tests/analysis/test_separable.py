"""Depthwise-separable pairs against enumerated multiply-accumulates and the rule of the MobileNet paper."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnncalc
from cnncalc.analysis.report import SeparablePair
from cnncalc.report.remarks import noted
from cnncalc.sources import load_text


def pairs(layers: str, shape: str = "[6, 9, 8]") -> tuple[SeparablePair, ...]:
    return cnncalc.analyze(load_text(f"input: {shape}\nlayers:\n{layers}")).separable


def enumerate_macs(
    out: tuple[int, int], kernel: tuple[int, int], channels_in: int, channels_out: int, groups: int
) -> int:
    """One for each output position, output channel, tap and input channel of its group."""
    return sum(
        1
        for _ in product(range(out[0]), range(out[1]), range(kernel[0]), range(kernel[1]))
        for o in range(channels_out)
        for i in range(channels_in)
        if i * groups // channels_in == o * groups // channels_out
    )


@given(
    channels=st.integers(2, 5),
    out=st.integers(1, 6),
    kernel=st.tuples(st.integers(1, 3), st.integers(2, 3)),
    stride=st.integers(1, 2),
)
def test_pair_against_the_standard_convolution(channels: int, out: int, kernel: tuple[int, int], stride: int) -> None:
    (pair,) = pairs(
        f"  - depthwise_conv: {{kernel: [{kernel[0]}, {kernel[1]}], stride: {stride}}}\n"
        "  - batch_norm\n"
        "  - relu\n"
        f"  - conv: {{out: {out}, kernel: 1}}\n",
        f"[{channels}, 7, 6]",
    )
    size = ((7 - kernel[0]) // stride + 1, (6 - kernel[1]) // stride + 1)
    depthwise = enumerate_macs(size, kernel, channels, channels, channels)
    pointwise = enumerate_macs(size, (1, 1), channels, out, 1)
    standard = enumerate_macs(size, kernel, channels, out, 1)
    assert (pair.macs, pair.standard_macs) == (depthwise + pointwise, standard)
    assert Fraction(pair.ratio_exact) == Fraction(depthwise + pointwise, standard)
    assert Fraction(pair.rule_exact) == Fraction(1, out) + Fraction(1, kernel[0] * kernel[1])
    assert Fraction(pair.rule_exact) == Fraction(pair.ratio_exact)
    assert pair.ratio == pytest.approx(float(Fraction(pair.ratio_exact)))


def test_a_multiplier_makes_the_pair_dearer_than_the_rule() -> None:
    (pair,) = pairs("  - separable_conv: {out: 5, kernel: 3, multiplier: 2}\n")
    depthwise = enumerate_macs((7, 6), (3, 3), 6, 12, 6)
    pointwise = enumerate_macs((7, 6), (1, 1), 12, 5, 1)
    standard = enumerate_macs((7, 6), (3, 3), 6, 5, 1)
    assert Fraction(pair.ratio_exact) == Fraction(depthwise + pointwise, standard)
    assert Fraction(pair.ratio_exact) > Fraction(pair.rule_exact)


@pytest.mark.parametrize(
    "layers",
    [
        "  - depthwise_conv: {kernel: 3}\n  - conv: {out: 4, kernel: 3}\n",
        "  - depthwise_conv: {kernel: 3}\n  - max_pool: 2\n  - conv: {out: 4, kernel: 1}\n",
        "  - conv: {out: 6, kernel: 3, groups: 3}\n  - conv: {out: 4, kernel: 1}\n",
        "  - depthwise_conv: {kernel: 3, name: d}\n  - conv: {out: 4, kernel: 1}\n"
        "  - conv: {out: 4, kernel: 1, from: d}\n",
        "  - depthwise_conv: {kernel: 1}\n  - conv: {out: 4, kernel: 1}\n",
        "  - conv: {out: 1, kernel: 1}\n  - conv: {out: 1, kernel: 3}\n  - conv: {out: 4, kernel: 1}\n",
        "  - depthwise_conv: {kernel: 3}\n  - conv: {out: 4, kernel: 1, groups: 2}\n",
        "  - depthwise_conv: {kernel: 3}\n  - linear: {out: 6}\n  - conv: {out: 4, kernel: 1}\n",
        "  - depthwise_conv: {kernel: 3}\n  - conv: {out: 6, kernel: 3, padding: 1}\n  - conv: {out: 4, kernel: 1}\n",
    ],
    ids=[
        "no pointwise",
        "a pool between",
        "grouped alone",
        "two readers",
        "no window",
        "one channel",
        "pointwise in groups",
        "a product between",
        "a convolution between",
    ],
)
def test_what_is_no_pair(layers: str) -> None:
    assert pairs(layers) == ()


def test_mobilenet_pays_an_eighth_to_a_ninth() -> None:
    """Howard et al. 2017, §3.1: 3×3 depthwise separable convolutions take 8 to 9 times less computation."""
    found = cnncalc.analyze("mobilenet_v1").separable
    assert len(found) == 13
    assert all(Fraction(pair.ratio_exact) == Fraction(pair.rule_exact) for pair in found)
    total = Fraction(sum(pair.macs for pair in found), sum(pair.standard_macs for pair in found))
    assert Fraction(1, 9) < total < Fraction(1, 8)


def test_the_note_says_the_measured_share_and_the_rule() -> None:
    """A multiplier of 2 over 6 maps of 7×6: 42·(12·9 + 12·5) = 7,056 of 42·9·6·5 = 11,340 products, 62.2 %; the rule of
    one filter each says 1/5 + 1/9 = 31.1 %. With 10 outputs it says 1/10 + 1/9 = 21.1 %, and 42·(108 + 120) = 9,576
    of 22,680 are 42.2 %.
    """
    one = "separable_conv: {out: 5, kernel: 3, padding: 1, multiplier: 2}"
    (said,) = said_of(f"  - {one}\n")
    assert said == (
        "separable_conv1.conv1 + separable_conv1.conv2 take 62.2 % of the MACs of the standard convolution "
        "(7,056 of 11.34 k); 1/C_out + 1/K² = 31.1 %"
    )
    branches = f"  - concat: [[{one}], [{one.replace('5', '10')}]]\n"
    (said,) = said_of(branches)
    assert said == (
        "2 pairs of depthwise + pointwise convolution take 16.63 k MACs, 48.9 % of the 34.02 k of the standard "
        "convolutions they replace; each 42.2 % to 62.2 %, where 1/C_out + 1/K² = 21.1 % to 31.1 %"
    )


def said_of(layers: str) -> list[str]:
    """The notes of the page of a net that speak of pairs."""
    report = cnncalc.analyze(load_text(f"input: [6, 7, 6]\nlayers:\n{layers}"))
    return [text for _, text in noted(report) if "1/C_out" in text]
