"""Are the joules known, all of them, and shared out as they should be?"""

from __future__ import annotations

from collections.abc import Iterable

from perwatt.core.records import Verdict
from perwatt.runner.verdicts_evidence import Evidence

__all__ = ["energy"]

GAP_SHARE = 0.01


def energy(seen: Evidence) -> Iterable[Verdict]:
    """Of sensors, ledgers and requests without joules."""
    if seen.energy["grade"] is None:
        yield Verdict(code="no-energy", severity="warning", sentence=seen.energy["line"])
    if seen.energy["grade"] == "D":
        yield Verdict(
            code="estimated-energy",
            severity="warning",
            sentence="Joules and watts here are a model's estimate, not a measurement: compare "
            "pairs of this run with each other, and nothing else with them.",
            mend="Run where a counter can be read; `perwatt doctor` says what this machine lacks.",
        )
    for pair_id, pair in seen.pairs.items():
        if pair.engine == "replay":
            yield Verdict(
                code="replayed",
                severity="invalid",
                sentence=f"The answers of {pair.label} are a recording: its joules are those of a "
                "machine that waits, and its times those of the recording.",
                mend="Quote scores alone, or ask the model itself.",
                pair_id=pair_id,
            )
    for pair_id, reason in seen.energy.get("refused", {}).items():
        yield Verdict(
            code="no-energy",
            severity="warning",
            sentence=f"The joules of {seen.pairs[pair_id].label} are unknown: {reason}",
            pair_id=pair_id,
        )
    for tried in seen.energy.get("tried", ()):
        if tried.get("asked") and not tried["ok"]:
            yield Verdict(
                code="sensor-unused",
                severity="warning",
                sentence=f"The sensor {tried['name']} was asked for and could not be used: "
                f"{tried['reason']}",
                mend=tried.get("mend"),
            )
    for pair_id, ledger in seen.ledgers.items():
        label = seen.pairs[pair_id].label
        if ledger.device_j > 0 and ledger.unattributed_j > GAP_SHARE * ledger.device_j:
            share = ledger.unattributed_j / ledger.device_j
            yield Verdict(
                code="sensor-gaps",
                severity="warning",
                sentence=f"{share:.1%} of the joules under {label} fell into readings that cannot "
                "be trusted, and are charged to no request.",
                mend="Look at the column `flag` of power.parquet.",
                pair_id=pair_id,
            )
        if ledger.note and seen.in_flight > 1:
            yield Verdict(
                code="shared-by-time",
                severity="warning",
                sentence=f"{label}: {ledger.note} With several in flight that favours long prompts "
                "and contexts, and no interval holds it.",
                mend="Ask more items, or longer ones, so that what a token costs can be fitted.",
                pair_id=pair_id,
            )
        if ledger.idle_power_w is None:
            yield Verdict(
                code="no-baseline",
                severity="note",
                sentence=f"No idle was measured for {label}, so its net figures are missing.",
                mend="Leave --idle-s above 0.",
                pair_id=pair_id,
            )
    for pair_id, count in seen.unmeasured.items():
        if count and seen.energy["grade"] is not None:
            yield Verdict(
                code="unmeasured-requests",
                severity="warning",
                sentence=f"{count} requests of {seen.pairs[pair_id].label} have no joules, so its "
                "ratios of accuracy and energy are missing rather than wrong.",
                mend="Ask them again in a new run.",
                pair_id=pair_id,
            )
