"""Three significant digits, bytes and times, against decimal arithmetic."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc import units
from cnncalc.errors import CnncalcError

PREFIX = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21, "Y": 24}
SECONDS = {"ps": 0, "ns": 3, "µs": 6, "ms": 9, "s": 12}
THREE = Context(prec=3, rounding=ROUND_HALF_UP)
large = st.integers(0, 26).flatmap(lambda power: st.integers(0, 10**power))


@given(large)
def test_three_digits_are_those_of_decimal_arithmetic(value: int) -> None:
    number, _, unit = units.significant(value, "FLOPs").partition(" ")
    shown = Decimal(number.replace(",", "")).scaleb(PREFIX[unit.removesuffix("FLOPs")])
    assert shown == (value if value < 1000 else THREE.create_decimal(value)) or value >= 10**27
    assert len(number.replace(".", "")) == 3 or value < 1000
    assert number.count(",") == 0 or value >= 10**27


@given(large)
def test_times_are_those_of_decimal_arithmetic(picoseconds: int) -> None:
    number, _, unit = units.show_time(picoseconds).partition(" ")
    shown = Decimal(number.replace(",", "")).scaleb(SECONDS[unit])
    if picoseconds < 10**15:
        assert shown == THREE.create_decimal(picoseconds)
    else:
        assert abs(shown - picoseconds) <= 5 * 10**11


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3_159_000_000_000_000_000, "3.16 EFLOPs"),
        (10**21, "1.00 ZFLOPs"),
        (999_499, "999 kFLOPs"),
        (999_500, "1.00 MFLOPs"),
    ],
)
def test_large_counts(value: int, text: str) -> None:
    assert units.significant(value, "FLOPs") == text


@given(
    st.integers(1, 10**6), st.sampled_from([("", 0), ("Ki", 10), ("Mi", 20), ("Gi", 30)]), st.sampled_from(["", " "])
)
def test_binary_sizes(count: int, unit: tuple[str, int], space: str) -> None:
    assert units.parse_bytes(f"{count}{space}{unit[0]}B") == count << unit[1]
    assert units.parse_rate(f"{count}{space}{unit[0]}B/s") == count << unit[1]


@pytest.mark.parametrize("text", ["", "B", "4", "4iB", "4MiB/s", "-4MB", "1.0000001KiB", "4 mB", "0x4MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(CnncalcError, match=r"is not a size|is not a whole number of bytes"):
        units.parse_bytes(text)


def test_moved_bytes_for_people() -> None:
    assert [units.show_moved(value) for value in (0, 9_999, 12_345, 102_400_000)] == [
        "0 B",
        "9,999 B",
        "12.35 kB",
        "102.40 MB",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (9_999, "9,999 B"), (10_240, "10.00 KiB"), (102_228_128, "97.49 MiB"), (24 << 30, "24.00 GiB")],
)
def test_held_bytes_for_people(value: int, text: str) -> None:
    assert units.show_bytes(value) == text
