"""Rows of a verdict that compare the pixels that units are claimed to see with those that reach them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cnncalc.analysis.exact_field import Along, Anywhere, Pixels, Sight
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas.positions import indices

AT_MOST = "at most these: of a map whose parts see differently, some are left out"


def pixel_row(path: str, name: str, claim: Sight, units: Sequence[Pixels]) -> Row:
    """Claimed and measured pixel sets along the axis called ``name``; of the units that differ the first is shown.

    ``units``: the pixels that reach each unit, along the axis that the claim is about; where that is no
    single axis, those of any parts of the tensor that together are all of it.
    """
    check = f"pixels, {name}"
    if isinstance(claim, Along):
        if len(claim.units) != len(units):
            return compare(path, check, f"{len(claim.units)} units", f"{len(units)} units")
        for unit, (says, sees) in enumerate(zip(claim.units, units, strict=True)):
            if says != sees if claim.exact else sees & ~says:
                reason = f"unit {unit}: claimed {show_pixels(says)}, measured {show_pixels(sees)}"
                return Row(path, check, show_pixels(says), show_pixels(sees), reason)
        count = f"{len(units)} unit{'s' if len(units) > 1 else ''}"
        return Row(path, check, count, count, note="" if claim.exact else AT_MOST)
    everything = 0
    for pixels in units:
        everything |= pixels
    if isinstance(claim, Anywhere) and not claim.exact and not everything & ~claim.pixels:
        return Row(path, check, f"within {show_pixels(claim.pixels)}", show_pixels(everything), note=AT_MOST)
    if isinstance(claim, Anywhere):
        return compare(path, check, show_pixels(claim.pixels), show_pixels(everything))
    odd = next((pixels for pixels in units if pixels != everything), None)
    if odd is not None:
        reason = f"some units see {show_pixels(odd)} alone"
        return Row(path, check, show_pixels(claim), show_pixels(odd), reason)
    return compare(path, check, show_pixels(claim), show_pixels(everything))


def show_pixels(pixels: Pixels) -> str:
    """A set of pixels as ranges: ``0-6``, ``0,2,4``."""
    found = indices(pixels)
    if not found:
        return "nothing"
    if len(found) == found[-1] - found[0] + 1:
        return f"{found[0]}-{found[-1]}"
    steps = {b - a for a, b in pairwise(found)}
    if len(found) > 8:
        return (
            f"{found[0]}-{found[-1]} by {min(steps)}"
            if len(steps) == 1
            else f"{len(found)} pixels in {found[0]}-{found[-1]}"
        )
    return ",".join(map(str, found))
