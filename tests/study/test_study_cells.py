"""Cells say what a run's own summary says, whatever was repeated, grouped, cut or left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.records import Columns
from perwatt.metrics.columns import attempted_rows, clusters_of, metric_columns, take
from perwatt.metrics.glossary import all_metrics
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import Moments, inverse_product_interval, mean_interval, ratio_interval
from perwatt.stats.sample import MissingValueError, Sample
from perwatt.stats.score_interval import score_intervals
from perwatt.store.tables import write_requests
from perwatt.study.cells import Cell, rolled
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study

COMPARED = (
    "accuracy",
    "ipj",
    "ipw",
    "j_per_correct",
    "ipj_net",
    "ipw_net",
    "j_per_correct_net",
    "energy_gross_j",
    "energy_net_j",
    "power_gross_w",
    "tokens_per_j",
    "perplexity",
    "latency",
)
"""Metrics over one row for each item, which a summary gives an interval of means."""


def shaped(seed: int, about: dict[str, Any]) -> Columns:
    """Rows of one pair with everything that a row can have."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for item in range(int(about["items"])):
        for repeat in range(int(about["repeats"])):
            turns = int(rng.integers(1, 3)) if about["turns"] else 1
            for turn in range(turns):
                ok = bool(rng.random() > about["failing"])
                joules = float(rng.lognormal())
                start = int(rng.integers(0, 10**9)) + 10**15
                row = {
                    "request_id": f"{item}/{repeat}/{turn}",
                    "item_id": f"q{item}",
                    "pair_id": "p",
                    "workload": "w",
                    "kind": "math" if item % 2 else "code",
                    "level": item % 3 or None,
                    "category": f"c{item % 4}",
                    "repeat": repeat,
                    "status": "ok" if ok else "error",
                    "dispatched_ns": start,
                    "last_chunk_ns": start + int(rng.integers(1, 10**10)),
                    "prompt_tokens": int(rng.integers(1, 99)),
                    "completion_tokens": int(rng.integers(1, 99)) if ok else None,
                    "score": float(rng.choice([0.0, 0.5, 1.0])) if ok else None,
                    "energy_gross_j": joules,
                    "energy_net_j": joules * float(rng.uniform(0.3, 0.9)),
                    "prefill_j": joules * 0.25,
                    "decode_j": joules * 0.75,
                    "group": f"g{item // 3}" if about["groups"] else f"q{item}",
                    "abstained": False,
                    "stage": 0,
                    "turn": turn,
                    "logprobs": [-float(x) for x in rng.random(3)] if ok else None,
                }
                rows.append(row)
                if rng.random() < 0.1:
                    rows.append({**row, "request_id": "again", "status": "retried"})
                if turn and rng.random() < 0.2:
                    # The run was cut within the conversation, and this turn was asked again.
                    rows.append({**row, "request_id": "cut", "dispatched_ns": start - 5})
                if not ok:
                    break
    if about["hole"] is not None:
        rows[int(about["hole"]) % len(rows)]["energy_gross_j"] = None
    return {name: [row[name] for row in rows] for name in rows[0]}


def put(directory: Path, rows: Columns) -> Path:
    write_run_directory(
        directory, [Answered(pair="p", item="q0", score=1.0, energy_j=1.0)], workload="w"
    )
    write_requests(directory / "requests.parquet", rows)
    return directory


def cells_of(*directories: Path) -> tuple[Cell, ...]:
    with open_study(directories, StudyOptions(check=False)) as study:
        assert not [fault for fault in study.faults if fault.left_out], study.faults
        return study.cells()


def summary(rows: Columns) -> dict[str, Interval]:
    rows = take(rows, attempted_rows(rows))
    clusters = list(dict.fromkeys(clusters_of(rows)))
    columns, count = metric_columns(rows, clusters)
    metrics = {name: all_metrics()[name] for name in (*COMPARED, "ppw", "ppj")}
    means = {name: metric.means for name, metric in metrics.items() if metric.means}
    found = score_intervals(columns, count, metrics, means)
    for name in ("ppw", "ppj"):
        try:
            value = float(metrics[name](Sample(columns, np.ones((1, count)), np.ones(1)))[0])
            found[name] = Interval(value=value, n=count)
        except MissingValueError as missing:
            found[name] = Interval(value=None, n=count, reason=str(missing))
    return found


def by_moments(m: Moments) -> dict[str, Interval]:
    found = {}
    for name in COMPARED:
        means = all_metrics()[name].means
        assert means is not None
        above, below = means
        found[name] = mean_interval(m, above) if below is None else ratio_interval(m, above, below)
    found["ppw"] = inverse_product_interval(m, "perplexity", "power_gross_w")
    found["ppj"] = inverse_product_interval(m, "perplexity", "energy_gross_j")
    return found


