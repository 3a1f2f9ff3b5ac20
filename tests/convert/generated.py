"""Generated PyTorch code: running it, and comparing it with the module that ``cnncalc.torch.build`` makes."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import torch
from torch import nn

from cnncalc.torch import build
from cnncalc.torch.module import example_inputs

BATCH = 2


def run(text: str) -> ModuleType:
    """The module that the code is, executed apart from everything else."""
    module = ModuleType("generated")
    exec(compile(text, "generated.py", "exec"), module.__dict__)
    return module


def make(text: str, **arguments: Any) -> nn.Module:
    """The net that the code's factory, its last function, makes."""
    name = re.findall(r"^def (\w+)\(", text, re.MULTILINE)[-1]
    net = getattr(run(text), name)(**arguments)
    assert isinstance(net, nn.Module)
    return net


def shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a state dict, in order."""
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def outputs(net: nn.Module, inputs: list[torch.Tensor]) -> dict[str, torch.Tensor] | str:
    """The results by name (one has none), or the type of what PyTorch raises."""
    torch.manual_seed(1)  # dropout draws the same in both
    try:
        with torch.no_grad():
            result = net(*inputs)
    except (RuntimeError, ValueError) as error:
        return type(error).__name__
    return result if isinstance(result, dict) else {"": result}


def agree(graph: Any, text: str, net: nn.Module | None = None) -> None:
    """The code's net has the built module's state dict and, with the same weights, its very outputs.

    Attention alone may differ in the last bits: the built module takes the plain kernel, the code whatever
    PyTorch chooses. That may draw random numbers too, so dropout beside it drops other elements in training.
    """
    torch.manual_seed(0)
    mine, built = make(text) if net is None else net, build(graph)
    assert list(shapes(mine).items()) == list(shapes(built).items())
    mine.load_state_dict(built.state_dict())
    tolerance = 1e-9 if re.search("attention", text, re.IGNORECASE) else 0.0
    for training in (False,) if tolerance and re.search("dropout", text, re.IGNORECASE) else (False, True):
        mine.train(training)
        built.train(training)
        inputs = example_inputs(graph, BATCH)
        if tolerance:  # in double precision nothing behind it makes the last bits large
            mine, built, inputs = mine.double(), built.double(), [x.double() for x in inputs]
        want, got = outputs(built, inputs), outputs(mine, inputs)
        if isinstance(want, str) or isinstance(got, str):
            assert want == got
            continue
        assert list(want) == list(got)
        for name in want:
            if tolerance and not want[name].isfinite().all():
                continue  # what overflows on the way turns the last bits into NaN or not
            torch.testing.assert_close(got[name], want[name], rtol=tolerance, atol=tolerance, equal_nan=True)
