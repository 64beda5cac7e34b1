"""A run of known joules on an accelerator with a host: the waterfall, the phases, the roofline."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.estimate import Estimate
from perwatt.core.records import Domain, PairIdentity, Phase
from perwatt.core.summary import EnergyLedger, PairSummary, RunSummary
from perwatt.predict.roofline import NoRoofline
from perwatt.report.build import ReportRun, render_report
from perwatt.report.charts.waterfall import Step, waterfall
from perwatt.report.host import host_share
from perwatt.report.limits import Done, done_by, replicates, with_interval
from perwatt.report.load import phases_of
from perwatt.report.rows import request_rows
from perwatt.report.sections.joules import ledger_parts, waterfall_parts
from perwatt.report.sections.limits import limits
from perwatt.report.sections.phases import phase_table
from perwatt.report.spans import seconds_of, union
from perwatt.report.timeline import joules_until, power_ticks
from perwatt.report.view import view_of

S = 10**9
H100 = "NVIDIA H100 80GB HBM3"
REQUESTS = 40


def known_run(
    *, device: str = H100, host: bool = True, tokens: bool = True, model: str = "m"
) -> ReportRun:
    """40 requests one after another, 2 s each: 0.5 s prefill and 1.5 s decode, then 1 s of rest.

    The accelerator draws 300 W at work and 60 W at rest, the host 100 W and 40 W.
    """
    rows = [_row(n, tokens) for n in range(REQUESTS)]
    start, end = 0, REQUESTS * 3 * S
    busy = REQUESTS * 2
    at_work, at_rest = (400.0, 100.0) if host else (300.0, 60.0)
    domains = [Domain("gpu0", "counter", "accelerator", "nvml", "B", device)]
    if host:
        domains.append(Domain("package-0", "counter", "package", "rapl", "B", "a processor"))
    ledger = EnergyLedger(
        pair_id="m",
        device_j=busy * at_work + REQUESTS * at_rest,
        requests_j=busy * at_work,
        idle_j=REQUESTS * at_rest,
        unattributed_j=0.0,
        prefill_j=busy * at_work / 4,
        decode_j=busy * at_work * 3 / 4,
        idle_power_w=at_rest,
        window_s=(end - start) / S,
        domains=tuple(domain.name for domain in domains),
        boundary="package" if host else "accelerator",
        grade="B",
        gain_low=1.0,
        gain_high=1.0,
    )
    identity = PairIdentity(
        pair_id="m",
        label="M 1B FP16",
        model=model,
        engine="emulated",
        precision="fp16",
        parameters=10**9,
        model_bytes=2 * 10**9,
        device=device,
    )
    per_token = Estimate(
        value=busy * at_work / (REQUESTS * 101), low=7.0, high=9.0, unit="J", n=REQUESTS, grade="B"
    )
    pair = PairSummary(
        identity=identity,
        attempted=REQUESTS,
        served=REQUESTS,
        failed=0,
        metrics={"j_per_output_token": per_token},
        slices={},
        ledger=ledger,
    )
    summary = RunSummary(
        name="known",
        perwatt_version="0",
        started="2026-01-02T03:04:05+00:00",
        duration_s=120.0,
        complete=True,
        workload={},
        energy_line="Energy is known.",
        headline="All is known.",
        pairs=(pair,),
        comparisons=(),
        verdicts=(),
        metrics=(),
        environment={},
        spec={"model": ["m"]},
        domains=tuple(domains),
    )
    return ReportRun(
        directory="known",
        summary=summary,
        requests={name: [row[name] for row in rows] for name in rows[0]},
        power=_power([d.name for d in domains]),
        phases=(
            Phase(
                phase_id="1",
                kind="load",
                session=1,
                pair_id="m",
                start_ns=start,
                end_ns=end,
                load="closed:1",
            ),
        ),
    )


def _row(n: int, tokens: bool) -> dict[str, Any]:
    at = n * 3 * S
    return {
        "request_id": f"m/{n}",
        "item_id": f"item-{n}",
        "pair_id": "m",
        "status": "ok",
        "dispatched_ns": at,
        "first_chunk_ns": at + S // 2,
        "last_chunk_ns": at + 2 * S,
        "prompt_tokens": 1000 if tokens else None,
        "cached_tokens": 400,
        "completion_tokens": 101,
        "text": "yes",
    }


def _power(domains: list[str]) -> dict[str, list[Any]]:
    """Both counters every half second, exactly."""
    watts = {"gpu0": (300.0, 60.0), "package-0": (100.0, 40.0)}
    out: dict[str, list[Any]] = {
        k: [] for k in ("t_ns", "domain", "counter_j", "power_w", "source")
    }
    for domain in domains:
        joules = 0.0
        for half in range(REQUESTS * 6 + 1):
            values = (half * S // 2, domain, joules, None, "known")
            for name, value in zip(out, values, strict=True):
                out[name].append(value)
            joules += watts[domain][half % 6 >= 4] / 2
    return out


def test_the_host_is_taken_out_of_idle_and_of_phases_by_what_was_read() -> None:
    view = view_of(known_run(), "r1")
    ledger = view.pairs[0].ledger
    assert ledger is not None
    share = host_share(view, 0, ledger, view.ticks)
    assert share is not None
    assert share.busy == pytest.approx(0.25)  # 100 W of 400 W
    assert share.idle == pytest.approx(0.4)  # 40 W of 100 W
    assert share.domains == ("package-0",)
    parts = waterfall_parts(ledger, share)
    assert list(parts) == ["idle", "prefill", "decode", "host", "unattributed"]
    assert parts["idle"] == pytest.approx(40 * 60)
    assert parts["prefill"] == pytest.approx(40 * 0.5 * 300)
    assert parts["decode"] == pytest.approx(40 * 1.5 * 300)
    assert parts["host"] == pytest.approx(80 * 100 + 40 * 40)
    assert sum(parts.values()) == pytest.approx(ledger.device_j)


def test_a_processor_that_does_the_work_is_no_host(made_run: Callable[..., ReportRun]) -> None:
    view = view_of(made_run(pairs=1, items=8, grade="B"), "r1")
    ledger = view.pairs[0].ledger
    assert ledger is not None
    assert host_share(view, 0, ledger, view.ticks) is None
    assert waterfall_parts(ledger, None) == pytest.approx(ledger_parts(ledger))
    alone = view_of(known_run(host=False), "r1")
    assert alone.pairs[0].ledger is not None
    assert host_share(alone, 0, alone.pairs[0].ledger, alone.ticks) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e3, 1e6), min_size=1, max_size=6), st.sampled_from([340.0, 410.0]))
def test_each_step_begins_where_the_last_one_ended(values: list[float], width: float) -> None:
    steps = [Step(name="idle", value=v, shown=f"{v:g}", tip="t") for v in values]
    whole = Step(name="device", value=sum(values), shown="all", tip="t")
    markup = str(waterfall(steps, whole, "J", "energy", width, "what it shows"))
    bars = [
        (float(piece.split('x="')[1].split('"')[0]), float(piece.split('width="')[1].split('"')[0]))
        for piece in markup.split("<rect ")[1:]
    ]
    assert len(bars) == len(values) + 1
    assert all(x >= -0.1 and x + w <= width + 1.1 for x, w in bars)


def test_phases_are_drawn_named_and_have_their_watts() -> None:
    run = known_run()
    view = view_of(run, "r1")
    table = phase_table(view, 0)
    assert table is not None
    assert table.rows == [("M 1B FP16: load closed:1", "0.0", "120.0", "220 W", "80 W")]
    html = render_report([run])
    assert 'class="phase-load"' in html
    assert ">closed:1<" in html
    bare = render_report([msgspec.structs.replace(run, phases=())])
    assert 'class="phase-load"' not in bare


def test_phases_that_did_not_end_or_are_of_another_version_are_left_out() -> None:
    good = {"type": "phase", "phase_id": "a", "kind": "load", "session": 1, "pair_id": "m"}
    run = {
        "phases": [
            {**good, "start_ns": 5, "end_ns": 9},
            {**good, "start_ns": 9},
            {**good, "kind": "siesta", "start_ns": 1, "end_ns": 2},
            {**good, "kind": "warmup", "start_ns": 1, "end_ns": 2},
        ]
    }
    assert [phase.kind for phase in phases_of(run)] == ["warmup", "load"]
    assert phases_of({}) == ()


def test_joules_until_is_exact_and_adds_nothing_where_nothing_was_read() -> None:
    power: dict[str, list[Any]] = {
        "t_ns": [0, S, 5 * S, 6 * S],
        "domain": ["a"] * 4,
        "counter_j": [0.0, 10.0, 10.0, 40.0],
    }
    power["flag"] = [None, "read-failed", None, None]
    (ticks,) = power_ticks(power)
    at = np.array([-S, 5 * S, 5 * S + S // 2, 6 * S, 9 * S])
    assert joules_until(ticks, at).tolist() == [0.0, 0.0, 15.0, 30.0, 30.0]


def test_spans_are_joined_where_they_overlap() -> None:
    spans = union([(5, 9), (0, 2), (1, 3), (9, 9), (4, 4), (7, 12)])
    assert spans.tolist() == [[0, 3], [5, 12]]
    assert seconds_of(spans * S) == 10.0
    assert seconds_of(union([])) == 0.0


def test_the_roofline_of_a_known_run() -> None:
    """By hand: the H100 has 989.4 T operations and 3350 GB a second, 70 to 700 W."""
    view = view_of(known_run(), "r1")
    done = done_by(view.rows_of(0))
    assert isinstance(done, Done)
    assert done.work.prompt_tokens == 40 * 600  # 400 of each were cached
    assert done.work.decode_tokens == 40 * 100
    assert done.work.context_tokens == 40 * (100 * 1000 + 5050)
    assert (done.busy_s, done.decode_s, done.work.batch) == (80.0, 60.0, 1.0)
    assert not done.work.overlapped
    section = limits(view)
    assert section is not None
    floor_s = 2e9 * 24_000 / 989.4e12 + 4000 * 2e9 / 3350e9
    row = section.data["times"].rows[0]
    assert row[3].sort == pytest.approx(80 / floor_s)
    assert row[4].sort == pytest.approx(4000 * 2e9 / 60 / 3350e9)  # MBU
    assert row[5].sort == pytest.approx(2e9 * 28_000 / 80 / 989.4e12)  # MFU
    energy = section.data["figure"].data.rows[0]
    tokens = 40 * 101
    assert energy[4].sort == pytest.approx(32_000 / tokens / (floor_s * 700 / tokens))
    assert energy[5].sort == pytest.approx(32_000 / tokens / (floor_s * 70 / tokens))
    assert energy[4].grade == "B"
    assert "the waterline is the device alone" in section.data["sentences"][0]
    html = render_report([known_run()])
    assert "Against the device" in html
    assert "waterline, from idle watts to the power limit" in html
    assert "without the KV cache" in section.data["assumed"][0]


def test_the_kv_cache_is_in_the_roofline_where_the_model_is_known() -> None:
    """By hand: 36 layers, 8 heads of 128, keys and values of 2 bytes: 147,456 bytes a token."""
    section = limits(view_of(known_run(model="Qwen/Qwen3-8B"), "r1"))
    assert section is not None
    weights, cache = 4000 * 2e9, 40 * (100 * 1000 + 5050) * 147_456
    row = section.data["times"].rows[0]
    # The catalogue's size is not the file's: what the run says of its weights goes first.
    floor_s = 2e9 * 24_000 / 989.4e12 + (weights + cache) / 3350e9
    assert row[3].sort == pytest.approx(80 / floor_s)
    assert row[4].sort == pytest.approx((weights + cache) / 60 / 3350e9)
    told = section.data["assumed"][0]
    html = render_report([known_run(model="Qwen/Qwen3-8B")])
    assert "lowers the floor: the arithmetic of attention, activations" in html
    assert "All 40 requests." in html
    assert "with the KV cache, 147 kB per token at 16 bits" in told
    assert f"mean context of 1,050 tokens {cache / (weights + cache):.1%} of what decode" in told


def test_no_line_of_a_waterfall_runs_through_its_words() -> None:
    steps = [Step(name="idle", value=v, shown="1 J (0.0%)", tip="") for v in (1.0, 2.0, 90.0)]
    whole = Step(name="device", value=93.0, shown="93 J", tip="")
    svg = waterfall(steps, whole, "J", "energy", 340.0, "label")
    lines = re.findall(r'd="(M[^"]+)" class="step"', svg)
    assert [line.count("M") for line in lines] == [2, 2, 1]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (known_run(device="AMD EPYC"), "the catalogue of devices does not know “AMD EPYC”"),
        (known_run(tokens=False), "40 of 40 answers have no count of their tokens"),
    ],
)
def test_without_a_roofline_the_page_says_why(run: ReportRun, reason: str) -> None:
    section = limits(view_of(run, "r1"))
    assert section is not None
    assert section.data["figure"] is None
    assert section.data["absent"] == [f"M 1B FP16: {reason}."]
    assert reason in render_report([run])


def test_a_figure_of_like_blocks_has_a_narrow_interval_and_few_requests_none() -> None:
    rows = view_of(known_run(), "r1").rows_of(0)
    done = done_by(rows)
    assert isinstance(done, Done)
    without = replicates(rows, 1.0)
    assert len(without) == 10
    assert all(each.busy_s == 72.0 for each in without)
    same = with_interval(done, without, lambda d: d.work.output_tokens / d.busy_s, "tok/s", 40)
    assert same.low == pytest.approx(same.value)
    assert same.high == pytest.approx(same.value)
    assert "10 blocks" in same.method
    assert replicates(rows[:19], 1.0) == []
    assert replicates(rows, 8.0) == []
    bare = with_interval(done, [], lambda d: d.busy_s, "s", 40)
    assert (bare.value, bare.low, bare.method) == (80.0, None, "no interval: too few requests")


def test_the_interval_of_blocks_covers_the_truth_about_as_often_as_it_says() -> None:
    """Requests of random length, one at a time: the mean rate is known."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(60):
        at = 0
        names = ["pair_id", "status", "dispatched_ns", "last_chunk_ns", "request_id", "item_id"]
        table: dict[str, list[Any]] = {
            name: [] for name in (*names, "prompt_tokens", "completion_tokens")
        }
        for n, length in enumerate(rng.exponential(1.0, 80)):
            end = at + max(int(length * S), 1)
            values = ("m", "ok", at, end, str(n), str(n), 10, 10)
            for name, value in zip(table, values, strict=True):
                table[name].append(value)
            at = end + S
        rows = request_rows(table)
        done = done_by(rows)
        assert isinstance(done, Done)
        own = with_interval(
            done, replicates(rows, 1.0), lambda d: d.work.output_tokens / d.busy_s, "tok/s", 80
        )
        assert own.low is not None and own.high is not None
        held += own.low <= 10.0 <= own.high
    assert held >= 52  # 57 wanted


def test_no_answer_is_no_work() -> None:
    assert done_by([]) == NoRoofline("no request was answered")
