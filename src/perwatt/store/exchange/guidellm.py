"""GuideLLM's `benchmarks.json`: every request with its marks, and each benchmark's figures.

Report version 2 of GuideLLM 0.8.1 (schemas/benchmark, schemas/request_stats). A benchmark is one
strategy, such as a step of a sweep: a load here. Times are wall-clock seconds. Its TPOT counts the
time to the first token in, its ITL does not; it knows no energy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.records import Message, PairIdentity, Verdict
from perwatt.core.study import Published
from perwatt.store.exchange.fields import Fields, read_json
from perwatt.store.exchange.foreign import Answer, Foreign, Marks
from perwatt.store.exchange.prompts import messages_of, named_by_prompt
from perwatt.store.exchange.sheet import Sheet, as_closed, as_rate

__all__ = ["is_guidellm", "read_guidellm"]

UNITS = {
    "requests_per_second": "/s",
    "request_concurrency": "requests",
    "request_latency": "s",
    "prompt_token_count": "tokens",
    "output_token_count": "tokens",
    "time_to_first_token_ms": "ms",
    "time_per_output_token_ms": "ms",
    "inter_token_latency_ms": "ms",
    "prompt_tokens_per_second": "tok/s",
    "output_tokens_per_second": "tok/s",
    "tokens_per_second": "tok/s",
}
"""Metrics that are carried over, each with its statistics, and their units."""
VERSION = 2
"""Of the report's schema."""
STATISTICS = ("mean", "median", "std_dev", "min", "max")
_PERCENTILES = ("p01", "p05", "p10", "p25", "p75", "p90", "p95", "p99")
TPOT = (
    "GuideLLM's time per output token has the time to the first token in it, other tools' has not."
)
CUT = "requests were still under way when a stage of GuideLLM's ended: they count nowhere."


def is_guidellm(values: Any) -> bool:
    """Is it GuideLLM's report?"""
    if not isinstance(values, dict) or not isinstance(values.get("benchmarks"), list):
        return False
    metadata = values.get("metadata")
    return isinstance(metadata, dict) and "guidellm_version" in metadata


def read_guidellm(path: Path) -> Foreign:
    """Raises FileError naming the file and the field that is not as it should be."""
    whole = Fields(read_json(path), str(path))
    metadata = whole.inner("metadata")
    version = metadata.text("guidellm_version")
    if metadata.values.get("version") != VERSION:
        msg = f"{path} is GuideLLM's report of version {metadata.values.get('version')!r:.20}."
        raise FileError(msg, f"Version {VERSION} is read, which GuideLLM 0.8 writes.")
    answers: list[Answer] = []
    published: list[Published] = []
    pairs: dict[str, PairIdentity] = {}
    workload = _workload(whole)
    for benchmark in whole.objects("benchmarks"):
        config = benchmark.inner("config")
        backend = config.inner("backend")
        model = backend.text("model") or "unnamed model"
        engine = f"{backend.text('kind') or 'unknown'} server"
        pairs[model] = PairIdentity(pair_id=model, label=model, model=model, engine=engine)
        load = _load(config.inner("strategy"))
        answers += _answers(benchmark.inner("requests"), model, workload, load)
        source = f"{path.name}, {benchmark.place.split(' at ')[-1]}"
        published += _figures(benchmark.inner("metrics"), model, workload, load, source)
    if not answers and not published:
        msg = f"{path} holds no benchmark."
        raise FileError(msg, "Let GuideLLM finish at least one.")
    cut = sum(answer.cancelled for answer in answers)
    verdicts = [Verdict(code="imported-method", severity="note", sentence=TPOT)]
    if cut:
        sentence = f"{cut} {CUT}"
        verdicts.append(Verdict(code="imported-cut", severity="note", sentence=sentence))
    return Foreign(
        tool=f"GuideLLM {version}",
        file=path.name,
        answers=named_by_prompt(answers),
        published=tuple(published),
        pairs=tuple(pairs.values()),
        started_s=min(b.number("start_time") or 0.0 for b in whole.objects("benchmarks")) or None,
        verdicts=tuple(verdicts),
    )


