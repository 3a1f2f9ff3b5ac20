"""The one place for counts with units: ``4.2G``, ``26M``, ``100k``; no floats."""

from __future__ import annotations

import re

from cnncalc.errors import CnncalcError

PREFIXES = "kMGTPE"
_LARGE = (*PREFIXES, "Z", "Y")
_POWER = {"": 0, "K": 3, "B": 9, **{prefix: 3 * (i + 1) for i, prefix in enumerate(PREFIXES)}}
# A comma only separates thousands: "4,2G" must not become 42G.
_COUNT = re.compile(
    r"([+-]?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)(?:\.([0-9]*))?(?:[eE]\+?([0-9]{1,2}))?\s*(.?)"
)
_LONGEST = 100
_BYTES = re.compile(r"([0-9][0-9_,.]*(?:[eE]\+?[0-9]{1,2})?)\s*([kKMGTPE]?)([iI]?)(B?)")


def parse(text: str) -> int:
    """The exact whole number of ``text``; all in integers, so ``4.2G`` is 4,200,000,000.

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
        raise CnncalcError(f"'{text[:_LONGEST]}' is not a count; {hint}")
    decimals = match[3] or ""
    digits = int(match[2].replace("_", "").replace(",", "") + decimals)
    power = _POWER[match[5]] + int(match[4] or 0) - len(decimals)
    scale: int = 10 ** abs(power)
    value, rest = (digits * scale, 0) if power >= 0 else divmod(digits, scale)
    if rest:
        raise CnncalcError(f"'{text}' is not a whole number")
    return -value if match[1] == "-" else value


def parse_bytes(text: str) -> int:
    """A size in bytes: ``80GB``, ``80gb`` and ``80G`` are 80·10⁹, ``40MiB`` and ``40Mi`` are 40·2²⁰.

    Raises:
        CnncalcError: it is not a size; nor is ``80Gb``, which is gigabits.
    """
    written = text.strip()
    match = _BYTES.fullmatch(written.upper() if written.islower() else written) if len(text) <= _LONGEST else None
    if match is None or (match[3] and not match[2]) or not (match[2] or match[4]):
        raise CnncalcError(f"'{text[:_LONGEST]}' is not a size; write 80GB or 40MiB")
    number, unit, binary, _ = match.groups()
    if not binary:
        return parse(number + unit)
    scaled: int = parse(f"{number}E") * 1024 ** (1 + PREFIXES.index("k" if unit == "K" else unit))
    value, rest = divmod(scaled, 10**18)
    if rest:
        raise CnncalcError(f"'{text}' is not a whole number of bytes")
    return value


def parse_rate(text: str) -> int:
    """Bytes per second: ``3.35TB/s``, ``800GiB/s``.

    Raises:
        CnncalcError: it is not valid.
    """
    size = text.strip().removesuffix("/s")
    if size == text.strip() or size[-1:] != "B":  # Gb/s and gb/s are bits
        raise CnncalcError(f"'{text[:_LONGEST]}' is not a bandwidth; write 3.35TB/s")
    return parse_bytes(size)


def parse_flops(text: str) -> int:
    """Operations per second: ``989T``, ``989 TFLOP/s``.

    Raises:
        CnncalcError: it is not valid.
    """
    return parse(text.strip().removesuffix("FLOP/s"))


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


def show_bytes(value: int) -> str:
    """Bytes that are held: all digits below 10,000, else two decimals and a unit of 1024s (``97.49 MiB``)."""
    if abs(value) < 10_000:
        return f"{value:,} B"
    for power, prefix in enumerate(PREFIXES.upper(), 1):
        scale = 1024**power
        hundredths = (abs(value) * 100 + scale // 2) // scale
        if hundredths < 102_400 or prefix == PREFIXES.upper()[-1]:
            break
    return f"{'-' if value < 0 else ''}{hundredths // 100:,}.{hundredths % 100:02d} {prefix}iB"


def share(part: int, whole: int) -> str:
    """``part`` in per cent of ``whole``, one decimal; a positive value that rounds to 0 is ``<0.1``."""
    if not whole:
        return "–"
    tenths = (2000 * part + whole) // (2 * whole)
    if not tenths:
        return "<0.1" if part else "0"
    return f"{tenths // 10}.{tenths % 10}"


def significant(value: int, unit: str = "") -> str:
    """Three significant digits with a prefix, rounded half up: ``3.16 EFLOPs`` of 3,160,000,000,000,000,000."""
    if value < 1000:
        return f"{value:,} {unit}".rstrip()
    scales = {prefix: 1000**power for power, prefix in enumerate(_LARGE, 1)}
    prefix = next((one for one, scale in scales.items() if value * 2 + scale < 2000 * scale), _LARGE[-1])
    return f"{_three(value, scales[prefix])} {prefix}{unit}"


def show_moved(value: int) -> str:
    """Bytes that are moved, in the units of bandwidths, as :func:`show`: ``25.56 MB``."""
    text = show(value)
    return f"{text}B" if text[-1] in PREFIXES else f"{text} B"


def show_time(picoseconds: int) -> str:
    """A time of whole picoseconds for people: ``12.3 µs``, three significant digits."""
    for power, unit in enumerate(("ps", "ns", "µs", "ms")):
        if picoseconds < 1000 ** (power + 1) - 1000**power // 2:
            return _three(picoseconds, 1000**power) + f" {unit}"
    return _three(picoseconds, 10**12) + " s"


def _three(value: int, scale: int) -> str:
    """``value / scale`` with three significant digits, rounded half up; all digits above 999."""
    decimals = next((d for d in (2, 1) if value * 10**d * 2 + scale < 2000 * scale), 0)
    rounded = (value * 10**decimals * 2 + scale) // (2 * scale)
    whole, rest = divmod(rounded, 10**decimals)
    return f"{whole:,}.{rest:0{decimals}d}" if decimals and scale > 1 else f"{whole:,}"
