"""How torchvision_more.json was measured. Run with torch 2.14.1 and torchvision 0.29.1; no part of the tests.

Parameters and buffers are the elements of the module's own; FLOPs are FlopCounterMode's (batch 1,
eval, on the meta device); published_* come from the metadata of torchvision's weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

NETS = [
    "vgg13",
    "vgg11_bn",
    "vgg13_bn",
    "vgg19_bn",
    "resnet152",
    "densenet161",
    "densenet169",
    "densenet201",
    "squeezenet1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "convnext_small",
    "convnext_large",
]
RESOLUTIONS = {"efficientnet_b1": 240, "efficientnet_b2": 260, "efficientnet_b4": 380, "efficientnet_b5": 456}
RESOLUTIONS["efficientnet_b6"] = 528
WITH_ARGUMENTS: list[tuple[str, int, dict[str, Any], str, dict[str, Any]]] = [
    # the zoo's net, input size, its arguments; torchvision's net and its arguments
    ("googlenet", 224, {"aux": False}, "googlenet", {"aux_logits": False, "init_weights": False}),
    ("googlenet", 224, {"aux": True}, "googlenet", {"aux_logits": True, "init_weights": False}),
    ("inception_v3", 299, {"aux": False}, "inception_v3", {"aux_logits": False, "init_weights": False}),
    ("inception_v3", 299, {"aux": True}, "inception_v3", {"aux_logits": True, "init_weights": False}),
    ("mobilenet_v2", 224, {"width": 0.35}, "mobilenet_v2", {"width_mult": 0.35}),
    ("mobilenet_v2", 224, {"width": 1.4}, "mobilenet_v2", {"width_mult": 1.4}),
    ("mnasnet1_0", 224, {"width": 0.5}, "mnasnet0_5", {}),
    ("mnasnet1_0", 224, {"width": 1.3}, "mnasnet1_3", {}),
    ("efficientnet_b2", 288, {"resolution": 288}, "efficientnet_b2", {}),
    ("resnet50", 224, {"classes": 10}, "resnet50", {"num_classes": 10}),
]


def measure(name: str, size: int, **options: Any) -> dict[str, Any]:
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **options).eval()
        image = torch.empty(1, 3, size, size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(image)
    return {
        "input": [3, size, size],
        "params": sum(p.numel() for p in model.parameters()),
        "buffers": sum(b.numel() for b in model.buffers()),
        "flops": counter.get_total_flops(),
    }


def published(name: str, size: int) -> dict[str, Any]:
    """What the weights' metadata say, where they were published at this input size."""
    weights = next(iter(torchvision.models.get_model_weights(name)))
    facts: dict[str, Any] = {"published_params": weights.meta["num_params"]}
    if weights.transforms().crop_size == [size]:
        facts["published_gmacs"] = weights.meta["_ops"]
    return facts


def main() -> None:
    models = {}
    for name in [*NETS, *RESOLUTIONS]:
        size = RESOLUTIONS.get(name, 224)
        models[name] = measure(name, size) | published(name, size)
    with_arguments = []
    for net, size, args, name, options in WITH_ARGUMENTS:
        facts = measure(name, size, **options)
        if args.get("aux"):
            del facts["flops"]  # eval mode does not run the auxiliary heads
        with_arguments.append({"net": net, "args": args, **facts})
    versions = f"torchvision {torchvision.__version__} with torch {torch.__version__}"
    about = (
        f"{versions}, measured by measure_torchvision.py beside this file: nets of the zoo that "
        "torchvision.json leaves out, and some with other arguments. efficientnet_b2 is at the paper's 260 "
        "pixels, torchvision's weights at 288."
    )
    path = Path(__file__).with_name("torchvision_more.json")
    path.write_text(json.dumps({"about": about, "models": models, "with_arguments": with_arguments}, indent=1) + "\n")


if __name__ == "__main__":
    main()
