"""Whatever a journal holds, it is judged and shown: a verdict that raises would cost the run."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.records import ClientAudit, Item, Phase, Reply, Request, Sampling, ServerTimes
from perwatt.runner.client_view import client_views
from perwatt.runner.verdicts import find_verdicts
from tests.runner.asked_load import PAIR, S, evidence

MARK = st.integers(0, 20 * S)
MAYBE_MARK = st.none() | MARK
COUNT = st.none() | st.integers(0, 500)
SECONDS = st.none() | st.floats(0, 100)

SERVER = st.none() | st.builds(
    ServerTimes,
    queue_s=SECONDS,
    prefill_s=SECONDS,
    decode_s=SECONDS,
    total_s=SECONDS,
    ttft_s=SECONDS,
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
)
REPLY = st.builds(
    Reply,
    status=st.sampled_from(["ok", "ok", "ok", "error", "cancelled", "retried"]),
    dispatched_ns=MARK,
    last_chunk_ns=MARK,  # before the dispatch as well, as a broken endpoint says
    first_chunk_ns=MAYBE_MARK,
    first_answer_ns=MAYBE_MARK,
    chunk_offsets_ns=st.lists(MARK, max_size=5).map(tuple),
    text=st.sampled_from(["", "A", "word " * 30]),
    finish_reason=st.sampled_from([None, "stop", "length"]),
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    cached_tokens=COUNT,
    tokens_by=st.sampled_from([None, "server", "chunks"]),
    error_kind=st.sampled_from([None, "reset"]),
    server=SERVER,
    sent_ns=MAYBE_MARK,
    connection=st.sampled_from([None, "new", "reused"]),
    answer_cached=st.sampled_from([None, True, False]),
)
REQUEST = st.builds(
    Request,
    request_id=st.uuids().map(str),
    item_id=st.integers(0, 60).map(str),
    pair_id=st.just("a"),
    session=st.just(1),
    phase_id=st.sampled_from(["p", "q", "elsewhere"]),
    repeat=st.just(0),
    scheduled_ns=MARK,
    in_flight=st.integers(1, 9),
    prompt_sha256=st.sampled_from([None, "0" * 64]),
    sampling=st.builds(Sampling, temperature=st.sampled_from([0.0, 1.0])),
    reply=REPLY,
    turn=st.integers(0, 1),
    attempt=st.integers(1, 2),
    worker=st.integers(0, 2),
)
LOAD = st.sampled_from([None, "closed:4", "poisson:4@30s", "burst", "trace:x.csv", "unheard:of"])
AUDIT = st.builds(
    ClientAudit,
    phase_id=st.sampled_from(["p", "q"]),
    wall_s=st.floats(0, 10),
    cpu_s=st.floats(0, 10),
    loop_cpu_s=SECONDS,
    loop_lag_s=st.sampled_from([(), (0.0, 0.1, 0.2, 0.3, 0.4)]),
    probes=st.integers(0, 500),
    gc_s=SECONDS,
)


def phases(loads: list[str | None], open_ended: bool) -> tuple[Phase, ...]:
    return tuple(
        Phase(
            phase_id=name,
            kind="load",
            session=1,
            pair_id="a",
            start_ns=0,
            end_ns=None if open_ended else 20 * S,
            stage=n,
            load=load,
            counted_from_ns=S * n,
        )
        for n, (name, load) in enumerate(zip("pq", loads, strict=True))
    )


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(REQUEST, max_size=45),
    loads=st.lists(LOAD, min_size=2, max_size=2),
    audits=st.lists(AUDIT, max_size=3).map(tuple),
    open_ended=st.booleans(),
    most=st.none() | st.integers(1, 4),
)
def test_any_journal_is_judged(
    requests: list[Request],
    loads: list[str | None],
    audits: tuple[ClientAudit, ...],
    open_ended: bool,
    most: int | None,
) -> None:
    own = phases(loads, open_ended)
    items = {
        str(n): Item(
            id=str(n), kind="k", messages=(), reference="", scorer="none", prompt_tokens=100
        )
        for n in range(30)
    }
    seen = evidence(
        requests=tuple(requests), phases=own, audits=audits, items=items, max_in_flight=most
    )
    for verdict in find_verdicts(seen):
        assert verdict.sentence.strip().endswith(".")
        assert "nan" not in verdict.sentence
        assert "None" not in verdict.sentence
        assert verdict.mend is None or verdict.mend.endswith((".", ")."))
    views = client_views([PAIR.pair_id], requests, own, audits)
    asked = sum(r.phase_id != "elsewhere" for r in requests)
    assert sum(view.requests for view in views) == asked
