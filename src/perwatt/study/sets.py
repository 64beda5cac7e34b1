"""Sets of pairs that a reader thinks of together: all, local, cloud, a family, one's own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.core.study import StudyPair
from perwatt.predict.models import ModelFacts
from perwatt.study.study import Study

__all__ = ["PairSet", "facts_of", "pair_sets", "placed"]


class PairSet(msgspec.Struct, frozen=True, kw_only=True):
    """Named pairs, by their index in the study."""

    name: str
    pairs: tuple[int, ...]
    given: bool = False
    """The user named it."""


def facts_of(study: Study, pair: StudyPair) -> ModelFacts | None:
    """What is known of the pair's model, by its model's name or its own."""
    return study.facts.model(pair.model) or study.facts.model(pair.pair_id)


def placed(study: Study, place: str) -> tuple[int, ...]:
    """Pairs whose model is `local` or `cloud` by the study's rule (see `ModelFacts.place`)."""
    return tuple(
        number
        for number, pair in enumerate(study.pairs)
        if (facts := facts_of(study, pair)) is not None and facts.place == place
    )


def pair_sets(study: Study) -> tuple[list[PairSet], list[str]]:
    """The sets, each of one pair or more, and a sentence for what could not be told."""
    notes = []
    known = [facts_of(study, pair) for pair in study.pairs]
    sets = [PairSet(name="all", pairs=tuple(range(len(study.pairs))))]
    sets += [PairSet(name=place, pairs=placed(study, place)) for place in ("local", "cloud")]
    families: dict[str, list[int]] = {}
    for number, facts in enumerate(known):
        if facts is not None and facts.family is not None:
            families.setdefault(facts.family, []).append(number)
    if len(families) > 1:
        sets += [PairSet(name=name, pairs=tuple(pairs)) for name, pairs in families.items()]
    for name, wanted in study.options.sets.items():
        found, missing = _resolved(study, known, wanted)
        sets.append(PairSet(name=name, pairs=found, given=True))
        if missing:
            notes.append(f"The set {name} names no pair of this study with {', '.join(missing)}.")
    unknown = [p.label for p, facts in zip(study.pairs, known, strict=True) if facts is None]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        notes.append(
            f"Of {unknown[0]}{more} neither size nor family is known, so it is in neither local "
            "nor cloud: --facts FILE.toml can tell."
        )
    return _apart([each for each in sets if each.pairs], notes), notes


def _apart(sets: Sequence[PairSet], notes: list[str]) -> list[PairSet]:
    """Those of unlike pairs, and all that the user named."""
    kept: list[PairSet] = []
    for each in sets:
        same = next((k for k in kept if set(k.pairs) == set(each.pairs)), None)
        if same is None or each.given:
            kept.append(each)
        else:
            notes.append(f"The pairs of {each.name} are those of {same.name}: one row for both.")
    return kept


def _resolved(
    study: Study, known: Sequence[ModelFacts | None], wanted: Sequence[str]
) -> tuple[tuple[int, ...], list[str]]:
    """Pairs by any of their names, or by their model's in any spelling."""
    found: list[int] = []
    missing: list[str] = []
    for text in wanted:
        model = study.facts.model(text)
        own = [
            number
            for number, pair in enumerate(study.pairs)
            if text in (pair.key, pair.label, pair.pair_id, pair.model)
        ]
        hits = own or [n for n, facts in enumerate(known) if model is not None and facts == model]
        found += hits
        if not hits:
            missing.append(repr(text))
    return tuple(dict.fromkeys(found)), missing
