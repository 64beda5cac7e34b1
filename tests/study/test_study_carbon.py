"""Carbon and cost per thousand right answers, and the tariffs they rest on."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.errors import FileError, SpecError
from perwatt.core.estimate import Estimate
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study
from perwatt.study.tables.carbon import carbon
from perwatt.study.tables.cost import cost
from perwatt.study.tariffs.load import load_tariffs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of twenty answers are right; 36 J each, 72 J to a right one."""
    folder = tmp_path_factory.mktemp("runs")
    for pair, joules in (("Qwen3-8B", 36.0), ("unheard-of", None)):
        answers = [
            Answered(pair=pair, item=f"q{n}", score=float(n % 2), energy_j=joules)
            for n in range(20)
        ]
        write_run_directory(folder / pair, answers)
    return folder


def number(cell: object) -> Estimate:
    assert isinstance(cell, Estimate)
    return cell


def test_carbon_by_hand(runs: Path) -> None:
    with open_study([runs]) as study:
        table = carbon(study)
    assert table is not None
    known, unknown = table.rows
    assert number(known["kwh"]).value == pytest.approx(0.02)
    france = number(known["g_france"])
    assert france.value == pytest.approx(0.02 * 56)
    assert (france.unit, france.grade, france.boundary) == ("gCO2e", "B", "accelerator")
    assert france.low is not None
    assert france.low < 0.02 * 56
    assert number(unknown["g_france"]).value is None
    assert number(unknown["g_france"]).reason
    assert any("1.56" in note for note in table.notes)


def test_cost_by_hand(runs: Path) -> None:
    with open_study([runs]) as study:
        table = cost(study)
    assert table is not None
    known, unknown = table.rows
    assert number(known["power_virginia_commercial"]).value == pytest.approx(0.02 * 0.0895)
    api = number(known["api_usd"])
    assert api.value == pytest.approx(1000 * (100 * 0.035 + 50 * 0.138) / 1e6 / 0.5)
    bounds = [bound for bound in (api.low, api.value, api.high) if bound is not None]
    assert len(bounds) == 3
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]
    assert "no API price of unheard-of" in str(number(unknown["api_usd"]).reason)


def test_a_users_tables_go_before(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """
[[grid]]
name = "My roof"
g_per_kwh = 40
year = 2026
source = "its maker"

[[api]]
name = "Qwen3-8B"
usd_per_m_input = 1
usd_per_m_output = 2
year = 2026
source = "my contract"
"""
    )
    with open_study([runs], StudyOptions(tariffs=file)) as study:
        emitted, paid = carbon(study), cost(study)
    assert emitted is not None
    assert paid is not None
    assert [c.name for c in emitted.columns] == ["pair", "kwh", "g_my_roof"]
    assert number(emitted.rows[0]["g_my_roof"]).value == pytest.approx(0.8)
    assert number(paid.rows[0]["api_usd"]).value == pytest.approx(1000 * 200 / 1e6 / 0.5)
    assert "power_virginia_commercial" in paid.rows[0]


def test_nothing_of_it_gives_no_table(tmp_path: Path) -> None:
    answers = [Answered(pair="mute", item="q", score=1.0, energy_j=None)]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path]) as study:
        assert carbon(study) is None
        assert cost(study) is None


def test_every_fact_has_a_year_and_a_source() -> None:
    tariffs = load_tariffs()
    facts = [*tariffs.grids, *tariffs.electricity, *tariffs.api, *tariffs.pue]
    assert len(facts) > 15
    assert all(2020 <= fact.year <= 2026 and len(fact.source) > 10 for fact in facts)


def test_models_are_found_by_any_of_their_names() -> None:
    tariffs = load_tariffs()
    price = tariffs.price("Qwen/Qwen3-235B-A22B")
    assert price is not None
    assert price.usd_per_m_output == 0.88
    assert tariffs.price("qwen3") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[grids]]\nname = 'x'", "unknown table 'grids'"),
        ("[[grid]]\nname = 'x'\nyear = 2024\nsource = 'y'\ng_per_kwh = -1", "bad value"),
        ("[[grid]]\nname = 'x'\ng_per_kwh = 'low'", "bad value"),
        ("[[pue]]\nname = 'x'\nvalue = 0.9\nyear = 2024\nsource = 'y'", "bad value"),
        ("[grid]\nname = 'x'", "single table"),
        ("[[api]]\nname = 'x'\nprice = 1", "unknown key 'price'"),
        (
            2 * "[[grid]]\nname = 'x'\ng_per_kwh = 1\nyear = 2024\nsource = 'y'\n",
            "two [[grid]] named 'x'",
        ),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SpecError) as error:
        load_tariffs(file)
    assert "mine.toml" in str(error.value)
    assert said in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere\.toml"):
        load_tariffs(tmp_path / "nowhere.toml")
