"""Score finished requests, after the load, so that scoring draws on no measured second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement, Request, Score
from perwatt.core.registry import registry
from perwatt.runner.conversation import is_final

__all__ = ["check_scorers", "score_all"]


def check_scorers(items: Iterable[Item]) -> dict[str, Scorer]:
    """The scorers these items need, made once. Raises UnknownNameError before anything is asked."""
    return {name: registry("scorer").get(name)() for name in {item.scorer for item in items}}


def score_all(
    requests: Iterable[Request],
    items: Mapping[str, Item],
    scored: set[str],
    keep: Callable[[Score], None],
) -> None:
    """Score each item's final request, unless it is in `scored`. A failed one scores 0, and why."""
    waiting = [r for r in requests if is_final(r, items[r.item_id]) and r.request_id not in scored]
    scorers = check_scorers(items[r.item_id] for r in waiting)
    for request in waiting:
        item = items[request.item_id]
        started = time.perf_counter()
        if request.reply.status == "ok":
            judgement = scorers[item.scorer](item, request.reply.text)
        elif scorers[item.scorer](item, "").abstained:
            why = f"the request failed: {request.reply.error_kind}, and is not scored"
            judgement = Judgement(value=None, abstained=True, explanation=why)
        else:
            why = f"the request failed: {request.reply.error_kind}"
            judgement = Judgement(value=0.0, explanation=why)
        keep(
            Score(
                request_id=request.request_id,
                item_id=item.id,
                scorer=item.scorer,
                judgement=judgement,
                seconds=time.perf_counter() - started,
            )
        )
