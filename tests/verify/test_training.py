"""Training FLOPs against a real forward and backward pass of the whole net, grouped convolutions as separate groups.

Up to torch 2.14 ``torch.utils.flop_counter`` ignores groups in the weight gradient of a grouped
convolution. The oracle here goes round that: every grouped convolution becomes as many convolutions
of one group. Shapes are all that the counter reads, so the passes run on the ``meta`` device.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.cost import costs
from cnncalc.analysis.training import backward_macs
from cnncalc.graph import Graph
from cnncalc.sources import load
from cnncalc.torch.measure import measured
from cnncalc.torch.module import Net
from cnncalc.torch.running import Plan

BATCH = 2
RESNET50 = 48_598_155_264
"""PyTorch's own count of a step of torchvision's resnet50 at batch 2: it has no grouped convolution."""


class SeparateGroups(nn.Module):
    """A grouped convolution as one convolution for each group."""

    def __init__(self, whole: nn.Conv2d) -> None:
        super().__init__()
        ins, outs = whole.in_channels // whole.groups, whole.out_channels // whole.groups
        fields = {name: getattr(whole, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        with torch.device("meta"):
            parts = [nn.Conv2d(ins, outs, **fields, bias=whole.bias is not None) for _ in range(whole.groups)]
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part, x in zip(self.parts, x.chunk(len(self.parts), 1), strict=True)], 1)


def separate(module: nn.Module) -> int:
    """Replaces every grouped convolution below; how many there were."""
    count = 0
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.groups > 1:
            assert not child._forward_pre_hooks
            setattr(module, name, SeparateGroups(child))
            count += 1
        else:
            count += separate(child)
    return count


def rewired(net: Net) -> Net:
    """A net whose steps run the modules that now stand at their paths."""
    for step in net.steps:
        step.module = net.get_submodule(net.graph.nodes[step.number].path)
    return net


def step_flops(net: nn.Module, graph: Graph) -> int:
    """What PyTorch counts in one forward and backward pass; the input wants no gradient."""
    inputs = [torch.empty((BATCH, *shape), device="meta") for shape in graph.inputs.values()]
    counter = FlopCounterMode(display=False)
    with counter:
        net(*inputs).sum().backward()
    return counter.get_total_flops()


def claimed(graph: Graph) -> int:
    return 2 * (sum(cost.macs for cost in costs(graph, BATCH)) + sum(backward_macs(graph, BATCH)))


def on_meta(graph: Graph) -> Net:
    with torch.device("meta"):
        return Net(graph)


def test_resnet50_takes_what_pytorch_counts() -> None:
    graph = load("resnet50")
    assert claimed(graph) == RESNET50
    assert step_flops(on_meta(graph), graph) == RESNET50


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("mobilenet_v2", 24.56e9),
        pytest.param("convnext_tiny", None, marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", None, marks=pytest.mark.slow),
    ],
)
def test_grouped_nets_take_the_sum_of_their_groups(name: str, answered: float | None) -> None:
    graph = load(name)
    net = on_meta(graph)
    excess = 0

    def note(module: nn.Conv2d, _: tuple[Tensor], out: Tensor) -> None:
        nonlocal excess
        # the weight gradient without its groups: as many times too large
        excess += 2 * out.numel() * module.weight[0].numel() * (module.groups - 1)

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    whole = step_flops(net, graph)
    for hook in hooks:
        hook.remove()

    assert separate(net) == len(hooks) > 0
    truth = step_flops(rewired(net), graph)
    assert claimed(graph) == truth
    # what the counter answers for the net as it is: ignoring groups, or mended
    assert excess > 0
    assert whole in (truth, truth + excess)
    if answered is not None and whole != truth:
        assert whole == pytest.approx(answered, rel=1e-3)


def test_verify_names_the_discrepancy_as_pytorchs() -> None:
    graph = load("mobilenet_v2", input=(3, 64, 64))
    rows = list(measured(graph, Plan(frozenset({"flops", "backward"}), batch=BATCH)))
    assert not [row for row in rows if row.reason]
    assert int(rows[-1].claimed) + int(rows[-2].claimed) == claimed(graph)
    depthwise = [node.path for node in graph.nodes if getattr(node.layer, "groups", 1) > 1]
    noted = [row for row in rows if row.note]
    assert {row.check for row in noted} <= {"backward"}
    assert [row.layer for row in noted] in ([], depthwise)
    assert all("PyTorch's counter answers" in row.note and "ignores the" in row.note for row in noted)
