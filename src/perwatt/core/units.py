"""SI units only: joules, watts, seconds, bytes. Names carry the unit; this file prints them."""

from __future__ import annotations

import math

__all__ = ["format_bytes", "format_duration", "format_si", "format_value"]

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """`format_si(0.0123, "J")` -> `"12.3 mJ"`. `digits` are significant digits.

    >>> format_si(1234.5, "J"), format_si(0, "W"), format_si(-0.0021, "s")
    ('1.23 kJ', '0 W', '-2.1 ms')
    """
    if value == 0:
        return f"0 {unit}"
    if not math.isfinite(value):
        return f"{value} {unit}"
    scale, prefix = next((p for p in _PREFIXES if abs(value) >= p[0]), _PREFIXES[-1])
    return f"{_significant(value / scale, digits)} {prefix}{unit}"


def format_value(value: float, unit: str, digits: int = 3) -> str:
    """A number for people: shares as percent, plain SI units with a prefix, the rest as is.

    >>> format_value(0.4217, "share"), format_value(3.2, "J"), format_value(91.04, "1/s")
    ('42.2%', '3.2 J', '91 1/s')
    >>> format_value(8.711e-5, "1/J")
    '8.71×10⁻⁵ 1/J'
    """
    if unit == "share":
        return f"{value * 100:.1f}%"
    if unit in {"J", "W", "s", "B"}:
        return format_si(value, unit, digits)
    return f"{_significant(value, digits)} {unit}".rstrip()


def format_duration(value_s: float) -> str:
    """`format_duration(75)` -> `"1m15s"`.

    >>> format_duration(75), format_duration(8.26), format_duration(7260)
    ('1m15s', '8.3s', '2h01m')
    """
    if value_s < 60:
        return f"{value_s:.1f}s"
    minutes, rest = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def format_bytes(value: float) -> str:
    """Decimal megabytes and gigabytes, as disks and model cards count them.

    >>> format_bytes(98_400_000)
    '98.4 MB'
    """
    return format_si(value, "B")


def _significant(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e-" in text:  # six decimals would leave no digit of an answer per joule
        mantissa, _, power = text.partition("e-")
        return f"{mantissa}×10⁻{power.lstrip('0').translate(_RAISED)}"
    if "e" in text:
        text = f"{float(text):.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
