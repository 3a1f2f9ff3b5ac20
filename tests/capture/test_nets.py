"""Modules as graphs: PyTorch's own numbers, and the same outputs from the module that we build of the graph."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import cnncalc
from cnncalc.torch import build
from cnncalc.torch.capture import capture, copy_weights
from tests.capture import nets

BATCH = 3


def made(name):
    """A module with random weights and statistics, its input shapes, and inputs."""
    factory, shape = nets.NETS[name]
    torch.manual_seed(0)
    module = factory().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    shapes = shape.values() if isinstance(shape, dict) else [shape]
    return module, shape, [torch.randn(BATCH, *one) for one in shapes]


@pytest.mark.parametrize("name", nets.NETS)
def test_numbers_are_pytorchs(name):
    module, shape, inputs = made(name)
    report = cnncalc.analyze(module, input=shape, batch=BATCH)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # without gradients PyTorch takes a fused path, which it does not count
        outputs = tree_leaves(module(*inputs))
    assert report.totals.status == "complete", report.diagnostics
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.buffers == sum(b.numel() for b in module.buffers())
    assert report.totals.flops == counter.get_total_flops()
    assert [*report.model.outputs.values()] == [tuple(out.shape[1:]) for out in outputs]


@pytest.mark.parametrize(
    "name", sorted(set(nets.NETS) - {"constants", "rotary", "queries", "fixed", "moves", "windows", "equations"})
)
def test_the_graphs_module_gives_the_same_outputs(name):
    """But for nets that compute constants, whose values a graph does not hold."""
    module, shape, inputs = made(name)
    found = capture(module, shape)
    net = build(found.graph).eval()
    copy_weights(found, module, net)
    with torch.no_grad():
        theirs, ours = tree_leaves(module(*inputs)), net(*inputs)
    ours = [*ours.values()] if isinstance(ours, dict) else [ours]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", nets.NETS)
def test_paths_are_unique_and_legal(name):
    module, shape, _ = made(name)
    paths = [node.path for node in capture(module, shape).graph.nodes]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert all(segment.isidentifier() or segment.isdigit() for segment in path.split("."))
        assert not any(other.startswith(f"{path}.") for other in paths)


def test_an_unknown_operator_is_named_and_stops_nothing():
    report = cnncalc.analyze(nets.Unknown(), input=(3, 6, 6))
    known = [layer for layer in report.layers if layer.macs is None]
    assert [layer.path for layer in known] == ["odd.opaque1"]
    assert report.totals.status == "partial"
    (diagnostic,) = [one for one in report.diagnostics if one.code == "unknown-cost"]
    assert diagnostic.layers == ("odd.opaque1",)
    assert diagnostic.message.startswith("the costs of aten.sort, which gives 4×36, 4×36, are not known")
    # both convolutions count, the one after it too
    assert report.totals.macs == 36 * 9 * (3 * 4 + 4 * 2)
    assert report.model.outputs == {"after": (2, 6, 6)}
    assert report.layers[-1].receptive_field is None
    assert report.layers[0].receptive_field.size == (3, 3)


def test_samples_that_look_at_each_other_are_refused_and_named():
    report = cnncalc.analyze(nets.Mixed(), input=(3, 4, 4))
    assert report.totals.status == "partial"
    messages = [one.message for one in report.diagnostics if one.code == "unknown-cost"]
    assert any("aten.mean.dim" in one and "the axis that holds the batch" in one for one in messages)


@pytest.mark.torch
def test_control_flow_by_data_says_where():
    with pytest.raises(cnncalc.CnncalcError, match=r"^PyTorch cannot export Dependent: ") as error:
        cnncalc.load(nets.Dependent(), input=(3, 4, 4))
    message = str(error.value)
    assert "in the module: inner" in message
    assert "nets.py:" in message
    assert "in forward" in message
    assert "depends on the values in a tensor" in message


def test_a_module_is_left_as_it_was():
    module = nets.Residual().train()
    module.bn1.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    cnncalc.load(module, input=(3, 8, 8))
    assert [one.training for one in module.modules()] == [one is not module.bn1 for one in module.modules()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_paths_are_the_modules():
    graph = cnncalc.load(nets.Residual(), input=(3, 8, 8))
    assert [node.path for node in graph.nodes] == [
        *("input", "conv1", "bn1", "relu", "conv2", "bn2", "shortcut", "add1", "relu_2")
    ]


def test_a_block_that_is_called_twice():
    graph = cnncalc.load(nets.Shared(), input=(3, 8, 8))
    paths = [node.path for node in graph.nodes]
    assert {"block.0", "block_2.0", "block.1", "block_2.1"} <= set(paths)
    again = graph.nodes[paths.index("block_2.0")]
    assert graph.nodes[again.shared].path == "block.0"
    assert again.layer.macs(*again.input_shapes) > 0


def test_norms_and_paddings_and_shuffles_are_the_layers_that_they_are():
    def kinds(name):
        module, shape, _ = made(name)
        return [(node.kind, node.path) for node in capture(module, shape).graph.nodes]

    assert ("channel_shuffle", "channel_shuffle1") in kinds("shuffle")
    assert not {"reshape", "transpose"} & {kind for kind, _ in kinds("shuffle")}
    module, shape, _ = made("same_padding")
    depthwise = capture(module, shape).graph.nodes[1]
    assert (depthwise.path, depthwise.layer.padding) == ("depthwise", "same")
    module, shape, _ = made("standardised")
    norm = next(node for node in capture(module, shape).graph.nodes if node.path == "norm")
    assert norm.layer.axes == 0


def test_inputs_by_name_and_by_order():
    module = nets.Several()
    by_name = cnncalc.load(module, input={"depth": (1, 6, 6), "image": (3, 6, 6)})
    by_order = cnncalc.load(module, input=[(3, 6, 6), (1, 6, 6)])
    assert by_name.inputs == by_order.inputs == {"image": (3, 6, 6), "depth": (1, 6, 6)}
    assert [name for name, _ in by_order.outputs] == ["sum", "both.0", "both.1", "mean"]
    with pytest.raises(cnncalc.CnncalcError, match=r"has no argument 'depht'\n  hint: it has image, depth"):
        cnncalc.load(module, input={"image": (3, 6, 6), "depht": (1, 6, 6)})
    with pytest.raises(cnncalc.CnncalcError, match="Residual does not say its input's shape"):
        cnncalc.load(nets.Residual())


def test_the_fields_of_a_captured_net_are_those_of_its_gradient():
    """The receptive field at the last map before the head is the support of the input's gradient."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(nets.Residual(), torch.nn.AvgPool2d(2), torch.nn.Conv2d(8, 4, 3, padding=1)).eval()
    with torch.no_grad():
        for tensor in [*module.parameters()]:
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    x = (torch.rand(1, 3, 32, 32) + 1).requires_grad_()
    out = module(x)
    row, column = 8, 7
    out[0, :, row, column].sum().backward()
    rows, columns = (x.grad[0].abs().sum((0, axis)).nonzero().flatten() for axis in (2, 1))
    field = cnncalc.analyze(module, input=(3, 32, 32)).layers[-1].receptive_field
    first = [start + jump * unit for start, jump, unit in zip(field.start, field.jump, (row, column), strict=True)]
    assert (first[0], first[0] + field.size[0] - 1) == (rows[0], rows[-1])
    assert (first[1], first[1] + field.size[1] - 1) == (columns[0], columns[-1])
