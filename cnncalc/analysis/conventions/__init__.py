"""Other tools' counts for a net, reproduced from our own analysis: one file for each tool."""

from __future__ import annotations

from cnncalc.analysis.conventions.convention import Convention, Number, answer
from cnncalc.analysis.conventions.flop_counter import FLOP_COUNTER
from cnncalc.analysis.conventions.fvcore import FVCORE, FVCORE_ACTIVATIONS
from cnncalc.analysis.conventions.ptflops import PTFLOPS, PTFLOPS_ATEN
from cnncalc.analysis.conventions.thop import THOP
from cnncalc.analysis.conventions.torchinfo import TORCHINFO
from cnncalc.analysis.conventions.torchprofile import TORCHPROFILE
from cnncalc.analysis.conventions.torchscan import TORCHSCAN, TORCHSCAN_FLOPS

_FIRST = (FLOP_COUNTER, FVCORE, FVCORE_ACTIVATIONS, TORCHINFO, PTFLOPS, PTFLOPS_ATEN)
_ALL: tuple[Convention, ...] = (*_FIRST, THOP, TORCHPROFILE, TORCHSCAN, TORCHSCAN_FLOPS)
CONVENTIONS = {one.name: one for one in _ALL}
"""All conventions by name, in the order of the table."""

__all__ = ["CONVENTIONS", "Convention", "Number", "answer"]
