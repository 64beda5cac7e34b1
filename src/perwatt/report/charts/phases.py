"""What the run did when, as a strip on the time axis: idle, preparing, warm-up, load, judging."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.report.charts.svg import el, text, width_of
from perwatt.report.charts.timeaxis import TimeAxis

__all__ = ["STRIP_PX", "PhaseMark", "draw_phases"]

STRIP_PX = 16.0
_BAR_PX = 13.0


class PhaseMark(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the run; `name` is also its class in the style sheet after `phase-`."""

    start_ns: int
    end_ns: int
    name: str
    words: str
    """Written on it where there is room."""
    tip: str


def draw_phases(phases: Sequence[PhaseMark], axis: TimeAxis, y: float) -> Markup:
    """One bar for each phase that is in what the axis shows."""
    parts: list[object] = []
    for phase in phases:
        if (clip := axis.clip(phase.start_ns, phase.end_ns)) is None:
            continue
        x0, x1 = clip
        bar: list[object] = [
            el("title", phase.tip),
            el("rect", x=x0, y=y, width=max(x1 - x0, 0.6), height=_BAR_PX,
               class_=f"phase-{phase.name}"),
        ]  # fmt: skip
        if x1 - x0 > width_of(phase.words) + 4:
            bar.append(text(x0 + 4, y + 10, phase.words, class_=f"on-phase on-phase-{phase.name}"))
        parts.append(el("g", *bar, class_="part", data_tip=phase.tip))
    return el("g", *parts) if parts else Markup("")
