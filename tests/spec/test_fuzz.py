"""Whatever a file holds, the outcome is a net with its numbers or one message; never anything else, and soon."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.errors import CnncalcError
from cnncalc.sources import decode, load_text
from tests.spec.mutations import ZOO, outcome, trial

CHUNK = 250
PLACE = re.compile(r"net\.yaml(:\d+:\d+)?: error: \S")


@pytest.mark.parametrize("first", range(0, 10 * CHUNK, CHUNK))
def test_random_specs(first):
    for seed in range(first, first + CHUNK):
        text = trial(seed)
        started = time.process_time()
        message = outcome(text)
        # A repeat that became 20,000 rounds is a net like any other, and takes the time of its layers.
        assert time.process_time() - started < (2 if message else 10), f"seed {seed}"
        if message is not None:
            assert PLACE.match(message), f"seed {seed}: {message}"
            assert all(line.isprintable() for line in message.split("\n")), f"seed {seed}"
            assert len(message) < 4000, f"seed {seed}"


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
