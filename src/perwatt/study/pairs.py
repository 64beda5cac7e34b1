"""Which rows of which runs are one pair of the study: same pair, device and load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from perwatt.core.errors import PerwattError
from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.load import parse_load
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyFault, StudyPair
from perwatt.core.summary import EnergyLedger
from perwatt.study.runs import OpenRun

__all__ = ["find_pairs", "loads_of"]


def find_pairs(runs: Sequence[OpenRun]) -> tuple[list[StudyPair], list[StudyFault]]:
    """The study's pairs in the order they are met, and runs whose joules are unlike the others'."""
    found: dict[str, StudyPair] = {}
    faults: list[StudyFault] = []
    for number, run in enumerate(runs):
        told = run.run.get("imported", {}).get("energy", {})
        for pair_id, identity in run.identities.items():
            for load in loads_of(run.run):
                pair = _pair(identity, run.ledgers.get(pair_id), device_of(run, identity), load)
                if pair_id in told:  # another tool's joules have no ledger of ours
                    pair = msgspec.structs.replace(pair, **told[pair_id])
                known = found.get(pair.key)
                if known is None:
                    found[pair.key] = msgspec.structs.replace(pair, runs=(number,))
                    continue
                found[pair.key], fault = _merged(known, pair, number, run.about.directory)
                faults += [fault] if fault else []
    return _labelled(list(found.values())), faults


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
        key=f"{identity.pair_id} · {device} · {load}",
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
    runs = (*known.runs, number)
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


def _labelled(pairs: list[StudyPair]) -> list[StudyPair]:
    """Add precision-bearing label, device and load only where they tell pairs apart."""
    devices = {pair.device for pair in pairs}
    loads = {pair.load for pair in pairs}
    named = []
    for pair in pairs:
        parts = [pair.label]
        parts += [pair.device] if len(devices) > 1 else []
        parts += [pair.load] if len(loads) > 1 else []
        named.append(msgspec.structs.replace(pair, label=" · ".join(parts)))
    return named
