"""A graph as one Python module that only needs PyTorch.

It is written from the same tree as a spec: blocks become classes, chains ``nn.Sequential``, repeats loops. Modules have
the names that the graph's paths tell, so a state dict fits the module of :func:`cnncalc.torch.build` as well.
"""

from cnncalc.convert.python.module import render

__all__ = ["render"]
