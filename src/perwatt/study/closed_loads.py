"""Pairs that were asked under several closed loads: measured points of a batch curve."""

from __future__ import annotations

import re

import msgspec

from perwatt.core.study import StudyPair
from perwatt.stats.moments import Moments
from perwatt.study.pairs import but_for_load
from perwatt.study.per_correct import pair_moments
from perwatt.study.study import Study

__all__ = ["Loaded", "closed_groups"]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A pair under a closed load."""

    index: int
    pair: StudyPair
    in_flight: int
    moments: Moments


def closed_groups(study: Study) -> list[list[Loaded]]:
    """Pairs that differ in nothing but how many requests a closed load keeps in flight, by rising
    load; alone ones too."""
    found: dict[str, list[Loaded]] = {}
    index = {pair.key: number for number, pair in enumerate(study.pairs)}
    for pair, moments in pair_moments(study):
        match = re.match(r"closed:(\d+)(?!\d)", pair.load)
        if match:
            loaded = Loaded(
                index=index[pair.key], pair=pair, in_flight=int(match[1]), moments=moments
            )
            found.setdefault(but_for_load(pair), []).append(loaded)
    return [sorted(group, key=lambda each: each.in_flight) for group in found.values()]
