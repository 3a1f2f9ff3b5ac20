"""A module after it was analysed is the module that it was: it runs, can be copied and saved, and gives the same."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict, deque

import pytest
import torch
from torch import Tensor, nn

import cnncalc

pytestmark = pytest.mark.torch


class Cache:
    """What a net may keep its tensors in."""

    def __init__(self):
        self.last = None
        self.seen = 0


class Keeping(nn.Module):
    """Its forward keeps tensors in each way that there is, and counts."""

    table = None

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout()
        self.inner = nn.Module()
        self.loose = [nn.ReLU()]
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("grid", None)
        self.plain = torch.zeros(2)
        self.lists, self.dicts, self.sets = [[]], {"a": {}}, {1}
        self.orders, self.queue, self.cache, self.calls = OrderedDict(a=1, b=2), deque(maxlen=2), Cache(), 0

    def forward(self, x):
        y = self.drop(self.norm(self.loose[0](self.conv(x))))
        if self.table is None or self.table.shape[-2:] != y.shape[-2:]:
            self.table = torch.linspace(0, 1, y.shape[-1]).expand(1, 1, *y.shape[-2:])
        self.grid = torch.ones(1, 8, 1, 1)
        self.inner.shape = y.shape
        self.inner.kept = y
        self.inner.register_forward_hook(lambda *_: None)
        self.lists[0].append(y)
        self.dicts["a"]["b"] = y
        self.sets.add(len(self.sets))
        self.orders.move_to_end("a")
        self.queue.append(y)
        self.cache.last, self.cache.seen = y, self.cache.seen + 1
        self.calls += 1
        self.loose[0].kept = y
        return y * self.grid + self.table


def state(one, known=()):
    """Everything that an object holds, values of tensors included, as nested tuples."""
    if isinstance(one, Tensor):
        return type(one), one.requires_grad, one.tolist()
    if id(one) in known:
        return "seen"
    known = (*known, id(one))
    if isinstance(one, dict):
        return type(one), [(key, state(value, known)) for key, value in one.items()]
    if isinstance(one, (list, tuple, set, deque)):
        return type(one), [state(value, known) for value in one]
    return (type(one), state(vars(one), known)) if isinstance(one, (nn.Module, Cache)) else repr(one)


@pytest.mark.parametrize("run_first", [False, True])
def test_a_module_holds_what_it_held(run_first):
    torch.manual_seed(0)
    module = Keeping().train()
    module.norm.eval()
    module.conv.register_forward_hook(lambda *_: None)
    if run_first:
        with torch.no_grad():
            module(torch.zeros(1, 3, 9, 9))
    x, before = torch.randn(2, 3, 16, 16), state(module)
    twin = None if run_first else copy.deepcopy(module)
    cnncalc.load(module, input=(3, 16, 16))
    assert state(module) == before
    assert (module.training, module.norm.training, module.drop.training) == (True, False, True)
    assert len(module.conv._forward_hooks) == 1
    assert len(module.inner._forward_hooks) == run_first
    torch.save(copy.deepcopy(module).state_dict(), io.BytesIO())
    if twin is not None:
        module.conv._forward_hooks.clear()
        torch.save(module, io.BytesIO())
        assert torch.equal(module.eval()(x), twin.eval()(x))
        assert type(module.table) is Tensor


def test_a_module_that_cannot_be_exported_is_left_as_it_was_too():
    class Fails(Keeping):
        def forward(self, x):
            out = super().forward(x)
            return out if float(out.sum()) > 0 else -out

    module = Fails()
    before = state(module)
    with pytest.raises(cnncalc.CnncalcError, match="PyTorch cannot export Fails"):
        cnncalc.load(module, input=(3, 16, 16))
    assert state(module) == before
