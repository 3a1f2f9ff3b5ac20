"""The shipped specs against outside truths: torchvision's own nets, published tables, plain PyTorch.

Every number comes from ``tests/data`` (each file says how it was measured or where it was
published) or is measured here on a second, independent transcription of the paper.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnncalc import analyze, load
from cnncalc.sources import specs_dir, zoo_names
from cnncalc.spec.schema import spec_schema

DATA = Path(__file__).parent / "data"

# fmt: off
ZOO = [
    "lenet5", "alexnet", "alexnet_2012", "googlenet", "inception_v3",
    "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn",
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2",
    "densenet121", "densenet161", "densenet169", "densenet201", "squeezenet1_0", "squeezenet1_1",
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mnasnet1_0",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "convnext_tiny", "convnext_small", "convnext_base", "convnext_large", "unet",
]
# fmt: on
SPECS = sorted(Path(specs_dir()).glob("*.yaml"))


def facts(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


TORCHVISION = facts("torchvision")["models"] | facts("torchvision_more")["models"]
WITH_ARGUMENTS = facts("torchvision_more")["with_arguments"]
FIELDS = facts("receptive_fields")
END_POINTS = facts("end_points")
PAPERS = facts("papers")

# The parameters that torchvision publishes for inception_v3 hold the auxiliary head; its FLOPs do not.
PUBLISHED_WITH = {"inception_v3": {"aux": True}}


@cache
def report(name: str, **args: Any) -> dict[str, Any]:
    """The JSON of a net, with its layers by path."""
    result: dict[str, Any] = json.loads(analyze(name, **args).to_json())
    result["layers"] = {layer["path"]: layer for layer in result["layers"]}
    return result


# -- the files -------------------------------------------------------------------------------------


def test_the_zoo_is_complete() -> None:
    assert sorted(zoo_names()) == sorted(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_every_net_loads_by_its_name(name: str) -> None:
    graph = load(name)
    assert graph.name == name
    assert "arXiv" in graph.citation or '"' in graph.citation, "the source names no paper"
    assert report(name)["totals"]["status"] == "complete"


@pytest.mark.parametrize("name", ZOO)
def test_the_number_of_classes_is_an_argument(name: str) -> None:
    graph = load(name, classes=7)
    assert [graph.shape(ref)[0] for _, ref in graph.outputs] == [7]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_file_can_be_used_without_a_variant(path: Path) -> None:
    graph = load(path)
    assert graph.name == path.stem
    variants = yaml.safe_load(path.read_text()).get("variants", {})
    if variants:
        first = next(iter(variants))
        assert variants[first] == {}, "the defaults are the first variant"
        assert load(first).nodes == load(path.stem).nodes


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_file_is_valid_under_the_schema_that_it_names(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert path.read_text().startswith("# yaml-language-server: $schema=spec.schema.json\n")
    assert json.loads(path.with_name("spec.schema.json").read_text()) == spec_schema()
    validator = jsonschema.Draft202012Validator(spec_schema())
    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == []


# -- torchvision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION)
def test_totals_equal_torchvisions(name: str) -> None:
    truth = TORCHVISION[name]
    assert report(name)["model"]["inputs"] == {"input": truth["input"]}
    weights = report(name, **PUBLISHED_WITH.get(name, {}))["totals"]
    assert weights["params"] == truth["params"] == truth["published_params"]
    assert weights["buffers"] == truth.get("buffers", weights["buffers"])
    work = report(name)["totals"]
    assert work["flops"] == truth["flops"] == 2 * work["macs"]
    if "published_gmacs" in truth:
        assert work["macs"] / 1e9 == pytest.approx(truth["published_gmacs"], abs=0.00051)


@pytest.mark.parametrize("truth", WITH_ARGUMENTS, ids=lambda t: f"{t['net']}-{t['args']}")
def test_totals_with_arguments_equal_torchvisions(truth: dict[str, Any]) -> None:
    result = report(truth["net"], **truth["args"])
    assert result["model"]["inputs"] == {"input": truth["input"]}
    for metric in {"params", "buffers", "flops"} & set(truth):
        assert (metric, result["totals"][metric]) == (metric, truth[metric])


def test_auxiliary_heads_change_no_output() -> None:
    for name in ("googlenet", "inception_v3"):
        assert [output for output, _ in load(name, aux=True).outputs] == ["logits"]
        assert report(name, aux=True)["totals"]["macs"] > report(name)["totals"]["macs"]


@pytest.mark.parametrize("name", facts("counters")["models"])
def test_activations_equal_fvcores(name: str) -> None:
    assert report(name)["totals"]["activations"] == facts("counters")["models"][name]["fvcore.activations"]


# -- receptive fields ------------------------------------------------------------------------------


def field(spec: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = report(spec)["layers"][path]["receptive_field"]
    assert found["kind"] == "local"
    return found


@pytest.mark.parametrize("name", FIELDS["last_feature_map"])
def test_receptive_field_of_the_last_feature_map(name: str) -> None:
    truth = FIELDS["last_feature_map"][name]
    found = field(name, END_POINTS["last_feature_map"][name])
    assert (found["size"], found["jump"], found["start"]) == (
        [truth["size"]] * 2,
        [truth["jump"]] * 2,
        [truth["first_pixel"]] * 2,
    )


PUBLISHED = [(net, point) for net, points in FIELDS["published"].items() if net != "source" for point in points]


@pytest.mark.parametrize(("net", "point"), PUBLISHED)
def test_published_receptive_fields(net: str, point: str) -> None:
    size, jump, padding = FIELDS["published"][net][point]
    where = END_POINTS["published"][net]
    found = field(where["spec"], where["layers"][point])
    assert (found["size"], found["jump"]) == ([size] * 2, [jump] * 2)
    if padding is not None:
        assert found["start"] == [-padding] * 2


# -- papers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPERS["nets"])
def test_what_the_papers_say(name: str) -> None:
    truth = PAPERS["nets"][name]
    result = report(name)
    assert result["model"]["inputs"] == {"input": truth["input"]}
    assert list(result["layers"].values())[-1]["output_shape"] == truth["output"]
    assert result["totals"]["params"] == truth.get("params", result["totals"]["params"])
    if "million_macs" in truth:
        assert round(result["totals"]["macs"] / 1e6) == truth["million_macs"]
    if "convolutions" in truth:
        convolutions = [layer for layer in result["layers"].values() if layer["type"] in ("conv", "conv_transpose")]
        assert len(convolutions) == truth["convolutions"]


@pytest.mark.parametrize(("width", "resolution", "million_macs", "million_params"), PAPERS["mobilenet_v1"]["rows"])
def test_mobilenet_v1_scaled(width: float, resolution: int, million_macs: int, million_params: float) -> None:
    totals = report("mobilenet_v1", width=width, input=(3, resolution, resolution))["totals"]
    assert totals["macs"] / 1e6 == pytest.approx(million_macs, abs=0.75), "the paper cuts some and rounds others"
    assert round(totals["params"] / 1e6, 1) == million_params


@pytest.mark.parametrize("module", PAPERS["googlenet"]["million_macs"])
def test_googlenet_with_the_papers_kernel(module: str) -> None:
    layers = report("googlenet", n5x5_kernel=5)["layers"]
    macs = sum(layer["macs"] for path, layer in layers.items() if path.startswith(f"inception_{module}."))
    assert macs / 1e6 == pytest.approx(PAPERS["googlenet"]["million_macs"][module], abs=1)


# -- nets that torchvision does not have, written a second time in plain PyTorch ---------------------


def plain_lenet5(nn: Any) -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def plain_alexnet_2012(nn: Any) -> Any:
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)),
    )


def plain_mobilenet_v1(nn: Any) -> Any:
    def conv(channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> list[Any]:
        convolution = nn.Conv2d(channels, out, kernel, stride, groups=groups, bias=False)
        # "same" for an even size: stride 2 needs one pixel, after the image
        pads = {(3, 1): (1, 1, 1, 1), (3, 2): (0, 1, 0, 1), (1, 1): (0, 0, 0, 0)}[kernel, stride]
        return [nn.ZeroPad2d(pads), convolution, nn.BatchNorm2d(out), nn.ReLU()]

    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    layers, channels = conv(3, 32, 3, 2), 32
    for out, stride in blocks:
        layers += [*conv(channels, channels, 3, stride, channels), *conv(channels, out, 1, 1)]
        channels = out
    return nn.Sequential(*layers, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(1024, 1000))


def plain_unet(nn: Any) -> Any:
    import torch

    def double(channels: int, out: int) -> Any:
        return nn.Sequential(nn.Conv2d(channels, out, 3), nn.ReLU(), nn.Conv2d(out, out, 3), nn.ReLU())

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            widths = [64, 128, 256, 512, 1024]
            self.down = nn.ModuleList(double(i, o) for i, o in zip([1, *widths], widths, strict=False))
            self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
            self.join = nn.ModuleList(double(2 * w, w) for w in widths[-2::-1])
            self.last = nn.Conv2d(64, 2, 1)

        def forward(self, x: Any) -> Any:
            skips = []
            for down in self.down:
                x = down(nn.functional.max_pool2d(x, 2) if skips else x)
                skips.append(x)
            for up, join, skip in zip(self.up, self.join, skips[-2::-1], strict=True):
                x = up(x)
                cut = (skip.shape[-1] - x.shape[-1]) // 2
                x = join(torch.cat([skip[:, :, cut : cut + x.shape[-2], cut : cut + x.shape[-1]], x], 1))
            return self.last(x)

    return UNet()


@pytest.mark.torch
@pytest.mark.parametrize("plain", [plain_lenet5, plain_alexnet_2012, plain_mobilenet_v1, plain_unet])
def test_totals_equal_those_of_plain_pytorch(plain: Any) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    result = report(plain.__name__.removeprefix("plain_"))
    with torch.device("meta"):
        model = plain(torch.nn).eval()
        image = torch.empty(1, *result["model"]["inputs"]["input"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = model(image)
    assert list(result["layers"].values())[-1]["output_shape"] == list(output.shape[1:])
    totals = result["totals"]
    assert totals["params"] == sum(p.numel() for p in model.parameters())
    assert totals["buffers"] == sum(b.numel() for b in model.buffers())
    assert totals["flops"] == counter.get_total_flops()
