"""What became of the requests, and of the pairs they were put to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from perwatt.core.records import SET_ASIDE, Verdict
from perwatt.runner.shares import in_order
from perwatt.runner.verdicts_evidence import Evidence

__all__ = ["pairs", "requests"]

FEW_ITEMS = 30
RETRIED_SHARE = 0.01


def requests(seen: Evidence) -> Iterable[Verdict]:
    """Failed, asked again, few, shared, done in several sittings."""
    for pair_id, identity in seen.pairs.items():
        mine = [
            r for r in seen.requests if r.pair_id == pair_id and r.reply.status not in SET_ASIDE
        ]
        failed = [r.reply.error_kind or "unknown" for r in mine if r.reply.status == "error"]
        if failed:
            kinds = ", ".join(f"{failed.count(kind)} {kind}" for kind in sorted(set(failed)))
            yield Verdict(
                code="failures",
                severity="invalid" if len(failed) * 2 > len(mine) else "warning",
                sentence=f"{len(failed)} of {len(mine)} requests to {identity.label} failed "
                f"({kinds}); they count as wrong answers.",
                mend="The column `error` of requests.parquet says why.",
                pair_id=pair_id,
            )
        yield from _retried(seen, pair_id)
        astray = sum(not in_order(r.reply) for r in mine)
        if astray:
            yield Verdict(
                code="marks-out-of-order",
                severity="warning",
                sentence=f"{astray} requests to {identity.label} end before they start, so their "
                "joules and times are not to be used.",
                mend="Mend the endpoint's clock: marks are those of one monotonic clock.",
                pair_id=pair_id,
            )
    items = {r.item_id for r in seen.requests if r.reply.status not in SET_ASIDE}
    if 0 < len(items) < FEW_ITEMS:
        yield Verdict(
            code="few-items",
            severity="note",
            sentence=f"Only {len(items)} items were asked: the intervals are wide, and rough.",
            mend="Raise --limit.",
        )
    if seen.in_flight > 1:
        # Where the rule could not be fitted, `shared-by-time` says so.
        fell_back = all(ledger.note for ledger in seen.ledgers.values()) and bool(seen.ledgers)
        rule = "time" if fell_back else seen.attribution
        error = "whose error is in" if rule == "phase" else "whose bias is not in"
        yield Verdict(
            code="batched",
            severity="note",
            sentence=f"With {seen.in_flight} in flight, joules are shared by the rule `{rule}`, "
            f"{error} their intervals, and an engine that batches may answer otherwise than alone.",
        )
    if seen.sessions > 1:
        yield Verdict(
            code="resumed",
            severity="note",
            sentence=f"This run was done in {seen.sessions} sittings; what was drawn between them "
            "is charged to no request.",
        )


def pairs(seen: Evidence) -> Iterable[Verdict]:
    """What a pair is, where its name says something else."""
    for pair_id, identity in seen.pairs.items():
        if identity.upcast_from:
            yield Verdict(
                code="up-cast",
                severity="note",
                sentence=f"{identity.label} was made from {identity.upcast_from} weights: it costs "
                f"as {identity.precision} and answers no better than {identity.upcast_from}.",
                pair_id=pair_id,
            )


def _retried(seen: Evidence, pair_id: str) -> Iterable[Verdict]:
    mine = [r.reply for r in seen.requests if r.pair_id == pair_id]
    kinds = Counter(x.error_kind or "unknown" for x in mine if x.status == "retried")
    again = kinds.total()
    if not again:
        return
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    joules = seen.set_aside_j.get(pair_id)
    cost = f" They drew {joules:.3g} J, which no answer is charged for." if joules else ""
    asked = sum(x.status not in SET_ASIDE for x in mine)
    yield Verdict(
        code="retried",
        severity="warning" if again > RETRIED_SHARE * asked else "note",
        sentence=f"{again} attempts at {seen.pairs[pair_id].label} failed and were made again "
        f"({named}): latency from schedule holds them, latency from dispatch does not.{cost}",
        mend="Lower the load, or set --retries 0 to see them as failures.",
        pair_id=pair_id,
    )
