"""A draw by weights must give what the metric would give on the drawn rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.stats.sample import Column, MissingValueError, Sample, ratio

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


def sample_of(values: list[float], weights: list[list[int]], scaled: bool = False) -> Sample:
    column = Column(np.array(values), np.arange(len(values)), "energy", scaled)
    rows = np.array(weights, dtype=np.float64)
    return Sample({"x": column}, rows, np.full(len(rows), 2.0))


@given(VALUES, st.data())
def test_a_draw_is_the_metric_of_the_drawn_rows(values: list[float], data: st.DataObject) -> None:
    picks = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    if not any(picks):
        picks[0] = 1
    drawn = np.repeat(values, picks)
    sample = sample_of(values, [picks])
    assert sample.sum("x")[0] == pytest.approx(drawn.sum())
    assert sample.mean("x")[0] == pytest.approx(drawn.mean())
    for q in (0.5, 0.9, 1.0):
        expected = np.quantile(drawn, q, method="inverted_cdf")
        assert sample.quantile("x", q)[0] == pytest.approx(expected)


def test_the_gain_scales_joules_and_nothing_else() -> None:
    for scaled, factor in ((True, 2.0), (False, 1.0)):
        sample = sample_of([1.0, 3.0], [[1, 1], [2, 0]], scaled)
        assert sample.sum("x") == pytest.approx(np.array([4.0, 2.0]) * factor)
        assert sample.quantile("x", 0.5) == pytest.approx(np.array([1.0, 1.0]) * factor)


def test_missing_values_are_never_averaged_away() -> None:
    sample = sample_of([1.0, np.nan, 3.0], [[1, 1, 1]])
    for use in (sample.sum, sample.mean):
        with pytest.raises(MissingValueError, match="1 of 3 requests have no energy"):
            use("x")
    assert sample.sum_present("x")[0] == 4.0
    assert sample.mean_present("x")[0] == 2.0
    assert sample.quantile("x", 1.0)[0] == 3.0
    with pytest.raises(MissingValueError, match="no request has"):
        sample_of([np.nan], [[1]]).quantile("x", 0.5)


def test_quantiles_of_many_pooled_values_are_close_in_rank() -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(200), 50)
    values = rng.lognormal(size=cluster.size)
    weights = rng.integers(0, 3, size=(8, 200)).astype(np.float64)
    sample = Sample({"x": Column(values, cluster, "gap")}, weights, np.ones(8))
    for q in (0.5, 0.99):
        for row, found in zip(weights, sample.quantile("x", q), strict=True):
            drawn = np.repeat(values, row[cluster].astype(int))
            assert np.mean(drawn <= found) == pytest.approx(q, abs=1 / 256)


def test_a_draw_without_any_weight_has_no_quantile() -> None:
    column = Column(np.array([5.0, np.nan]), np.array([0, 1]), "gap")
    sample = Sample({"x": column}, np.array([[0.0, 2.0], [1.0, 1.0]]), np.ones(2))
    assert np.isnan(sample.quantile("x", 0.5)[0])
    assert sample.quantile("x", 0.5)[1] == 5.0


def test_ratio() -> None:
    with pytest.raises(MissingValueError, match="nobody was right"):
        ratio(np.array([1.0]), np.array([0.0]), "nobody was right")
    found = ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]), "nobody was right")
    assert found.tolist() == [0.5, np.inf]
