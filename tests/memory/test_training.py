"""What a step of training holds, against PyTorch's optimisers and checkpoints, and the rule of 16 bytes."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from cnncalc.analysis.memory.passes import forward_pass
from cnncalc.analysis.memory.training import (
    Setting,
    block_of,
    checkpointed,
    kept_by_node,
    largest_batch,
    training,
)
from cnncalc.graph import Graph
from cnncalc.sources import load, load_text
from cnncalc.spec.random import random_spec
from cnncalc.torch.memory import OPTIMIZERS, Live, measured_state, several_threads
from cnncalc.torch.module import Net, example_inputs


def train_once(graph: Graph, dtype: torch.dtype = torch.float32) -> Net:
    """The net after a backward pass from all of its outputs."""
    net = Net(graph).to(dtype=dtype)
    out = net(*example_inputs(graph, 2, dtype=dtype))
    results = [x for x in (out.values() if isinstance(out, dict) else [out]) if x.requires_grad]
    if results:
        torch.autograd.backward(results, [torch.ones_like(x) for x in results])
    return net


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "shape"), [("lenet5", (1, 32, 32)), ("mobilenet_v3_small", (3, 32, 32))])
def test_weights_gradients_and_states(name: str, shape: tuple[int, ...], optimizer: str) -> None:
    graph = load(name, input=shape)
    for dtype in (torch.float32, torch.float64):
        net = train_once(graph, dtype)
        claim = training(graph, 2, Setting(str(dtype).removeprefix("torch."), optimizer))
        assert claim.weights == sum(p.nbytes for p in net.parameters())
        assert claim.buffers == sum(b.nbytes for b in net.buffers())
        assert claim.gradients == sum(p.grad.nbytes for p in net.parameters() if p.grad is not None)
        assert claim.optimizer == measured_state(net, optimizer)
        assert claim.master == 0


UNUSED = """
input: [4, 6, 6]
layers:
  - conv: {out: 2, kernel: 1, share: one, name: first}
  - conv: {out: 4, kernel: 1}
  - conv: {out: 2, kernel: 1, share: one}
  - batch_norm
