from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.load import Stage, parse_load
from perwatt.runner.arrivals import offsets_ns, trace_ns


def stage(text: str) -> Stage:
    return parse_load(text).stages[0]


def first(text: str, count: int, seed: int = 0) -> list[int]:
    return list(islice(offsets_ns(stage(text), np.random.default_rng(seed)), count))


@settings(max_examples=20)
@given(rate=st.floats(0.01, 5000), cv=st.floats(0.2, 3), seed=st.integers(0, 1000))
def test_arrivals_never_fall_and_one_seed_gives_one_sequence(
    rate: float, cv: float, seed: int
) -> None:
    text = f"gamma:{rate:f}:{cv:f}"
    due = first(text, 1200, seed)
    assert due == sorted(due) and due[0] >= 0
    assert due == first(text, 1200, seed)
    assert due != first(text, 1200, seed + 1)


@pytest.mark.parametrize(
    ("text", "rate", "cv"), [("poisson:40", 40, 1), ("gamma:5:0.3", 5, 0.3), ("gamma:9:2", 9, 2)]
)
def test_gaps_have_the_rate_and_the_variation_asked_for(text: str, rate: float, cv: float) -> None:
    gaps = np.diff(first(text, 40_001)) / 1e9
    # Standard errors: cv/sqrt(n) of the mean, about cv²/sqrt(n) of a gamma's own variation.
    assert gaps.mean() == pytest.approx(1 / rate, rel=5 * cv / 200)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_poisson_counts_scatter_like_a_poisson_process() -> None:
    due_s = np.array(first("poisson:100", 50_000)) / 1e9
    counts, _ = np.histogram(due_s, bins=np.arange(0, due_s[-1], 0.5))
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.25)


def test_even_arrivals_do_not_drift() -> None:
    due = first("constant:3", 30_001)
    assert due[0] == 0 and due[30_000] == 10_000 * 10**9
    assert set(np.diff(due)) <= {333_333_333, 333_333_334}


def test_a_burst_is_now_and_what_has_no_arrivals_says_so() -> None:
    assert first("burst", 3) == [0, 0, 0]
    with pytest.raises(ValueError, match="closed:2"):
        first("closed:2", 1)


def test_a_trace_counts_from_its_first_and_may_be_sped_up() -> None:
    assert trace_ns((12.0, 10.0, 10.5), 2.0) == (0, 250_000_000, 1_000_000_000)
    assert trace_ns((), 1.0) == ()
