"""A run's answers scored on many nodes: what takes long is made there, and kept here by content.

The nodes make judgements; the head puts them into the cache of scores under the keys that scoring
looks them up by, and then scores as ever. So tables are written by the lines that always write
them, and what no node could make is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perwatt.cluster.connect import connected, parse_address
from perwatt.cluster.nodes import same_version
from perwatt.core.errors import RunDirError, SpecError
from perwatt.core.records import Item, Score
from perwatt.core.registry import registry
from perwatt.runner.events import Listener, Note, Stage
from perwatt.runner.judging import SCORER
from perwatt.runner.rescore import Rescored, Rescoring, rescore
from perwatt.runner.score import Answer, answers_in_table, answers_of, score_all
from perwatt.runner.score_run import scorer_named
from perwatt.store.items import read_items
from perwatt.store.journal import read_journal
from perwatt.store.rundir import read_run
from perwatt.store.score_cache import ScoreCache, score_cache_path
from perwatt.store.tables import read_table

__all__ = ["score_on_cluster"]

PARTS = 4
"""Shards for each CPU: the last to end keeps nobody waiting long."""
LEAST = 50
"""Answers in a shard: each starts its scorers anew, which takes the mathematical one seconds."""
RETRIES = 3


class _Due(NamedTuple):
    answer: Answer
    item: Item
    scorer: str


def score_on_cluster(directory: Path, how: Rescoring, address: str, listen: Listener) -> Rescored:
    """`rescore`, with the costly scorers' work done on the nodes of a Ray cluster.

    Judges stay with the head: their joules are measured. Raises what `rescore` does, SpecError
    without a cache of scores to bring judgements home in, EngineError, MissingExtraError.
    """
    path = score_cache_path() if how.cache else None
    if path is None:
        msg = "--cluster: judgements come home through the cache of scores, and there is none."
        raise SpecError(msg, "Leave --no-cache out, and PERWATT_SCORE_CACHE=none.")
    due = _due(directory, how)
    if due:
        _make(due, address, path, listen)
    return rescore(directory, how, listen)


def _due(directory: Path, how: Rescoring) -> list[_Due]:
    """Answers whose scorer says that it is costly; all else is scored sooner than it is sent."""
    run = read_run(directory)
    kept = read_items(directory)
    if kept is None:
        msg = f"{directory} kept no items: only its own machine can score it."
        raise RunDirError(msg, "Leave --cluster out.")
    items = {item.id: item for item in kept}
    journal = directory / "journal.jsonl"
    if journal.is_file():
        answers = answers_of(read_journal(journal).requests, items)
    else:
        answers = answers_in_table(read_table(directory / "requests.parquet"), items)
    own = scorer_named(run)
    found = []
    costly: dict[str, bool] = {SCORER: False}
    for answer in answers:
        item = items[answer.item_id]
        if how.kind not in {None, item.kind} or answer.status != "ok":
            continue
        name = how.scorer or own(item)
        if name not in costly:
            costly[name] = bool(getattr(registry("scorer").get(name)(), "costly", False))
        if costly[name]:
            found.append(_Due(answer, item, name))
    return found


def _make(due: Sequence[_Due], address: str, path: Path, listen: Listener) -> None:
    with connected(parse_address(address)) as connection:
        ray = connection.ray
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < 1:  # Ray would wait for one for ever
            listen(Note("No node of the cluster has a CPU to give; answers are scored here."))
            return
        same_version(ray, [n["NodeID"] for n in ray.nodes() if n["Alive"]])
        shards = min(-(-len(due) // LEAST), cpus * PARTS)
        listen(Stage(f"Scoring {len(due)} answers in {shards} shards on {cpus} CPUs"))
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_scored)
        # Dealt out by item: equal questions have equal answers, scored once where they are met.
        parts: list[list[_Due]] = [[] for _ in range(shards)]
        for n, each in enumerate(sorted(due, key=lambda d: (d.item.id, d.answer.text or ""))):
            parts[n * shards // len(due)].append(each)
        waiting = [task.remote(part) for part in parts]
        lost = 0
        with ScoreCache(path, lambda why: listen(Note(why))) as cache:
            while waiting:
                (ready,), waiting = ray.wait(waiting, num_returns=1)
                try:
                    scores: list[Score] = ray.get(ready)
                except ray.exceptions.RayTaskError:
                    raise
                except ray.exceptions.RayError:
                    lost += 1
                    continue
                for score in scores:
                    unsettled = score.judgement.abstained or score.judgement.detail.get("unsettled")
                    if score.key and not unsettled:
                        cache.put(score.key, score.scorer, score.judgement, score.seconds)
        if lost:
            listen(Note(f"{lost} shards were lost with their nodes; they are scored here."))


def _scored(part: Sequence[_Due]) -> list[Score]:
    """On a node."""
    made: list[Score] = []
    names: dict[str, Any] = {due.item.id: due.scorer for due in part}
    score_all(
        [due.answer for due in part],
        {due.item.id: due.item for due in part},
        made.append,
        named=lambda item: str(names[item.id]),
    )
    return made