outputs: [first]
"""


def test_what_no_output_needs_gets_no_gradient_and_no_state() -> None:
    checked = 0
    for text in (UNUSED, UNUSED.replace("[first]", "[conv2]"), *(random_spec(Random(seed)) for seed in range(30))):
        graph = load_text(text)
        try:
            net = train_once(graph)
        except ValueError:
            continue
        claim = training(graph, 2, Setting("float32", "adamw"))
        assert claim.gradients == sum(p.grad.nbytes for p in net.parameters() if p.grad is not None)
        assert claim.optimizer == measured_state(net, "adamw")
        checked += any(p.grad is None for p in net.parameters())
    assert checked


def test_mixed_precision_takes_sixteen_bytes_for_each_weight() -> None:
    """2 + 2 for weight and gradient, 4 + 4 + 4 for master, momentum and variance (Rajbhandari et al. 2020, §3.1)."""
    graph = load("lenet5")
    claim = training(graph, 1, Setting("float16", "adam", mixed=True))
    tensors = 10
    assert claim.fixed == 16 * 61_706 + 4 * tensors
    assert training(graph, 1, Setting("float16", "sgd", mixed=True)).fixed == 8 * 61_706


def test_int8_weights() -> None:
    """Kernels and matrices take a byte per weight; biases stay float32, and so do activations."""
    graph = load("lenet5")
    biases = 6 + 16 + 120 + 84 + 10
    claim = training(graph, 1, Setting("int8"))
    assert claim.weights == 61_706 - biases + 4 * biases
    assert claim.kept == training(graph, 1, Setting("float32")).kept


# -- checkpoints -----------------------------------------------------------------------------------


def live_after_forward(graph: Graph, depth: int) -> int:
    """Bytes of tensors alive after a pass whose blocks at ``depth`` run under ``torch.utils.checkpoint``,
    those of the outputs alone left out.
    """
    net = Net(graph).train()
    readers: dict[int, set[int]] = {}
    for step in net.steps:
        for ref in step.inputs:
            readers.setdefault(ref.node, set()).add(step.number)
    kept = {ref.node for _, ref in graph.outputs}
    live = Live([*net.parameters(), *net.buffers()])
    inputs = example_inputs(graph, 2)
    values = net.start(*inputs)
    while inputs:
        live.add(inputs.pop())
    ran: set[int] = set()

    def run(steps, known):
        for step in steps:
            out = step.module(*(known[ref.node][ref.port] for ref in step.inputs))
            known[step.number] = (out,) if isinstance(out, torch.Tensor) else tuple(out)

    with live:
        for block, group in groupby(net.steps, lambda step: block_of(graph.nodes[step.number].path, depth)):
            steps = list(group)
            own = {step.number for step in steps}
            if not block:
                for step in steps:
                    run([step], values)
                    ran.add(step.number)
                    let_go(values, readers, kept, ran)
                continue
            read = sorted({ref for step in steps for ref in step.inputs if ref.node not in own})
            left = sorted(n for n in own if n in kept or readers.get(n, set()) - own)

            def body(*given, steps=steps, read=read, left=left):
                known = {}
                for ref, tensor in zip(read, given, strict=True):
                    ports = known.setdefault(ref.node, {})
                    ports[ref.port] = tensor
                run(steps, known)
                return tuple(t for n in left for t in known[n])

            arguments = [values[ref.node][ref.port] for ref in read]
            out = checkpoint(body, *arguments, use_reentrant=False, preserve_rng_state=False)
            del arguments
            given = iter(out)
            for number in left:
                values[number] = tuple(next(given) for _ in graph.nodes[number].output_shapes)
            del out, given
            ran |= own
            let_go(values, readers, kept, ran)
    assert set(values) <= kept | {n for n, node in enumerate(graph.nodes) if node.layer is None}
    return live.now


def let_go(values, readers, kept, ran) -> None:
    for number in [n for n in values if n not in kept and readers.get(n, set()) <= ran]:
        del values[number]


@pytest.mark.parametrize(
    ("name", "shape", "depth"),
    [
        ("resnet18", (3, 32, 32), 1),
        ("resnet18", (3, 32, 32), 2),
        ("mobilenet_v3_small", (3, 32, 32), 1),
        ("unet", (1, 188, 188), 1),
        ("convnext_tiny", (3, 32, 32), 2),
        ("shufflenet_v2_x0_5", (3, 64, 64), 1),
    ],
)
def test_checkpoints_keep_the_inputs_of_blocks(name: str, shape: tuple[int, ...], depth: int) -> None:
    graph = load(name, input=shape)
    run = forward_pass(graph, 2, training=True, element=4)
    claim = checkpointed(graph, run, depth)
    outputs = {storage for _, ref in graph.outputs for storage in run.nodes[ref.node].outputs}
    plain = sum(kept_by_node(graph, run))
    # the outputs of these nets are logits, which nothing keeps
    with several_threads():
        assert live_after_forward(graph, depth) == claim.kept + sum(run.sizes[s] for s in outputs)
    assert claim.kept < plain
    assert claim.again > 0


def test_a_block_that_runs_again_keeps_what_it_kept_before() -> None:
    """All of a net in one block: its input, and again all that it kept but that input."""
    text = """
    input: [3, 8, 8]
    blocks: {all: {layers: [{conv: {out: 4, kernel: 3}}, batch_norm, relu, {max_pool: 2}, flatten, {linear: 5}]}}
    layers: [all]
    """
    graph = load_text(text)
    run = forward_pass(graph, 2, training=True, element=4)
    claim = checkpointed(graph, run, 1)
    assert claim.kept == 2 * 3 * 8 * 8 * 4
    assert claim.kept + claim.again == sum(kept_by_node(graph, run))
    assert claim.block == "all1"


# -- the largest batch -----------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 5000), st.integers(1, 4_000_000), st.sampled_from(sorted(OPTIMIZERS)), st.booleans())
def test_the_largest_batch_fits_and_one_more_does_not(seed: int, size: int, optimizer: str, mixed: bool) -> None:
    graph = load_text(random_spec(Random(seed)))
    setting = Setting("float16" if mixed else "float32", optimizer, mixed)
    found = largest_batch(graph, size, setting)
    if found is None:
        assert training(graph, 10**4, setting).total <= size
        return
    assert found == 0 or training(graph, found, setting).total <= size
    assert training(graph, found + 1, setting).total > size


def test_the_largest_batch_is_found_without_trying_all() -> None:
    graph = load("resnet50")
    claim = training(graph, 1, Setting())
    per_image = training(graph, 2, Setting()).total - claim.total
    size = 10**15
    found = largest_batch(graph, size, Setting())
    assert found is not None
    assert abs(found - (size - claim.fixed) // per_image) <= 1
