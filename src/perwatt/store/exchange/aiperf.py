"""AIPerf's artifacts: aggregates of `profile_export_aiperf.json`, requests of its JSON lines.

Schema 1.4 of AIPerf 0.13.0 (common/models/export_models.py, record_models.py): one object for each
metric with its unit, `avg`, percentiles and `count`; beside it `profile_export.jsonl`, a line for
each request with wall-clock nanoseconds and its metrics, and `inputs.json`, the prompts of each
conversation. Energy comes from GPU telemetry over the
whole run (metrics/energy_efficiency_analyzer.py): the counter's difference where the collector has
one, else mean watts times the run's length; no request has joules of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.estimate import Grade
from perwatt.core.records import Message, PairIdentity, Verdict
from perwatt.store.exchange.fields import Fields, read_json, read_lines
from perwatt.store.exchange.foreign import Answer, Foreign, Marks
from perwatt.store.exchange.prompts import messages_of, named_by_prompt
from perwatt.store.exchange.sheet import Sheet, as_closed, as_rate

__all__ = ["AGGREGATES", "REQUESTS", "is_aiperf", "read_aiperf"]

AGGREGATES = "profile_export_aiperf.json"
REQUESTS = "profile_export.jsonl"
PROMPTS = "inputs.json"
PERCENTILES = ("p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99")
STATISTICS = ("avg", "min", "max", "std", *PERCENTILES)
_ENERGY = ("energy", "joule", "watt", "power")
ENERGY = (
    "AIPerf's joules are those of every GPU that its telemetry shows, over the whole run, used by"
    " this server or not, idle included; its average power divides them by a window that is"
    " shorter by the last scrape. Host and memory are in none of them."
)


def is_aiperf(values: Any) -> bool:
    """Is it AIPerf's file of aggregates?"""
    return isinstance(values, dict) and "aiperf_version" in values and "input_config" in values


def read_aiperf(path: Path) -> Foreign:
    """The folder of artifacts, or a file in it: requests are read where theirs lies beside it.

    Raises FileError naming file and field, or the line of a request.
    """
    file = path / AGGREGATES if path.is_dir() else path
    if path.name == REQUESTS:  # which alone does not say what was asked of whom
        file = path.with_name(AGGREGATES)
    whole = Fields(read_json(file), str(file))
    config = whole.inner("input_config")
    model = _model(config)
    identity = PairIdentity(
        pair_id=model,
        label=model,
        model=model,
        engine=f"{(config.maybe('endpoint') or Fields({}, '')).text('type') or 'unknown'} server",
        device=_devices(whole),
    )
    workload = _workload(config)
    load, words = _load(config)
    sheet = Sheet(
        tool="aiperf",
        pair_id=model,
        workload=workload,
        load=load,
        source=file.name,
        method="AIPerf's own figure, without an interval",
    )
    grade = _grade(whole)
    for name in whole.values:
        if isinstance(whole.values[name], dict) and "unit" in whole.values[name]:
            _put(sheet, name, whole.inner(name), grade)
    # Named otherwise with --profile-export-prefix: foo.json and foo.jsonl.
    requests = file.with_name(REQUESTS) if file.name == AGGREGATES else file.with_suffix(".jsonl")
    answers: tuple[Answer, ...] = ()
    if requests.is_file():
        prompts = _prompts(file.with_name(PROMPTS))
        answers = named_by_prompt(_answers(requests, prompts, model, workload, load))
    return Foreign(
        tool=f"AIPerf {whole.text('aiperf_version') or ''}".strip(),
        file=file.name,
        answers=answers,
        published=tuple(sheet.rows),
        pairs=(identity,),
        started_s=_started(whole, answers),
        verdicts=tuple(_verdicts(whole, sheet, answers, words)),
    )


def _put(sheet: Sheet, name: str, metric: Fields, grade: Grade) -> None:
    energy = any(word in name for word in _ENERGY)
    for statistic in STATISTICS:
        sheet.put(
            f"{name}.{statistic}",
            metric.number(statistic),
            metric.text("unit") or "",
            n=metric.tokens("count"),
            grade=grade if energy else None,
            boundary="accelerator" if energy else None,
        )


def _prompts(path: Path) -> dict[tuple[str, int], tuple[Message, ...]]:
    """What each turn of each conversation asked; empty where the file is not there."""
    found = {}
    if path.is_file():
        for session in Fields(read_json(path), str(path)).objects("data"):
            for turn, body in enumerate(session.items("payloads")):
                found[session.needed("session_id"), turn] = messages_of(body)
    return found


def _answers(
    path: Path,
    prompts: dict[tuple[str, int], tuple[Message, ...]],
    model: str,
    kind: str,
    load: str,
) -> Iterator[Answer]:
    for place, values in read_lines(path):
        line = Fields(values, place)
        metadata, metrics = line.inner("metadata"), line.inner("metrics")
        if (metadata.text("benchmark_phase") or "profiling") != "profiling":
            continue
        error = line.maybe("error")
        turn = (metadata.text("conversation_id") or "", metadata.tokens("turn_index") or 0)
        yield Answer(
            item_id=metadata.text("x_request_id")
            or f"request {metadata.values.get('session_num')}",
            model=model,
            kind=kind,
            messages=prompts.get(turn, ()),
            error=(error.text("message") or "failed") if error else None,
            cancelled=metadata.values.get("was_cancelled") is True,
            prompt_tokens=_count(metrics, "input_sequence_length"),
            completion_tokens=_count(metrics, "output_sequence_length"),
            reasoning_tokens=_count(metrics, "reasoning_token_count"),
            cached_tokens=_count(metrics, "usage_prompt_cache_read_tokens"),
            marks=_marks(metadata, metrics),
            load=load,
        )


