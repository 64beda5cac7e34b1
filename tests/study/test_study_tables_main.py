"""The main tables on runs whose every number is known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyCell, StudyTable
from perwatt.study.study import Study, open_study
from perwatt.study.tables.pairs import pairs_table
from perwatt.study.tables.precision import bits_of, precision_table
from perwatt.study.tables.slices import (
    categories_table,
    kinds_table,
    levels_table,
    workloads_table,
)


def ask(pair: str, right: int, joules: float, items: int = 40, **about: object) -> list[Answered]:
    """`right` of `items` answered right; joules alternate by a tenth about their mean."""
    return [
        Answered(
            pair=pair,
            item=f"q{n}",
            score=float(n < right),
            energy_j=joules * (0.9 if n % 2 else 1.1),
            category=f"c{n % 2}",
            kind="math" if n < items // 2 else "code",
            **about,  # type: ignore[arg-type]
        )
        for n in range(items)
    ]


def value(cell: StudyCell) -> float | None:
    assert isinstance(cell, Estimate)
    return cell.value


def row(table: StudyTable | None, **wanted: object) -> dict[str, StudyCell]:
    assert table is not None
    (found,) = [r for r in table.rows if all(r[k] == v for k, v in wanted.items())]
    return found


@pytest.fixture
def study(tmp_path: Path) -> Study:
    answers = [*ask("small", 20, 2.0), *ask("large", 30, 8.0)]
    write_run_directory(tmp_path / "a", answers)
    return open_study([tmp_path / "a"])


def test_pairs_are_in_order_of_right_answers_per_joule(study: Study) -> None:
    with study:
        table = pairs_table(study)
    small, large = row(table, pair="small"), row(table, pair="large")
    assert table is not None
    assert [r["pair"] for r in table.rows] == ["small", "large"]
    assert (small["items"], small["answers"], small["failed"]) == (40, 40, 0)
    assert value(small["accuracy"]) == pytest.approx(0.5)
    assert value(small["ipj"]) == pytest.approx(0.25)
    assert value(small["j_per_correct"]) == pytest.approx(4.0)
    assert value(small["energy_net_j"]) == pytest.approx(1.5)
    # One second each, so that watts are joules.
    assert value(large["ipw"]) == pytest.approx(0.75 / 8)
    assert value(large["latency"]) == pytest.approx(1.0)
    for name in ("accuracy", "ipj", "ipw", "j_per_correct", "energy_gross_j"):
        found = small[name]
        assert isinstance(found, Estimate)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        assert found.n == 40
        assert (found.grade == "B") == (name != "accuracy")
    assert table.finding.startswith("small answers most per joule: 0.25 1/J [")
    assert "overlap" not in table.finding


def test_unlike_grades_and_boundaries_are_not_ranked(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "a", ask("x", 20, 2.0), grade="A", boundary="system")
    write_run_directory(tmp_path / "b", ask("y", 20, 1.0))
    with open_study([tmp_path]) as study:
        table = pairs_table(study)
    assert table is not None
    assert "not ranked per joule: their joules cover unlike boundaries" in table.finding
    assert {r["grade"] for r in table.rows} == {"A", "B"}


def test_unlike_items_are_not_ranked(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "a", ask("x", 20, 2.0))
    write_run_directory(tmp_path / "b", ask("y", 20, 1.0, items=30), workload="other")
    with open_study([tmp_path]) as study:
        table = pairs_table(study)
        by_workload = workloads_table(study)
    assert table is not None
    assert table.finding.startswith("Pairs were not asked the same items")
    assert row(by_workload, pair="y", workload="other")["items"] == 30


@pytest.mark.parametrize(
    ("small", "large", "items", "finding"),
    [
        (0, 0, 40, "No pair answered anything right."),
        (20, 20, 40, "large and small answer as many per joule: 0.25 1/J ["),
        (20, 10, 40, "small answers most per joule: 0.25 1/J ["),
        (1, 0, 1, "this may be chance."),
    ],
)
def test_a_finding_ranks_only_what_differs(
    tmp_path: Path, small: int, large: int, items: int, finding: str
) -> None:
    answers = [*ask("small", small, 2.0, items), *ask("large", large, 2.0, items)]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        table, kinds = pairs_table(study), kinds_table(study)
    assert table is not None
    assert finding in table.finding
    assert kinds is not None
    assert bool(kinds.finding) == (small != large and items > 1)


def test_slices_are_ranked_where_pairs_were_asked_the_same(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "a", [*ask("small", 30, 2.0), *ask("large", 30, 8.0)])
    more = [
        Answered(pair="large", item=f"r{n}", score=1.0, energy_j=0.01, kind="math")
        for n in range(9)
    ]
    write_run_directory(tmp_path / "b", more, workload="easy")
    with open_study([tmp_path]) as study:
        table = kinds_table(study)
    assert table is not None
    assert table.finding == (
        "Most right answers per joule, by point value, of 1 kind: small in 1. In 1 more, pairs"
        " were not asked the same items."
    )


def test_an_answer_without_joules_leaves_none_and_says_so(tmp_path: Path) -> None:
    answers = ask("x", 20, 2.0)
    holed = [Answered(pair="x", item="hole", score=1.0, energy_j=None), *answers]
    write_run_directory(tmp_path / "a", holed)
    with open_study([tmp_path / "a"]) as study:
        found = row(pairs_table(study), pair="x")
    assert value(found["accuracy"]) == pytest.approx(21 / 41)
    ipj = found["ipj"]
    assert isinstance(ipj, Estimate)
    assert ipj.value is None
    assert ipj.reason == "1 of 41 requests have no energy"


def test_joules_of_two_runs_by_unlike_sensors_are_not_put_together(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "a", ask("x", 20, 2.0))
    write_run_directory(tmp_path / "b", ask("x", 20, 2.0), grade="C")
    with open_study([tmp_path]) as study:
        found = row(pairs_table(study), pair="x")
    assert (found["items"], found["answers"]) == (40, 80)
    assert value(found["accuracy"]) == pytest.approx(0.5)
    ipj = found["ipj"]
    assert isinstance(ipj, Estimate)
    assert ipj.reason == "its runs measured joules of unlike boundaries or grades"


def test_nothing_measured_is_no_zero(tmp_path: Path) -> None:
    mute = [Answered(pair="x", item=f"q{n}", score=None, energy_j=None) for n in range(3)]
    write_run_directory(tmp_path / "a", mute)
    with open_study([tmp_path / "a"]) as study:
        found = row(pairs_table(study), pair="x")
    for name, reason in (
        ("accuracy", "the answers were not scored"),
        ("energy_gross_j", "no energy was measured"),
    ):
        cell = found[name]
        assert isinstance(cell, Estimate)
        assert (cell.value, cell.reason) == (None, reason)


def test_slices_add_up_to_the_whole(study: Study) -> None:
    with study:
        categories, kinds = categories_table(study), kinds_table(study)
        assert levels_table(study) is None
        assert workloads_table(study) is None
    # Even items are 1.1, odd ones 0.9 times the mean.
    assert value(row(categories, pair="small", category="c0")["energy_gross_j"]) == pytest.approx(
        2.2
    )
    assert value(row(kinds, pair="small", kind="math")["accuracy"]) == 1.0
    assert value(row(kinds, pair="large", kind="code")["accuracy"]) == 0.5
    assert categories is not None
    assert categories.finding == (
        "Most right answers per joule, by point value, of 2 categories: small in 2."
    )


def identity(precision: str) -> PairIdentity:
    return PairIdentity(
        pair_id=f"m@{precision}",
        label=f"m {precision}",
        model="m",
        engine="emulated",
        precision=precision,
        device="D",
    )


def test_precision_is_paired_on_common_items(tmp_path: Path) -> None:
    answers = [*ask("m@q4_0", 28, 2.0), *ask("m@bf16", 30, 8.0)]
    names = [identity("q4_0"), identity("bf16")]
    write_run_directory(tmp_path / "a", answers, identities=names, device="D", gain=(0.8, 1.2))
    with open_study([tmp_path / "a"]) as study:
        table = precision_table(study)
    assert table is not None
    assert [r["precision"] for r in table.rows] == ["bf16", "q4_0"]
    found = row(table, precision="q4_0")
    assert found["compared"] == "40 items, paired"
    assert value(found["accuracy_change"]) == pytest.approx(-0.05)
    ratio = found["joules_ratio"]
    assert isinstance(ratio, Estimate)
    # The same items vary alike and one sensor read both: nothing is left to be unsure of.
    assert ratio.value == pytest.approx(0.25)
    assert ratio.grade == "B"
    assert "joules_ratio" not in row(table, precision="bf16")


def test_a_model_named_by_its_precision_is_one_model_asked_one_way(tmp_path: Path) -> None:
    names = [
        PairIdentity(pair_id=n, label=n, model=n, engine="e", precision=p, device="D")
        for n, p in (("smollm2-135m", "Q8_0"), ("smollm2-135m@q4_0", "Q4_0"))
    ]
    answers = [*ask("smollm2-135m", 20, 4.0), *ask("smollm2-135m@q4_0", 18, 2.0)]
    directory = write_run_directory(tmp_path / "a", answers, identities=names, device="D")
    with open_study([directory]) as study:
        table = precision_table(study)
        assert table is not None
        assert [r["precision"] for r in table.rows] == ["Q8_0", "Q4_0"]
        assert "changes by −5.0 points" in table.finding
        sampled = msgspec.structs.replace(study.pairs[1], asked={"temperature": "0.6"})
        study.pairs = (study.pairs[0], sampled)
        assert precision_table(study) is None  # it is asked in one precision each way


def test_a_load_asked_otherwise_elsewhere_leaves_precisions_together(tmp_path: Path) -> None:
    answers = [*ask("m@q4_0", 28, 2.0), *ask("m@bf16", 30, 8.0)]
    identities = [identity("q4_0"), identity("bf16")]
    write_run_directory(tmp_path / "a", answers, identities=identities)
    capped = write_run_directory(
        tmp_path / "b", ask("m@q4_0", 10, 1.0), identities=identities[:1], load="closed:4"
    )
    run = json.loads((capped / "run.json").read_text())
    run["spec"]["max_tokens"] = 32
    (capped / "run.json").write_text(json.dumps(run))
    with open_study([tmp_path]) as study:
        table = precision_table(study)
    assert table is not None
    assert [str(r["pair"]) for r in table.rows] == [
        "m bf16 · closed:1",
        "m q4_0 · max tokens by item · closed:1",
    ]


def test_precision_without_common_items_says_unpaired(tmp_path: Path) -> None:
    apart = [
        Answered(pair="m@q4_0", item=f"other{n}", score=1.0, energy_j=2.0 + n % 3)
        for n in range(30)
    ]
    names = [identity("q4_0"), identity("bf16")]
    write_run_directory(tmp_path / "a", apart, identities=names[:1], device="D", gain=(0.8, 1.2))
    wide = ask("m@bf16", 30, 6.0)
    write_run_directory(tmp_path / "b", wide, identities=names[1:], device="D", gain=(0.8, 1.2))
    with open_study([tmp_path]) as study:
        found = row(precision_table(study), precision="q4_0")
    assert found["compared"] == "all items of each, unpaired"
    ratio = found["joules_ratio"]
    assert isinstance(ratio, Estimate)
    assert ratio.value == pytest.approx(0.5)
    assert ratio.low is not None
    assert ratio.high is not None
    # Two sensors of ±20% each: √2 × ln(1.2/0.8)/2 either way at least.
    assert ratio.low < 0.5 / 1.33
    assert ratio.high > 0.5 * 1.33
    assert "unpaired" in ratio.method


@pytest.mark.parametrize(
    ("name", "bits"),
    [("q4_k_m", 4), ("BF16", 16), ("fp8", 8), ("iq3_xs", 3), ("mxfp4", 4), ("odd", None)],
)
def test_bits_are_read_from_the_name(name: str, bits: float | None) -> None:
    assert bits_of(name) == bits
