"""Functions that turn ATen operators into layers, a file per family as in ``cnncalc.layers``."""

from cnncalc.torch.capture.operators import activation, conv, linear, merge, norm, pool, reduce, resample, shape

__all__ = ["activation", "conv", "linear", "merge", "norm", "pool", "reduce", "resample", "shape"]
