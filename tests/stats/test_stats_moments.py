"""Moments that add up say what the answers themselves say, interval and all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.stats.intervals import Interval
from perwatt.stats.moments import (
    COLUMNS,
    Moments,
    inverse_product_interval,
    mean_interval,
    moments_of,
    ratio_interval,
)
from perwatt.stats.sample import Column, Floats, Ints, ratio
from perwatt.stats.score_interval import score_intervals

GAIN = (0.9, 1.2)


def answers(
    seed: int, clusters: int, sizes: int = 1, offset: float = 0.0, graded: bool = False
) -> tuple[dict[str, Floats], Ints]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.integers(1, sizes + 1, clusters))
    n = cluster.size
    easy = rng.random(clusters)[cluster]
    joules = rng.lognormal(0, 1, n) + offset
    values = {
        "served": (rng.random(n) < 0.9).astype(float),
        "score": rng.random(n) if graded else (rng.random(n) < easy).astype(float),
        "energy_gross_j": joules,
        "energy_net_j": joules * 0.5,
        "power_gross_w": joules / rng.uniform(1, 2, n),
        "completion_tokens": np.floor(joules * 10),
        "latency_s": rng.lognormal(1, 0.5, n) + offset,
        "perplexity": 1 + rng.random(n),
    }
    return values, cluster


def direct(values: dict[str, Floats], cluster: Ints) -> dict[str, Interval]:
    ok = values["served"] > 0
    columns = {
        "score": Column(values["score"], cluster, "score", share=True),
        "joules": Column(values["energy_gross_j"], cluster, "energy", scaled=True),
        "tokens": Column(values["completion_tokens"], cluster, "count"),
        "latency": Column(values["latency_s"][ok], cluster[ok], "time"),
    }
    return score_intervals(
        columns,
        int(cluster.max()) + 1,
        {
            "accuracy": lambda s: s.mean("score"),
            "joules": lambda s: s.mean("joules"),
            "ipj": lambda s: ratio(s.mean("score"), s.mean("joules"), "none"),
            "cost": lambda s: ratio(s.sum("joules"), s.sum("score"), "none"),
            "tokens_per_j": lambda s: ratio(s.sum("tokens"), s.sum("joules"), "none"),
            "latency": lambda s: s.mean("latency"),
        },
        {
            "accuracy": ("score", None),
            "joules": ("joules", None),
            "ipj": ("score", "joules"),
            "cost": ("joules", "score"),
            "tokens_per_j": ("tokens", "joules"),
            "latency": ("latency", None),
        },
        gain=GAIN,
    )


def by_moments(m: Moments) -> dict[str, Interval]:
    return {
        "accuracy": mean_interval(m, "score", GAIN),
        "joules": mean_interval(m, "energy_gross_j", GAIN),
        "ipj": ratio_interval(m, "score", "energy_gross_j", GAIN),
        "cost": ratio_interval(m, "energy_gross_j", "score", GAIN),
        "tokens_per_j": ratio_interval(m, "completion_tokens", "energy_gross_j", GAIN),
        "latency": mean_interval(m, "latency_s", GAIN),
    }


def assert_same(a: Interval, b: Interval, rel: float) -> None:
    # NaN-free by construction: None where there is no bound.
    for field in ("value", "low", "high"):
        x, y = getattr(a, field), getattr(b, field)
        assert (x is None) == (y is None), (field, a, b)
        if x is not None:
            assert x == pytest.approx(y, rel=rel, abs=1e-12), (field, a, b)
    assert (a.n, a.method) == (b.n, b.method)


def moments(values: dict[str, Floats], cluster: Ints) -> Moments:
    """As a caller sums answers up: about a rough centre, clusters in any number."""
    n = int(cluster.max()) + 1
    bases = {"asked": np.ones(cluster.size), "served": values["served"]}
    sums, centre, missing = np.zeros((len(COLUMNS), n)), np.zeros(len(COLUMNS)), {}
    for k, (name, base) in enumerate(COLUMNS.items()):
        if k < 2:
            sums[k] = np.bincount(cluster, weights=bases[name], minlength=n)
            continue
        column = values.get(name, np.full(cluster.size, np.nan))
        there = (bases[base] > 0) & ~np.isnan(column)
        missing[name] = int(bases[base].sum() - there.sum())
        centre[k] = column[there][0] if there.any() else 0.0
        apart = np.where(there, column - centre[k], 0.0)
        sums[k] = np.bincount(cluster, weights=apart, minlength=n)
    score = values["score"]
    graded = int(((score != 0) & (score != 1) & ~np.isnan(score)).sum())
    return moments_of(sums, centre, graded=graded, missing=missing)


def split_sum(values: dict[str, Floats], cluster: Ints, parts: int, seed: int) -> Moments:
    """Clusters dealt out to cells, and the cells added."""
    cell = np.random.default_rng(seed).integers(0, parts, int(cluster.max()) + 1)[cluster]
    cells = []
    for k in np.unique(cell):
        rows = cell == k
        _, own = np.unique(cluster[rows], return_inverse=True)
        cells.append(moments({n: v[rows] for n, v in values.items()}, own))
    total = cells[0]
    for other in cells[1:]:
        total = total + other
    return total


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    clusters=st.integers(2, 60),
    sizes=st.integers(1, 4),
    parts=st.integers(1, 7),
    graded=st.booleans(),
)
def test_added_cells_have_the_answers_own_intervals(
    seed: int, clusters: int, sizes: int, parts: int, graded: bool
) -> None:
    values, cluster = answers(seed, clusters, sizes, graded=graded)
    values["served"][0] = 1.0
    found = by_moments(split_sum(values, cluster, parts, seed))
    for name, wanted in direct(values, cluster).items():
        if wanted.value is None:
            assert found[name].value is None
            continue
        assert_same(found[name], wanted, rel=1e-7)


def test_a_large_offset_costs_no_digits() -> None:
    values, cluster = answers(3, 2000, 2, offset=0.0)
    moved, _ = answers(3, 2000, 2, offset=1e9)
    plain = mean_interval(split_sum(values, cluster, 5, 1), "energy_gross_j")
    high = mean_interval(split_sum(moved, cluster, 5, 1), "energy_gross_j")
    assert plain.low and plain.high and high.low and high.high and high.value and plain.value
    # Doubles near 1e9 are 1.2e-7 apart; naive sums of squares would leave no digit at all.
    assert high.high - high.low == pytest.approx(plain.high - plain.low, rel=1e-5)
    assert high.value - 1e9 == pytest.approx(plain.value, abs=1e-6)


def test_addition_is_associative_and_commutes() -> None:
    parts = [moments(*answers(seed, 30, 3, offset=seed * 1e3)) for seed in range(3)]
    a, b = (parts[0] + parts[1]) + parts[2], parts[2] + (parts[1] + parts[0])
    assert (a.clusters, a.answers, a.served) == (b.clusters, b.answers, b.served)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-12)
    np.testing.assert_allclose(a.third, b.third, rtol=1e-9, atol=1e-3)
    for x, y in zip(by_moments(a).values(), by_moments(b).values(), strict=True):
        assert_same(x, y, rel=1e-9)


def test_a_missing_value_makes_the_mean_missing_and_says_how_many() -> None:
    values, cluster = answers(0, 20)
    values["energy_gross_j"][3] = np.nan
    whole = moments(values, cluster) + moments(*answers(1, 20))
    assert whole.of("energy_gross_j") is None
    assert mean_interval(whole, "energy_gross_j").reason == "1 of 40 requests have no energy"
    assert ratio_interval(whole, "score", "energy_gross_j").value is None
    assert whole.of("score") is not None


def test_what_nobody_judged_has_no_accuracy() -> None:
    values, cluster = answers(0, 20)
    values["score"][:] = np.nan
    assert mean_interval(moments(values, cluster), "score").reason is not None


def test_the_delta_interval_of_an_inverse_product_agrees_with_a_bootstrap() -> None:
    values, cluster = answers(5, 400)
    values["served"][:] = 1.0
    found = inverse_product_interval(moments(values, cluster), "perplexity", "energy_gross_j", GAIN)
    rng = np.random.default_rng(1)
    draws = rng.integers(0, 400, (4000, 400))
    drawn = 1 / (
        values["perplexity"][draws].mean(1)
        * values["energy_gross_j"][draws].mean(1)
        * np.exp(rng.normal(np.log(0.9 * 1.2) / 2, np.log(1.2 / 0.9) / 3.92, 4000))
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, rel=0.03)
    assert found.high == pytest.approx(high, rel=0.03)


def test_a_product_that_was_not_kept_is_refused() -> None:
    with pytest.raises(KeyError, match="no cross moment"):
        ratio_interval(moments(*answers(0, 9)), "energy_gross_j", "energy_net_j")
