"""What is known to be wrong in the study harness's joules, looked for in the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.records import Verdict
from perwatt.store.exchange.fields import Fields
from perwatt.store.exchange.foreign import Answer

__all__ = ["BUFFER_S", "faults_of"]

BUFFER_S = 30.0
"""Its collector kept samples for so long, until upstream #39: what is older was lost."""
WINDOW = (
    "A query's joules are its counter's last sample less its first within the query (in the"
    " first public version, less the last sample of the query before, whose idle it then bears)."
    " Up to a tick is lost at each end, nothing is subtracted for idle, and all GPUs of the host"
    " count, used or not."
)
UNSCORED = (
    "No answer is marked right, which is what this harness writes where nothing was judged:"
    " scores are taken as unknown, not as 0."
)


def faults_of(
    answers: Sequence[Answer], metrics: Sequence[Fields], *, scored: bool
) -> tuple[Verdict, ...]:
    """Verdicts; `metrics`: of each answer, its `model_metrics`."""
    found = []
    if any(answer.metered for answer in answers):
        found.append(Verdict(code="imported-method", severity="warning", sentence=WINDOW))
    without = sum(answer.metered is None for answer in answers)
    if 0 < without < len(answers):
        sentence = (
            f"{without} of {len(answers)} queries have no joules: a ratio with energy in it is"
        )
        sentence += " unknown, where the harness divides by the mean of the others."
        found.append(Verdict(code="imported-partial", severity="warning", sentence=sentence))
    long = [n for n, answer in enumerate(answers) if (_seconds(answer) or 0) > BUFFER_S]
    short = [n for n in long if _saturated(answers[n], metrics[n])]
    if short:
        sentence = (
            f"{len(short)} of the {len(long)} queries longer than {BUFFER_S:g} s have the joules"
        )
        sentence += f" of {BUFFER_S:g} s only, at their own mean watts: the harness kept no older"
        sentence += " samples, so the longest answers look cheapest."
        mend = "Leave these queries' joules out, or measure again with a version that keeps them."
        found.append(
            Verdict(code="imported-buffer", severity="invalid", sentence=sentence, mend=mend)
        )
    if not scored:
        found.append(Verdict(code="imported-unscored", severity="warning", sentence=UNSCORED))
    return tuple(found)


def _seconds(answer: Answer) -> float | None:
    marks = answer.marks
    if marks is None or marks.last_chunk_ns is None:
        return None
    return (marks.last_chunk_ns - marks.dispatched_ns) / 1e9


def _saturated(answer: Answer, own: Fields) -> bool:
    """Are its joules nearer to 30 s of its mean watts than to the whole query's?"""
    seconds, watts = _seconds(answer), _watts(own)
    if answer.metered is None or not seconds or not watts:
        return False
    joules = answer.metered.energy_j
    return abs(joules - watts * BUFFER_S) < abs(joules - watts * seconds)


def _watts(own: Fields) -> float | None:
    power = own.maybe("power_metrics")
    gpu = power.maybe("gpu") if power else None
    query = gpu.maybe("per_query_watts") if gpu else None
    return query.number("avg") if query else None
