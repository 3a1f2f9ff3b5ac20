"""``analyze --show memory``: its columns, options and texts."""

from __future__ import annotations

import json
import re

import pytest

from cnncalc import units
from tests.commands.conftest import Run, run

__all__ = ["run"]

WEIGHTS = 25_557_032 * 4


def memory(run: Run, *arguments: object) -> dict:
    outcome = run("analyze", "resnet50", "--format", "json", *arguments)
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)["memory"]


def test_the_numbers_fit_together(run: Run) -> None:
    report = json.loads(run("analyze", "resnet50", "--show", "memory", "--batch", 3, "--format", "json").out)
    totals, layers = report["memory"], [layer["memory"] for layer in report["layers"]]
    held = totals["training"]
    assert totals["weights"] == WEIGHTS
    assert sum(layer["weights"] for layer in layers) == totals["weights"] + totals["buffers"]
    assert sum(layer["saved"] for layer in layers) == held["saved"]
    assert max(layer["live"] for layer in layers) == totals["inference"]["peak"]
    parts = ("gradients", "master_weights", "optimizer_state", "saved", "recomputed")
    assert held["total"] == totals["weights"] + totals["buffers"] + sum(held[part] for part in parts)
    # running statistics, and a counter of 8 bytes for each of 53 norms
    assert totals["buffers"] == 4 * 2 * 26_560 + 8 * 53
    assert layers[0]["output"] == 3 * 64 * 112 * 112 * 4


def test_options_bring_the_section_and_say_how(run: Run) -> None:
    assert memory(run, "--optimizer", "momentum")["training"]["optimizer_state"] == WEIGHTS
    assert memory(run, "--dtype", "float64")["weights"] == 2 * WEIGHTS
    mixed = memory(run, "--mixed-precision")
    assert (mixed["dtype"], mixed["weights"], mixed["training"]["master_weights"]) == ("float16", WEIGHTS // 2, WEIGHTS)
    whole, once = memory(run, "--show", "memory"), memory(run, "--checkpoint", 1)
    assert once["training"]["saved"] < whole["training"]["saved"]
    assert once["training"]["recomputed_block"] == "stage1"
    assert memory(run, "--fit", "24GB")["fit"]["bytes"] == 24 * 10**9
    assert memory(run, "--fit", "24GiB")["fit"]["batch"] > memory(run, "--fit", "24GB")["fit"]["batch"] > 100
    int8 = memory(run, "--dtype", "int8")
    assert int8["training"] is None
    assert WEIGHTS // 4 < int8["weights"] < WEIGHTS // 3


def test_folded_rows_are_sums(run: Run) -> None:
    lines = run("analyze", "resnet50", "--depth", 1, "--columns", "layer,saved_bytes,live_bytes", "--format", "csv").out
    rows = [line.split(",") for line in lines.splitlines()[1:]]
    whole = memory(run, "--show", "memory")
    assert sum(int(row[1]) for row in rows) == whole["training"]["saved"]
    assert max(int(row[2]) for row in rows) == whole["inference"]["peak"]


def test_the_best_order_is_told_where_it_is_better(run: Run) -> None:
    report = json.loads(run("analyze", "shufflenet_v2_x2_0", "--show", "memory", "--format", "json").out)
    inference = report["memory"]["inference"]
    assert inference["best_order"] < inference["peak"]
    assert sorted(inference["order"]) == sorted(layer["path"] for layer in report["layers"])
    assert inference["order_proven"]
    text = run("analyze", "shufflenet_v2_x2_0", "--show", "memory").out
    assert "in the best order" in text
    assert "no order has less" in text


def test_settings_that_do_not_go_together_are_one_message(run: Run) -> None:
    for arguments, message in (
        (("--dtype", "int8", "--fit", "1GB"), "weights in int8 are not trained"),
        (("--dtype", "float64", "--mixed-precision"), "mixed precision takes weights of 16 bits"),
        (("--fit", "24 cards"), "'24 cards' is not a size"),
    ):
        result = run("analyze", "lenet5", *arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (9_999, "9,999 B"),
        (10_000, "9.77 KiB"),
        (2**20, "1.00 MiB"),
        (1_048_575, "1.00 MiB"),
        (24 * 10**9, "22.35 GiB"),
        (3 * 2**80, "3,145,728.00 EiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert units.show_bytes(size) == text


def test_the_table_has_the_numbers_of_the_json(run: Run) -> None:
    held = memory(run, "--show", "memory")["training"]
    text = run("analyze", "resnet50", "--show", "memory").out
    for title, key in (("kept", "saved"), ("optimizer state", "optimizer_state"), ("training total", "total")):
        assert re.search(rf"^{title} +{re.escape(units.show_bytes(held[key]))} ", text, re.MULTILINE)
    assert units.show_bytes(held["total"]) != units.show_bytes(held["saved"])
