"""The layers: one file per family, one class per layer; importing this fills the registry."""

from __future__ import annotations

from cnncalc.layers import conv
from cnncalc.layers.base import REGISTRY, Layer

__all__ = ["REGISTRY", "Layer", "conv"]
