"""The study's own harness, `ipw profile`: an Arrow data set of queries beside its summary.json.

Rows and fields are those of HazyResearch/intelligence-per-watt 0431d114 (execution/types.py and
runner.py): `model_metrics.<model>` holds energy, latency, power, tokens and phases of one query.
Queries run one after the other and only how long each took is kept, so each one's marks count from
its own start. The data set is written by Hugging Face `datasets`, whose files are Arrow streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError, MissingExtraError
from perwatt.core.estimate import Grade
from perwatt.core.records import Boundary, Message, PairIdentity
from perwatt.store.exchange.fields import Fields, read_json, read_lines
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore, Marks, Metered
from perwatt.store.exchange.intelligence_per_watt_faults import faults_of

__all__ = ["arrow_rows", "is_ipw_folder", "is_profile_row", "read_ipw"]

SCORER = "lm_correctness"


def is_ipw_folder(path: Path) -> bool:
    """Is it a data set that the harness saved?"""
    return any(path.glob("*.arrow"))


def read_ipw(path: Path) -> Foreign:
    """A profile's folder, or its rows as JSON lines.

    Raises FileError naming the file or the query, MissingExtraError.
    """
    told = (path if path.is_dir() else path.parent) / "summary.json"
    summary = Fields(read_json(told) if told.is_file() else {}, str(told))
    version = (summary.maybe("versions") or Fields({}, "")).text("ipw")
    answers: list[Answer] = []
    metrics: list[Fields] = []
    pairs: dict[str, PairIdentity] = {}
    workload = summary.text("dataset_name") or summary.text("dataset") or path.name
    for number, query in enumerate(_queries(path)):
        of = query.inner("model_metrics")
        for model in of.values:
            if model not in of:
                continue
            own = of.inner(model)
            pairs.setdefault(model, _identity(model, own, summary))
            answers.append(_answer(query, number, model, own, workload))
            metrics.append(own)
    if not answers:
        msg = f"{path} holds no query."
        raise FileError(msg, "Let ipw profile finish; it saves after every hundred queries.")
    scored = any(own.values.get("lm_correctness") is True for own in metrics)
    if not scored:
        # It writes false wherever nothing was judged.
        answers = [_unscored(answer) for answer in answers]
    return Foreign(
        tool=f"intelligence-per-watt {version or ''}".strip(),
        file=path.name,
        answers=tuple(answers),
        pairs=tuple(pairs.values()),
        scorer=SCORER if scored else None,
        started_s=summary.number("generated_at"),
        verdicts=faults_of(answers, metrics, scored=scored),
    )


def is_profile_row(values: Any) -> bool:
    """Is it one of its queries, as a line of JSON?"""
    return isinstance(values, dict) and {"problem", "model_metrics"} <= set(values)


def _queries(path: Path) -> Iterator[Fields]:
    if path.is_dir():
        for number, row in enumerate(arrow_rows(path)):
            yield Fields(row, f"{path} at query {number}")
    else:
        for place, row in read_lines(path):
            yield Fields(row, place)


def arrow_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of all Arrow files of a saved data set, in their order."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "arrow", "This data set") from error
    for file in sorted(path.glob("*.arrow")):
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                for batch in stream:
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            first = str(error).split("\n", 1)[0]
            msg = f"{file} is no whole Arrow stream: {first}."
            raise FileError(msg, "Copy the folder again, or let ipw profile finish.") from None


def _answer(query: Fields, number: int, model: str, own: Fields, workload: str) -> Answer:
    tokens = own.maybe("token_metrics") or Fields({}, own.place)
    problem = query.text("problem") or ""
    right = own.values.get("lm_correctness")
    score = float(right) if isinstance(right, bool) else None
    text = own.text("lm_response")
    return Answer(
        item_id=f"query {number}",
        model=model,
        kind=workload,
        messages=(Message(role="user", content=problem),) if problem else (),
        reference=query.text("answer") or "",
        category=query.text("subject") or None,
        text=text,
        prompt_tokens=tokens.tokens("input"),
        completion_tokens=tokens.tokens("output"),
        marks=_marks(own),
        load="closed:1",
        metered=_metered(own),
        scores=(ForeignScore(scorer=SCORER, value=score, extracted=text),),
    )


def _unscored(answer: Answer) -> Answer:
    import msgspec

    return msgspec.structs.replace(answer, scores=())


def _marks(own: Fields) -> Marks:
    latency = own.maybe("latency_metrics") or Fields({}, own.place)
    first = latency.ns("time_to_first_token_seconds", 1)
    return Marks(
        dispatched_ns=0,
        first_chunk_ns=first if first else None,  # 0 is what it writes where it saw none
        last_chunk_ns=latency.ns("total_query_seconds", 1),
        alone=True,
    )


def _metered(own: Fields) -> Metered | None:
    energy = (own.maybe("energy_metrics") or Fields({}, own.place)).number("per_query_joules")
    if energy is None or energy < 0:
        return None
    phases = own.maybe("phase_metrics") or Fields({}, own.place)
    boundary, grade = _how(own)
    return Metered(
        energy_j=energy,
        boundary=boundary,
        grade=grade,
        prefill_j=phases.number("prefill_energy_j"),
        decode_j=phases.number("decode_energy_j"),
    )


def _how(own: Fields) -> tuple[Boundary, Grade]:
    """What its collector's GPU joules cover: NVML's and ROCm's counter, or powermetrics' watts."""
    gpu = own.maybe("gpu_info") or Fields({}, own.place)
    backend = (gpu.text("backend") or "").lower()
    if backend in ("nvml", "rocm", "nvidia", "amd"):
        return "accelerator", "B"
    if backend in ("powermetrics", "macos", "apple"):
        return "package", "C"
    return "accelerator", "C"


def _identity(model: str, own: Fields, summary: Fields) -> PairIdentity:
    gpu = own.maybe("gpu_info") or summary.maybe("gpu_info") or Fields({}, own.place)
    config = summary.maybe("profiler_config") or Fields({}, own.place)
    return PairIdentity(
        pair_id=model,
        label=model,
        model=model,
        engine=config.text("client_id") or "unknown",
        device=gpu.text("name") or summary.text("hardware_label"),
    )
