"""Counts with units, as people write and read them: ``4.2G``, ``26M``, ``100k``; the one place, and no float."""

from __future__ import annotations

import re

from cnncalc.errors import CnncalcError

PREFIXES = "kMGTPE"
_POWER = {"": 0, "K": 3, "B": 9, **{prefix: 3 * (i + 1) for i, prefix in enumerate(PREFIXES)}}
# A comma parts thousands and nothing else: "4,2G" must not become 42G.
_COUNT = re.compile(
    r"([+-]?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)(?:\.([0-9]*))?(?:[eE]\+?([0-9]{1,2}))?\s*(.?)"
)
_LONGEST = 100


def parse(text: str) -> int:
    """The exact whole number that ``text`` means; integers throughout, so ``4.2G`` is 4,200,000,000.

    Units are k (or K), M, G (or B), T, P and E; ``1e9``, ``25_557_032`` and ``25,557,032`` are counts too.

    Raises:
        CnncalcError: not a count, or not a whole number.
    """
    match = _COUNT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or match[5] not in _POWER:
        near = match[5].upper() if match is not None else ""
        hint = (
            f"did you mean '{text.strip()[:-1]}{near}'?"
            if near in _POWER and near
            else "write 26000000, 26M, 4.2G or 1e9"
        )
        raise CnncalcError(f"'{text[:_LONGEST]}' is no count; {hint}")
    decimals = match[3] or ""
    digits = int(match[2].replace("_", "").replace(",", "") + decimals)
    power = _POWER[match[5]] + int(match[4] or 0) - len(decimals)
    scale: int = 10 ** abs(power)
    value, rest = (digits * scale, 0) if power >= 0 else divmod(digits, scale)
    if rest:
        raise CnncalcError(f"'{text}' is not a whole number")
    return -value if match[1] == "-" else value


def show(value: int) -> str:
    """A count for people: all digits below 10,000, else two decimals and a unit (``4.09 G``, ``25.56 M``).

    Rounded half away from zero.
    """
    size = abs(value)
    if size < 10_000:
        return f"{value:,}"
    for power, prefix in enumerate(PREFIXES, 1):
        scale = 1000**power
        hundredths = (size * 100 + scale // 2) // scale
        if hundredths < 100_000 or prefix == PREFIXES[-1]:
            break
    return f"{'-' if value < 0 else ''}{hundredths // 100:,}.{hundredths % 100:02d} {prefix}"


BINARY_PREFIXES = "KMGTPE"
_BYTES = re.compile(r"([0-9]+)(?:\.([0-9]+))?\s*(?:([kKMGTPE])(i?))?([bB]?)")


def parse_bytes(text: str) -> int:
    """A size in bytes: ``24GB`` is 24·10⁹, ``24GiB`` 24·2³⁰, ``512`` as many bytes; a fraction of a byte is left out.

    Raises:
        CnncalcError: not a size.
    """
    match = _BYTES.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or (match[3] and not match[5]):
        hint = f"did you mean '{text.strip()}B'?" if match is not None else "write 24GB (24·10⁹) or 24GiB (24·2³⁰)"
        raise CnncalcError(f"'{text[:_LONGEST]}' is no size in bytes\n  hint: {hint}")
    decimals = match[2] or ""
    power = BINARY_PREFIXES.index(match[3].upper()) + 1 if match[3] else 0
    scale: int = (1024 if match[4] else 1000) ** power
    shift: int = 10 ** len(decimals)
    return int(match[1] + decimals) * scale // shift


def show_bytes(value: int) -> str:
    """A size for people: all digits below 10,000, else two decimals and a unit of 1024s (``97.49 MiB``)."""
    if abs(value) < 10_000:
        return f"{value:,} B"
    for power, prefix in enumerate(BINARY_PREFIXES, 1):
        scale = 1024**power
        hundredths = (abs(value) * 100 + scale // 2) // scale
        if hundredths < 102_400 or prefix == BINARY_PREFIXES[-1]:
            break
    return f"{'-' if value < 0 else ''}{hundredths // 100:,}.{hundredths % 100:02d} {prefix}iB"


def share(part: int, whole: int) -> str:
    """``part`` in per cent of ``whole``, one decimal; what rounds to nothing but is something is ``<0.1``."""
    if not whole:
        return "–"
    tenths = (2000 * part + whole) // (2 * whole)
    if not tenths:
        return "<0.1" if part else "0"
    return f"{tenths // 10}.{tenths % 10}"
