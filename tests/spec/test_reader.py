"""YAML to nodes: what values mean by YAML 1.2's core schema, where things stand, and what is refused."""

from __future__ import annotations

import pytest

from cnncalc.spec.problem import SpecError
from cnncalc.spec.reader import MAX_DEPTH, Mapping, Scalar, Sequence, Source, read


def plain(node):
    """A node as plain data."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def parsed(text):
    return read(Source("net.yaml", text))


def refusal(text):
    with pytest.raises(SpecError, match="error") as caught:
        parsed(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("1", 1),
        ("-3", -3),
        ("+4", 4),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2.", 2.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        (".inf", float("inf")),
        # what YAML 1.1 takes for booleans, octal, binary and base 60 are words or decimal numbers in 1.2
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("010", 10),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        # quoted and block values are text
        ("'3'", "3"),
        ('"true"', "true"),
        ('"a\\tb"', "a\tb"),
        ("|-\n  3", "3"),
        # a number that Python would not read as one stays a word
        ("١", "١"),
        ("1e", "1e"),
        (".", "."),
        ("-", None),
    ],
)
def test_core_schema(text, value):
    if text == "-":
        assert plain(parsed("-")) == [None]
        return
    result = plain(parsed(f"key: {text}"))["key"]
    assert result == value
    assert type(result) is type(value)


def test_structure():
    assert plain(parsed("a: [1, {b: c}]\nd:\n  - e\n  -\nf:\n")) == {"a": [1, {"b": "c"}], "d": ["e", None], "f": None}


def test_places():
    """Lines and columns count from 1, and point at the first character of a value."""
    root = parsed("a: 1\nlist:\n  - conv: {out: 8}\n")
    assert isinstance(root, Mapping)
    (_, one), (key, items) = root.entries
    assert (one.line, one.column) == (1, 4)
    assert (key.line, key.column) == (2, 1)
    assert isinstance(items, Sequence)
    conv = items.items[0]
    assert (conv.line, conv.column) == (3, 5)
    assert isinstance(conv, Mapping)
    fields = conv.entries[0][1]
    assert isinstance(fields, Mapping)
    assert (fields.entries[0][1].line, fields.entries[0][1].column) == (3, 17)


def test_places_count_characters():
    """Not bytes: the caret must stand under what it means."""
    root = parsed("é: ü\n")
    assert isinstance(root, Mapping)
    assert root.entries[0][1].column == 4


def test_aliases_repeat_a_value():
    assert plain(parsed("a: &x [1, 2]\nb: *x\nc: &y 3\nd: *y\n")) == {"a": [1, 2], "b": [1, 2], "c": 3, "d": 3}


def test_merge_keys_are_ordinary_keys():
    """They are YAML 1.1's."""
    assert plain(parsed("a: &x {b: 1}\nc: {<<: *x}\n"))["c"] == {"<<": {"b": 1}}


def test_quoted_keys_are_the_same_keys():
    assert refusal("a: 1\n'a': 2\n") == (
        "net.yaml:2:1: error: duplicate key 'a'\n  2 | 'a': 2\n    | ^\n  hint: it is already in line 1"
    )


def test_nesting_is_bounded():
    deepest = MAX_DEPTH - 1
    assert plain(parsed("a: " + "[" * deepest + "]" * deepest))
    assert "nested deeper than 100 levels" in refusal("a: " + "[" * (deepest + 1) + "]" * (deepest + 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? [a]\n: 3\n", "net.yaml:1:3: error: a key must be a plain name"),
        ("a: 1\n---\nb: 2\n", "net.yaml:2:1: error: a spec is one YAML document; here a second one begins"),
        ("a: *b\n", "net.yaml:1:4: error: alias '*b' has no anchor before it"),
        ("a: &b [*b]\n", "net.yaml:1:8: error: alias '*b' is inside its own anchor"),
        ("a: !!set {b}\n", "net.yaml:1:4: error: tags such as '!!set' have no meaning in a spec"),
        ("a: !mine 3\n", "net.yaml:1:4: error: tags such as '!mine' have no meaning in a spec"),
    ],
)
def test_refusals(text, message):
    assert refusal(text).split("\n")[0] == message
