"""How many nets of torchvision and timm are captured completely and exactly, and how long it takes beyond exporting.

    python benchmarks/coverage.py torchvision
    python benchmarks/coverage.py timm --per-family 2
    python benchmarks/coverage.py fields
    python benchmarks/coverage.py timm --only 'convnext*' --only 'levit*'

For each net, without weights: the totals are complete, parameters and buffers are as many as the module has,
FLOPs are those that ``torch.utils.flop_counter`` counts when the module runs (on the meta device, which computes
no values), and the analysis takes at most a quarter of what ``torch.export`` itself takes. Needs torchvision or
timm besides cnncalc; the tests do not.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import io
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.assemble import assemble
from cnncalc.torch.capture import captured, programmed
from cnncalc.torch.capture.export import named_inputs

Net = tuple[str, Callable[[], nn.Module], tuple[int, ...]]
LIMIT = 240
"""Seconds for one net."""


def torchvision_nets() -> Iterator[Net]:
    """Classification, segmentation, and the detection models' backbones with their feature pyramids."""
    from torchvision import models

    for name in models.list_models(module=models):
        size = 299 if name == "inception_v3" else 518 if name == "vit_h_14_none" else 224
        yield name, lambda name=name: models.get_model(name, weights=None), (3, size, size)
    for name in models.list_models(module=models.segmentation):
        yield (
            f"segmentation.{name}",
            lambda name=name: models.get_model(name, weights=None, weights_backbone=None),
            (3, 224, 224),
        )
    for name in models.list_models(module=models.detection):

        def backbone(name: str = name) -> nn.Module:
            return models.get_model(name, weights=None, weights_backbone=None).backbone  # type: ignore[no-any-return]

        yield f"detection.{name}.backbone", backbone, (3, 320, 320) if "ssd" in name else (3, 256, 256)


def timm_nets(per_family: int, only: list[str]) -> Iterator[Net]:
    """Of every module of timm the smallest names, or those that match."""
    import timm

    if only:
        names = [name for name in timm.list_models() if any(fnmatch.fnmatch(name, one) for one in only)]
    else:
        names = []
        for module in timm.list_modules():
            own = sorted(timm.list_models(module=module), key=lambda name: (len(name), name))
            names += _various(own, per_family)
    for name in names:
        size = timm.get_pretrained_cfg(name)
        shape = tuple(size.input_size) if size is not None and size.input_size else (3, 224, 224)
        yield name, lambda name=name: timm.create_model(name, pretrained=False), shape


def _various(names: list[str], count: int) -> list[str]:
    """``count`` names with as many different beginnings as possible."""
    chosen: list[str] = []
    for name in names:
        if all(name.split("_")[0] != other.split("_")[0] for other in chosen):
            chosen.append(name)
    return [*chosen, *(name for name in names if name not in chosen)][:count]


def made(factory: Callable[[], nn.Module]) -> nn.Module:
    """The module without values if possible."""
    try:
        with torch.device("meta"):
            return factory().eval()
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return factory().eval()


def score(factory: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[list[str], float, float]:
    """Why the net counts as missed (empty if it is exact), and the seconds of exporting and of the rest."""
    module = made(factory)
    inputs = named_inputs(module, shape)
    start = time.perf_counter()
    program, samples, _ = programmed(module, inputs, torch.float32)
    half = time.perf_counter()
    found = captured(program, inputs, "net", "", module, samples)
    report = assemble(found.graph)
    end = time.perf_counter()
    totals, reasons = report.totals, []
    if totals.status != "complete":
        kinds = {}
        for one in report.diagnostics:
            if one.code == "unknown-cost":
                kinds.setdefault(
                    one.message.partition(", which gives")[0].partition(":")[0]
                    + one.message[one.message.find("(") :][:70],
                    one.layers[0],
                )
        reasons.append(f"partial: {'; '.join(f'{text} at {where}' for text, where in list(kinds.items())[:4])}")
    params, buffers = (sum(t.numel() for t in given) for given in (module.parameters(), module.buffers()))
    if totals.params != params:
        reasons.append(f"params {totals.params} != {params}")
    if totals.buffers != buffers:
        reasons.append(f"buffers {totals.buffers} != {buffers}")
    counter = FlopCounterMode(display=False)
    device = next(iter([*module.parameters(), *module.buffers()])).device
    with counter, sdpa_kernel(SDPBackend.MATH):  # with gradients: without them the counter fails on some nets
        module(torch.empty(1, *shape, device=device))
    if totals.flops != counter.get_total_flops():
        reasons.append(f"flops {totals.flops} != {counter.get_total_flops()}")
    return reasons, half - start, end - half


FIELDS = (
    "alexnet",
    "resnet18",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11_bn",
    "mobilenet_v2",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "resnet34",
    "regnet_x_400mf",
    "googlenet",
    "resnet50",
    "densenet121",
    "resnext50_32x4d",
    "inception_v3",
)
"""Nets of torchvision whose last map before the head sees a part of a large image."""


def smoothed(module: nn.Module) -> nn.Module:
    """The module in float64 with nothing that cancels or dies: means for maxima, averaging weights."""
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(parent, name, pool)
            elif isinstance(child, (nn.GELU, nn.ReLU6)):
                setattr(parent, name, nn.ReLU())
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1 / max(parameter[0].numel(), 1) if parameter.dim() > 1 else 1)
    return module


