"""The run's phases for the power figure, and the table of them beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perwatt.core.records import Phase
from perwatt.core.units import format_duration, format_si
from perwatt.report.charts.phases import PhaseMark
from perwatt.report.format import DASH
from perwatt.report.timeline import Ticks, joules_until
from perwatt.report.view import Table, View

__all__ = ["KEYS", "phase_marks", "phase_table"]

NAMES = {
    "bare_idle": ("idle", "idle before anything was loaded"),
    "prepare": ("prepare", "loading the model"),
    "warmup": ("warmup", "warm-up"),
    "loaded_idle": ("idle", "idle with the model in memory"),
    "load": ("load", "load"),
    "after_idle": ("idle", "idle just after the load"),
    "judge": ("judge", "judging"),
}
"""Of a phase's kind: its class in the style sheet, and words for it."""

KEYS = (
    ("phase: idle", "phase-idle"),
    ("preparing", "phase-prepare"),
    ("warm-up", "phase-warmup"),
    ("load", "phase-load"),
    ("judging", "phase-judge"),
)
SHORT = {"idle": "idle", "prepare": "prepare", "warmup": "warm-up", "judge": "judging"}


def phase_marks(view: View) -> list[PhaseMark]:
    """Phases that ended, by their start."""
    return [
        PhaseMark(
            start_ns=phase.start_ns,
            end_ns=phase.end_ns,
            name=NAMES[phase.kind][0],
            words=SHORT.get(NAMES[phase.kind][0], phase.load or "load"),
            tip=f"{_what(view, phase)}: {format_duration((phase.end_ns - phase.start_ns) / 1e9)}",
        )
        for phase in view.run.phases
        if phase.end_ns is not None
    ]


def phase_table(view: View, zero_ns: int) -> Table | None:
    """When each phase was, and the mean watts in it. `zero_ns`: where the figure's axis begins."""
    phases = [(phase, end) for phase in view.run.phases if (end := phase.end_ns) is not None]
    if not phases:
        return None
    watts = tuple(f"{series.domain}, mean" for series in view.ticks)
    return Table(
        caption="The phases of the run",
        head=("Phase", "From (s)", "To (s)", *watts),
        rows=[
            (
                _what(view, phase),
                *(f"{(t - zero_ns) / 1e9:.1f}" for t in (phase.start_ns, end)),
                *_watts(view.ticks, phase.start_ns, end),
            )
            for phase, end in phases
        ],
    )


def _what(view: View, phase: Phase) -> str:
    words = NAMES[phase.kind][1]
    index = view.pair_index.get(phase.pair_id or "")
    label = phase.pair_id if index is None else view.labels[index]
    return " ".join([*([f"{label}:"] if label else []), words, *filter(None, [phase.load])])


def _watts(ticks: Sequence[Ticks], start_ns: int, end_ns: int) -> list[str]:
    """Joules read ÷ the seconds that were read; a dash where nothing was."""
    found = []
    for series in ticks:
        inside = np.minimum(series.end_ns, end_ns) - np.maximum(series.start_ns, start_ns)
        seconds = float(np.maximum(inside, 0).sum()) / 1e9
        ends = joules_until(series, np.array([start_ns, end_ns], dtype=np.int64))
        found.append(format_si(float(ends[1] - ends[0]) / seconds, "W") if seconds > 0 else DASH)
    return found