def _marks(metadata: Fields, metrics: Fields) -> Marks:
    start = metadata.ns("request_start_ns", 1e9)
    if start is None:
        msg = f"{metadata.place} has no request_start_ns."
        raise FileError(msg, "Give the profile_export.jsonl as AIPerf wrote it.")
    first = _span(metrics, "time_to_first_token")
    latency = _span(metrics, "request_latency")
    answer = _span(metrics, "time_to_first_output_token")
    gaps = metrics.maybe("inter_chunk_latency")
    offsets: list[int] = []
    if gaps is not None and first is not None:
        offsets = [first]
        for gap in gaps.items("value"):
            span = Fields({"gap": gap}, gaps.place).ns("gap", 1e3) or 0
            offsets.append(offsets[-1] + span)
    return Marks(
        scheduled_ns=metadata.ns("credit_issued_ns", 1e9),
        dispatched_ns=start,
        first_chunk_ns=None if first is None else start + first,
        first_answer_ns=None if answer is None else start + answer,
        last_chunk_ns=metadata.ns("request_end_ns", 1e9) if latency is None else start + latency,
        chunk_offsets_ns=tuple(offsets),
    )


def _span(metrics: Fields, name: str) -> int | None:
    """A metric's milliseconds as nanoseconds."""
    metric = metrics.maybe(name)
    return metric.ns("value", 1e3) if metric else None


def _count(metrics: Fields, name: str) -> int | None:
    metric = metrics.maybe(name)
    return metric.tokens("value") if metric else None


def _model(config: Fields) -> str:
    models = config.maybe("models")
    for item in models.objects("items") if models else ():
        return item.needed("name")
    msg = f"{config.place} names no model."
    raise FileError(msg, "Give the profile_export_aiperf.json as AIPerf wrote it.")


def _workload(config: Fields) -> str:
    """`synthetic, 64 in, 32 out`, or the data set's own name."""
    for dataset in config.objects("datasets"):
        words = [dataset.text("type") or dataset.text("name") or "unknown"]
        prompts = dataset.maybe("prompts")
        for key, way in (("isl", "in"), ("osl", "out")):
            length = prompts.values.get(key) if prompts else None
            mean = length.get("mean") if isinstance(length, dict) else length
            if isinstance(mean, int | float):
                words.append(f"{mean:g} {way}")
        return ", ".join(words)
    return "unknown"


def _load(config: Fields) -> tuple[str, str | None]:
    """The profiling phase's load, and what of it perwatt's words leave out."""
    phases = [p for p in config.objects("phases") if p.text("kind") in (None, "profiling")]
    if not phases:
        return "unknown", None
    phase = phases[0]
    kind, rate, most = phase.text("type"), phase.number("rate"), phase.number("concurrency")
    more = f"{len(phases)} profiling phases are one here" if len(phases) > 1 else None
    if kind == "concurrency" and most:
        return as_closed(most), more
    if rate and kind in ("poisson", "constant", "gamma"):
        smooth = phase.number("smoothness") or 1.0
        cv = {"constant": None, "poisson": 1.0}.get(kind, smooth**-0.5 if smooth > 0 else 1.0)
        capped = f"at most {most:g} were in flight" if most else None
        return as_rate(rate, cv), more or capped
    return str(kind or "unknown"), more


def _grade(whole: Fields) -> Grade:
    """B where every GPU's energy counter was read, else C: watts times time.

    The metric is `nvidia_energy_consumption` or `amd_energy_consumption`.
    """
    read = [
        any(name.endswith("energy_consumption") for name in gpu.inner("metrics").values)
        for gpu in _gpus(whole)
    ]
    return "B" if read and all(read) else "C"


def _gpus(whole: Fields) -> Iterator[Fields]:
    endpoints = (whole.maybe("telemetry_data") or Fields({}, "")).maybe("endpoints")
    for name in endpoints.values if endpoints else ():
        gpus = endpoints.inner(name).maybe("gpus") if endpoints else None
        for gpu in gpus.values if gpus else ():
            if gpus is not None and "metrics" in (found := gpus.inner(gpu)):
                yield found


def _devices(whole: Fields) -> str | None:
    names = [gpu.text("gpu_name") or "GPU" for gpu in _gpus(whole)]
    kinds = list(dict.fromkeys(names))
    return ", ".join(f"{names.count(kind)}x {kind}" for kind in kinds) or None


def _started(whole: Fields, answers: Sequence[Answer]) -> float | None:
    """By the requests' own marks, which are since 1970; the file's `start_time` has no time zone
    and is taken for this host's."""
    if marks := [answer.marks.dispatched_ns for answer in answers if answer.marks]:
        return min(marks) / 1e9
    try:
        return datetime.fromisoformat(whole.text("start_time") or "").timestamp()
    except ValueError:
        return None


def _verdicts(
    whole: Fields, sheet: Sheet, answers: tuple[Answer, ...], words: str | None
) -> Iterator[Verdict]:
    if any(row.estimate.grade for row in sheet.rows):
        yield Verdict(code="imported-method", severity="warning", sentence=ENERGY)
    if whole.values.get("is_complete") is False or whole.values.get("was_cancelled") is True:
        sentence = f"{AGGREGATES} is of a run that AIPerf says was not completed."
        yield Verdict(code="imported-incomplete", severity="warning", sentence=sentence)
    if not answers:
        sentence = f"No {REQUESTS} lay beside {AGGREGATES}: single requests are not known."
        yield Verdict(code="imported-aggregates", severity="note", sentence=sentence)
    if words:
        sentence = f"AIPerf's load is more than perwatt's words for it say: {words}."
        yield Verdict(code="imported-load", severity="note", sentence=sentence)
