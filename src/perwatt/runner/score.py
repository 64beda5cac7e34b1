"""Score finished requests, after the load, so that scoring draws on no measured second."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, takewhile
from typing import NamedTuple

from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Closes, Scorer
from perwatt.core.records import Columns, Item, Judgement, Request, Score
from perwatt.core.registry import registry
from perwatt.runner.conversation import is_final
from perwatt.runner.score_key import content_key, scorer_identity
from perwatt.scoring.known_options import check_options
from perwatt.store.score_cache import Cached, ScoreCache
from perwatt.workloads.item_row import NEEDS_REFERENCE

__all__ = ["Answer", "answers_in_table", "answers_of", "check_scorers", "score_all"]

AHEAD = 4
"""Answers handed out beyond those being scored: enough that no thread waits."""


class Answer(NamedTuple):
    """What is to be scored, from wherever it was kept."""

    request_id: str
    item_id: str
    pair_id: str
    repeat: int
    status: str
    text: str | None
    """None: not known, as of a table of scores alone."""
    error_kind: str | None


def answers_of(requests: Iterable[Request], items: Mapping[str, Item]) -> list[Answer]:
    """Each item's final answers, of a journal's requests."""
    return [
        Answer(
            r.request_id,
            r.item_id,
            r.pair_id,
            r.repeat,
            r.reply.status,
            r.reply.text,
            r.reply.error_kind,
        )
        for r in requests
        if is_final(r, items[r.item_id])
    ]


def answers_in_table(requests: Columns, items: Mapping[str, Item]) -> list[Answer]:
    """The same of requests.parquet, where a run has no journal of its requests."""
    names = ("request_id", "item_id", "pair_id", "repeat", "status", "text", "error_kind", "turn")
    rows = zip(*(requests.get(name, ()) for name in names), strict=True)
    return [
        Answer(request_id, item_id, pair_id, repeat or 0, status, text, error_kind)
        for request_id, item_id, pair_id, repeat, status, text, error_kind, turn in rows
        if status == "error"
        or (status == "ok" and (turn is None or turn >= len(items[item_id].turns)))
    ]


def check_scorers(items: Iterable[Item]) -> None:
    """Can each of the scorers that these items need be made, and do they know all options?

    Raises UnknownNameError, SpecError.
    """
    asked = list(items)
    _close(_made({item.scorer for item in asked}))
    check_options(asked)


def score_all(
    answers: Sequence[Answer],
    items: Mapping[str, Item],
    keep: Callable[[Score], None],
    *,
    named: Callable[[Item], str] = lambda item: item.scorer,
    cache: ScoreCache | None = None,
) -> None:
    """Score `answers` by the scorer that `named` says, and `keep` each, in their order.

    Several threads score. A failed request scores 0, and why, unless its scorer abstains from all.
    Scorers with `costly = True` are looked up in the cache first. Stopped by Ctrl-C, what had been
    scored is kept, and the scorers are closed.
    """
    scorers = _made({named(items[answer.item_id]) for answer in answers})
    identities = {name: scorer_identity(name, scorer) for name, scorer in scorers.items()}
    threads = min(8, os.cpu_count() or 1)
    waiting: deque[tuple[_Task, _Result]] = deque()
    tasks = (_task(answer, items, named, identities, scorers, cache) for answer in answers)

    def done(task: _Task, result: _Result) -> None:
        judgement, seconds = result.result()
        unsettled = judgement.abstained or judgement.detail.get("unsettled")
        if task.costly and cache and not (task.known or unsettled):
            cache.put(task.key, task.name, judgement, seconds)
        keep(
            Score(
                request_id=task.answer.request_id,
                item_id=task.answer.item_id,
                scorer=task.name,
                judgement=judgement,
                seconds=seconds,
                key=task.key,
                cached=task.known is not None,
            )
        )

    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    try:
        while True:
            for task in islice(tasks, threads * AHEAD - len(waiting)):
                if task.known is None:
                    result = pool.submit(
                        _judged, scorers[task.name], task.name, task.item, task.answer
                    )
                else:
                    result = Future()
                    result.set_result(task.known)
                waiting.append((task, result))
            if not waiting:
                return
            done(*waiting[0])
            waiting.popleft()
    except KeyboardInterrupt:
        # Closing a scorer ends what it is at, which is then no judgement.
        ready = list(takewhile(lambda each: each[1].done(), waiting))
        for _, result in waiting:
            result.cancel()
        for each in ready:
            done(*each)
        raise
    finally:
        for _, result in waiting:
            result.cancel()
        _close(scorers)
        pool.shutdown()


class _Task(NamedTuple):
    answer: Answer
    item: Item
    name: str
    key: str
    costly: bool
    known: Cached | None
    """From the cache."""


_Result = Future[tuple[Judgement, float]]


def _task(
    answer: Answer,
    items: Mapping[str, Item],
    named: Callable[[Item], str],
    identities: Mapping[str, str],
    scorers: Mapping[str, Scorer],
    cache: ScoreCache | None,
) -> _Task:
    item = items[answer.item_id]
    name = named(item)
    costly = bool(getattr(scorers[name], "costly", False)) and answer.status == "ok"
    key = content_key(identities[name], item, answer.text or "", answer.status)
    return _Task(answer, item, name, key, costly, cache.get(key) if cache and costly else None)


def _judged(scorer: Scorer, name: str, item: Item, answer: Answer) -> tuple[Judgement, float]:
    started = time.perf_counter()
    try:
        judgement = _judgement(scorer, name, item, answer)
    except PerwattError:
        raise  # such as an extra that is not installed: the user can mend it
    except Exception as error:  # somebody's plug-in, against the contract; the others go on
        why = f"the scorer failed: {type(error).__name__}: {error}"
        judgement = Judgement(value=None, abstained=True, explanation=why)
    return judgement, time.perf_counter() - started


def _judgement(scorer: Scorer, name: str, item: Item, answer: Answer) -> Judgement:
    if answer.status == "ok":
        return _of_answer(scorer, name, item, answer.text)
    why = f"the request failed: {answer.error_kind}"
    if scorer(item, "").abstained:
        return Judgement(value=None, abstained=True, explanation=f"{why}, and is not scored")
    return Judgement(value=0.0, explanation=why)


def _of_answer(scorer: Scorer, name: str, item: Item, text: str | None) -> Judgement:
    """What another tool did not keep cannot be judged: it is not wrong."""
    if text is None:
        why = "the text of this answer is not known"
    elif name in NEEDS_REFERENCE and not item.reference and not item.options.get("check"):
        why = "no right answer is known"
    else:
        return scorer(item, text)
    return Judgement(value=None, abstained=True, explanation=why)


def _made(names: Iterable[str]) -> dict[str, Scorer]:
    return {name: registry("scorer").get(name)() for name in sorted(set(names))}


def _close(scorers: Mapping[str, Scorer]) -> None:
    for scorer in scorers.values():
        if isinstance(scorer, Closes):
            scorer.close()
