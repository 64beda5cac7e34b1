"""A study's answers as queries that a router could have sent to either side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from perwatt.routing.savings_curve import BatchCurve, BatchPoint
from perwatt.routing.savings_mix import Floats, Queries, Resource
from perwatt.routing.savings_plant import CloudPlant, LocalPlant, Plant
from perwatt.study.asked import RIGHT
from perwatt.study.footing import Footing, footing_of
from perwatt.study.savings_sides import Sides
from perwatt.study.sets import facts_of
from perwatt.study.study import Study
from perwatt.study.tariffs.load import Tariffs

__all__ = ["Answers", "plant_of", "queries_of", "read_answers"]

_MOST, _MOST_ANSWERS = 50_000, 2_000_000
"""Items, and items × pairs. More are sampled by their hash: the interval is of those taken."""
_COLUMNS = ("score", "energy_gross_j", "seconds", "prompt_tokens", "completion_tokens")


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Means per item of some pairs over the items that all of them were asked; (items, pairs)."""

    pairs: tuple[int, ...]
    score: Floats
    """NaN: not judged."""
    energy_j: Floats
    """NaN: without joules."""
    seconds: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    clusters: np.ndarray[Any, np.dtype[np.int64]]
    sampled: float
    """Share of the items that were taken."""


def read_answers(study: Study, pairs: Sequence[int], items: int) -> Answers:
    """`items`: about how many there are; the last of `pairs` says which they are."""
    share = min(1.0, min(_MOST, _MOST_ANSWERS // len(pairs)) / max(1, items))
    taken = "true" if share == 1.0 else f"hash(cluster) % 10000 < {share * 10_000:.0f}"
    wanted = ", ".join(str(pair) for pair in pairs)
    means = ", ".join(
        f"CASE WHEN count({c}) = count(*) THEN avg({c}) ELSE 'nan' END AS {c}" for c in _COLUMNS
    )
    found = study.db.execute(
        f"WITH items AS (SELECT workload, item_id, row_number() OVER () - 1 AS item,"
        f" dense_rank() OVER (ORDER BY workload, cluster) - 1 AS together"
        f" FROM (SELECT workload, item_id, any_value(cluster) AS cluster FROM answers"
        f" WHERE pair = {pairs[-1]} AND {taken} GROUP BY workload, item_id))"
        f" SELECT item, pair, any_value(together) AS together, {means}"
        f" FROM answers JOIN items USING (workload, item_id)"
        f" WHERE pair IN ({wanted}) AND {taken} GROUP BY item, pair"
    ).fetchnumpy()
    rows, where = np.unique(found["item"], return_inverse=True)
    column = {pair: k for k, pair in enumerate(pairs)}
    across = np.array([column[int(pair)] for pair in found["pair"]], dtype=np.int64)
    asked = np.zeros((len(rows), len(pairs)), dtype=bool)
    asked[where, across] = True
    whole = asked.all(axis=1)
    clusters = np.zeros(len(rows), dtype=np.int64)
    clusters[where] = found["together"]

    def matrix(name: str) -> Floats:
        values = np.full((len(rows), len(pairs)), np.nan)
        values[where, across] = np.ma.filled(found[name], np.nan)
        return values[whole]

    score, energy_j, seconds, prompt_tokens, completion_tokens = (matrix(c) for c in _COLUMNS)
    return Answers(
        pairs=tuple(pairs),
        score=score,
        energy_j=energy_j,
        seconds=seconds,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        clusters=clusters[whole],
        sampled=share,
    )


def queries_of(
    study: Study, answers: Answers, local: Sequence[int], tariffs: Tariffs
) -> tuple[Queries, Footing, dict[Resource, str]]:
    """Queries between the columns `local` of `answers` and its last one, the cloud; the footing of
    their joules; and why a resource is not known.

    With several local columns an oracle asks the one of those that are right which costs least,
    and where none is right the one that costs least on average.
    """
    last = len(answers.pairs) - 1
    right = answers.score >= RIGHT
    choice = _choice(answers, right, local)
    rows = np.arange(len(choice))
    pairs = [study.pairs[answers.pairs[k]] for k in (*local, last)]
    footing = footing_of(pairs)
    missing: dict[Resource, str] = {}
    amounts: dict[Resource, Floats] = {
        "energy_j": answers.energy_j,
        "flop": _flop(study, answers),
        "cost_usd": _price(study, answers, tariffs),
    }
    known: dict[Resource, tuple[Floats, Floats]] = {}
    for resource, x in amounts.items():
        sides = x[rows, choice], x[:, last]
        gone = int(np.isnan(np.stack(sides)).any(axis=0).sum())
        if resource == "energy_j" and footing.why_not:
            missing[resource] = footing.why_not
        elif gone:
            missing[resource] = f"{gone} of {len(rows)} items have no {_NOUN[resource]}"
        else:
            known[resource] = sides
    queries = Queries(
        local_right=np.asarray(right[:, list(local)].any(axis=1), dtype=np.float64),
        cloud_right=right[:, last].astype(np.float64),
        local={r: sides[0] for r, sides in known.items()},
        cloud={r: sides[1] for r, sides in known.items()},
        local_s=_whole(answers.seconds[rows, choice]),
        cloud_s=_whole(answers.seconds[:, last]),
        clusters=answers.clusters,
    )
    return queries, footing, missing


_NOUN: dict[Resource, str] = {
    "energy_j": "joules at both places",
    "flop": "count of tokens, or their model no known size",
    "cost_usd": "price at both places",
}


def _choice(answers: Answers, right: Any, local: Sequence[int]) -> np.ndarray[Any, Any]:
    """Column asked at the local side, by item."""
    columns = np.array(local)
    joules = answers.energy_j[:, columns]
    if np.isnan(joules).any():  # without joules, time stands for them
        joules = answers.seconds[:, columns]
    joules = np.nan_to_num(joules, nan=np.inf)
    cheapest = int(np.argmin(joules.mean(axis=0)))
    among = np.where(right[:, columns], joules, np.inf)
    picked = np.where(np.isfinite(among).any(axis=1), among.argmin(axis=1), cheapest)
    return np.asarray(columns[picked])


def _flop(study: Study, answers: Answers) -> Floats:
    """2 × active parameters × tokens in and out (arXiv 2001.08361 §2.1), attention left out."""
    known = (facts_of(study, study.pairs[n]) for n in answers.pairs)
    active = np.array(
        [np.nan if facts is None or facts.active_b is None else facts.active_b for facts in known]
    )
    tokens: Floats = answers.prompt_tokens + answers.completion_tokens
    flop: Floats = 2e9 * active * tokens
    return flop


def _price(study: Study, answers: Answers, tariffs: Tariffs) -> Floats:
    """At both places what an API asks for the tokens, as arXiv 2511.07885 table 10 has it."""
    prices = [tariffs.price(study.pairs[n].model) for n in answers.pairs]
    per_in = np.array([np.nan if p is None else p.usd_per_m_input / 1e6 for p in prices])
    per_out = np.array([np.nan if p is None else p.usd_per_m_output / 1e6 for p in prices])
    price: Floats = answers.prompt_tokens * per_in + answers.completion_tokens * per_out
    return price


def _whole(seconds: Floats) -> Floats | None:
    return None if np.isnan(seconds).any() else seconds


def plant_of(
    study: Study, sides: Sides, local: Sequence[int], queries: Queries
) -> tuple[Plant, list[str]]:
    """Machines as measured: the cloud pair's closed loads as its batch curve, and the watts that
    both sides' ledgers found them to draw idle."""
    notes: list[str] = []
    idle = _idle_w(study, local)
    plant_local = None
    if queries.local_s is None:
        notes.append("Local devices are not counted: some local answers have no time.")
    elif idle is None:
        notes.append("Local standby is left out: no local pair's idle watts were measured.")
    else:
        plant_local = LocalPlant(standby_w=idle)
        notes.append(
            f"Local devices are pooled, 80% busy at the peak, and draw {idle:.3g} W while they"
            " wait (measured idle)."
        )
    cloud = _cloud_plant(study, sides)
    if cloud is None:
        notes.append(
            "The cloud's load and standby are left out: its pair was not asked under a closed"
            " load, or has no joules."
        )
    else:
        notes.append(
            f"Cloud machines hold {cloud.full_at:g} in flight at the peak and draw"
            f" {cloud.standby_w:.3g} W with none; their batch curve is this study's"
            f" {len(cloud.curve.points)} closed load{'s' if len(cloud.curve.points) > 1 else ''}."
        )
    return Plant(cloud=cloud, local=plant_local), notes


def _cloud_plant(study: Study, sides: Sides) -> CloudPlant | None:
    points: dict[float, BatchPoint] = {}
    at: float | None = None
    for each in sides.curve:
        load = float(each.in_flight)
        joules, seconds = (each.moments.of(c) for c in ("energy_gross_j", "latency_s"))
        if not joules or not seconds or each.pair.boundary is None:
            continue
        if each.index == sides.cloud:
            at = load
        elif load in points or load == at:
            continue  # one load measured twice, such as for a set time and for a set of items
        points[load] = BatchPoint(in_flight=load, energy_j=joules, seconds=seconds)
    if at is None:
        return None
    return CloudPlant(
        curve=BatchCurve(tuple(points.values())),
        measured_at=at,
        full_at=at,
        standby_w=_idle_w(study, [sides.cloud]) or 0.0,
    )


def _idle_w(study: Study, pairs: Sequence[int]) -> float | None:
    """Least measured idle watts of these pairs' ledgers: what one device draws while it waits."""
    watts = [
        ledger.idle_power_w
        for n in pairs
        for run in study.pairs[n].runs
        if (ledger := study.open_runs[run].ledgers.get(study.pairs[n].pair_id)) is not None
        and ledger.idle_power_w is not None
    ]
    return min(watts, default=None)
