"""From the journal of an address to the tables of a run: what nobody asked for is not made up.

Whoever asked knows whether the answer was right; perwatt does not. Each request gets a score that
abstains and says so, and accuracy is missing with that reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perwatt.core.errors import RunDirError
from perwatt.core.records import Item, Judgement, Request, Score, Workload
from perwatt.runner.events import Listener, Stage
from perwatt.runner.finish import finish
from perwatt.store.journal import JournalWriter, read_journal
from perwatt.store.rundir import RunDir
from perwatt.workloads.hashing import workload_sha256

__all__ = ["KIND", "finish_served", "is_served", "resume_served"]

KIND = "serve"
"""run.json's `kind`."""
SCORER = "none"
WHY = "served to a caller: perwatt was given no reference answer"


def is_served(run: dict[str, Any]) -> bool:
    """Was this directory written by `perwatt serve`?"""
    return run.get("kind") == KIND


def finish_served(run_dir: RunDir, run: dict[str, Any], listen: Listener) -> None:
    """Attribute and write the tables; what the journal holds is all there is. Raises FileError."""
    requests = read_journal(run_dir.journal).requests
    workload = _workload(requests)
    run["workload"] = {
        "name": workload.name,
        "version": workload.version,
        "sha256": workload.sha256,
        "licence": workload.licence,
        "source": workload.source,
        "items": len(workload.items),
        "items_asked": len(workload.items),
    }
    run["requests"] = len(requests)
    with JournalWriter(run_dir.journal) as journal:
        scored = {score.request_id for score in read_journal(run_dir.journal).scores}
        for request in requests:
            if request.request_id not in scored:
                journal.append(_abstained(request))
        finish(run_dir, run, workload, journal, listen)


def resume_served(directory: Path, listen: Listener) -> None:
    """Finish what `kill -9` left: callers are gone, so nothing is asked again.

    Raises RunDirError for a directory that is none, is busy, or holds no request.
    """
    run_dir = RunDir.open(directory)
    try:
        run = run_dir.read_run()
        if run.get("status") == "complete":
            listen(Stage(f"{directory} is complete"))
            return
        if not read_journal(run_dir.journal).requests:
            msg = f"{directory} holds no request: nobody had asked."
            raise RunDirError(msg, "Start `perwatt serve` again with another --out.")
        finish_served(run_dir, run, listen)
    finally:
        run_dir.close()


def _workload(requests: Iterable[Request]) -> Workload:
    """The questions by their tags or hashes; their texts are the callers' own, and not kept."""
    ids = dict.fromkeys(request.item_id for request in requests)
    items = tuple(
        Item(
            id=item_id,
            kind=item_id.partition("/")[0],
            messages=(),
            reference="",
            scorer=SCORER,
        )
        for item_id in ids
    )
    return Workload(
        name="served",
        version="",
        items=items,
        sha256=workload_sha256(items),
        licence="the callers' own",
        source="requests to `perwatt serve`",
    )


def _abstained(request: Request) -> Score:
    return Score(
        request_id=request.request_id,
        item_id=request.item_id,
        scorer=SCORER,
        judgement=Judgement(value=None, abstained=True, explanation=WHY),
        seconds=0.0,
    )
