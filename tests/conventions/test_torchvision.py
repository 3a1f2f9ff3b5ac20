"""The tools' numbers for torchvision's own modules, measured once, and what our modules do otherwise.

torchvision's nets call some functions where ours have modules. With ``functional`` we say so.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnncalc
from cnncalc.analysis.conventions import CONVENTIONS, answer
from cnncalc.sources import load_text, zoo_names

DATA = Path(__file__).parent.parent / "data"
COUNTERS = json.loads((DATA / "counters.json").read_text(encoding="utf-8"))["models"]
KEYS = {
    "torch.FlopCounterMode": "flop_counter",
    "fvcore.flops": "fvcore",
    "fvcore.activations": "fvcore-activations",
    "torchinfo.mult_adds": "torchinfo",
    "ptflops.pytorch": "ptflops",
    "ptflops.aten": "ptflops-aten",
    "thop": "thop",
    "torchprofile": "torchprofile",
}
OPERATORS = {"add", "concat", "split", "channel_shuffle", "flatten"}
"""What is no module in any of torchvision's nets."""
FUNCTIONS = {"googlenet": {"relu"}, "mobilenet_v2": {"global_avg_pool"}}
"""And what is none in one of them."""


def measured(name):
    """Number and status, by tool."""
    numbers = {KEYS[key]: (value, "complete") for key, value in COUNTERS[name].items() if key in KEYS}
    scan = COUNTERS[name]["torchscan"]
    return {**numbers, "torchscan": (*scan["macs"][::-1],), "torchscan-flops": (*scan["module_flops"][::-1],)}


def graph_of(name):
    """The shipped net; for ShuffleNet with the mean that torchvision has in place of a pool."""
    if name != "shufflenet_v2_x1_0":
        return cnncalc.load(name)
    file, _ = zoo_names()[name]
    text = Path(file).read_text(encoding="utf-8")
    pooled = "  - global_avg_pool\n  - flatten\n"
    assert pooled in text
    return load_text(text.replace(pooled, "  - mean: {axes: [1, 2]}\n"), variant=name)


@pytest.mark.parametrize("name", COUNTERS)
def test_all_numbers_and_what_the_tools_say_of_them(name):
    functional = frozenset(OPERATORS | FUNCTIONS.get(name, set()) | {"mean"})
    graph = graph_of(name)
    found = {}
    for tool in CONVENTIONS:
        one = answer(graph, CONVENTIONS[tool], functional=functional)
        found[tool] = (one.count, "partial" if one.partial else "complete")
    assert found == measured(name)


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("alexnet", {}),
        ("resnet18", {}),
        ("resnet50", {}),
        # 3,226,160 outputs of relu, which is F.relu there
        ("googlenet", {"ptflops": 3_226_160, "torchscan-flops": 3_226_160}),
        # the pool of 1280×7×7, which is a function there
        (
            "mobilenet_v2",
            {
                "ptflops": 1280 * 49,
                "thop": 1280 * (49 + 1),
                "torchscan": 1280 * (49 - 1 + 2),
                "torchscan-flops": 1280 * (49 - 1 + 2),
            },
        ),
        # the pool of 1024×7×7, which is a mean there
        (
            "shufflenet_v2_x1_0",
            {
                "fvcore": 1024 * 49,
                "ptflops": 2 * 1024 * 49,
                "thop": 1024 * (49 + 1),
                "torchscan": 1024 * (49 - 1 + 2),
                "torchscan-flops": 1024 * (49 - 1 + 2),
            },
        ),
    ],
)
def test_the_differences_of_our_modules(name, differences):
    graph = cnncalc.load(name)
    ours = {tool: answer(graph, CONVENTIONS[tool]).count for tool in CONVENTIONS}
    found = {tool: ours[tool] - number for tool, (number, _) in measured(name).items() if ours[tool] != number}
    assert found == differences


CONVNEXT = {
    "flop_counter": 8911062528,
    "fvcore": 4470437376,
    "fvcore-activations": 13435624,
    "torchinfo": 322371592,
    "ptflops": 4488347368,
    "ptflops-aten": 4468966888,
    "thop": 4464149760,
    "torchprofile": 4460650752,
    "torchscan": 4455569664,
    "torchscan-flops": 8934932344,
}
"""For torchvision 0.29.1's convnext_tiny, 3×224×224, batch 1, with torch 2.14.1 and the versions reproduced here."""


def test_convnext_where_torchinfo_misses_nearly_all():
    # layer_scale is a parameter of the block there, and no module
    graph = cnncalc.load("convnext_tiny", linear=True)
    ours = {tool: answer(graph, CONVENTIONS[tool], functional=frozenset({"layer_scale"})) for tool in CONVENTIONS}
    # the norms over channels outside the blocks are of a class of their own there, which these two do not know
    elements = 56 * 56 * 96 + (56 * 56 * 96 + 28 * 28 * 192 + 14 * 14 * 384) + 768
    unknown = {"ptflops": elements, "thop": 4 * elements}
    assert {tool: one.count - unknown.get(tool, 0) for tool, one in ours.items()} == CONVNEXT
