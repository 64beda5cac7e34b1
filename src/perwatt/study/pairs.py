"""Which rows of which runs are one pair of the study: same pair, device and load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perwatt.core.errors import PerwattError
from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.load import parse_load
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyFault, StudyPair
from perwatt.core.summary import EnergyLedger
from perwatt.study.runs import OpenRun

__all__ = ["but_for_load", "find_pairs", "loads_of"]

_LONGEST = 24
"""Of a value in a label; a hash is told by its beginning."""


_ASKED = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "thinking",
    "effort",
    "extra_body",
)
"""Of a run's spec, what changes answers and joules."""
_CAP = "max_tokens"
"""So does this one, but it goes by workload: see `_capped`."""
_FOLLOW = ("parallel", "not_sent")
"""Settings that follow from the load, or that were not in force."""

What = tuple[tuple[str, str], ...]
"""What a pair is beside its name and device: (word, value) each."""


def find_pairs(runs: Sequence[OpenRun]) -> tuple[list[StudyPair], list[StudyFault]]:
    """The study's pairs in the order they are met, and runs whose joules are unlike the others'.

    A name is no identity: runs of one name, whose engine, precision, weights or settings differ,
    are pairs of their own, and their keys and labels say in what.
    """
    capped = _capped(runs)
    found: dict[tuple[str, str, str, What], StudyPair] = {}
    faults: list[StudyFault] = []
    for number, run in enumerate(runs):
        told = run.run.get("imported", {}).get("energy", {})
        for pair_id, identity in run.identities.items():
            what = _what(identity, run.run["spec"])
            if (pair_id, device_of(run, identity), what) in capped:
                what = (*what, (_CAP, _cap(run)))
            for load in loads_of(run.run):
                pair = _pair(identity, run.ledgers.get(pair_id), device_of(run, identity), load)
                asked = {name: value for name, value in what if name in _ASKED}
                if run.run["spec"].get(_CAP) is not None:
                    asked[_CAP] = _cap(run)
                pair = msgspec.structs.replace(pair, asked=asked)
                if pair_id in told:  # another tool's joules have no ledger of ours
                    pair = msgspec.structs.replace(pair, **told[pair_id])
                key = (pair_id, pair.device, load, what)
                known = found.get(key)
                if known is None:
                    found[key] = msgspec.structs.replace(pair, runs=(number,))
                    continue
                found[key], fault = _merged(known, pair, number, run.about.directory)
                faults += [fault] if fault else []
    return _labelled(list(found.values()), [key[3] for key in found]), faults


def but_for_load(pair: StudyPair) -> str:
    """The key of a pair without its load: the same for all loads that one pair was asked under."""
    return pair.key.removesuffix(f" · {pair.load}")


def _what(identity: PairIdentity, spec: Mapping[str, Any]) -> What:
    parts: dict[str, Any] = {
        "engine": identity.engine,
        "precision": identity.precision,
        "weights": identity.model_sha256 and identity.model_sha256[:8],
    }
    parts |= {k: v for k, v in identity.settings.items() if k not in _FOLLOW}
    parts |= {name: spec.get(name) for name in _ASKED}
    return tuple((k, f"{v}") for k, v in sorted(parts.items()) if v not in (None, {}, ""))


def _capped(runs: Sequence[OpenRun]) -> set[tuple[str, str, What]]:
    """(pair_id, device, what) of those that were asked one workload with unlike `max_tokens`.

    Unlike ones for unlike workloads are as they should be, and make no other pair.
    """
    caps: dict[tuple[tuple[str, str, What], str], set[str]] = {}
    for run in runs:
        for pair_id, identity in run.identities.items():
            pair = (pair_id, device_of(run, identity), _what(identity, run.run["spec"]))
            caps.setdefault((pair, run.about.workload), set()).add(_cap(run))
    return {pair for (pair, _), found in caps.items() if len(found) > 1}


def _cap(run: OpenRun) -> str:
    told = run.run["spec"].get(_CAP)
    return "by item" if told is None else f"{told}"


def loads_of(run: dict[str, Any]) -> tuple[str, ...]:
    """The words of each stage of a run's load, by stage number.

    Empty for an imported run of published figures alone: nobody knows its answers.
    """
    told = run.get("imported", {}).get("loads")
    if told is not None:
        return tuple(told)
    try:
        return tuple(stage.text for stage in parse_load(run["spec"].get("load") or "").stages)
    except PerwattError:
        return (str(run["spec"].get("load") or "unknown"),)