def _answers(requests: Fields, model: str, kind: str, load: str) -> Iterator[Answer]:
    for status in ("successful", "errored", "incomplete"):
        for request in requests.objects(status):
            info = request.maybe("info")
            said = info.text("error") if info else None
            yield Answer(
                item_id=request.needed("request_id"),
                model=model,
                kind=kind,
                messages=_messages(request.text("request_args")),
                text=request.text("output"),
                error=(said or "failed") if status == "errored" else None,
                cancelled=status == "incomplete",
                prompt_tokens=request.tokens("prompt_tokens"),
                completion_tokens=request.tokens("output_tokens"),
                cached_tokens=request.tokens("cached_tokens"),
                marks=_marks(request, info.maybe("timings") if info else None),
                load=load,
            )


def _marks(request: Fields, timings: Fields | None) -> Marks | None:
    start = request.ns("request_start_time", 1)
    if start is None:
        return None  # stopped or failed before it was sent
    at = timings or Fields({}, request.place)
    return Marks(
        scheduled_ns=at.ns("targeted_start", 1),
        dispatched_ns=start,
        first_chunk_ns=at.ns("first_token_iteration", 1),
        first_answer_ns=at.ns("first_output_token_iteration", 1),
        last_chunk_ns=at.ns("last_token_iteration", 1) or request.ns("request_end_time", 1),
    )


def _messages(arguments: str | None) -> tuple[Message, ...]:
    """The prompt, where the request's arguments hold one as text."""
    try:
        values = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return ()
    return messages_of(values.get("body") if isinstance(values, dict) else None)


def _figures(metrics: Fields, model: str, kind: str, load: str, source: str) -> list[Published]:
    sheet = Sheet(
        tool="guidellm",
        pair_id=model,
        workload=kind,
        load=load,
        source=source,
        method="GuideLLM's own figure of its successful requests, without an interval",
    )
    for name, unit in UNITS.items():
        metric = metrics.maybe(name)
        of = metric.maybe("successful") if metric else None
        count = of.tokens("count") if of else None
        if of is None or not count:
            continue
        mean = of.maybe("mean_ci") or Fields({}, of.place)
        percentiles = of.maybe("percentiles") or Fields({}, of.place)
        around = of.maybe("percentile_cis") or Fields({}, of.place)
        for statistic in (*STATISTICS, *_PERCENTILES):
            where = percentiles if statistic in _PERCENTILES else of
            key = "p50" if statistic == "median" else statistic
            interval = mean if statistic == "mean" else around.maybe(key)
            low = interval.number("lower") if interval else None
            sheet.put(
                f"{name}.{statistic}",
                where.number(statistic),
                unit,
                n=count,
                low=low,
                high=interval.number("upper") if interval else None,
                method="GuideLLM's own interval" if low is not None else None,
            )
    return sheet.rows


def _load(strategy: Fields) -> str:
    kind = strategy.needed("type_")
    most = strategy.number("max_concurrency")
    rate = strategy.number("rate")
    match kind:
        case "synchronous":
            return "closed:1"
        case "concurrent":
            return as_closed(strategy.number("streams") or most or 1)
        case "throughput":
            return as_closed(most) if most else "burst"
        case "constant" | "poisson" if rate:
            return as_rate(rate, 1.0 if kind == "poisson" else None)
    return kind


def _workload(whole: Fields) -> str:
    spec = (whole.maybe("config") or Fields({}, "")).maybe("spec")
    for data in spec.objects("data") if spec else ():
        words = [data.text("kind") or "unknown"]
        for key, way in (("prompt_tokens", "in"), ("output_tokens", "out")):
            number = data.number(key)
            words += [f"{number:g} {way}"] if number else []
        name = data.text("source") or data.text("path")
        return ", ".join([Path(name).name] if name else words)
    return "unknown"
