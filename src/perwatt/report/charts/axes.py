"""The plot area and its two axes, labelled in one SI prefix."""

from __future__ import annotations

import math

import msgspec
from markupsafe import Markup

from perwatt.core.units import format_value
from perwatt.report.charts.scale import Log, Scale
from perwatt.report.charts.svg import el, text

__all__ = ["Frame", "tick_labels", "x_axis", "y_axis"]

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A chart's size and the plot area in it, in pixels."""

    width: float
    height: float
    left: float = 52
    right: float = 14
    top: float = 12
    bottom: float = 40

    @property
    def x0(self) -> float:
        return self.left

    @property
    def x1(self) -> float:
        return self.width - self.right

    @property
    def y0(self) -> float:
        """The upper edge."""
        return self.top

    @property
    def y1(self) -> float:
        """The lower edge."""
        return self.height - self.bottom


def tick_labels(ticks: list[float], unit: str, *, log: bool = False) -> tuple[list[str], str]:
    """A label for each tick, and the unit they are in.

    >>> tick_labels([0, 0.05, 0.1], "s")
    (['0', '50', '100'], 'ms')
    >>> tick_labels([0.25, 0.5], "share"), tick_labels([0.1, 1, 10], "J", log=True)
    ((['25%', '50%'], ''), (['100 mJ', '1 J', '10 J'], ''))
    """
    if log:
        prefixed = unit in {"J", "W", "s", "share"}
        labels = [format_value(tick, unit if prefixed else "") for tick in ticks]
        return labels, "" if prefixed else unit
    if unit == "share":
        return [f"{_plain(tick * 100, _step(ticks) * 100)}%" for tick in ticks], ""
    scale, prefix = 1.0, ""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if unit in {"J", "W", "s"} and largest > 0:
        # Seconds are not counted in kiloseconds.
        usable = [p for p in _PREFIXES if unit != "s" or p[0] <= 1]
        scale, prefix = next((p for p in usable if largest >= p[0]), usable[-1])
    labels = [_plain(tick / scale, _step(ticks) / scale) for tick in ticks]
    return labels, f"{prefix}{unit}"


def _step(ticks: list[float]) -> float:
    return ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) if ticks else 1.0


def _plain(value: float, step: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or step < 1e-7:
        return f"{value:.4g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    shown = f"{value:.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown and len(shown) > 6 else shown


def x_axis(frame: Frame, scale: Scale, unit: str, title: str, *, grid: bool = True) -> Markup:
    """Ticks and title below the plot area."""
    ticks = scale.ticks()
    labels, shown = tick_labels(ticks, unit, log=isinstance(scale, Log))
    parts: list[object] = []
    for tick, label in zip(ticks, labels, strict=True):
        x = scale(tick)
        if grid:
            parts.append(el("path", d=f"M{x:.1f},{frame.y0:.1f}V{frame.y1:.1f}", class_="grid"))
        parts.append(text(x, frame.y1 + 16, label, class_="axis mid"))
    steps = "".join(f"M{scale(v):.1f},{frame.y1:.1f}v-4" for v in _between(scale))
    parts.append(el("path", d=steps, class_="minor") if steps else "")
    parts.append(el("path", d=f"M{frame.x0:.1f},{frame.y1:.1f}H{frame.x1:.1f}", class_="baseline"))
    words = f"{title} ({shown})" if shown else title
    if words:
        parts.append(text((frame.x0 + frame.x1) / 2, frame.y1 + 34, words, class_="axis mid name"))
    return el("g", *parts, aria_hidden="true")


MOST_DECADES = 5
"""Of a logarithmic axis that has room for a step at each digit."""


def _between(scale: Scale) -> list[float]:
    """1, 2 … 9 of each decade of a logarithmic axis, whose growing steps say that it is one."""
    if not isinstance(scale, Log) or scale.high / scale.low > 10**MOST_DECADES:
        return []
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)))
    every = (digit * 10.0**power for power in powers for digit in range(1, 10))
    return [value for value in every if scale.low <= value <= scale.high]


def y_axis(frame: Frame, scale: Scale, unit: str, title: str) -> Markup:
    """Ticks left of the plot area; the title stands above it, so nobody tilts the head."""
    ticks = scale.ticks()
    labels, shown = tick_labels(ticks, unit, log=isinstance(scale, Log))
    parts: list[object] = []
    for tick, label in zip(ticks, labels, strict=True):
        y = scale(tick)
        parts.append(el("path", d=f"M{frame.x0:.1f},{y:.1f}H{frame.x1:.1f}", class_="grid"))
        parts.append(text(frame.x0 - 7, y + 4, label, class_="axis end"))
    steps = "".join(f"M{frame.x0:.1f},{scale(v):.1f}h4" for v in _between(scale))
    parts.append(el("path", d=steps, class_="minor") if steps else "")
    words = f"{title} ({shown})" if shown else title
    if words:
        parts.append(text(max(frame.x0 - 40, 2), frame.y0 - 9, words, class_="axis name"))
    return el("g", *parts, aria_hidden="true")