def device_of(run: OpenRun, identity: PairIdentity) -> str:
    """What the pair ran on: its own word, or the host's processor."""
    return identity.device or run.run["environment"].get("cpu") or "unknown device"


def _pair(identity: PairIdentity, ledger: EnergyLedger | None, device: str, load: str) -> StudyPair:
    return StudyPair(
        key="",  # told by `_labelled`, which knows all pairs
        label=identity.label,
        pair_id=identity.pair_id,
        model=identity.model,
        engine=identity.engine,
        device=device,
        load=load,
        precision=identity.precision,
        parameters=identity.parameters,
        model_bytes=identity.model_bytes,
        boundary=ledger.boundary if ledger else None,
        grade=ledger.grade if ledger else None,
        gain_low=ledger.gain_low if ledger else 1.0,
        gain_high=ledger.gain_high if ledger else 1.0,
    )


def _merged(
    known: StudyPair, pair: StudyPair, number: int, directory: str
) -> tuple[StudyPair, StudyFault | None]:
    runs = tuple(dict.fromkeys((*known.runs, number)))
    # Of unlike workloads `max_tokens` may differ: then no one word says how it was asked.
    alike = {k: v for k, v in known.asked.items() if pair.asked.get(k) == v}
    known = msgspec.structs.replace(known, asked=alike)
    if pair.boundary == known.boundary and pair.grade == known.grade:
        gains = min(known.gain_low, pair.gain_low), max(known.gain_high, pair.gain_high)
        return msgspec.structs.replace(
            known, runs=runs, gain_low=gains[0], gain_high=gains[1]
        ), None
    grades: list[Grade] = [g for g in (known.grade, pair.grade) if g is not None]
    fault = StudyFault(
        code="unlike-energy",
        run=directory,
        sentence=f"{directory} measured {pair.label} with boundary {pair.boundary} and grade"
        f" {pair.grade}, runs before it with {known.boundary} and {known.grade}: its joules are"
        " not put together.",
        mend="Study the runs apart, or measure again with the same sensors.",
    )
    return msgspec.structs.replace(
        known, runs=runs, boundary=None, grade=worst_grade(grades)
    ), fault


def _labelled(pairs: list[StudyPair], whats: Sequence[What]) -> list[StudyPair]:
    """Keys that differ for pairs that do; labels with device and load only where they tell."""
    devices = {pair.device for pair in pairs}
    loads = {pair.load for pair in pairs}
    same_id: dict[tuple[str, str], list[What]] = {}
    same_label: dict[tuple[str, str], list[What]] = {}
    for pair, what in zip(pairs, whats, strict=True):
        same_id.setdefault((pair.pair_id, pair.device), []).append(what)
        same_label.setdefault((pair.label, pair.device), []).append(what)
    named = []
    for pair, what in zip(pairs, whats, strict=True):
        in_key = _apart(what, same_id[pair.pair_id, pair.device])
        parts = [pair.label, *_apart(what, same_label[pair.label, pair.device])]
        parts += [pair.device] if len(devices) > 1 else []
        parts += [pair.load] if len(loads) > 1 else []
        key = " · ".join((pair.pair_id, pair.device, *in_key, pair.load))
        named.append(msgspec.structs.replace(pair, key=key, label=" · ".join(parts)))
    shared = Counter(pair.label for pair in named)
    return [
        msgspec.structs.replace(pair, label=f"{pair.label} · {pair.pair_id}")
        if shared[pair.label] > 1
        else pair
        for pair in named
    ]


def _apart(what: What, others: Sequence[What]) -> list[str]:
    """In what a pair differs from its namesakes, such as `engine vLLM`, `threads 2`."""
    if len(set(others)) == 1:
        return []
    words = sorted({word for each in others for word, _ in each})
    values = {word: {dict(each).get(word) for each in others} for word in words}
    mine = dict(what)
    return [
        f"{word.removesuffix('_sha256').replace('_', ' ')} {_short(mine.get(word))}"
        for word in words
        if len(values[word]) > 1
    ]


def _short(value: str | None) -> str:
    if value is None:
        return "default"
    return value if len(value) <= _LONGEST else value[:8]