def field_matches(name: str) -> str:
    """The receptive field at the last map with a local one, against the support of the input's gradient."""
    from torchvision import models

    import cnncalc

    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    module = smoothed(models.get_model(name, weights=None, **extra))
    modules = dict(module.named_modules())
    size = 299 if name == "inception_v3" else 224
    for _ in range(2):
        report = cnncalc.analyze(module, input=(3, size, size), dtype="float64")
        last = [
            layer
            for layer in report.layers
            if layer.receptive_field is not None and layer.receptive_field.kind == "local" and layer.path in modules
            if len(layer.output_shape) == 3 and layer.path != "avgpool"
        ][-1]
        field = last.receptive_field
        size = field.size[0] + 3 * field.jump[0]
    found = {}
    hook = modules[last.path].register_forward_hook(lambda _, __, out: found.update(out=out))
    x = (torch.rand(1, 3, *report.model.inputs["input"][1:], dtype=torch.float64) + 1).requires_grad_()
    module(x)
    hook.remove()
    unit = [extent // 2 for extent in last.output_shape[1:]]
    found["out"][0, :, unit[0], unit[1]].sum().backward()
    seen = x.grad[0].abs().sum(0)
    for axis, extent in enumerate(x.shape[2:]):
        lit = (seen.sum(1 - axis) != 0).nonzero().flatten().tolist()
        first = field.start[axis] + field.jump[axis] * unit[axis]
        claim = (max(first, 0), min(first + field.size[axis], extent) - 1)
        if (lit[0], lit[-1]) != claim:
            return f"MISS  {name:22} {last.path}: claimed {claim}, the gradient is at {(lit[0], lit[-1])}"
    return f"equal {name:22} {last.path}: size {field.size[0]}, jump {field.jump[0]}, start {field.start[0]}"


def main() -> None:
    """Prints a line per net and the score."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("library", choices=["torchvision", "timm", "fields"])
    options.add_argument("--per-family", type=int, default=2)
    options.add_argument("--only", action="append", default=[])
    options.add_argument("--show-all", action="store_true", help="exact nets too")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    if given.library == "fields":
        for name in FIELDS:
            print(field_matches(name), flush=True)
        return
    nets = list(torchvision_nets() if given.library == "torchvision" else timm_nets(given.per_family, given.only))
    if given.library == "torchvision" and given.only:
        nets = [net for net in nets if any(fnmatch.fnmatch(net[0], one) for one in given.only)]
    exact, export_time, rest_time, worst = 0, 0.0, 0.0, (0.0, "")
    for name, factory, shape in nets:
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(LIMIT)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                reasons, export, rest = score(factory, shape)
            export_time, rest_time = export_time + export, rest_time + rest
            worst = max(worst, (rest / export, name))
        except Exception as error:  # any failure is a miss, with its reason
            reasons, export, rest = [f"{type(error).__name__}: {' | '.join(str(error).splitlines())[:300]}"], 0.0, 0.0
        finally:
            signal.alarm(0)
        exact += not reasons
        if reasons or given.show_all:
            ratio = f"{rest / export:.2f}" if export else "-"
            print(
                f"{'exact' if not reasons else 'MISS '} {name:44} {export:6.2f} s  {ratio:>5}  {'; '.join(reasons)}",
                flush=True,
            )
    print(f"\n{given.library}: {exact} of {len(nets)} complete and exact")
    print(
        f"beyond export: {rest_time / max(export_time, 1e-9):.3f} of its time in total, "
        f"at most {worst[0]:.3f} ({worst[1]})"
    )


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"more than {LIMIT} s")


if __name__ == "__main__":
    sys.exit(main())
