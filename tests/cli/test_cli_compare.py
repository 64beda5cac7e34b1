"""`perwatt compare`, as typed, over runs whose every number is known."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main
from perwatt.core.records import Item, Message
from perwatt.store.items import write_items

ITEMS = 100


def answers(
    right: int, joules: float, *, pair: str = "m", items: int = ITEMS, seconds: float = 1.0
) -> list[Answered]:
    """Of each ten items the first `right` are right; joules vary by item, alike in all runs."""
    spread = random.Random(1)
    return [
        Answered(
            pair=pair,
            item=f"q{n}",
            score=float(n % 10 < right),
            energy_j=joules * spread.choice([0.5, 1.0, 1.5]),
            seconds=seconds,
        )
        for n in range(items)
    ]


def run_of(directory: Path, right: int, joules: float, **about: Any) -> str:
    own = {key: about.pop(key) for key in ("pair", "items", "seconds") if key in about}
    return str(write_run_directory(directory, answers(right, joules, **own), **about))


def change(directory: str, **fields: Any) -> None:
    """Fields of run.json put in place of its own."""
    file = Path(directory, "run.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def compared(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    main(["compare", *argv, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    found["by_name"] = {metric["metric"]: metric for metric in found["metrics"]}
    found["codes"] = [caveat["code"] for caveat in found["caveats"]]
    return found


def failing(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["compare", *argv])
    assert isinstance(stop.value.code, int)
    return stop.value.code, capsys.readouterr().err


def test_known_differences_come_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = run_of(tmp_path / "old", 6, 2.0)
    b = run_of(tmp_path / "new", 8, 1.0, seconds=2.0)
    found = compared(capsys, a, b)
    metrics = found["by_name"]
    accuracy, ipj = metrics["accuracy"], metrics["ipj"]
    assert accuracy["difference"]["value"] == pytest.approx(0.2)
    assert 0.1 < accuracy["difference"]["low"] < 0.2 < accuracy["difference"]["high"] < 0.3
    assert "Tango" in accuracy["difference"]["method"]
    assert metrics["energy_gross_j"]["ratio"]["value"] == pytest.approx(0.5)
    assert ipj["ratio"]["value"] == pytest.approx(2 * 8 / 6)
    assert ipj["b"]["grade"] == "B"
    assert metrics["latency"]["ratio"]["value"] == pytest.approx(2.0)
    assert accuracy["h"]["value"] == pytest.approx(0.4421, abs=1e-3)
    assert accuracy["superiority"]["value"] == pytest.approx(0.6)
    assert accuracy["decided"] and metrics["energy_gross_j"]["decided"]
    assert found["items"] == found["clusters"] == ITEMS
    headline = found["headline"]
    assert headline.startswith("m in new answers 20.0 points more right than m in old")
    assert "at 0.50× the joules per answer" in headline
    assert headline.endswith("on the same 100 items; decided.")


def test_a_metric_and_its_reciprocal_are_one_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = run_of(tmp_path / "a", 6, 2.0), run_of(tmp_path / "b", 6, 1.9)
    both = compared(capsys, a, b, "--metric", "ipj", "--metric", "j_per_correct")["by_name"]
    alone = compared(capsys, a, b, "--metric", "ipj")["by_name"]
    assert both["ipj"]["p_adjusted"] == alone["ipj"]["p_adjusted"]
    assert both["j_per_correct"]["p_adjusted"] == both["ipj"]["p_adjusted"]
    assert list(alone) == ["ipj"]


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"grade": "C"}, "unlike grades, B and C"),
        ({"boundary": "system"}, "unlike boundaries, accelerator and system"),
    ],
)
def test_unlike_joules_are_not_ranked_and_the_rest_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], about: dict[str, Any], reason: str
) -> None:
    a, b = run_of(tmp_path / "a", 6, 2.0), run_of(tmp_path / "b", 8, 1.0, **about)
    found = compared(capsys, a, b)
    metrics = found["by_name"]
    assert metrics["ipj"]["ratio"]["value"] is None
    assert reason in metrics["ipj"]["ratio"]["reason"]
    assert metrics["ipj"]["a"]["value"] is not None
    assert metrics["accuracy"]["decided"]
    assert metrics["latency"]["ratio"]["value"] == pytest.approx(1.0)
    assert "energy" in found["codes"]
    assert "joules are not compared" in found["headline"]
    main(["compare", a, b])
    assert reason in capsys.readouterr().out.replace("\n", " ")


def test_the_sensors_own_error_cancels_on_one_host_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = run_of(tmp_path / "a", 6, 2.0, gain=(0.9, 1.1))
    b = run_of(tmp_path / "b", 6, 1.9, gain=(0.9, 1.1))

    def width(*more: str) -> tuple[float, bool]:
        found = compared(capsys, a, b, "--metric", "energy_gross_j", *more)
        ratio = found["by_name"]["energy_gross_j"]["ratio"]
        return round(ratio["high"] - ratio["low"], 9), "sensors" in found["codes"]

    apart, told = width()
    assert apart > 0.2 and told  # neither says which host it ran on
    for run in (a, b):
        change(run, environment={"host": "0123456789ab"})
    one, told = width()
    assert one < 0.02 and not told
    change(b, environment={"host": "another"})
    assert width() == (apart, True)
    assert width("--same-sensors") == (one, False)


def test_pairs_are_found_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ("--metric", "accuracy")
    two = [*answers(6, 2.0, pair="m"), *answers(8, 1.0, pair="ollama:n")]
    a = str(write_run_directory(tmp_path / "a:1", two))
    b = run_of(tmp_path / "b", 9, 1.0, pair="m")
    assert compared(capsys, a, b, *only)["a"]["pair_id"] == "m"  # the only name in both
    assert compared(capsys, f"{a}:ollama:n", b, *only)["a"]["pair_id"] == "ollama:n"
    assert compared(capsys, f"{a}#ollama:n", f"{b}#m", *only)["a"]["pair_id"] == "ollama:n"
    assert compared(capsys, a, b, "--pair-a", "ollama:n", *only)["b"]["pair_id"] == "m"
    within = compared(capsys, a, a, *only)
    assert (within["a"]["name"], within["b"]["name"]) == ("m", "ollama:n")
    code, text = failing(capsys, f"{a}:x", b)
    assert code == 2
    assert "no pair in" in text and "named 'x'" in text
    other = run_of(tmp_path / "c", 9, 1.0, pair="k")
    code, text = failing(capsys, a, other)
    assert "has 2 pairs: m, ollama:n. Say which: --pair-a" in text
    many = [one for k in range(9) for one in answers(1, 1.0, pair=f"p{k}", items=1)]
    nine = str(write_run_directory(tmp_path / "nine", many))
    assert "has 9 pairs: p0, p1, p2, p3, p4, p5, p6, p7, …. Say" in failing(capsys, nine, b)[1]
    assert "names the pair 'm' and --pair-b" in failing(capsys, a, f"{b}:m", "--pair-b", "k")[1]


def test_items_of_one_id_and_unlike_content_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = run_of(tmp_path / "a", 6, 2.0), run_of(tmp_path / "b", 6, 1.0, items=90)
    for directory, changed, level in ((a, "", 1), (b, "q3", 2)):
        write_items(
            Path(directory),
            [
                Item(
                    id=f"q{n}",
                    kind="knowledge",
                    messages=(Message(role="user", content="?" + changed * (f"q{n}" == changed)),),
                    reference="yes",
                    scorer="exact",
                    level=level,  # neither the model nor its scorer sees it
                )
                for n in range(ITEMS)
            ],
        )
    found = compared(capsys, a, b)
    assert found["items"] == 89
    assert found["codes"][:3] == ["workload", "items", "items"]
    told = " ".join(caveat["sentence"] for caveat in found["caveats"])
    assert "1 items have one id and unlike content" in told
    assert "Compared on 89 common items, of 100 asked of A and 90 of B" in told


def test_unlike_ways_of_asking_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = run_of(tmp_path / "a", 6, 2.0)
    b = run_of(tmp_path / "b", 6, 2.0, load="closed:8", version="0.0.1")
    verdict = {"code": "clocks", "severity": "invalid", "sentence": "Clocks ran apart."}
    change(b, environment={"cpu": "Other"}, verdicts=[verdict], status="interrupted")
    found = compared(capsys, a, b)
    assert found["codes"] == ["load", "host", "version", "unfinished", "verdict"]


def test_another_tools_joules_are_compared_by_their_boundary_and_grade(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = run_of(tmp_path / "a", 6, 2.0), run_of(tmp_path / "b", 6, 1.0)
    told: dict[str, Any] = {"energy": {"m": {"boundary": "accelerator", "grade": "B"}}}
    for run in (a, b):
        change(run, ledgers={}, imported=told)
    found = compared(capsys, a, b)
    assert found["by_name"]["energy_gross_j"]["ratio"]["value"] == pytest.approx(0.5)
    assert (found["a"]["boundary"], found["b"]["grade"]) == ("accelerator", "B")
    assert found["codes"] == ["energy"]
    assert "Joules of A and B are another tool's" in found["caveats"][0]["sentence"]
    change(b, imported={"energy": {"m": {"boundary": "accelerator", "grade": "C"}}})
    found = compared(capsys, a, b, "--metric", "ipj")
    assert "unlike grades, B and C" in found["by_name"]["ipj"]["ratio"]["reason"]


def test_failures_are_told_and_a_ratio_near_one_shows_its_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = run_of(tmp_path / "a", 8, 2.0)
    failed = Answered(pair="m", item="q0", score=0.0, energy_j=2.0, status="error")
    rows = [failed, *answers(8, 2.0 * 1.0014)[1:]]
    b = str(write_run_directory(tmp_path / "b", rows))
    found = compared(capsys, a, b)
    assert found["codes"] == ["failed"]
    assert "0 of A and 1 of B failed" in found["caveats"][0]["sentence"]
    c = str(write_run_directory(tmp_path / "c", answers(8, 2.0 * 1.0014)))
    main(["compare", a, c, "--markdown"])
    assert "1.001× \\[1.001, 1.001\\]" in capsys.readouterr().out
    found = compared(capsys, a, b, "--metric", "ttft_p99", "--metric", "requests_per_s")
    assert found["headline"] == found["by_name"]["ttft_p99"]["sentence"]
    assert "cannot be compared" not in found["headline"]


def test_bad_runs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = run_of(tmp_path / "a", 8, 2.0, items=4)
    assert "no run directory" in failing(capsys, a, str(tmp_path / "none"))[1]
    other = str(
        write_run_directory(tmp_path / "o", [Answered(pair="m", item="x", score=1, energy_j=1)])
    )
    assert "were asked no item in common" in failing(capsys, a, other)[1]
    table = Path(other, "requests.parquet")
    table.write_bytes(table.read_bytes()[:-4] + b"PARX")
    assert (
        "hash differs" in failing(capsys, a, other)[1]
        or "cannot be read" in (failing(capsys, a, other)[1])
    )
    stopped = Answered(pair="m", item="q0", score=None, energy_j=None, status="cancelled")
    empty = str(write_run_directory(tmp_path / "e", [stopped]))
    assert "m in e has no answers to be paired" in failing(capsys, a, empty)[1]
    b = run_of(tmp_path / "b", 8, 2.0, items=4)
    change(b, pairs={"m": {"label": 3}})
    assert "has not the fields of a run" in failing(capsys, a, b)[1]
    Path(b, "requests.parquet").unlink()
    assert "There is no table" in failing(capsys, a, b)[1]


def test_runs_without_joules_are_compared_by_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, right in (("a", 5), ("b", 9)):
        rows = [
            Answered(pair="m", item=f"q{n}", score=float(n % 10 < right), energy_j=None)
            for n in range(60)
        ]
        write_run_directory(tmp_path / name, rows)
    found = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"))
    assert found["by_name"]["accuracy"]["decided"]
    assert found["by_name"]["ipj"]["ratio"]["value"] is None
    assert "the energy of at least one of them was not measured" in found["headline"]


def test_draws_without_a_right_answer_leave_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Joules per correct answer are then infinite on both sides, which is no number to divide."""
    for name in "ab":
        rows = [
            Answered(pair="m", item=f"q{n}", score=float(n == 0), energy_j=1.0, net_j=-1.0)
            for n in range(6)
        ]
        write_run_directory(tmp_path / name, rows)
    found = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"))["by_name"]
    assert found["j_per_correct"]["ratio"]["value"] == pytest.approx(1.0)
    assert "its denominator is zero" in found["j_per_correct"]["ratio"]["reason"]
    assert found["energy_net_j"]["ratio"]["value"] is None
    assert found["energy_net_j"]["b"]["value"] == pytest.approx(-1.0)
