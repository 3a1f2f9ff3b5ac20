"""The real libraries, asked about a PyTorch module; what they print and warn is not ours to show."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import warnings
from typing import NamedTuple

import torch

from cnncalc.torch.module import Net


def _flop_counter(net, inputs):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        net(*inputs)
    return counter.get_total_flops()


def _fvcore(analysis):
    def ask(net, inputs):
        import fvcore.nn

        counted = getattr(fvcore.nn, analysis)(net, tuple(inputs))
        return counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none").total()

    return ask


def _torchinfo(net, inputs):
    import torchinfo

    return torchinfo.summary(net, input_data=list(inputs), verbose=0, mode="eval").total_mult_adds


def _ptflops(backend):
    def ask(net, inputs):
        from ptflops import get_model_complexity_info

        (x,) = inputs
        macs, _ = get_model_complexity_info(
            net,
            tuple(x.shape[1:]),
            as_strings=False,
            print_per_layer_stat=False,
            input_constructor=lambda shape: x,
            backend=backend,
            ost=io.StringIO(),
        )
        return macs

    return ask


def _thop(net, inputs):
    import thop

    return thop.profile(net, inputs=tuple(inputs), verbose=False)[0]


def _torchprofile(net, inputs):
    import torchprofile

    return torchprofile.profile_macs(net, tuple(inputs))


def _torchscan(metric):
    def ask(net, inputs):
        import torchscan

        total = torchscan.crawl_module(net, args=tuple(inputs))["totals"][metric]
        return total["status"], total["known_value"]

    return ask


TOOLS = {
    "flop_counter": _flop_counter,
    "fvcore": _fvcore("FlopCountAnalysis"),
    "fvcore-activations": _fvcore("ActivationCountAnalysis"),
    "torchinfo": _torchinfo,
    "ptflops": _ptflops("pytorch"),
    "ptflops-aten": _ptflops("aten"),
    "thop": _thop,
    "torchprofile": _torchprofile,
    "torchscan": _torchscan("macs"),
    "torchscan-flops": _torchscan("module_flops"),
}


def built(graph):
    """The module that cnncalc builds, all weights 0: what they are costs time and changes no count."""
    with torch.device("meta"):
        net = Net(graph)
    net = net.to_empty(device="cpu").eval()
    for tensor in (*net.parameters(), *net.buffers()):
        tensor.data.zero_()
    return net


class Answer(NamedTuple):
    """A tool's number, whether it says itself that it is partial, and its error where it has no number."""

    count: float | None
    partial: bool = False
    error: str = ""


def ask(tool, net, inputs):
    """What a tool says of a copy of the net, with the same weights: some leave hooks and buffers behind."""
    weights = {id(tensor): tensor for tensor in net.parameters()}
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            answer = TOOLS[tool](copy.deepcopy(net, weights), inputs)
    except Exception as error:
        return Answer(None, error=f"{type(error).__name__}: {error}")
    finally:
        logging.disable(logging.NOTSET)
    if isinstance(answer, tuple):
        status, known = answer
        return Answer(known or 0, status != "complete")
    return Answer(answer)


def can_take(tool, inputs):
    """ptflops makes or is given one input."""
    return len(inputs) == 1 or not tool.startswith("ptflops")
