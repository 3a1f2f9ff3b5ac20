"""Softmax cross-entropy with label smoothing, in the two conventions that are in use, and its gradient.

With smoothing ``ε`` and C classes the target of a sample is no longer 1 for its class ``y`` and 0 elsewhere:

==============  ====================  ==============  ================================================
convention      the class ``y``       every other     who
==============  ====================  ==============  ================================================
``notes``       ``1 − ε``             ``ε/(C − 1)``   the course notes: ε goes to the wrong classes
``torch``       ``1 − ε + ε/C``       ``ε/C``         Szegedy et al. 2016; ``torch.nn.CrossEntropyLoss``
==============  ====================  ==============  ================================================

They are one family: ``ε_torch = ε_notes·C/(C − 1)`` gives the same target. Sources: Goodfellow, Bengio &
Courville 2016, §7.5.1 (the notes'); Szegedy et al. 2016, arXiv:1512.00567, §7.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnncalc.errors import CnncalcError
from cnncalc.reference.activation import log_softmax, softmax
from cnncalc.reference.array import Array

Convention = Literal["notes", "torch"]
Labels = NDArray[np.integer]


def torch_smoothing(notes_smoothing: float, classes: int) -> float:
    """``ε_torch = ε_notes·C/(C − 1)``: PyTorch's ``label_smoothing`` for the notes' ε."""
    return notes_smoothing * classes / _more_than_one(classes)


def notes_smoothing(torch_smoothing: float, classes: int) -> float:
    """``ε_notes = ε_torch·(C − 1)/C``: the notes' ε for PyTorch's ``label_smoothing``."""
    return torch_smoothing * _more_than_one(classes) / classes


def _more_than_one(classes: int) -> int:
    """C − 1, where there is a wrong class at all."""
    if classes < 2:
        raise CnncalcError(f"error: label smoothing needs at least 2 classes, got {classes}")
    return classes - 1


def smooth_targets(labels: Labels, classes: int, smoothing: float = 0.0, convention: Convention = "notes") -> Array:
    """Target distributions ``(N, C, *places)`` for class numbers ``(N, *places)``; each sums to 1."""
    hot = np.moveaxis(np.eye(classes)[labels], -1, 1)
    if not smoothing:
        return hot
    if convention == "torch":
        return (1 - smoothing) * hot + smoothing / classes
    return (1 - smoothing) * hot + smoothing / _more_than_one(classes) * (1 - hot)


def cross_entropy(logits: Array, labels: Labels, *, smoothing: float = 0.0, convention: Convention = "notes") -> float:
    """``L = −(1/N)·Σ_n Σ_c t[n,c]·log softmax(z[n])[c]``, the mean over samples and places.

    Args:
        logits: ``z``, ``(N, C, *places)``.
        labels: the right class of each, ``(N, *places)``.
        smoothing: ``ε``.
        convention: over which classes it is spread.
    """
    targets = smooth_targets(labels, logits.shape[1], smoothing, convention)
    return float(-(targets * log_softmax(logits, axis=1)).sum() / labels.size)


def cross_entropy_gradient(
    logits: Array, labels: Labels, *, smoothing: float = 0.0, convention: Convention = "notes"
) -> Array:
    """``∂L/∂z[n,c] = (softmax(z[n])[c] − t[n,c])/N``, whatever the target, as long as it sums to 1."""
    targets = smooth_targets(labels, logits.shape[1], smoothing, convention)
    return (softmax(logits, axis=1) - targets) / labels.size
