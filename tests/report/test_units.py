"""Units against Python's decimal arithmetic."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnncalc import units
from cnncalc.errors import CnncalcError

POWERS = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12, "P": 15, "E": 18}


@given(st.decimals(0, 10**9, places=4), st.sampled_from(sorted(POWERS)), st.integers(0, 12) | st.none())
def test_parse_is_decimal_arithmetic(number: Decimal, unit: str, exponent: int | None) -> None:
    text = f"{number:f}" + (f"e{exponent}" if exponent is not None else "") + unit
    expected = number.scaleb((exponent or 0) + POWERS[unit])
    if expected == expected.to_integral_value():
        assert units.parse(text) == int(expected)
    else:
        with pytest.raises(CnncalcError, match="is not a whole number"):
            units.parse(text)


@given(st.integers(0, 10**24))
@example(9_999)
@example(10_000)
@example(999_994_999)
@example(999_995_000)
def test_show_is_decimal_rounding(number: int) -> None:
    shown = units.show(number)
    if number < 10_000:
        assert shown == f"{number:,}"
        return
    mantissa, unit = shown.split(" ")
    exact = Decimal(number).scaleb(-POWERS[unit])
    assert Decimal(mantissa.replace(",", "")) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert units.show(-number) == f"-{shown}"


@given(st.integers(0, 10**30))
def test_digits_with_and_without_separators_are_the_number(number: int) -> None:
    assert units.parse(str(number)) == units.parse(f"{number:,}") == units.parse(f"{number:_}") == number


@pytest.mark.parametrize(
    "text",
    ["", "G", "4,2G", "1,2345", "12.5.1", "0x10", "1e-3", "-", "1 2", "5X", "٣", "1e999999999", "9" * 5000, "inf"],
)
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(CnncalcError, match="is not a count"):
        units.parse(text)


def test_the_examples_of_the_design() -> None:
    assert [units.parse(text) for text in ("4.2G", "26M", "1e9", "100k")] == [4_200_000_000, 26_000_000, 10**9, 100_000]
    assert units.show(4_089_184_256) == "4.09 G"
    assert units.show(25_557_032) == "25.56 M"


def test_a_small_unit_is_asked_about() -> None:
    with pytest.raises(CnncalcError, match=r"did you mean '4\.2G'\?"):
        units.parse("4.2g")


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_shares_are_decimal_percentages(part: int, whole: int) -> None:
    exact = Decimal(100 * part) / Decimal(whole)
    rounded = exact.quantize(Decimal("0.1"), ROUND_HALF_UP) if exact < 10**20 else exact
    shown = units.share(part, whole)
    if shown == "<0.1":
        assert 0 < exact < Decimal("0.05")
    else:
        assert abs(Decimal(shown) - rounded) <= (Decimal("0.1") if exact > 10**15 else 0)
