"""Routing savings from run directories of known truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyCell, StudyTable
from perwatt.study.options import StudyOptions
from perwatt.study.savings_sides import sides_of
from perwatt.study.study import open_study
from perwatt.study.tables.savings import savings, savings_steps

CLOUD, LARGE, SMALL = "Qwen3-235B-A22B", "Qwen3-14B", "Qwen3-8B"


def write(
    folder: Path,
    name: str,
    right: Sequence[int],
    joules: float,
    *,
    device: str = "M4 Max",
    load: str = "closed:1",
    seconds: float = 10.0,
    boundary: str = "accelerator",
) -> Path:
    """Forty items; item n is answered right where right[n % len] says so, for joules × (1 + n)."""
    answers = [
        Answered(
            pair=name,
            item=f"q{n:02d}",
            score=float(right[n % len(right)]),
            energy_j=joules * (1 + n),
            seconds=seconds,
        )
        for n in range(40)
    ]
    identity = PairIdentity(pair_id=name, label=name, model=name, engine="emulated", device=device)
    path = folder / f"{name}-{load.replace(':', '-')}"
    return write_run_directory(
        path, answers, identities=[identity], device=device, load=load, boundary=boundary
    )


def two(folder: Path) -> None:
    write(folder, SMALL, [1, 0], 1.0)
    write(folder, CLOUD, [1], 20.0, device="H200 SXM 141GB", load="closed:4", seconds=4.0)


@pytest.fixture(scope="module")
def pair_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    two(folder)
    return folder


@pytest.fixture(scope="module")
def made(pair_of_runs: Path) -> tuple[StudyTable, StudyTable]:
    with open_study([pair_of_runs]) as study:
        whole, steps = savings(study), savings_steps(study)
    assert whole is not None
    assert steps is not None
    return whole, steps


def table(*folders: Path, options: StudyOptions | None = None) -> StudyTable:
    with open_study(folders, options) as study:
        found = savings(study)
    assert found is not None
    return found


def by_router(found: StudyTable, local: str | None = None) -> dict[str, dict[str, StudyCell]]:
    return {
        str(row["router"]): row
        for row in found.rows
        if local is None or str(row["local"]).partition(" ·")[0] == local
    }


def number(cell: object) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    if cell.low is not None and cell.high is not None:
        assert cell.low <= cell.value <= cell.high
    return cell.value


# Joules are (1 + n): even items sum to 400, all to 820.
ORACLE = (20 - 1) * 400 / (20 * 820)


def test_the_oracle_and_idealised_routers_by_hand(made: tuple[StudyTable, StudyTable]) -> None:
    rows = by_router(made[0])
    assert list(rows) == ["p = 1.0", "p = 0.8", "p = 0.6", "real"]
    assert number(rows["p = 1.0"]["local_share"]) == pytest.approx(0.5)
    assert number(rows["p = 1.0"]["lost"]) == pytest.approx(0.0)
    for p in ("1.0", "0.8", "0.6"):
        assert number(rows[f"p = {p}"]["energy"]) == pytest.approx(float(p) * ORACLE)
    # Even items take 10 s here, odd ones 4 s there.
    assert number(rows["p = 1.0"]["seconds"]) == pytest.approx(7.0)
    cell = rows["p = 1.0"]["energy"]
    assert isinstance(cell, Estimate)
    assert (cell.grade, cell.boundary, cell.n) == ("B", "accelerator", 40)
    assert cell.low is not None
    assert cell.low < ORACLE


def test_compute_and_price_follow_from_tokens(made: tuple[StudyTable, StudyTable]) -> None:
    rows = by_router(made[0])
    row = rows["real"]
    # Right 80% each way: half × 0.8 + half × 0.2 go local, half of the wrong ones are asked again.
    local, again, own = 0.5, 0.05, 0.01
    price = (100 * 0.035 + 50 * 0.138) / (100 * 0.22 + 50 * 0.88)
    assert number(row["cost"]) == pytest.approx(1 - (local * price + 0.5 + again + own))
    assert number(row["compute"]) == pytest.approx(
        1 - (local * 8.2 / 22 + 0.5 + again + own), abs=0.01
    )
    assert number(row["lost"]) == pytest.approx(0.05)


def test_the_steps_end_at_the_real_router(made: tuple[StudyTable, StudyTable]) -> None:
    whole, steps = made
    assert number(steps.rows[0]["energy"]) == pytest.approx(ORACLE)
    assert number(steps.rows[1]["energy"]) == pytest.approx(0.8 * ORACLE)
    assert number(steps.rows[-1]["energy"]) == pytest.approx(
        number(by_router(whole)["real"]["energy"])
    )
    assert [row["step"] for row in steps.rows][-3:] == [
        "the cloud's load",
        "the cloud's standby",
        "local devices: standby, and what they cannot take",
    ]


def test_of_several_local_pairs_the_cheapest_right_one_is_asked(
    tmp_path: Path, pair_of_runs: Path
) -> None:
    write(tmp_path, LARGE, [1, 1, 1, 0], 2.0)
    found = table(pair_of_runs, tmp_path)
    locals_ = {str(row["local"]).partition(" ·")[0] for row in found.rows}
    assert locals_ == {"any local pair", SMALL, LARGE}
    oracle = by_router(found, "any local pair")["p = 1.0"]
    assert number(oracle["local_share"]) == pytest.approx(0.75)
    # Even items by the small one; of the odd ones each second by the large one, n = 1, 5, … 37.
    joules = 400 * 1.0 + sum(2 * (1 + n) for n in range(1, 40, 4))
    asked = 400 + sum(1 + n for n in range(1, 40, 4))
    expected = (20 * asked - joules) / (20 * 820)
    assert number(oracle["energy"]) == pytest.approx(expected)


def test_unlike_boundaries_give_no_energy_and_say_why(tmp_path: Path) -> None:
    write(tmp_path, SMALL, [1, 0], 1.0, boundary="system")
    write(tmp_path, CLOUD, [1], 20.0, device="H200 SXM 141GB")
    row = by_router(table(tmp_path))["real"]
    cell = row["energy"]
    assert isinstance(cell, Estimate)
    assert cell.value is None
    assert "boundaries differ" in str(cell.reason)
    assert number(row["lost"]) == pytest.approx(0.05)


def test_one_side_alone_gives_no_table(tmp_path: Path) -> None:
    write(tmp_path, SMALL, [1, 0], 1.0)
    with open_study([tmp_path]) as study:
        assert savings(study) is None
        assert savings_steps(study) is None


def test_a_cloud_model_on_a_desk_is_no_cloud(tmp_path: Path) -> None:
    two(tmp_path / "a")
    write(tmp_path / "b", CLOUD, [1], 2.0, device="M4 Max")
    with open_study([tmp_path / "a", tmp_path / "b"]) as study:
        sides = sides_of(study)
        assert sides is not None
        assert study.pairs[sides.cloud].device == "H200 SXM 141GB"
    with open_study([tmp_path / "a" / f"{SMALL}-closed-1", tmp_path / "b"]) as study:
        assert savings(study) is None


def test_sides_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "mine", [1, 0], 1.0, device="A")
    write(tmp_path, "theirs", [1], 20.0, device="B")
    options = StudyOptions(sets={"local": ("mine",), "cloud": ("theirs",)})
    row = by_router(table(tmp_path, options=options))["p = 1.0"]
    assert number(row["energy"]) == pytest.approx(ORACLE)
    cell = row["compute"]
    assert isinstance(cell, Estimate)
    assert cell.value is None
    assert "no known size" in str(cell.reason)


def test_a_trace_is_what_machines_are_sized_for(tmp_path: Path, pair_of_runs: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    lines = [
        f'{{"timestamp": {1000 * t}, "input_length": 10, "output_length": 10}}'
        for t in range(0, 3600, 2)
    ]
    trace.write_text("\n".join(lines))
    found = table(pair_of_runs, options=StudyOptions(trace=trace))
    assert "Demand: trace.jsonl." in found.notes


def test_pairs_asked_other_questions_are_left_out_and_named(
    tmp_path: Path, pair_of_runs: Path
) -> None:
    answers = [Answered(pair=LARGE, item=f"q{n:02d}", score=1.0, energy_j=1.0) for n in range(40)]
    write_run_directory(tmp_path / "other", answers, workload="other", device="M4 Max")
    found = table(pair_of_runs, tmp_path)
    assert len(found.rows) == 4
    assert any(LARGE in note and "Asked other questions" in note for note in found.notes)


def test_an_answer_that_was_not_judged_is_no_silent_zero(
    tmp_path: Path, pair_of_runs: Path
) -> None:
    answers = [
        Answered(pair=LARGE, item=f"q{n:02d}", score=None if n == 3 else 1.0, energy_j=1.0)
        for n in range(40)
    ]
    write_run_directory(tmp_path / "unjudged", answers, device="M4 Max")
    with open_study([pair_of_runs, tmp_path]) as study:
        sides = sides_of(study)
    # A pair whose score is not known throughout is no side of a router.
    assert sides is not None
    assert [study.pairs[n].model for n in sides.local] == [SMALL]


def test_the_cloud_takes_its_cheapest_load_and_all_of_them_as_its_curve(
    tmp_path: Path, pair_of_runs: Path
) -> None:
    write(tmp_path, CLOUD, [1], 5.0, device="H200 SXM 141GB", load="closed:16", seconds=8.0)
    write(tmp_path, CLOUD, [1], 6.0, device="H200 SXM 141GB", load="closed:16@9s", seconds=8.0)
    with open_study([pair_of_runs, tmp_path]) as study:
        sides = sides_of(study)
        assert sides is not None
        assert study.pairs[sides.cloud].load == "closed:16"
        assert sorted(each.in_flight for each in sides.curve) == [4, 16, 16]
        found = savings(study)
    assert found is not None
    assert any("hold 16 in flight" in note and "2 closed loads" in note for note in found.notes)


def test_many_items_are_sampled_and_it_is_said(
    pair_of_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perwatt.study.savings_inputs._MOST", 20)
    found = table(pair_of_runs)
    cell = by_router(found)["p = 1.0"]["energy"]
    assert isinstance(cell, Estimate)
    assert 5 < cell.n < 35
    assert any("50.00% of the items were taken" in note for note in found.notes)
