"""95% intervals of savings: the measured queries are drawn again, and the sensors' gains with them.

Each resample gives a `Mix`, and each model is simulated on it whole, so that the plant is sized
anew too. The router's error rates and the plant are assumptions, not measurements: the interval is
of the queries and the joules alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from perwatt.routing.savings import Savings
from perwatt.routing.savings_mix import RESOURCES, Floats, Mix, Queries, mix_of
from perwatt.stats.intervals import Gain, Interval, gain_draws, interval_of, weight_blocks

__all__ = ["savings_intervals"]

_BLOCKS = 2_000
"""More clusters are put together at random into so many: means of blocks vary as their members do,
and a resample costs no more for a million queries."""


def savings_intervals(
    queries: Queries,
    models: Mapping[str, Callable[[Mix], Savings]],
    *,
    rng: np.random.Generator,
    draws: int = 400,
    gain_local: Gain = (1.0, 1.0),
    gain_cloud: Gain = (1.0, 1.0),
    same_sensor: bool = False,
) -> dict[str, dict[str, Interval]]:
    """By model: `energy_j`, `flop` and `cost_usd` saved (shares), those known; `right_lost`,
    `local_share`; `seconds` to an answer when routed, where known.

    `same_sensor`: one gain for both sides, which cancels in what is saved.
    """
    names, columns = queries.columns()
    sums, clusters = _sums(queries, columns, rng)
    gains_local = gain_draws(rng, draws, gain_local)
    gains_cloud = gains_local if same_sensor else gain_draws(rng, draws, gain_cloud)
    points = {name: _figures(model(queries.mix())) for name, model in models.items()}
    drawn: dict[str, dict[str, list[float]]] = {
        name: {figure: [] for figure in figures} for name, figures in points.items()
    }
    start = 0
    for weights in weight_blocks(rng, len(sums), draws) if clusters > 1 else ():
        totals = weights @ sums
        for row, total in enumerate(totals):
            means = np.array(total[1:] / total[0])
            _scale(names, means, gains_local[start + row], gains_cloud[start + row])
            mix = mix_of(names, means, len(columns))
            for name, model in models.items():
                for figure, value in _figures(model(mix)).items():
                    drawn[name][figure].append(value)
        start += len(weights)
    method = f"bootstrap over items, {draws} draws, each simulated anew"
    return {
        name: {
            figure: interval_of(value, np.array(drawn[name][figure]), clusters, method)
            for figure, value in figures.items()
        }
        for name, figures in points.items()
    }


def _sums(queries: Queries, columns: Floats, rng: np.random.Generator) -> tuple[Floats, int]:
    """Row per cluster (or block of clusters): how many queries, then sums of the columns; and how
    many clusters there are."""
    n = len(columns)
    if queries.clusters is None:
        of, clusters = np.arange(n), n
    else:
        found, of = np.unique(queries.clusters, return_inverse=True)
        clusters = len(found)
    blocks = clusters
    if clusters > _BLOCKS:
        place = rng.permutation(clusters) % _BLOCKS
        of, blocks = place[of], _BLOCKS
    counts = np.bincount(of, minlength=blocks).astype(np.float64)
    parts = [np.bincount(of, weights=column, minlength=blocks) for column in columns.T]
    return np.column_stack([counts, *parts]), clusters


def _scale(names: list[str], means: Floats, local: float, cloud: float) -> None:
    for at, name in enumerate(names):
        if name.startswith("local.energy_j"):
            means[at] *= local
        elif name.startswith("cloud.energy_j"):
            means[at] *= cloud


def _figures(savings: Savings) -> dict[str, float]:
    found = {str(r): s for r in RESOURCES if (s := savings.saved(r)) is not None}
    found |= {"right_lost": savings.right_lost, "local_share": savings.routed.local_share}
    if savings.routed.seconds is not None:
        found["seconds"] = savings.routed.seconds
    return found