def assert_agree(rows: Columns, m: Moments) -> None:
    found = by_moments(m)
    for name, wanted in summary(rows).items():
        if name == "latency" and any(rows["turn"]):
            continue  # a summary's is of requests, a study's of whole conversations
        own = found[name]
        assert (own.value is None) == (wanted.value is None), (name, own, wanted)
        if wanted.value is None:
            continue
        assert own.value == pytest.approx(wanted.value, rel=1e-9, abs=1e-12), name
        assert own.n == wanted.n
        if name not in ("ppw", "ppj"):
            assert (own.low is None) == (wanted.low is None), (name, own, wanted)
            if wanted.low is not None:
                # Items whose values are a millionth apart leave sums no digits for a skew.
                least = 1e-9 + 2e-5 * abs(wanted.value)
                assert own.low == pytest.approx(wanted.low, rel=1e-6, abs=least), name
                assert own.high == pytest.approx(wanted.high, rel=1e-6, abs=least), name


SHAPES = st.fixed_dictionaries(
    {
        "items": st.integers(2, 12),
        "repeats": st.integers(1, 3),
        "turns": st.booleans(),
        "groups": st.booleans(),
        "failing": st.sampled_from([0.0, 0.3]),
        "hole": st.sampled_from([None, None, None, 4]),
    }
)


ALIKE = {"items": 6, "repeats": 2, "turns": False, "groups": False, "failing": 0.0, "hole": None}
"""With seed 3997 two items of one category whose joules differ by 4e-7 of themselves."""


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), about=SHAPES)
@example(seed=3997, about=ALIKE)
def test_cells_say_what_the_summary_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, about: dict[str, Any]
) -> None:
    rows = shaped(seed, about)
    cells = cells_of(put(tmp_path_factory.mktemp("r") / "a", rows))
    (whole,) = rolled(cells).values()
    assert_agree(rows, whole)
    for by in ("kind", "level", "category"):
        for (_, label), moments in rolled(cells, ("pair", by)).items():
            kept = [n for n, value in enumerate(rows[by]) if value == label]
            assert_agree(take(rows, kept), moments)


def test_runs_of_one_pair_share_their_items(tmp_path: Path) -> None:
    about = {"items": 9, "repeats": 1, "turns": False, "groups": False, "failing": 0.2}
    first, second = (shaped(seed, {**about, "hole": None}) for seed in (1, 2))
    cells = cells_of(put(tmp_path / "a", first), put(tmp_path / "b", second))
    (whole,) = rolled(cells).values()
    assert whole.clusters == 9
    both = {name: first[name] + second[name] for name in first}
    assert_agree(both, whole)


def test_a_passage_in_two_levels_is_one_cluster(tmp_path: Path) -> None:
    about = {"items": 12, "repeats": 1, "turns": False, "groups": True, "failing": 0.0}
    rows = shaped(7, {**about, "hole": None})
    cells = cells_of(put(tmp_path / "a", rows))
    assert all(cell.pieces is not None for cell in cells)
    (whole,) = rolled(cells).values()
    assert whole.clusters == 4
    assert sum(cell.moments.clusters for cell in cells) > 4
    assert_agree(rows, whole)


def test_pairs_are_never_added(tmp_path: Path) -> None:
    cells = cells_of(put(tmp_path / "a", read_one()))
    with pytest.raises(ValueError, match="share their items"):
        rolled(cells, by=("category",))


def read_one() -> Columns:
    about = {"items": 3, "repeats": 1, "turns": False, "groups": False, "failing": 0.0}
    return shaped(0, {**about, "hole": None})


def test_the_same_answers_in_another_order_or_file_layout_are_the_same(tmp_path: Path) -> None:
    """The quick way (no repeat in the footer) and the clustered way give one result."""
    rows = read_one()
    again = {name: [*values, values[0]] for name, values in rows.items()}
    again["repeat"] = [*rows["repeat"], 1]
    again["status"] = [*rows["status"], "cancelled"]  # in the footer, and in no count
    quick = rolled(cells_of(put(tmp_path / "a", rows)))
    slow = rolled(cells_of(put(tmp_path / "b", again)))
    for a, b in zip(quick.values(), slow.values(), strict=True):
        assert (a.clusters, a.answers, a.largest) == (b.clusters, b.answers, b.largest)
        np.testing.assert_allclose(a.mean, b.mean)
        for x, y in zip(by_moments(a).values(), by_moments(b).values(), strict=True):
            assert (x.value, x.low, x.high) == pytest.approx((y.value, y.low, y.high))
