"""What a reader must know before quoting one run against another: how the two were unlike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from perwatt.core.records import Sampling
from perwatt.metrics.comparison import gain_of, unlike_energy
from perwatt.store.exchange.request_rows import OWN_SPLIT
from perwatt.study.compare_sides import Side

__all__ = ["Caveat", "caveats_of", "same_sensors"]


class Caveat(msgspec.Struct, frozen=True, kw_only=True):
    """One difference that is not the one that is asked about."""

    code: Literal[
        "baseline",
        "decoding",
        "energy",
        "failed",
        "host",
        "items",
        "load",
        "one-run",
        "prompts",
        "scorer",
        "sensors",
        "unchecked",
        "unfinished",
        "verdict",
        "version",
        "workload",
    ]
    sentence: str
    mend: str | None = None


_TYPE_OF_HOST = ("cpu", "cpus", "memory_bytes", "machine")


def same_sensors(a: Side, b: Side) -> bool:
    """Did one sensor measure both, so that its own error cancels in a ratio?

    Two machines of one type have sensors of one name and errors of their own, so two runs must say
    that they are of one host: the fingerprint's `host`, a hash that tells machines apart.
    """
    if a.ledger is None or b.ledger is None or a.ledger.domains != b.ledger.domains:
        return False
    if a.identity.device != b.identity.device:
        return False
    if a.run_id == b.run_id:
        return True
    one, other = a.run["environment"], b.run["environment"]
    if a.run["spec"].get("sensors") != b.run["spec"].get("sensors"):
        return False
    return one.get("host") is not None and one.get("host") == other.get("host")


def caveats_of(
    a: Side, b: Side, common: Sequence[str], changed: int, *, same_sensor: bool
) -> tuple[Caveat, ...]:
    """All of them, those that touch what is right first. `common`: the items compared; `changed`:
    items of one id whose content differs, left out."""
    found = [
        *_of_items(a, b, common, changed),
        *_of_failures(a, b, set(common)),
        *_of_asking(a, b, set(common)),
    ]
    return (*found, *_of_energy(a, b, same_sensor), *_of_runs(a, b))


def _of_items(a: Side, b: Side, common: Sequence[str], changed: int) -> Iterator[Caveat]:
    asked = len(set(a.requests["item_id"])), len(set(b.requests["item_id"]))
    one, other = a.run["workload"], b.run["workload"]
    if one["sha256"] != other["sha256"]:
        yield Caveat(
            code="workload",
            sentence=f"The workloads differ: {one['name']} {one['sha256'][:8]} and {other['name']}"
            f" {other['sha256'][:8]}.",
        )
        if a.contents is None or b.contents is None:
            yield Caveat(
                code="unchecked",
                sentence="Items are matched by id alone, as not both runs kept what they asked.",
            )
    if changed:
        yield Caveat(
            code="items",
            sentence=f"{changed} items have one id and unlike content in the two runs; they are"
            " left out.",
        )
    if len(common) < max(asked):
        yield Caveat(
            code="items",
            sentence=f"Compared on {len(common)} common items, of {asked[0]} asked of A and"
            f" {asked[1]} of B.",
        )


def _of_failures(a: Side, b: Side, common: set[str]) -> Iterator[Caveat]:
    failed = [
        sum(
            status != "ok" and item in common
            for item, status in zip(side.requests["item_id"], side.requests["status"], strict=True)
        )
        for side in (a, b)
    ]
    if any(failed):
        yield Caveat(
            code="failed",
            sentence=f"Of the common items' requests {failed[0]} of A and {failed[1]} of B failed:"
            " they count as wrong and with their joules, and have no times.",
        )


def _of_asking(a: Side, b: Side, common: set[str]) -> Iterator[Caveat]:
    one, other = (_decoding(side, common) for side in (a, b))
    if unlike := [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]:
        told = (f"{name} {_word(one.get(name))} and {_word(other.get(name))}" for name in unlike)
        yield Caveat(code="decoding", sentence=f"They were decoded unlike: {', '.join(told)}.")
    loads = [str(side.run["spec"].get("load") or "unknown") for side in (a, b)]
    if loads[0] != loads[1]:
        yield Caveat(
            code="load",
            sentence=f"They were asked under unlike loads, {loads[0]} and {loads[1]}: joules and"
            " times differ by that too.",
        )
    if a.identity.model == b.identity.model and (n := _unlike_prompts(a, b, common)):
        yield Caveat(
            code="prompts", sentence=f"The model saw {n} of {len(common)} prompts in unlike words."
        )
    scorers = [sorted({s for s in side.requests.get("scorer", ()) if s}) for side in (a, b)]
    if scorers[0] != scorers[1]:
        words = " and ".join(", ".join(own) or "none" for own in scorers)
        yield Caveat(code="scorer", sentence=f"Unlike scorers judged them: {words}.")


def _of_energy(a: Side, b: Side, same_sensor: bool) -> Iterator[Caveat]:
    if reason := unlike_energy(a.ledger, b.ledger):
        yield Caveat(
            code="energy",
            sentence=f"Joules are not compared: {reason}.",
            mend="Measure both with the same sensors to rank them by energy.",
        )
        return
    assert a.ledger is not None and b.ledger is not None, "unlike_energy would have said so"
    kinds = [sorted({each.kind for each in side.baselines}) for side in (a.ledger, b.ledger)]
    if kinds[0] != kinds[1]:
        words = " and ".join("+".join(own) or "none" for own in kinds)
        yield Caveat(
            code="baseline", sentence=f"Net joules are less unlike idles: {words} was measured."
        )
    if a.ledger.attribution != b.ledger.attribution:
        yield Caveat(
            code="energy",
            sentence=f"Joules were shared out by unlike methods, {a.ledger.attribution} and"
            f" {b.ledger.attribution}.",
        )
    own = [
        name for name, side in (("A", a.ledger), ("B", b.ledger)) if side.attribution == OWN_SPLIT
    ]
    if own:
        yield Caveat(
            code="energy",
            sentence=f"Joules of {' and '.join(own)} are another tool's: how far its sensor may be"
            " off is not known, and in no interval.",
        )
    if not same_sensor and any(gain_of(side.ledger) != (1.0, 1.0) for side in (a, b)):
        low, high = gain_of(b.ledger)
        yield Caveat(
            code="sensors",
            sentence="The runs do not say that one machine's sensor measured both, so each one's"
            f" own error (×{low:.3g} to ×{high:.3g}) is in every ratio of joules.",
            mend="Where it was one and the same sensor, say --same-sensors.",
        )


def _of_runs(a: Side, b: Side) -> Iterator[Caveat]:
    if a.run_id == b.run_id and a.identity.pair_id == b.identity.pair_id:
        yield Caveat(
            code="one-run", sentence="A and B are one pair of one run: no difference can be seen."
        )
    one, other = a.run["environment"], b.run["environment"]
    unlike = [name for name in _TYPE_OF_HOST if one.get(name) != other.get(name)]
    if unlike:
        yield Caveat(code="host", sentence=f"They ran on unlike hosts: {', '.join(unlike)} differ.")
    versions = [side.run.get("perwatt_version") for side in (a, b)]
    if versions[0] != versions[1]:
        yield Caveat(
            code="version",
            sentence=f"They were measured by perwatt {versions[0]} and {versions[1]}.",
        )
    engines = [(s.identity.engine, s.identity.engine_version) for s in (a, b)]
    if engines[0][0] == engines[1][0] and engines[0] != engines[1]:
        words = " and ".join(str(version or "unknown") for _, version in engines)
        yield Caveat(code="version", sentence=f"{engines[0][0]} was of versions {words}.")
    for name, side in (("A", a), ("B", b)):
        if side.run.get("status") != "complete":
            yield Caveat(
                code="unfinished",
                sentence=f"{name}, {side.directory}, is not finished: {side.run.get('status')}.",
                mend="Finish it with `perwatt resume`.",
            )
        for verdict in side.run.get("verdicts", ()):
            mine = verdict.get("pair_id") in (None, side.identity.pair_id)
            if mine and verdict.get("severity") == "invalid":
                text = f"{name}'s run says {verdict['code']}: {verdict['sentence']}"
                yield Caveat(code="verdict", sentence=text, mend=verdict.get("mend"))


def _decoding(side: Side, common: set[str]) -> dict[str, str]:
    """Sampling by field, several values where requests differ; the template's hash."""
    rows = zip(side.requests["item_id"], side.requests.get("sampling") or (), strict=False)
    texts = {text for item, text in rows if text and item in common}
    found: dict[str, set[str]] = {}
    for text in texts:
        for name, value in msgspec.structs.asdict(msgspec.json.decode(text, type=Sampling)).items():
            if name != "seed":  # another for each repeat
                found.setdefault(name, set()).add(msgspec.json.encode(value).decode())
    told = {name: " or ".join(sorted(values)) for name, values in found.items()}
    template = side.identity.settings.get("chat_template_sha256")
    return told | ({"chat template": str(template)[:8]} if template else {})


def _unlike_prompts(a: Side, b: Side, common: set[str]) -> int:
    """Items that one model was shown unlike; those whose prompt no server told count as alike."""
    seen: list[dict[str, set[str]]] = []
    for side in (a, b):
        own: dict[str, set[str]] = {}
        hashes = side.requests.get("prompt_sha256") or [None] * len(side.requests["item_id"])
        for item, sha256 in zip(side.requests["item_id"], hashes, strict=True):
            if sha256 is not None and item in common:
                own.setdefault(item, set()).add(sha256)
        seen.append(own)
    return sum(hashes != seen[1][item] for item, hashes in seen[0].items() if item in seen[1])


def _word(value: object) -> str:
    return "unsaid" if value is None else str(value)
