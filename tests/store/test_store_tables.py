"""Parquet tables: exact schema, any text, atomic, and clear words for what cannot be read."""

from __future__ import annotations

import math
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import FileError, RunDirError
from perwatt.core.records import Columns
from perwatt.store.load import load_tables
from perwatt.store.rundir import RunDir
from perwatt.store.schema import POWER, REQUESTS, SCORES
from perwatt.store.tables import (
    read_table,
    write_power,
    write_requests,
    write_scores,
    write_table,
    write_tables,
)

DESIGN_4 = """request_id, item_id, pair_id, workload, kind, level, category, repeat, status,
error_kind, scheduled_ns, dispatched_ns, first_chunk_ns, first_answer_ns, last_chunk_ns,
prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, finish_reason, text, score,
energy_gross_j, energy_net_j, energy_low_j, energy_high_j, prefill_j, decode_j, power_mean_w,
boundary, grade, attribution, flags"""

FINISHED = {
    "name": "r",
    "status": "complete",
    "started": "2026-01-02T03:04:05+00:00",
    "ended": "2026-01-02T03:14:05+00:00",
    "perwatt_version": "0.1.0",
    "spec": {"seed": 0},
    "workload": {"name": "w", "sha256": "0" * 64},
    "environment": {},
    "energy": {"line": "No energy.", "domains": []},
    "pairs": {},
    "ledgers": {},
    "verdicts": [],
}
"""Of run.json, what a summary cannot do without."""


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def test_the_published_columns_come_first(tmp_path: Path) -> None:
    write_requests(tmp_path / "requests.parquet", {"request_id": ["a"], "flags": [["x", "y"]]})
    table = read_table(tmp_path / "requests.parquet")
    assert list(table)[:33] == names(DESIGN_4)
    assert list(table) == list(REQUESTS)
    assert table["request_id"] == ["a"]
    assert table["flags"] == [["x", "y"]]
    assert table["score"] == [None]
    assert list(POWER)[:10] == names(
        "t_ns, device, domain, counter_j, power_w, source, utilization, memory_bytes,"
        "temperature_c, clock_mhz"
    )
    assert list(SCORES)[:9] == names(
        "request_id, item_id, scorer, value, extracted, abstained, explanation, seconds, energy_j"
    )


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    write_power(tmp_path / "power.parquet", {})
    assert read_table(tmp_path / "power.parquet") == {name: [] for name in POWER}


ROW = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(st.characters(exclude_categories=()), max_size=30),
        "scheduled_ns": st.none() | st.integers(-(2**63), 2**63 - 1),
        "score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "chunk_offsets_ns": st.none() | st.lists(st.integers(0, 2**62), max_size=3),
        "flags": st.none() | st.lists(st.text(max_size=5), max_size=3),
        "abstained": st.none() | st.booleans(),
    }
)


def whole_text(text: str | None) -> str | None:
    if text is None:
        return None
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6))
def test_any_value_comes_back(rows: list[dict[str, object]]) -> None:
    columns: Columns = {name: [row[name] for row in rows] for name in rows[0]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "odd ['name]*.parquet"
        write_requests(path, columns)
        back = read_table(path, list(columns))
    assert back == {**columns, "text": [whole_text(text) for text in columns["text"]]}


def test_known_hard_text(tmp_path: Path) -> None:
    texts = ["\"q' \n\r\t\\", "\x00nul\x00", "😀\u2028\ufeff", "", "\ud83d\ude00", "\udc00."]
    write_requests(tmp_path / "t", {"text": texts})
    back = read_table(tmp_path / "t", ["text"])["text"]
    assert back == [*texts[:4], "😀", "\ufffd."]


def test_not_a_number_is_missing(tmp_path: Path) -> None:
    write_scores(tmp_path / "t", {"value": [math.nan, math.inf, 0.5]})
    assert read_table(tmp_path / "t", ["value"])["value"] == [None, None, 0.5]


def test_numpy_scalars_are_numbers(tmp_path: Path) -> None:
    write_requests(tmp_path / "t", {"score": [np.float64(0.25)], "level": [np.int64(3)]})
    assert read_table(tmp_path / "t", ["score", "level"]) == {"score": [0.25], "level": [3]}
    with pytest.raises(TypeError, match="cannot hold object"):
        write_requests(tmp_path / "t", {"text": [object()]})


def test_a_row_longer_than_the_readers_default(tmp_path: Path) -> None:
    long = "x" * 20_000_000
    write_requests(tmp_path / "t", {"text": [long, "y"]})
    assert read_table(tmp_path / "t", ["text"])["text"] == [long, "y"]


def test_mistaken_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="colour"):
        write_requests(tmp_path / "t", {"colour": ["red"]})
    with pytest.raises(ValueError, match="unequal"):
        write_requests(tmp_path / "t", {"text": ["a"], "score": []})
    with pytest.raises(FileError, match="cannot be written"):
        write_requests(tmp_path / "t", {"level": ["high"]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_table_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, {"a": [1]}, {"a": "INTEGER"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(FileError, match="disk is full"):
            write_table(path, {"a": list(range(10_000))}, {"a": "INTEGER"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_table(path) == {"a": [1]}
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_missing_damaged_and_unknown_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no table"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(RunDirError, match=r"bad\.parquet cannot be read"):
        read_table(tmp_path / "bad.parquet")
    write_scores(tmp_path / "s.parquet", {"value": [1.0]})
    with pytest.raises(RunDirError, match="cannot be read"):
        read_table(tmp_path / "s.parquet", ["valeu"])


def test_load_tables(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no perwatt run"):
        load_tables(tmp_path)
    with RunDir.create(tmp_path / "r") as run:
        run.write_run({"name": "r"})
        with pytest.raises(RunDirError, match="perwatt resume"):
            load_tables(run.path)
        run.write_run(FINISHED)
        with pytest.raises(RunDirError, match="perwatt score"):
            load_tables(run.path)
        write_tables(
            run.path,
            requests={"request_id": ["a"]},
            power={"t_ns": [1]},
            scores={"request_id": ["a"]},
        )
        tables = load_tables(run.path)  # while another holds the lock
    assert tables.run == FINISHED
    assert tables.requests["request_id"] == ["a"]
    assert tables.power["t_ns"] == [1]
    assert tables.scores["request_id"] == ["a"]
