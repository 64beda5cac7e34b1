"""A study's page and CSV: every number of every table, its interval and its reason."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyColumn, StudyTable
from perwatt.report.study_csv import csv_of, tables_as_csv
from perwatt.report.study_page import render_study, write_study_page
from perwatt.report.study_rows import naming
from perwatt.study.study import open_study
from perwatt.study.summary import summarise_study

TABLE = StudyTable(
    name="t",
    title="T",
    what="What a row is.",
    columns=(
        StudyColumn(name="model", title="Model"),
        StudyColumn(name="device", title="Device"),
        StudyColumn(name="ipj", title="IPJ", what="a / E"),
        StudyColumn(name="n", title="n"),
        StudyColumn(name="unused", title="Unused"),
    ),
    rows=(
        {
            "model": "a,b",
            "device": "x",
            "ipj": Estimate(value=0.1 + 0.2, low=0.1, high=0.7, unit="1/J", n=9, grade="B"),
            "n": 3,
        },
        {"model": "a,b", "device": "<y>", "ipj": Estimate(value=None, reason="no energy")},
    ),
)


class Outside(HTMLParser):
    """Whatever a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in {"src", "srcset", "data", "poster"} or (
                name == "href" and tag in {"link", "use", "image"}
            )
            if loads and value and not value.startswith(("data:", "#")):
                self.found.append(f"{tag} {name}={value}")


def test_csv_gives_the_same_numbers_back() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(TABLE))))
    assert float(rows[0]["ipj"]) == 0.1 + 0.2
    assert [rows[0]["model"], rows[0]["ipj_low"], rows[0]["ipj_grade"]] == ["a,b", "0.1", "B"]
    assert [rows[1]["ipj"], rows[1]["ipj_reason"], rows[1]["n"]] == ["", "no energy", ""]


def test_rows_are_named_by_as_few_columns_as_it_takes() -> None:
    assert naming(TABLE, TABLE.columns) == 2
    one = StudyTable(name="t", title="T", what="", columns=TABLE.columns, rows=TABLE.rows[:1])
    assert naming(one, one.columns) == 1


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    answers = [
        Answered(
            pair=pair,
            item=f"q{n}",
            score=float(n % right == 0),
            energy_j=joules + n % 3,
            category="Legal" if n % 2 else "Sales",
        )
        for pair, right, joules in (("small <i>", 2, 1.0), ("large", 1, 8.0))
        for n in range(40)
    ]
    write_run_directory(tmp_path / "runs" / "one", answers)
    write_run_directory(tmp_path / "runs" / "two", answers, device="Other 24GB")
    (tmp_path / "runs" / "cut").mkdir()
    (tmp_path / "runs" / "cut" / "run.json").write_text("{}")
    return tmp_path / "runs"


def test_the_page_holds_every_table_and_loads_nothing(runs: Path, tmp_path: Path) -> None:
    with open_study([runs]) as study:
        summary = summarise_study(study, name="known")
    page = render_study(summary)
    assert page == render_study(summary)
    assert {"pairs", "coverage", "categories"} <= {table.name for table in summary.tables}
    for table in summary.tables:
        assert f'id="{table.name}"' in page
    assert 'id="pairs-ipj"' in page
    assert "small &lt;i&gt;" in page
    assert "<i>" not in page.replace('<i aria-hidden="true">', "")
    assert "What is wrong with these runs" in page
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    write_study_page(summary, tmp_path / "s.html")
    assert (tmp_path / "s.html").read_text(encoding="utf-8") == page
    texts = tables_as_csv(summary)
    assert set(texts) == {table.name for table in summary.tables} | {"faults"}
    pairs = list(csv.DictReader(io.StringIO(texts["pairs"])))
    assert sorted(float(row["accuracy"]) for row in pairs) == [0.5, 0.5, 1.0, 1.0]


def test_pairs_that_cannot_be_ranked_have_no_front_and_give_no_headline(tmp_path: Path) -> None:
    for name, first in (("one", 0), ("two", 100)):
        answers = [
            Answered(pair=name, item=f"q{first + n}", score=1.0, energy_j=2.0 + first + n % 3)
            for n in range(20)
        ]
        write_run_directory(tmp_path / name, answers)
    with open_study([tmp_path]) as study:
        summary = summarise_study(study)
    pairs = next(table for table in summary.tables if table.name == "pairs")
    assert pairs.finding in pairs.notes
    assert summary.headline != pairs.finding
    page = render_study(summary)
    assert 'class="front"' not in page
    assert "The dotted steps join" not in page


def test_a_study_of_nothing_readable_says_so(tmp_path: Path) -> None:
    with open_study([tmp_path / "nowhere"]) as study:
        summary = summarise_study(study)
    assert summary.pairs == ()
    assert "0 pairs in 0 runs" in summary.headline
    assert "There is no run directory" in render_study(summary)
