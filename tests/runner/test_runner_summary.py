"""From the tables of a run to its published numbers: stages, warm-up, turns, attempts set aside."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from perwatt.cli.report import report
from perwatt.cli.show import print_summary, stdout_console
from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Message, Phase, Reply, Request, Sampling
from perwatt.core.summary import UNSCORED, RunSummary, StageSummary
from perwatt.metrics.saturation import saturated_stage
from perwatt.report.build import ReportRun, render_report
from perwatt.runner.queries import by_stage, with_windows
from perwatt.runner.rows import EnergyShare, columns, request_row
from perwatt.runner.summary import summarise_run
from perwatt.store.load import RunTables
from perwatt.store.tables import write_tables

S = 1_000_000_000
MS = 1_000_000

Made = tuple[Request, EnergyShare | None, float | None]


def request(
    name: str,
    due: float,
    took: float,
    *,
    late: float = 0.0,
    tokens: int = 5,
    status: str = "ok",
    item: str | None = None,
    **more: Any,
) -> Request:
    """Due at `due` s, sent `late` s after it; its chunks come evenly over the last half."""
    sent = round((due + late) * S)
    first, last = round(took / 2 * S), round(took * S)
    offsets = tuple(np.linspace(first, last, tokens).astype(int).tolist())
    ok = status == "ok"
    return Request(
        request_id=name,
        item_id=item or name,
        pair_id="m",
        session=1,
        phase_id=more.pop("phase_id", "p0"),
        repeat=more.pop("repeat", 0),
        scheduled_ns=round(due * S),
        in_flight=1,
        prompt_sha256=None,
        sampling=Sampling(),
        reply=Reply(
            status=status,  # type: ignore[arg-type]
            dispatched_ns=sent,
            last_chunk_ns=sent + last,
            first_chunk_ns=sent + first if ok else None,
            first_answer_ns=sent + first if ok else None,
            chunk_offsets_ns=offsets if ok else (),
            completion_tokens=tokens if ok else None,
            prompt_tokens=10 if ok else None,
            error_kind=None if ok else "http-503",
            text="42" if ok else "",
        ),
        **more,
    )


def share(joules: float) -> EnergyShare:
    return EnergyShare(
        energy_gross_j=joules,
        energy_net_j=joules / 2,
        energy_low_j=joules * 0.9,
        energy_high_j=joules * 1.1,
        prefill_j=joules / 4,
        decode_j=joules * 3 / 4,
        boundary="package",
        grade="B",
        attribution="phase",
    )


def tables(
    made: Sequence[Made], phases: list[Phase], *, load: str = "closed:1", **spec: Any
) -> RunTables:
    known = {phase.phase_id: phase for phase in phases}
    rows = columns(
        request_row(one, _item(one.item_id), None, joules, "w", known.get(one.phase_id))
        | {"score": score, "abstained": score is None, "extracted": "42"}
        for one, joules, score in made
    )
    run = {
        "name": "r",
        "perwatt_version": "0",
        "started": "2026-11-21T00:00:00+00:00",
        "ended": "2026-11-21T00:01:00+00:00",
        "status": "complete",
        "workload": {"name": "w", "sha256": "0" * 64},
        "energy": {"line": "Energy: a counter.", "domains": []},
        "verdicts": [],
        "environment": {},
        "spec": {"seed": 0, "load": load, **spec},
        "ledgers": {},
        "phases": msgspec.to_builtins(phases),
        "pairs": {"m": {"pair_id": "m", "label": "M", "model": "m", "engine": "e"}},
    }
    return RunTables(requests=rows, power={}, scores={}, run=run)


def _item(item_id: str) -> Item:
    asked = (Message(role="user", content="?"),)
    return Item(id=item_id, kind="k", messages=asked, reference="42", scorer="exact")


def phase(number: int = 0, start: float = 0.0, end: float = 100.0, **more: Any) -> Phase:
    return Phase(
        phase_id=f"p{number}",
        kind="load",
        session=1,
        pair_id="m",
        start_ns=round(start * S),
        end_ns=round(end * S),
        stage=number,
        **more,
    )


def value(summary: RunSummary | StageSummary, name: str) -> float:
    metrics = summary.metrics if isinstance(summary, StageSummary) else summary.pairs[0].metrics
    found = metrics[name].value
    assert found is not None, (name, metrics[name])
    return float(found)


def one_a_second(n: int = 10, took: float = 0.5) -> list[Made]:
    return [(request(f"q{k}", k, took), share(2.0), float(k % 2)) for k in range(n)]


def test_a_warm_up_is_in_accuracy_and_joules_and_not_in_speed() -> None:
    slow = [(request(f"w{k}", k, 0.9), share(10.0), 1.0) for k in range(2)]
    made = [*slow, *(each for each in one_a_second(10) if each[0].scheduled_ns >= 2 * S)]
    counted = phase(counted_from_ns=2 * S, counted_to_ns=8 * S)
    run = tables(made, [counted])
    summary = summarise_run(run)
    assert run.requests["flags"] == [["warmup"]] * 2 + [[]] * 7 + [["cooldown"]]
    assert summary.pairs[0].outside == {"cooldown": 1, "warmup": 2}
    assert summary.pairs[0].attempted == 10
    # 2 of the warm-up and 4 of the rest are right; joules are of all ten.
    assert value(summary, "accuracy") == pytest.approx(0.6)
    assert value(summary, "energy_gross_j") == pytest.approx(3.6)
    assert value(summary, "latency") == pytest.approx(0.5)
    assert value(summary, "latency_p99") == pytest.approx(0.5)
    # From 2 s to 8 s the answers due at 2 to 7 s ended; of the one due at 8 s nothing had come.
    assert value(summary, "requests_per_s") == pytest.approx(1.0)
    assert value(summary, "output_tokens_per_s") == pytest.approx(5.0)


def test_a_rate_under_too_much_load_is_what_was_served() -> None:
    # Due ten a second for 2 s, served two a second: the window's dues would say ten.
    made = [
        (request(f"q{k}", k / 10, 0.5, late=k * 0.5 - k / 10), share(1.0), 1.0) for k in range(20)
    ]
    run = tables(made, [phase(counted_from_ns=0, counted_to_ns=4 * S, load="constant:10")])
    summary = summarise_run(run)
    assert value(summary, "requests_per_s") == pytest.approx(2.0)
    assert value(summary, "schedule_lag_p99") == pytest.approx(19 * 0.4)


def test_a_conversation_is_one_item_whose_cost_is_all_its_turns() -> None:
    made: list[Made] = []
    for k in range(4):
        for turn in range(3):
            name = f"c{k}" if turn == 2 else f"c{k}/turn-{turn}"
            asked = request(name, 10 * k + turn, 0.5, item=f"c{k}", turn=turn)
            made.append((asked, share(2.0), float(k % 2) if turn == 2 else None))
    # The fifth is cut short: its second turn fails, and it has the plain id.
    made.append((request("c4/turn-0", 50, 0.5, item="c4", turn=0), share(2.0), None))
    failed = request("c4", 51, 0.5, item="c4", turn=1, status="error")
    made.append((failed, share(1.0), 0.0))
    pair = summarise_run(tables(made, [phase()])).pairs[0]
    assert (pair.attempted, pair.served, pair.failed) == (5, 4, 1)
    assert pair.metrics["accuracy"].value == pytest.approx(2 / 5)
    assert pair.metrics["energy_gross_j"].value == pytest.approx((4 * 6 + 3) / 5)
    assert pair.metrics["ipj"].value == pytest.approx((2 / 5) / (27 / 5))
    assert pair.metrics["power_gross_w"].value == pytest.approx((4 * 6 / 1.5 + 3 / 1.0) / 5)
    assert pair.metrics["tokens_per_j"].value == pytest.approx((4 * 15 + 5) / 27)
    # Speed is of requests: each of the 13 turns that were served took half a second.
    assert pair.metrics["latency"].value == pytest.approx(0.5)
    assert pair.metrics["itl"].n == 5


def test_a_turn_asked_again_after_a_cut_counts_once() -> None:
    made: list[Made] = [
        (request("a/turn-0#cut-1", 0, 0.5, item="a", turn=0), share(7.0), None),
        (request("a/turn-0", 10, 0.5, item="a", turn=0), share(2.0), None),
        (request("a", 11, 0.5, item="a", turn=1), share(2.0), 1.0),
        (request("b", 12, 0.5, turn=0), share(3.0), 1.0),
    ]
    pair = summarise_run(tables(made, [phase()])).pairs[0]
    assert pair.attempted == 2
    assert pair.metrics["energy_gross_j"].value == pytest.approx(3.5)
    assert pair.set_aside is not None
    assert (pair.set_aside.attempts, pair.set_aside.energy_j) == (1, 7.0)


def test_attempts_that_were_asked_again_are_in_no_metric_and_their_joules_are_told() -> None:
    again = request("q1#attempt-1", 1, 0.1, status="retried", item="q1")
    stopped = request("q2#cancelled-1", 2, 0.1, status="cancelled", item="q2")
    made = [*one_a_second(), (again, share(0.5), None), (stopped, None, None)]
    pair = summarise_run(tables(made, [phase()])).pairs[0]
    assert (pair.attempted, pair.failed) == (10, 0)
    assert pair.metrics["energy_gross_j"].value == pytest.approx(2.0)
    assert pair.set_aside is not None
    aside = pair.set_aside
    assert (aside.attempts, aside.energy_j, aside.unknown) == (2, 0.5, 1)
    assert summarise_run(tables(one_a_second(), [phase()])).pairs[0].set_aside is None


def staged() -> RunTables:
    """2, 4 and 8 a second for 5 s each; the server gives 4 answers a second at most."""
    made: list[Made] = []
    phases = []
    for number, rate in enumerate((2, 4, 8)):
        start = number * 20.0
        for k in range(5 * rate):
            served = max(k / rate, k / 4)  # never faster than 4 a second
            late = served - k / rate
            asked = request(
                f"s{number}-{k}",
                start + k / rate,
                0.2,
                late=late,
                stage=number,
                phase_id=f"p{number}",
            )
            made.append((asked, share(2.0 / (number + 1)), float(k % 2)))
        phases.append(phase(number, start, start + 5, load=f"constant:{rate}@5s"))
    return tables(made, phases, load="constant:2@5s,constant:4@5s,constant:8@5s")


def test_stages_are_summarised_one_by_one_and_the_pair_over_all() -> None:
    summary = summarise_run(staged())
    assert [(s.load, s.offered_per_s, s.attempted) for s in summary.stages] == [
        ("constant:2@5s", 2.0, 10),
        ("constant:4@5s", 4.0, 20),
        ("constant:8@5s", 8.0, 40),
    ]
    assert summary.pairs[0].attempted == 70
    rates = [value(stage, "requests_per_s") for stage in summary.stages]
    assert rates == pytest.approx([10 / 4.7, 20 / 4.95, 40 / 9.95])
    assert [s.in_flight for s in summary.stages] == pytest.approx([2 / 4.7, 4 / 4.95, 8 / 9.95])
    # The last of forty waits from 4.875 s to 9.75 s.
    assert value(summary.stages[2], "latency_scheduled_p99") == pytest.approx(5.075)
    assert value(summary.stages[2], "energy_net_j") == pytest.approx(1 / 3)
    assert saturated_stage(summary.stages) == 2
    assert summary.stages[1].kept_up == pytest.approx(1.0)
    assert summary.stages[2].kept_up == pytest.approx(0.5)
    assert (summary.stages[2].slowing or 0) > 2
    # Ten requests tell nothing of a rate.
    assert summary.stages[0].kept_up is None
    assert summarise_run(tables(one_a_second(), [phase()])).stages == ()


def test_what_a_sweep_decided_goes_before_what_its_figures_show() -> None:
    stages = list(summarise_run(staged()).stages)
    stages[1] = msgspec.structs.replace(stages[1], stopped="saturated")
    assert saturated_stage(stages) == 1
    assert saturated_stage(stages[:1]) is None


def test_more_in_flight_that_brings_nothing_is_saturation() -> None:
    stages = [
        msgspec.structs.replace(stage, offered_per_s=None, in_flight=float(2**n))
        for n, stage in enumerate(summarise_run(staged()).stages)
    ]
    assert saturated_stage(stages) == 2
    # Fewer in flight than before may well bring less.
    assert saturated_stage(stages[::-1]) is None


def test_nothing_scored_says_so_and_leads_with_joules() -> None:
    made = [(one, joules, None) for one, joules, _ in one_a_second()]
    summary = summarise_run(tables(made, [phase()]))
    metrics = summary.pairs[0].metrics
    for name in ("accuracy", "ipj", "ipw", "j_per_correct"):
        assert (metrics[name].value, metrics[name].reason) == (None, UNSCORED)
    assert metrics["abstained_share"].value == 1.0
    assert summary.headline.startswith("M takes 2 J for a request and gives 2.5 output tokens per")
    without = [(one, None, None) for one, _, _ in made]
    text = summarise_run(tables(without, [phase()])).headline
    assert text.startswith("M serves ")
    assert "joules are unknown" in text


def test_some_not_judged_is_no_accuracy_over_the_rest() -> None:
    made = one_a_second()
    made[3] = (*made[3][:2], None)
    metrics = summarise_run(tables(made, [phase()])).pairs[0].metrics
    assert metrics["accuracy"].value is None
    assert "1 of 10 answers could not be judged" in (metrics["accuracy"].reason or "")
    assert metrics["abstained_share"].value == pytest.approx(0.1)


def test_goodput_is_of_what_met_every_limit_from_when_it_was_due() -> None:
    made = [(request(f"q{k}", k, 0.5, late=0.3 * (k % 2)), share(1.0), 1.0) for k in range(10)]
    run = tables(made, [phase()], slo="latency=0.6")
    served, good = (value(summarise_run(run), name) for name in ("requests_per_s", "goodput"))
    assert good == pytest.approx(served / 2)
    reason = summarise_run(tables(made, [phase()])).pairs[0].metrics["goodput"].reason
    assert reason == "no limits were stated (--slo)"


def test_a_run_from_before_stages_is_summarised_as_ever() -> None:
    run = tables(one_a_second(), [phase()])
    new = ("stage", "turn", "attempt", "worker", "sent_ns", "logprobs", "server_ttft_s", "flags")
    old = {name: column for name, column in run.requests.items() if name not in new}
    before = {k: v for k, v in run.run.items() if k != "phases"}
    spec = {k: v for k, v in run.run["spec"].items() if k != "load"}
    then = RunTables(requests=old, power={}, scores={}, run={**before, "spec": spec})
    expected, found = summarise_run(run), summarise_run(then)
    assert found.pairs[0].metrics == expected.pairs[0].metrics
    assert found.stages == ()


def test_rows_know_their_window_and_their_stage() -> None:
    run = staged()
    phases = [phase(0, counted_from_ns=5), phase(1)]
    rows = with_windows(run.requests, phases)
    assert set(rows["counted_from_ns"][:10]) == {5}
    assert set(rows["counted_from_ns"][10:]) == {None}
    assert {stage: len(own["stage"]) for stage, own in by_stage(rows).items()} == {
        0: 10,
        1: 20,
        2: 40,
    }


def test_the_page_shows_stages_the_client_and_other_tools() -> None:
    run = staged()
    run.run["client"] = [
        {"pair_id": "m", "stage": n, "load": f"constant:{r}@5s", "loop_lag_p99_s": 0.0012}
        for n, r in enumerate((2, 4, 8))
    ]
    summary = summarise_run(run)
    html = render_report(
        [ReportRun(directory="d", summary=summary, requests=run.requests, power={})]
    )
    assert "M fell behind at constant:8@5s" in html
    assert 'class="ring"' in html
    assert "Event loop late, p99" in html
    assert "1.2 ms" in html
    assert "GuideLLM 0.8.1" in html


def test_the_terminal_shows_stages_and_what_is_in_no_figure() -> None:
    run = staged()
    again = request("x#attempt-1", 1, 0.1, status="retried", item="s0-1")
    one = tables([(again, share(0.5), None)], [phase()]).requests
    both = {name: [*column, *one[name]] for name, column in run.requests.items()}
    run.run["phases"][2]["stopped"] = "saturated"
    run.run["phases"][0]["counted_from_ns"] = S
    both["flags"][:2] = [["warmup"], ["warmup"]]
    console = stdout_console(io.StringIO())
    print_summary(summarise_run(msgspec.structs.replace(run, requests=both)), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "constant:8@5s *" in text
    assert "* ended early: saturated" in text
    assert "set aside: 500 mJ in 1 attempt" in text
    assert "not in times and rates: 2 in the warm-up." in text
    assert "Output tokens per joule" in text
    assert "Perplexity" not in text


def test_a_run_as_another_tool_would_report_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = staged()
    write_tables(tmp_path, requests=run.requests, power={}, scores={})
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(run.run))
    report(tmp_path, as_="vllm", json=True)
    found = msgspec.json.decode(capsys.readouterr().out)[tmp_path.name]["m"]
    assert found["mean_ttft_ms"] == pytest.approx(100)
    assert found["request_throughput"] == pytest.approx(70 / (4.7 + 4.95 + 9.95))
    page = tmp_path / "page.html"
    report(tmp_path, as_="guidellm", output=page)
    text = capsys.readouterr().out
    assert "GuideLLM 0.8.1" in text
    assert "time_per_output_token_ms" in text
    assert page.is_file()
    with pytest.raises(SpecError, match="--as vllm"):
        report(tmp_path, json=True)
    with pytest.raises(SpecError, match="no run directory"):
        report()
