"""`vllm bench serve --save-result`: figures, and with `--save-detailed` every request.

As vllm/benchmarks/serve.py of vLLM 009e6d4a writes it: one JSON object, or with `--append-result`
one a line. Lists of the same length hold the requests; a failed one has a text in `errors` and
zeros elsewhere. Marks are the client's `perf_counter`. Older files have no `start_times`: each
request's marks then count from its own start. It knows no energy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.records import PairIdentity, Verdict
from perwatt.core.study import Published
from perwatt.store.exchange.fields import Fields, read_json, read_lines
from perwatt.store.exchange.foreign import Answer, Foreign, Marks
from perwatt.store.exchange.sheet import Sheet, as_closed, as_rate

__all__ = ["is_vllm_bench", "read_vllm_bench"]

UNITS = {
    "duration": "s",
    "completed": "requests",
    "failed": "requests",
    "total_input_tokens": "tokens",
    "total_output_tokens": "tokens",
    "request_throughput": "/s",
    "request_goodput": "/s",
    "output_throughput": "tok/s",
    "total_token_throughput": "tok/s",
    "max_output_tokens_per_s": "tok/s",
    "max_concurrent_requests": "requests",
}
"""Its figures beside those whose names end in `_ms`."""
KIND = "vllm-bench"
OWN_START = (
    "These files of vLLM do not say when a request was sent: each one's marks count from its own"
    " start, and rates made from them are those of requests one after the other."
)


def is_vllm_bench(values: Any) -> bool:
    """Is it a result of `vllm bench serve`?"""
    needed = {"model_id", "num_prompts", "request_rate", "request_throughput", "duration"}
    return isinstance(values, dict) and needed <= set(values)


def read_vllm_bench(path: Path) -> Foreign:
    """All results of the file. Raises FileError naming the file, and the field or the line."""
    try:
        results = [Fields(read_json(path), str(path))]
    except FileError:
        results = [Fields(values, place) for place, values in read_lines(path)]
    if not results:
        msg = f"{path} holds no result."
        raise FileError(msg, "Write it with: vllm bench serve … --save-result")
    answers: list[Answer] = []
    published: list[Published] = []
    pairs: dict[str, PairIdentity] = {}
    verdicts: dict[str, Verdict] = {}
    for number, result in enumerate(results):
        model = result.needed("model_id")
        engine = f"{result.text('backend') or 'unknown'} server"
        pairs[model] = PairIdentity(pair_id=model, label=model, model=model, engine=engine)
        load = _load(result)
        workload = f"{result.values.get('num_prompts')} prompts"
        line = f", result {number + 1}" if len(results) > 1 else ""
        published += _figures(result, model, workload, load, path.name + line)
        answers += _answers(result, model, load)
        if "ttfts" in result and "start_times" not in result:
            verdicts["start"] = Verdict(
                code="imported-marks", severity="warning", sentence=OWN_START
            )
        if result.values.get("request_rate") != "inf" and "max_concurrency" in result:
            sentence = f"vLLM held the rate {load} to {result.values['max_concurrency']} in flight:"
            sentence += " what came late waited in its client."
            verdicts[load] = Verdict(code="imported-load", severity="note", sentence=sentence)
    if not answers:
        sentence = f"{path.name} has no times of single requests (--save-detailed writes them)."
        verdicts["detail"] = Verdict(code="imported-aggregates", severity="note", sentence=sentence)
    return Foreign(
        tool="vLLM bench",
        file=path.name,
        answers=tuple(answers),
        published=tuple(published),
        pairs=tuple(pairs.values()),
        started_s=_started(results[0]),
        verdicts=tuple(verdicts.values()),
    )


def _figures(result: Fields, model: str, kind: str, load: str, source: str) -> list[Published]:
    sheet = Sheet(
        tool="vllm",
        pair_id=model,
        workload=kind,
        load=load,
        source=source,
        method="vLLM bench's own figure, without an interval",
    )
    count = result.tokens("completed")
    for name in result.values:
        unit = "ms" if name.endswith("_ms") else UNITS.get(name)
        if unit is not None:
            sheet.put(name, result.number(name), unit, n=count)
    return sheet.rows


def _answers(result: Fields, model: str, load: str) -> Iterator[Answer]:
    """None of a pooling model's, whose file has lengths and errors, and no times."""
    if "ttfts" not in result:
        return
    first = result.items("ttfts")
    columns = {
        name: result.items(name)
        for name in ("input_lens", "output_lens", "itls", "start_times", "generated_texts")
    }
    columns["errors"] = result.items("errors")
    for name, column in columns.items():
        if len(column) not in (0, len(first)):
            msg = f"{result.place} has {len(first)} ttfts and {len(column)} {name}."
            raise FileError(msg, "The file was changed or cut; write it again.")
    for number, ttft in enumerate(first):
        row = {name: column[number] for name, column in columns.items() if column}
        request = Fields({**row, "ttft": ttft}, f"{result.place}, request {number}")
        error = request.text("errors")
        yield Answer(
            item_id=f"prompt {number}",
            model=model,
            kind=KIND,
            text=request.text("generated_texts") if not error else None,
            error=error or None,
            prompt_tokens=request.tokens("input_lens"),
            completion_tokens=None if error else request.tokens("output_lens"),
            marks=_marks(request, failed=bool(error)),
            load=load,
        )


def _marks(request: Fields, *, failed: bool) -> Marks:
    start, alone = request.ns("start_times", 1) or 0, "start_times" not in request
    first = request.ns("ttft", 1)
    if failed or not first:
        return Marks(dispatched_ns=start, alone=alone)
    offsets = [first]
    for gap in request.items("itls"):
        offsets.append(offsets[-1] + (Fields({"gap": gap}, request.place).ns("gap", 1) or 0))
    return Marks(
        dispatched_ns=start,
        first_chunk_ns=start + first,
        last_chunk_ns=start + offsets[-1],
        chunk_offsets_ns=tuple(offsets),
        alone=alone,
    )


def _load(result: Fields) -> str:
    most = result.number("max_concurrency")
    ramp = result.text("ramp_up_strategy")
    if ramp:
        ends = (result.values.get(f"ramp_up_{end}_rps") for end in ("start", "end"))
        return f"{ramp} ramp of {' to '.join(map(str, ends))}/s"
    if result.values.get("request_rate") == "inf":
        return as_closed(most) if most else "burst"
    rate = result.number("request_rate")
    shape = result.number("burstiness") or 1.0
    # Gaps are drawn from a gamma distribution of this shape, whose CV is its root's inverse.
    return as_rate(rate, shape**-0.5 if shape > 0 else 1.0) if rate and rate > 0 else "unknown"


def _started(result: Fields) -> float | None:
    try:
        moment = datetime.strptime(result.text("date") or "", "%Y%m%d-%H%M%S")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).timestamp()
