"""May the joules of several pairs stand in one number, and with which grade and error?"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.study import StudyPair
from perwatt.stats.intervals import Gain
from perwatt.study.study import Study

__all__ = ["Footing", "footing_of", "same_sensors"]


class Footing(msgspec.Struct, frozen=True, kw_only=True):
    """What the joules of some pairs have in common."""

    boundary: str | None = None
    grade: Grade | None = None
    """The worst of theirs."""
    gain: Gain = (1.0, 1.0)
    """The widest of theirs, taken as one common factor."""
    why_not: str | None = None
    """Why their joules cannot be put together; None: they can."""
    caution: str | None = None
    """What to know before quoting a number of them."""


def footing_of(pairs: Sequence[StudyPair]) -> Footing:
    """Unlike boundaries are never put together; unlike grades are, and it is said."""
    mute = [pair.label for pair in pairs if pair.boundary is None]
    boundaries = sorted({pair.boundary for pair in pairs if pair.boundary is not None})
    grades: list[Grade] = sorted({pair.grade for pair in pairs if pair.grade is not None})
    if mute:
        more = f" and {len(mute) - 1} more" if len(mute) > 1 else ""
        return Footing(why_not=f"no joules of one boundary are known of {mute[0]}{more}")
    if len(boundaries) > 1:
        return Footing(why_not=f"boundaries differ: {', '.join(boundaries)}")
    mixed = f"energy grades {', '.join(grades)} are mixed" if len(grades) > 1 else None
    return Footing(
        boundary=boundaries[0] if boundaries else None,
        grade=worst_grade(grades),
        gain=(
            min((pair.gain_low for pair in pairs), default=1.0),
            max((pair.gain_high for pair in pairs), default=1.0),
        ),
        caution=mixed,
    )


def same_sensors(study: Study, pairs: Sequence[StudyPair]) -> bool:
    """Were all measured by the same sensors, whose error, a common factor, cancels in ratios?

    Two machines of one type have sensors of one name and errors of their own, so several runs must
    say that they are of one host: the fingerprint's `host`, as `compare` has it.
    """
    runs = {number for pair in pairs for number in pair.runs}
    ledgers = [study.open_runs[n].ledgers.get(pair.pair_id) for pair in pairs for n in pair.runs]
    read_by = {None if ledger is None else (ledger.domains, ledger.grade) for ledger in ledgers}
    if None in read_by or len(read_by) != 1 or len({pair.device for pair in pairs}) != 1:
        return False
    whole = [study.open_runs[number].run for number in runs]
    hosts = {run["environment"].get("host") for run in whole}
    asked = {str(run["spec"].get("sensors")) for run in whole}
    return len(runs) == 1 or (None not in hosts and len(hosts) == len(asked) == 1)
