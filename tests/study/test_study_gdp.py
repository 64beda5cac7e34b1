"""GDP-weighted accuracy: by hand, with weights that nothing was asked of."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study
from perwatt.study.tables.gdp import gdp


def estimate(cell: StudyCell) -> Estimate:
    assert isinstance(cell, Estimate)
    return cell


def study_of(folder: Path, facts: str) -> StudyOptions:
    """Legal 8 of 10, Sales 10 of 20, and five items of no category."""
    answers = [
        Answered(pair="one", item=f"{name}{n}", score=float(n < right), energy_j=1.0, category=name)
        for name, right, count in (("Legal", 8, 10), ("Sales", 10, 20), (None, 5, 5))
        for n in range(count)
    ]
    write_run_directory(folder / "a", answers)
    (folder / "facts.toml").write_text(facts)
    return StudyOptions(facts=folder / "facts.toml")


def test_by_hand(tmp_path: Path) -> None:
    options = study_of(tmp_path, "[gdp]\nLegal = 3\nSales = 1\nFarming = 1")
    with open_study([tmp_path / "a"], options) as study:
        table = gdp(study)
    assert table is not None
    (row,) = table.rows
    assert estimate(row["accuracy"]).value == pytest.approx(23 / 35)
    weighted = estimate(row["weighted"])
    assert weighted.value == pytest.approx((3 * 0.8 + 0.5) / 4)
    assert estimate(row["at_least"]).value == pytest.approx((3 * 0.8 + 0.5) / 5)
    assert estimate(row["at_most"]).value == pytest.approx((3 * 0.8 + 0.5 + 1) / 5)
    assert estimate(row["covered"]).value == pytest.approx(0.8)
    assert (row["categories"], row["items"]) == (2, 30)
    # Wilson's intervals of 8 of 10 and 10 of 20, squared distances weighted 3 : 1.
    low = weighted.value - ((0.75 * (0.8 - 0.4902)) ** 2 + (0.25 * (0.5 - 0.2993)) ** 2) ** 0.5
    assert weighted.low == pytest.approx(low, abs=2e-4)
    notes = " ".join(table.notes)
    assert "Weighted, but in no run (20.0% of all weight): Farming" in notes
    assert "5 answers are of no category" in notes


def test_a_category_without_a_weight_is_named_and_none_gives_no_value(tmp_path: Path) -> None:
    options = study_of(tmp_path, "[gdp]\nFarming = 1")
    with open_study([tmp_path / "a"], options) as study:
        table = gdp(study)
    assert table is not None
    assert estimate(table.rows[0]["weighted"]).reason == "no category with a weight was asked"
    assert "Without a weight, left out (30 answers): Legal; Sales" in " ".join(table.notes)


def test_no_weights_no_table(tmp_path: Path) -> None:
    study_of(tmp_path, "")
    with open_study([tmp_path / "a"]) as study:
        assert gdp(study) is None


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.booleans()), min_size=1, max_size=9),
    st.dictionaries(st.sampled_from("ABCD"), st.floats(0.1, 9.0), min_size=1),
)
def test_against_brute_force(answers: list[tuple[str, bool]], weights: dict[str, float]) -> None:
    with TemporaryDirectory() as text:
        folder = Path(text)
        rows = [
            Answered(pair="one", item=f"q{n}", score=float(right), energy_j=1.0, category=category)
            for n, (category, right) in enumerate(answers)
        ]
        write_run_directory(folder / "a", rows)
        lines = "\n".join(f"{name} = {weight}" for name, weight in weights.items())
        (folder / "facts.toml").write_text(f"[gdp]\n{lines}")
        with open_study([folder / "a"], StudyOptions(facts=folder / "facts.toml")) as study:
            table = gdp(study)
    assert table is not None
    found = estimate(table.rows[0]["weighted"])
    asked = {name: [r for c, r in answers if c == name] for name in weights}
    worth = sum(weights[name] for name, right in asked.items() if right)
    if not worth:
        assert found.value is None
        return
    total = sum(weights[name] * sum(r) / len(r) for name, r in asked.items() if r)
    assert found.value == pytest.approx(total / worth)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
