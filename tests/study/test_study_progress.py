"""Progress by year, its split, and local against cloud: truth by hand, and by bootstrap."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyCell
from perwatt.stats.compare import paired_bootstrap
from perwatt.stats.sample import Column
from perwatt.study.estimates import Factor, log_ratio
from perwatt.study.footing import Footing
from perwatt.study.study import open_study
from perwatt.study.tables.local_cloud import local_cloud
from perwatt.study.tables.progress import progress
from perwatt.study.tables.progress_split import progress_split

OLD, NEW = "Mixtral-8x7B-v0.1", "gpt-oss-20b"  # 2023, 2025
OLD_DEVICE, NEW_DEVICE = "Quadro RTX 6000", "Apple M4 Max"  # 2018, 2024
B200 = "NVIDIA B200"


def value(cell: StudyCell) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    return cell.value


def measured(
    folder: Path,
    model: str,
    device: str,
    right: int,
    watts: float,
    seconds: float = 2.0,
    *,
    boundary: str = "accelerator",
    precision: str | None = None,
    spread: float = 0.0,
) -> None:
    """Of 20 items the first `right` are answered, each at `watts`; `spread`: some take longer."""
    answers = [
        Answered(
            pair=model,
            item=f"q{n}",
            score=float(n < right),
            energy_j=watts * seconds * (1 + spread * (n % 3)),
            seconds=seconds * (1 + spread * (n % 3)),
        )
        for n in range(20)
    ]
    identity = PairIdentity(
        pair_id=model, label=model, model=model, engine="x", device=device, precision=precision
    )
    name = f"{model}-{device}".replace(" ", "-").replace("/", "-")
    write_run_directory(folder / name, answers, identities=[identity], boundary=boundary)


def crossed(folder: Path, *, all_four: bool) -> None:
    measured(folder, OLD, OLD_DEVICE, 5, 300.0)
    measured(folder, NEW, NEW_DEVICE, 15, 100.0, 4.0)
    if all_four:
        measured(folder, OLD, NEW_DEVICE, 5, 150.0)
        measured(folder, NEW, OLD_DEVICE, 15, 250.0)


def test_the_split_by_hand(tmp_path: Path) -> None:
    crossed(tmp_path, all_four=True)
    with open_study([tmp_path]) as study:
        table, years = progress_split(study), progress(study)
    assert table is not None
    ipw, ipj = table.rows
    assert (ipw["from"], ipw["to"]) == ("2023 / 2018", "2025 / 2024")
    assert value(ipw["total"]) == pytest.approx(9.0)
    assert value(ipw["model_study"]) == pytest.approx(3.0)
    assert value(ipw["hardware_study"]) == pytest.approx(3.0)
    # On the old device the new model does 3 × 300/250, on the new one 3 × 150/100.
    assert value(ipw["model_old"]) == pytest.approx(3.6)
    assert value(ipw["model_new"]) == pytest.approx(4.5)
    assert value(ipw["hardware_old"]) == pytest.approx(2.0)
    assert value(ipw["hardware_new"]) == pytest.approx(2.5)
    assert value(ipw["model_shapley"]) == pytest.approx(math.sqrt(3.6 * 4.5))
    assert value(ipw["hardware_shapley"]) == pytest.approx(math.sqrt(2.0 * 2.5))
    for row in (ipw, ipj):
        whole = value(row["model_shapley"]) * value(row["hardware_shapley"])
        assert whole == pytest.approx(value(row["total"]))
    assert value(ipj["total"]) == pytest.approx(3 * 600 / 400)
    assert years is not None
    models = [row for row in years.rows if row["of"] == "model"]
    assert [row["year"] for row in models] == ["2023", "2025"]
    # Two pairs a year: watts 300 and 150, then 250 and 100; two years apart.
    assert value(models[0]["ipw"]) == pytest.approx(0.25 / 225)
    assert value(models[1]["ipw"]) == pytest.approx(0.75 / 175)
    assert value(models[1]["ipw_yearly"]) == pytest.approx(math.sqrt(3 * 225 / 175))


def test_without_the_crossed_cells_there_is_no_split(tmp_path: Path) -> None:
    crossed(tmp_path, all_four=False)
    with open_study([tmp_path]) as study:
        table = progress_split(study)
    assert table is not None
    row = table.rows[0]
    assert value(row["total"]) == pytest.approx(9.0)
    assert value(row["model_study"]) == pytest.approx(3.0)
    for name in ("model_old", "model_new", "model_shapley", "hardware_shapley"):
        cell = row[name]
        assert isinstance(cell, Estimate)
        assert cell.value is None
        assert "nobody asked 202" in str(cell.reason)
    assert "cannot be said" in table.finding


def test_unlike_boundaries_have_accuracies_but_no_progress_in_joules(tmp_path: Path) -> None:
    measured(tmp_path, OLD, OLD_DEVICE, 5, 300.0)
    measured(tmp_path, NEW, NEW_DEVICE, 15, 100.0, boundary="system")
    with open_study([tmp_path]) as study:
        split, years = progress_split(study), progress(study)
    assert split is not None
    assert years is not None
    assert isinstance(split.rows[0]["total"], Estimate)
    assert "boundaries differ" in str(split.rows[0]["total"].reason)
    assert value(split.rows[0]["model_study"]) == pytest.approx(3.0)
    assert value(years.rows[1]["accuracy_yearly"]) == pytest.approx(math.sqrt(3.0))


def test_local_and_cloud_flip(tmp_path: Path) -> None:
    """M4 Max: 100 W for 40 s; B200: 250 W for 4 s. Per watt local wins 2.5×, per joule cloud 4×."""
    measured(tmp_path, NEW, NEW_DEVICE, 15, 100.0, 40.0)
    measured(tmp_path, NEW, B200, 15, 250.0, 4.0)
    with open_study([tmp_path]) as study:
        table = local_cloud(study)
        assert progress_split(study) is None
    assert table is not None
    (row,) = table.rows
    assert row["like"] == "yes"
    assert value(row["ipw_ratio"]) == pytest.approx(2.5)
    assert value(row["ipj_ratio"]) == pytest.approx(0.25)
    assert value(row["seconds_ratio"]) == pytest.approx(10)
    assert value(row["accuracy_local"]) == 0.75
    # Every item is alike here, so there is no spread to draw an interval from.
    assert row["flips"] == "undecided"


def test_local_and_cloud_flip_where_both_intervals_say_so(tmp_path: Path) -> None:
    measured(tmp_path, NEW, NEW_DEVICE, 15, 100.0, 40.0, spread=0.1)
    measured(tmp_path, NEW, B200, 14, 250.0, 4.0, spread=0.2)
    with open_study([tmp_path]) as study:
        table = local_cloud(study)
    assert table is not None
    (row,) = table.rows
    assert row["flips"] == "flips: per watt local, per joule cloud"
    assert value(row["ipw_ratio"]) == pytest.approx(2.5 * 15 / 14)
    assert value(row["accuracy_ratio"]) == pytest.approx(15 / 14)
    assert row["items"] == 20


def test_local_and_cloud_of_other_precision_or_unknown_device(tmp_path: Path) -> None:
    measured(tmp_path / "a", NEW, NEW_DEVICE, 15, 100.0, precision="Q4")
    measured(tmp_path / "a", NEW, B200, 15, 250.0, precision="FP16")
    measured(tmp_path / "b", NEW, "Emulated 80GB", 15, 250.0)
    with open_study([tmp_path / "a"]) as study:
        table = local_cloud(study)
    assert table is not None
    assert table.rows[0]["like"] == "precision: Q4 and FP16"
    with open_study([tmp_path / "b"]) as study:
        assert local_cloud(study) is None
        assert progress(study) is None


def test_local_and_cloud_asked_in_unlike_ways_are_named(tmp_path: Path) -> None:
    measured(tmp_path, NEW, NEW_DEVICE, 15, 100.0)
    measured(tmp_path, NEW, B200, 15, 250.0)
    for file in tmp_path.glob("*/run.json"):
        run = json.loads(file.read_text())
        if B200 in str(run["pairs"]):
            run["spec"]["thinking"] = True
        file.write_text(json.dumps(run))
    with open_study([tmp_path]) as study:
        table = local_cloud(study)
    assert table is not None
    assert table.rows[0]["like"] == "thinking: default and True"


def test_the_interval_is_the_paired_bootstraps() -> None:
    rng = np.random.default_rng(3)
    n = 300
    hard = rng.lognormal(0, 0.5, n)
    cluster = np.arange(n)
    score = [(rng.random(n) < share).astype(float) for share in (0.7, 0.5)]
    joules = [hard * rng.lognormal(mean, 0.3, n) for mean in (1.0, 2.0)]
    factors = [
        Factor(score[0], 1, "score"),
        Factor(joules[0], -1, "energy"),
        Factor(score[1], -1, "score"),
        Factor(joules[1], 1, "energy"),
    ]
    found = log_ratio(factors, cluster)
    sides = [
        {"a": Column(a, cluster, "score", share=True), "e": Column(e, cluster, "energy")}
        for a, e in zip(score, joules, strict=True)
    ]
    ratios, _ = paired_bootstrap(
        sides[0],
        sides[1],
        n,
        {"ipj": lambda sample: sample.mean("a") / sample.mean("e")},
        rng=rng,
        same_sensor=True,
    )
    drawn = ratios["ipj"]
    assert found.value == pytest.approx(drawn.value)
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(drawn.low, rel=0.05)
    assert found.high == pytest.approx(drawn.high, rel=0.05)
    # Sensors that may err by a tenth, each on its own, widen it; the value stays.
    apart = Footing(boundary="accelerator", grade="C", gain=(0.9, 1.1))
    wide = log_ratio([Factor(f.values, f.power, f.noun, apart) for f in factors[1::2]], cluster)
    narrow = log_ratio([Factor(f.values, f.power, f.noun) for f in factors[1::2]], cluster)
    assert wide.value == pytest.approx(narrow.value)
    assert wide.grade == "C"
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


ANSWERS = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, 4)),
    st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0.5, 9.0), st.floats(0.1, 5.0)),
    min_size=4,
)
"""(pair, item): score, joules, seconds; a pair is not asked every item."""


@settings(max_examples=4, deadline=None)
@given(ANSWERS)
def test_ratios_against_brute_force(
    asked: dict[tuple[int, int], tuple[float, float, float]],
) -> None:
    devices = (NEW_DEVICE, B200)
    with TemporaryDirectory() as folder:
        for pair in {pair for pair, _ in asked}:
            answers = [
                Answered(pair=NEW, item=f"q{n}", score=a, energy_j=e, seconds=t)
                for (p, n), (a, e, t) in asked.items()
                if p == pair
            ]
            identity = PairIdentity(
                pair_id=NEW, label=NEW, model=NEW, engine="x", device=devices[pair]
            )
            write_run_directory(Path(folder) / str(pair), answers, identities=[identity])
        with open_study([Path(folder)]) as study:
            table = local_cloud(study)
    if len({pair for pair, _ in asked}) < 2:
        assert table is None
        return
    assert table is not None
    (row,) = table.rows
    common = [n for n in range(5) if (0, n) in asked and (1, n) in asked]
    assert row["items"] == len(common)
    ipj = row["ipj_ratio"]
    assert isinstance(ipj, Estimate)
    sums = [[sum(asked[p, n][x] for n in common) for x in range(2)] for p in (0, 1)]
    if sums[0][0] > 0 and sums[1][0] > 0:
        truth = sums[0][0] / sums[0][1] / (sums[1][0] / sums[1][1])
        assert value(ipj) == pytest.approx(truth, rel=1e-5)
    else:
        assert ipj.value is None


def test_what_is_missing_is_said() -> None:
    cluster = np.arange(3)
    gone = log_ratio([Factor(np.array([1.0, np.nan, 2.0]), 1, "energy")], cluster)
    assert gone.reason == "1 of 3 items have no energy"
    zero = log_ratio([Factor(np.zeros(3), 1, "score")], cluster)
    assert zero.reason == "the mean score is not above zero"
    none = log_ratio([Factor(np.zeros(0), 1, "score")], cluster[:0])
    assert none.value is None


def test_one_runs_sensors_cancel_in_a_ratio(tmp_path: Path) -> None:
    """Two models on one device: in one run their sensor's error is one factor."""
    answers = {
        model: [
            Answered(pair=model, item=f"q{n}", score=float(n % 3 > 0), energy_j=joules + n % 5)
            for n in range(20)
        ]
        for model, joules in ((OLD, 9.0), (NEW, 3.0))
    }
    gain = (0.5, 2.0)
    both = [answer for rows in answers.values() for answer in rows]
    write_run_directory(tmp_path / "one" / "a", both, device=B200, gain=gain)
    for name, model in (("a", OLD), ("b", NEW)):
        write_run_directory(tmp_path / "two" / name, answers[model], device=B200, gain=gain)
    widths = []
    for folder in ("one", "two"):
        with open_study([tmp_path / folder]) as study:
            table = progress(study)
        assert table is not None
        cell = table.rows[1]["ipj_yearly"]
        assert value(cell) == pytest.approx((11 / 5) ** 0.5)
        assert isinstance(cell, Estimate)
        assert cell.low is not None
        assert cell.high is not None
        widths.append(cell.high / cell.low)
    assert widths[0] < 1.5 < 2 < widths[1]
