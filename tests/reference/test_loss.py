"""Cross-entropy with label smoothing, in both conventions, against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.errors import CnncalcError
from cnncalc.reference.loss import (
    cross_entropy,
    cross_entropy_gradient,
    notes_smoothing,
    smooth_targets,
    torch_smoothing,
)
from tests.reference.compare import assert_same, tensor

CLASSES = st.integers(2, 7)
PLACES = st.lists(st.integers(1, 3), max_size=2)


def draw(classes, places, seed):
    generator = np.random.default_rng(seed)
    shape = (3, *places)
    return generator.normal(size=(3, classes, *places)) * 3, generator.integers(classes, size=shape)


@given(CLASSES, PLACES, st.floats(0, 1), st.integers(0, 99))
def test_pytorchs_convention(classes, places, smoothing, seed):
    logits, labels = draw(classes, places, seed)
    leaf = tensor(logits)
    theirs = F.cross_entropy(leaf, torch.from_numpy(labels), label_smoothing=smoothing)
    ours = cross_entropy(logits, labels, smoothing=smoothing, convention="torch")
    assert math.isclose(ours, theirs.item(), rel_tol=1e-9)
    (expected,) = torch.autograd.grad(theirs, leaf)
    assert_same(cross_entropy_gradient(logits, labels, smoothing=smoothing, convention="torch"), expected)


@given(CLASSES, PLACES, st.floats(0, 1), st.integers(0, 99))
def test_notes_convention(classes, places, share, seed):
    """ε over the wrong classes is PyTorch's cross-entropy with such targets, and with its own ε after conversion."""
    logits, labels = draw(classes, places, seed)
    smoothing = share * (classes - 1) / classes  # so that PyTorch's, which must not be above 1, can be it
    targets = np.full(logits.shape, smoothing / (classes - 1))
    np.put_along_axis(targets, labels[:, None], 1 - smoothing, axis=1)
    assert_same(smooth_targets(labels, classes, smoothing), targets, 1e-12)
    leaf = tensor(logits)
    by_targets = F.cross_entropy(leaf, torch.from_numpy(targets))
    converted = min(1.0, torch_smoothing(smoothing, classes))
    by_smoothing = F.cross_entropy(leaf, torch.from_numpy(labels), label_smoothing=converted)
    ours = cross_entropy(logits, labels, smoothing=smoothing, convention="notes")
    assert math.isclose(ours, by_targets.item(), rel_tol=1e-9)
    assert math.isclose(ours, by_smoothing.item(), rel_tol=1e-9)
    (expected,) = torch.autograd.grad(by_targets, leaf)
    assert_same(cross_entropy_gradient(logits, labels, smoothing=smoothing), expected)


@given(CLASSES, st.floats(0, 1))
def test_conversion_there_and_back(classes, smoothing):
    labels = np.arange(classes)
    there = torch_smoothing(smoothing, classes)
    assert math.isclose(notes_smoothing(there, classes), smoothing, abs_tol=1e-15)
    assert np.allclose(
        smooth_targets(labels, classes, smoothing, "notes"), smooth_targets(labels, classes, there, "torch"), atol=1e-15
    )


def test_the_notes_example():
    """ε = 0.1 over 10 classes: 0.9 for the right one, 0.1/9 for the others; PyTorch says 1/9 for the same."""
    (target,) = smooth_targets(np.array([3]), 10, 0.1)
    assert target[3] == 0.9
    assert np.allclose(np.delete(target, 3), 0.1 / 9, rtol=1e-15)
    assert math.isclose(torch_smoothing(0.1, 10), 1 / 9)


def test_gradient_sums_to_zero():
    logits, labels = draw(5, [], 0)
    assert np.allclose(cross_entropy_gradient(logits, labels, smoothing=0.2).sum(axis=1), 0, atol=1e-15)


def test_large_logits_do_not_overflow():
    assert cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == 1e4


def test_one_class_cannot_be_smoothed():
    with pytest.raises(CnncalcError, match="label smoothing needs at least 2 classes, got 1"):
        torch_smoothing(0.1, 1)
