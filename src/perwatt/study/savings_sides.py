"""Which pairs of a study stand for the local side of a router, and which for the cloud."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.core.study import StudyPair
from perwatt.stats.moments import Moments
from perwatt.study.closed_loads import Loaded, closed_groups
from perwatt.study.pairs import but_for_load
from perwatt.study.per_correct import pair_moments
from perwatt.study.sets import pair_sets
from perwatt.study.study import Study

__all__ = ["Sides", "sides_of"]


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """Indices into Study.pairs."""

    local: tuple[int, ...]
    cloud: int
    curve: tuple[Loaded, ...]
    """The cloud pair's closed loads, its own among them, by rising load; empty: it had none."""
    notes: tuple[str, ...]


def sides_of(study: Study) -> Sides | None:
    """The user's sets named `local` and `cloud`, else by the study's rule for models.

    Local: of each model, precision and device the pair with the fewest in flight, and none on a
    device of a data centre. Cloud: the model that is right most often, on no device of a desk, at
    the load at which its answers cost the fewest joules. None where one side is empty.
    """
    sets, _ = pair_sets(study)
    given = {each.name: each for each in sets}  # the user's come last
    if "local" not in given or "cloud" not in given:
        return None
    moments = {
        study.pairs.index(pair): m for pair, m in pair_moments(study) if m.of("score") is not None
    }
    named = given["local"].given
    local = [
        n
        for n in given["local"].pairs
        if n in moments and (named or _place(study, study.pairs[n]) != "cloud")
    ]
    told = given["cloud"].given
    cloud = [
        n
        for n in given["cloud"].pairs
        if n in moments and n not in local and (told or _place(study, study.pairs[n]) != "local")
    ]
    if not local or not cloud:
        return None
    best = max(cloud, key=lambda n: moments[n].of("score") or 0.0)
    twins = [n for n in cloud if _same(study.pairs[n], study.pairs[best])]
    chosen = min(twins, key=lambda n: _joules(moments[n]))
    curve = next(
        (g for g in closed_groups(study) if any(each.index == chosen for each in g)),
        [],
    )
    kept, aside = _alike(study, _least_loaded(study, local), chosen)
    notes = _notes(study, chosen, len({but_for_load(study.pairs[n]) for n in cloud}))
    return Sides(local=kept, cloud=chosen, curve=tuple(curve), notes=(*notes, *aside))


def _alike(
    study: Study, local: Sequence[int], cloud: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Those asked most of what the cloud was asked, so that all have items in common."""
    asked: dict[int, set[str | None]] = {}
    for cell in study.cells():
        asked.setdefault(cell.pair, set()).add(cell.workload)
    most = max(len(asked[n] & asked[cloud]) for n in local)
    kept = tuple(n for n in local if len(asked[n] & asked[cloud]) == most)
    aside = [study.pairs[n].label for n in local if n not in kept]
    return kept, (f"Asked other questions, and left out: {', '.join(aside)}.",) if aside else ()


def _place(study: Study, pair: StudyPair) -> str | None:
    device = study.facts.device(pair.device)
    return None if device is None else device.place


def _same(one: StudyPair, other: StudyPair) -> bool:
    return but_for_load(one) == but_for_load(other)


def _joules(moments: Moments) -> float:
    joules = moments.of("energy_gross_j")
    return float("inf") if joules is None else joules


def _least_loaded(study: Study, local: Sequence[int]) -> tuple[int, ...]:
    loads = {each.index: each.in_flight for group in closed_groups(study) for each in group}
    kept: dict[str, int] = {}
    for n in local:
        key = but_for_load(study.pairs[n])
        rank = loads.get(n, 10**9)
        if key not in kept or rank < loads.get(kept[key], 10**9):
            kept[key] = n
    return tuple(sorted(kept.values()))


def _notes(study: Study, cloud: int, models: int) -> tuple[str, ...]:
    label = study.pairs[cloud].label
    if models == 1:
        return (f"The cloud is {label}.",)
    return (
        f"The cloud is {label}, of {models} the one right most often of what each was asked, which"
        " flatters it a little.",
    )
