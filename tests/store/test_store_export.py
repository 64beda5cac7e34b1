"""A run in CSV, parquet and Hugging Face's layout: every value comes back as it was."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.errors import FileError, RunDirError
from perwatt.core.records import Columns
from perwatt.runner.summary import summarise_run
from perwatt.store.exchange.export_hf import write_hf
from perwatt.store.exchange.export_table import METRICS, TEXT, ExportRun, copy_table, copy_tables
from perwatt.store.load import load_tables
from perwatt.store.schema import REQUESTS
from perwatt.store.tables import read_table, write_requests

SECRET_TEXT = "the model's own words"


def exported(path: Path, **about: Any) -> ExportRun:
    answers = [
        Answered(pair=pair, item=f"q{n}", score=float(n % 2), energy_j=joules, text=SECRET_TEXT)
        for pair, joules in (("a", 1.0), ("b", 3.0))
        for n in range(4)
    ]
    write_run_directory(path, answers, **about)
    tables = load_tables(path)
    return ExportRun(name=path.name, path=path, run=tables.run, summary=summarise_run(tables))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ExportRun:
    return exported(tmp_path_factory.mktemp("exported") / "mine")


def read_csv(path: Path, types: dict[str, str]) -> list[tuple[Any, ...]]:
    """An empty field is missing; a quoted empty one is an empty text."""
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    query = (
        f"FROM read_csv('{path}', header=true, allow_quoted_nulls=false, columns={{{columns}}},"
        " delim=',', quote='\"', escape='\"', parallel=false)"
    )
    return duckdb.execute(query).fetchall()


words = st.none() | st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(
    st.tuples(words, numbers, st.none() | st.booleans(), st.lists(words, max_size=3)),
    min_size=1,
    max_size=5,
)


@given(rows)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_every_value_comes_back(
    run: ExportRun, tmp_path: Path, made: list[tuple[Any, ...]]
) -> None:
    names = ("text", "score", "abstained", "flags")
    columns: Columns = {name: [row[k] for row in made] for k, name in enumerate(names)}
    columns["request_id"] = [f"r{n}" for n in range(len(made))]
    source = tmp_path / "in.parquet"
    write_requests(source, columns)
    wanted = read_table(source)
    parquet, plain = tmp_path / "out.parquet", tmp_path / "out.csv"

    copy_table(run, "requests", source, parquet, "parquet")
    assert read_table(parquet) == wanted

    copy_table(run, "requests", source, plain, "csv")
    types = {name: "VARCHAR" if kind.endswith("[]") else kind for name, kind in REQUESTS.items()}
    found = read_csv(plain, types)
    table = {name: [row[k] for row in found] for k, name in enumerate(types)}
    for name in ("text", "score", "abstained"):
        assert table[name] == wanted[name]
    assert [json.loads(flags) for flags in table["flags"]] == wanted["flags"]


def test_figures_are_one_to_a_row(run: ExportRun, tmp_path: Path) -> None:
    copy_tables(run, tmp_path, "csv")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(METRICS)
    ipj = [row for row in found if row["metric"] == "ipj" and not row["by"]]
    assert [row["pair_id"] for row in ipj] == ["a", "b"]
    assert [float(row["value"]) for row in ipj] == pytest.approx([0.5, 0.5 / 3])
    assert {(row["grade"], row["boundary"], row["n"]) for row in ipj} == {("B", "accelerator", "4")}
    missing = [row for row in found if row["metric"] == "perplexity"]
    assert missing[0]["value"] == ""
    assert "log-probabilities" in missing[0]["reason"]
    kinds = [row for row in found if row["by"] == "kind" and row["metric"] == "accuracy"]
    assert {row["slice"] for row in kinds} == {"knowledge"}


def test_parquet_says_which_run_it_is_of(run: ExportRun, tmp_path: Path) -> None:
    files = copy_tables(run, tmp_path, "parquet")
    assert sorted(path.name for path in files) == [
        "metrics.parquet",
        "power.parquet",
        "requests.parquet",
        "scores.parquet",
    ]
    query = f"SELECT key, value FROM parquet_kv_metadata('{tmp_path / 'requests.parquet'}')"
    told = {bytes(k).decode(): bytes(v).decode() for k, v in duckdb.execute(query).fetchall()}
    assert told["perwatt.run_id"] == run.run["run_id"]
    assert told["perwatt.version"] == run.run["perwatt_version"]
    assert told["perwatt.table"] == "requests"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_text_can_be_left_out(run: ExportRun, tmp_path: Path, form: Any) -> None:
    files = copy_tables(run, tmp_path, form, text=False)
    for path in files:
        assert SECRET_TEXT.encode() not in path.read_bytes()
    if form == "parquet":
        assert not TEXT & set(read_table(tmp_path / "requests.parquet"))
        assert read_table(tmp_path / "requests.parquet")["score"] == [0.0, 1.0] * 4


def test_a_run_of_an_older_perwatt_has_all_columns(run: ExportRun, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    file = old / "requests.parquet"
    duckdb.execute(f"COPY (SELECT 'r1' AS request_id, 1::TINYINT AS score) TO '{file}'")
    source = ExportRun(name="old", path=old, run=run.run, summary=run.summary)
    copy_tables(source, tmp_path / "out", "parquet")
    table = read_table(tmp_path / "out" / "requests.parquet")
    assert list(table) == list(REQUESTS)
    assert (table["score"], table["logprobs"]) == ([1.0], [None])


def test_a_damaged_table_and_a_place_that_is_none_are_named(run: ExportRun, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "requests.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    source = ExportRun(name="bad", path=bad, run=run.run, summary=run.summary)
    with pytest.raises((RunDirError, FileError), match=r"requests\.parquet"):
        copy_tables(source, tmp_path / "out", "csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="a file is where a directory should be"):
        copy_tables(run, tmp_path / "file", "csv")


def test_the_hub_layout(run: ExportRun, tmp_path: Path) -> None:
    other = exported(tmp_path / "second", device="Other")
    files = write_hf([run, other], tmp_path / "hf", text=False)
    assert sorted(str(path.relative_to(tmp_path / "hf")) for path in files) == [
        "README.md",
        "data/metrics/mine.parquet",
        "data/metrics/second.parquet",
        "data/requests/mine.parquet",
        "data/requests/second.parquet",
    ]  # no empty table: a config without a row cannot be loaded
    card = (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
    front = card.split("---\n")[1]
    assert 'license: other\nlicense_name: "none"' in front
    assert "- config_name: requests\n  default: true" in front
    assert '    path: "data/requests/*.parquet"' in front
    assert "  - name: flags\n    sequence: string" in front
    assert "name: text\n" not in front
    # The card's columns are the files' own, in their order.
    own = front.split("dataset_info:\n")[1].split("- config_name: ")[1]
    named = [line.removeprefix("  - name: ") for line in own.splitlines() if "- name: " in line]
    assert named == list(read_table(tmp_path / "hf" / "data" / "requests" / "mine.parquet"))
    assert "0.5 1/J" in card or "500" in card
    assert "Energy is known: grade B, accelerator." in card
