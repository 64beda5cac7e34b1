"""Joules over load, and EfficientLLM's metrics, from run directories of known truth."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyTable
from perwatt.store.integrity import hashes_of
from perwatt.study.study import open_study
from perwatt.study.tables.batches import batches
from perwatt.study.tables.efficientllm import efficientllm

DEVICE = "H200 SXM 141GB"


def write(
    folder: Path,
    load: str,
    joules: float,
    seconds: float,
    *,
    pair: str = "m@f16",
    model_bytes: int | None = 800,
    right: int = 2,
    items: int = 20,
) -> Path:
    answers = [
        Answered(
            pair=pair,
            item=f"q{n}",
            score=float(n % right == 0),
            energy_j=joules * (1 + n % 5),
            seconds=seconds,
        )
        for n in range(items)
    ]
    identity = PairIdentity(
        pair_id=pair,
        label=pair,
        model="m-1b",
        engine="emulated",
        device=DEVICE,
        precision=pair.partition("@")[2],
        model_bytes=model_bytes,
    )
    path = folder / f"{pair}-{load.replace(':', '-')}"
    return write_run_directory(path, answers, identities=[identity], device=DEVICE, load=load)


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> StudyTable:
    folder = tmp_path_factory.mktemp("loads")
    write(folder, "closed:16", 1.0, 4.0)
    write(folder, "closed:1", 4.0, 1.0)
    with open_study([folder]) as study:
        table = batches(study)
    assert table is not None
    return table


def number(cell: object) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    assert cell.low is None or cell.high is None or cell.low <= cell.value <= cell.high
    return cell.value


def test_loads_by_hand(loads: StudyTable) -> None:
    one, many = loads.rows
    assert (one["in_flight"], many["in_flight"]) == (1, 16)
    assert one["ratio"] is None
    assert number(one["energy_gross_j"]) == pytest.approx(12.0)
    assert number(many["energy_gross_j"]) == pytest.approx(3.0)
    assert number(many["j_per_token"]) == pytest.approx(3.0 / 50)
    assert number(many["answers_per_s"]) == pytest.approx(4.0)
    assert number(many["device_w"]) == pytest.approx(12.0)
    assert number(many["ipj"]) == pytest.approx(0.5 / 3)


def test_the_ratio_is_paired_and_its_slope_is_per_doubling(loads: StudyTable) -> None:
    cell = loads.rows[1]["ratio"]
    assert number(cell) == pytest.approx(4.0)
    assert isinstance(cell, Estimate)
    # Every item takes a quarter: paired, there is nothing left to vary.
    assert cell.low is None
    assert "no spread" in str(cell.reason)
    assert number(loads.rows[1]["per_doubling"]) == pytest.approx(4 ** (1 / 4))


def test_a_ratio_with_spread_has_an_interval_and_a_finding(tmp_path: Path) -> None:
    write(tmp_path, "closed:1", 4.0, 1.0)
    path = tmp_path / "second"
    answers = [
        Answered(pair="m@f16", item=f"q{n}", score=1.0, energy_j=1.0 + 0.1 * (n % 3))
        for n in range(20)
    ]
    identity = PairIdentity(
        pair_id="m@f16",
        label="m@f16",
        model="m-1b",
        engine="emulated",
        device=DEVICE,
        precision="f16",
    )
    write_run_directory(path, answers, identities=[identity], device=DEVICE, load="closed:8")
    with open_study([tmp_path]) as study:
        table = batches(study)
    assert table is not None
    cell = table.rows[1]["ratio"]
    assert isinstance(cell, Estimate)
    assert cell.low is not None
    assert number(cell) == pytest.approx(12.0 * 20 / sum(1.0 + 0.1 * (n % 3) for n in range(20)))
    assert "8 in flight take" in table.finding


@pytest.mark.parametrize(
    ("spread", "said"),
    [
        (0.2, "are not shown to take fewer joules an answer than 1: 1 ["),
        (-0.2, "more joules an answer than 1."),
    ],
)
def test_a_load_that_saves_nothing_is_not_said_to_save(
    tmp_path: Path, spread: float, said: str
) -> None:
    for load, sign in (("closed:1", 1.0), ("closed:8", -1.0)):
        answers = [
            Answered(
                pair="m",
                item=f"q{n}",
                score=1.0,
                energy_j=2.0 + (sign * spread * (-1) ** n if spread > 0 else n % 3 - sign),
            )
            for n in range(20)
        ]
        write_run_directory(tmp_path / load[-1], answers, load=load)
    with open_study([tmp_path]) as study:
        table = batches(study)
    assert table is not None
    assert said in table.finding


def test_failed_requests_hold_places_for_a_time_that_nobody_knows(tmp_path: Path) -> None:
    """Of 20 requests of 2 J and 4 s five failed: the 15 took 60 s, and all 20 took 40 J."""
    for load in ("closed:1", "closed:6"):
        answers = [
            Answered(
                pair="m",
                item=f"q{n}",
                score=1.0,
                energy_j=2.0,
                seconds=4.0,
                status="error" if n < 5 else "ok",
                completion_tokens=0 if n < 5 else 30,
            )
            for n in range(20)
        ]
        write_run_directory(tmp_path / load[-1], answers, load=load)
    with open_study([tmp_path]) as study:
        loaded, metrics = batches(study), efficientllm(study)
    assert loaded is not None
    assert metrics is not None
    six = loaded.rows[1]
    assert number(six["answers_per_s"]) == pytest.approx(6 / 4)
    assert number(six["device_w"]) == pytest.approx(6 * 40 / 60)
    for name in ("answers_per_s", "device_w"):
        assert six[name].reason.startswith("5 of 20 requests failed: at most this")  # type: ignore[union-attr]
    assert number(metrics.rows[1]["it"]) == pytest.approx(15 * 30 / 60)


@pytest.mark.parametrize("hosts", [("ab", "ab"), ("ab", "cd"), (None, None)])
def test_a_sensors_error_cancels_where_it_read_both(
    tmp_path: Path, hosts: tuple[str | None, str | None]
) -> None:
    for load, host in zip(("closed:1", "closed:8"), hosts, strict=True):
        answers = [
            Answered(pair="m", item=f"q{n}", score=1.0, energy_j=2.0 + n % int(load[-1]))
            for n in range(40)
        ]
        path = write_run_directory(tmp_path / load[-1], answers, load=load, gain=(0.5, 2.0))
        run = json.loads((path / "run.json").read_text())
        run["environment"]["host"] = host
        (path / "run.json").write_text(json.dumps(run))
    with open_study([tmp_path]) as study:
        table = batches(study)
    assert table is not None
    cell = table.rows[1]["ratio"]
    assert isinstance(cell, Estimate)
    assert cell.low is not None
    assert cell.high is not None
    assert (cell.high / cell.low < 2) == (hosts == ("ab", "ab"))


def test_one_load_alone_gives_no_table(tmp_path: Path) -> None:
    write(tmp_path, "closed:1", 4.0, 1.0)
    write(tmp_path, "poisson:3", 4.0, 1.0)
    with open_study([tmp_path]) as study:
        assert batches(study) is None


def watched_run(folder: Path) -> Path:
    """100 s of load with power samples each second: memory 60 then 80 GB, busy 0.5 then 0.7."""
    path = write(folder, "closed:1", 4.0, 2.0)
    duckdb.execute(
        "COPY (SELECT t * 1000000000 AS t_ns, 'gpu0' AS domain, 'H200' AS device,"
        " CASE WHEN t < 50 THEN 60000000000 ELSE 80000000000 END AS memory_bytes,"
        " CASE WHEN t < 50 THEN 0.5 ELSE 0.7 END AS utilization"
        f" FROM range(-20, 120) AS r(t)) TO '{path / 'power.parquet'}' (FORMAT parquet)"
    )
    about = json.loads((path / "run.json").read_text())
    about["phases"] = [
        {
            "phase_id": "load-1",
            "kind": "load",
            "session": 0,
            "pair_id": "m@f16",
            "start_ns": 0,
            "end_ns": 100_000_000_000,
            "stage": 0,
        }
    ]
    about["files"] = hashes_of(path)
    (path / "run.json").write_text(json.dumps(about))
    return path


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> StudyTable:
    folder = tmp_path_factory.mktemp("metrics")
    watched_run(folder)
    write(folder, "closed:1", 2.0, 1.0, pair="m@q4", model_bytes=200, right=4)
    with open_study([folder]) as study:
        assert study.faults == []
        table = efficientllm(study)
    assert table is not None
    return table


def test_memory_and_utilization_are_of_the_load_alone(metrics: StudyTable) -> None:
    wide, narrow = metrics.rows
    assert number(wide["amu"]) == pytest.approx(70e9, rel=0.01)
    assert number(wide["amu_share"]) == pytest.approx(70 / 141, rel=0.01)
    assert number(wide["pcu"]) == pytest.approx(0.6, rel=0.01)
    missing = narrow["amu"]
    assert isinstance(missing, Estimate)
    assert missing.value is None
    assert "memory" in str(missing.reason)


def test_latency_throughput_power_and_compression_by_hand(metrics: StudyTable) -> None:
    wide, narrow = metrics.rows
    assert number(wide["al"]) == pytest.approx(2.0)
    assert number(wide["it"]) == pytest.approx(25.0)
    # 20 answers of 4 × (1 to 5) J and 10 J idle, over 40 s and 1 s.
    assert number(wide["aec"]) == pytest.approx(250 / 41)
    assert number(wide["mcr"]) == 1.0
    # A quarter of the size, half as often right.
    assert number(narrow["mcr"]) == pytest.approx(4 * 0.5)
