"""Text from outside, and how wide it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnncalc.text import display_width, shorten, visible, wrap


@given(st.text())
def test_visible_text_is_printable_and_loses_nothing(text: str) -> None:
    assert visible(text).isprintable()
    if "\\" not in text and text.isascii():
        assert visible(text).encode().decode("unicode_escape") == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "M"])))
def test_printable_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


def test_escapes_and_bidirectional_marks_are_written_out() -> None:
    assert visible("a\x1b[31m\u202eb\x9b\udcff") == r"a\x1b[31m\u202eb\x9b\udcff"
    assert visible("one\ntwo\x07", keep="\n") == "one\ntwo\\x07"


def test_wide_and_combining_characters() -> None:
    assert [display_width(text) for text in ("abc", "64×64", "漢字", "e\u0301", "…")] == [3, 5, 4, 1, 1]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])), st.integers(1, 30))
def test_shortened_text_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert display_width(short) <= width
    if short != text:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


@given(st.text(st.sampled_from("ab 漢x")), st.integers(6, 30), st.sampled_from(["", "  "]))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int, indent: str) -> None:
    lines = wrap(text, width, indent)
    assert all(display_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(line.startswith(indent) for line in lines[1:])


def test_words_stay_whole_where_they_fit() -> None:
    assert wrap("the quick brown fox", 10, " ") == ["the quick", " brown fox"]
    assert wrap("the quick brown fox", None) == ["the quick brown fox"]
