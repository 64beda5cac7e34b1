"""The study harness's later traces, `ipw run` and `ipw bench`: a JSON line for each query.

Fields are those of `QueryTrace.to_dict` in HazyResearch/intelligence-per-watt (execution/trace.py,
cli/run.py of 097dfd56): turns with tokens and joules, and where there are none, the query's own.
Model, agent and concurrency are in the config of the summary.json beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.records import Message, PairIdentity, Verdict
from perwatt.store.exchange.fields import Fields, parsed, read_json, read_lines
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore, Marks, Metered
from perwatt.store.exchange.intelligence_per_watt import arrow_rows
from perwatt.store.exchange.sheet import as_closed

__all__ = ["TRACES", "is_trace", "read_traces"]

TRACES = "traces.jsonl"
SCORER = "is_resolved"
JOULES = (
    "Joules of a query are what its GPUs drew between its first and its last sample, idle"
    " included; how they were read is not in the file, so they are graded C."
)
SHARED = (
    "queries overlap by the harness's own word: each bears the whole device's joules, so joules"
    " are counted more than once."
)


def is_trace(values: Any) -> bool:
    """Is it one of the harness's traces?"""
    return isinstance(values, dict) and {"query_id", "workload_type", "turns"} <= set(values)


def read_traces(path: Path) -> Foreign:
    """The JSON lines, their folder, or the data set that holds the same in Arrow.

    Raises FileError naming the line and the field, MissingExtraError.
    """
    path = path / TRACES if (path / TRACES).is_file() else path
    beside = path.with_name("summary.json")
    summary = Fields(read_json(beside), str(beside)) if beside.is_file() else Fields({}, path.name)
    config = summary.maybe("config") or Fields({}, summary.place)
    model = config.text("model") or path.resolve().parent.name or "unnamed model"
    lines = list(_lines(path))
    if not lines:
        msg = f"{path} holds no trace."
        raise FileError(msg, "Let ipw finish a query.")
    together = config.number("concurrency") or 1
    answers = _answers(lines, model, as_closed(together))
    verdicts = []
    if any(answer.metered for answer in answers):
        verdicts.append(Verdict(code="imported-method", severity="warning", sentence=JOULES))
    if together > 1 or any(line.values.get("shared_device_warning") is True for line in lines):
        verdicts.append(Verdict(code="imported-shared", severity="invalid", sentence=SHARED))
    without = sum(answer.metered is None for answer in answers)
    if 0 < without < len(answers):
        sentence = f"{without} of {len(answers)} queries have no joules."
        verdicts.append(Verdict(code="imported-partial", severity="warning", sentence=sentence))
    identity = PairIdentity(
        pair_id=model,
        label=model,
        model=model,
        engine=f"agent {config.text('agent')}" if "agent" in config else "unknown",
    )
    return Foreign(
        tool="intelligence-per-watt",
        file=path.name,
        answers=answers,
        pairs=(identity,),
        scorer=SCORER,
        started_s=summary.number("generated_at"),
        verdicts=tuple(verdicts),
    )


def _lines(path: Path) -> Iterator[Fields]:
    if not path.is_dir():
        for place, values in read_lines(path):
            yield Fields(values, place)
        return
    for number, row in enumerate(arrow_rows(path)):
        place = f"{path} at query {number}"
        text = Fields(row, place).needed("trace_json")
        yield Fields(parsed(text, place), place)


def _answers(lines: Sequence[Fields], model: str, load: str) -> tuple[Answer, ...]:
    seen: dict[str, int] = {}
    answers = []
    for line in lines:
        item = line.needed("query_id")
        repeat = seen.get(item, -1) + 1
        seen[item] = repeat
        turns = list(line.objects("turns"))
        joules = _sum(turn.number("gpu_energy_joules") for turn in turns)
        if joules is None:
            joules = line.number("query_gpu_energy_joules")
        right = line.values.get("is_resolved")
        said = line.text("response_text")
        question = line.text("query_text")
        failed = line.values.get("completed") is False
        late = line.values.get("timed_out") is True
        answers.append(
            Answer(
                item_id=item,
                model=model,
                kind=line.text("workload_type") or "imported",
                repeat=repeat,
                messages=(Message(role="user", content=question),) if question else (),
                text=said,
                error=("timed out" if late else "not completed") if failed or late else None,
                prompt_tokens=_total(turn.tokens("input_tokens") for turn in turns),
                completion_tokens=_total(turn.tokens("output_tokens") for turn in turns),
                marks=Marks(
                    dispatched_ns=0, last_chunk_ns=line.ns("total_wall_clock_s", 1), alone=True
                ),
                load=load,
                metered=None
                if joules is None or joules < 0
                else Metered(energy_j=joules, boundary="accelerator", grade="C"),
                scores=(ForeignScore(scorer=SCORER, value=float(right), extracted=said),)
                if isinstance(right, bool)
                else (),
            )
        )
    return tuple(answers)


def _sum(values: Iterable[float | None]) -> float | None:
    """Of all; None where one is missing, or there are none."""
    known = list(values)
    return sum(v for v in known if v is not None) if known and None not in known else None


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) or None  # 0 is what it writes where nothing was counted
