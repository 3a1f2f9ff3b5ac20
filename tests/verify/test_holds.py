"""Small nets whose claims were once wrong: every claim holds against PyTorch."""

from __future__ import annotations

import pytest

from cnncalc.sources import load_text
from cnncalc.torch.verify import verify

pytestmark = pytest.mark.torch

NETS = {
    "no gradient through indices": (
        "input: [8, 32]\nlayers: [{linear: {out: 8}}, {take: {from: [input, -1]}}, {conv: {out: 4, kernel: 1}}]",
        ("flops", "backward"),
    ),
    "no gradient through a count of samples": (
        "input: [8, 32]\nlayers: [{linear: {out: 8}}, {per_sample: {from: [input, -1]}}, {conv: {out: 4, kernel: 1}}]",
        ("flops", "backward"),
    ),
    "what depends on no input is computed once for a batch": (
        "input: [4, 8, 8]\nlayers: [{parameter: {shape: [3, 8, 8]}}, {linear: {out: 8}}, {conv: {out: 3, kernel: 3}}]",
        ("shape", "flops", "backward"),
    ),
    "no gradient through what has buffers alone": (
        "input: [4, 8, 8]\nlayers: [{batch_norm: {affine: false}}, {conv: {out: 3, kernel: 3}}]",
        ("flops", "backward"),
    ),
    "patches with gaps between them": ("input: [16, 5, 7]\nlayers: [{unfold: {kernel: 1, stride: 2}}]", None),
    "patches with gaps between and in them": (
        "input: [4, 15, 13]\nlayers: [{conv: {out: 4, kernel: 2}}, {unfold: {kernel: 2, stride: 5, dilation: 2}}]",
        ("pixels", "field"),
    ),
    "patches in the padding": ("input: [9, 36]\nlayers: [{fold: {size: 4, kernel: 1, padding: 1}}]", None),
    "indices that leave out some": (
        "input: [4, 6, 3]\nlayers: [{constant: {shape: [2], name: i}}, {take: {axis: 1, from: [input, i]}}, relu]",
        None,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_every_claim_holds(name: str) -> None:
    spec, checks = NETS[name]
    found = verify(load_text(spec), batch=2, **({} if checks is None else {"checks": checks}))
    assert found.rows
    assert [(row.layer, row.check, row.reason) for row in found.rows if row.reason] == []
