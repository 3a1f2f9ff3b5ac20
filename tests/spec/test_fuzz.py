"""Whatever a file holds, the outcome is a net with its numbers or one message; never anything else, and soon."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.__main__ import run
from cnncalc.errors import CnncalcError
from cnncalc.sources import decode, load_text
from cnncalc.spec import builder, state
from tests.spec.mutations import ZOO, Random, document, line, named, outcome, trial

CHUNK = 500
SLOW = [pytest.param(first, marks=pytest.mark.slow) for first in range(CHUNK, 20_000, CHUNK)]
PLACE = re.compile(r"net\.yaml(:\d+:\d+)?: error: \S")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A repeat of 500,000 rounds is a net like any other; here nets end sooner, and so does their evaluation."""
    monkeypatch.setattr(builder, "MAX_LAYERS", 5_000)
    monkeypatch.setattr(state, "MAX_WORK", 200_000)


@pytest.mark.parametrize("first", [0, *SLOW])
def test_random_specs(first):
    for seed in range(first, first + CHUNK):
        message = outcome(trial(seed))
        if message is not None:
            assert PLACE.match(message), f"seed {seed}: {message}"
            assert all(line.isprintable() for line in message.split("\n")), f"seed {seed}"
            assert len(message) < 4000, f"seed {seed}"


@pytest.mark.parametrize("first", [0, *SLOW])
def test_random_command_lines(first, capsys, monkeypatch, tmp_path):
    """A result, or one message and status 2; never an error of our own."""
    monkeypatch.chdir(tmp_path)
    for seed in range(first, first + CHUNK // 5):
        rng = Random(seed)
        text = rng.choice([named, document])(rng)
        (tmp_path / "net.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
        words = line(rng)
        status = run(words)
        out, err = capsys.readouterr()
        shown = f"seed {seed}: {words} {status} {err[-2000:]}"
        assert status in (0, 1, 2), shown
        assert "internal error" not in err, shown
        assert "Traceback" not in out + err, shown
        if status == 2:
            assert err.count("rror: ") >= 1, shown
        assert all(row.isprintable() for row in err.split("\n")), shown


def test_the_trials_reach_both_ends():
    """Not all of them right, and not all of them stopped by the first check."""
    outcomes = [outcome(trial(seed)) for seed in range(300)]
    messages = {re.sub(r"\d+|'[^']*'", "", m.split("\n")[0]) for m in outcomes if m is not None}
    assert sum(m is None for m in outcomes) > 20
    assert len(messages) > 60


@given(st.binary(max_size=200))
def test_any_bytes(data):
    try:
        load_text(decode("net.yaml", data), "net.yaml")
    except CnncalcError as error:
        message = str(error)
    else:
        return
    assert PLACE.match(message)


@given(st.sampled_from(sorted(ZOO)), st.data())
def test_a_cut_file(name, data):
    """What an editor saves half-way, or a download that broke off."""
    text = ZOO[name]
    message = outcome(text[: data.draw(st.integers(0, len(text)))])
    assert message is None or PLACE.match(message)
