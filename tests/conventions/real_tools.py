"""The real libraries, asked about a PyTorch module; what they print and warn is not ours to show."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import warnings

import torch


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
    "torch": _flop_counter,
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


def ask(tool, net, inputs):
    """A tool's answer about a copy of the net (some leave hooks and buffers behind)."""
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
            return TOOLS[tool](copy.deepcopy(net).eval(), inputs)
    finally:
        logging.disable(logging.NOTSET)
