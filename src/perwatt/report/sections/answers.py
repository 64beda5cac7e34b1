"""What the models said: every failure, and an even sample of the items with all pairs' answers."""

from __future__ import annotations

import msgspec

from perwatt.report.format import DASH, joules, seconds_text
from perwatt.report.rows import Row
from perwatt.report.view import Section, View

__all__ = ["answers", "chosen_items"]

MOST = 60
"""Requests shown."""
EACH = 3
"""Answers that one pair gave to one item: a load may ask it hundreds of times."""
MOST_CHARS = 1200
"""Characters shown of one answer."""


_CONTROLS = {n: "\ufffd" for n in range(32) if chr(n) not in "\t\n\r"}
"""No HTML document may hold these, and a model may say them."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    pair: int
    label: str
    mark: str
    """`right`, `wrong`, `partly right`, `failed` or `not scored`: in words, beside its sign."""
    sign: str
    text: str
    cut: int
    """Characters left out."""
    extracted: str | None
    score: str
    energy: str
    grade: str | None
    total: str
    ttft: str
    tokens: str
    error: str | None


def answers(view: View) -> Section | None:
    if not view.rows:
        return None
    by_item: dict[str, list[Row]] = {}
    for row in view.rows:
        by_item.setdefault(row.item_id, []).append(row)
    chosen = chosen_items(by_item)
    items = [
        {
            "id": item,
            "kind": found[0].kind,
            "level": found[0].level,
            "answers": [_answer(view, row) for row in found],
        }
        for item, found in chosen
    ]
    failed = sum(not row.ok for row in view.rows)
    return Section(
        name="answers",
        title="Answers",
        template="answers.html",
        data={
            "items": items,
            "shown": sum(len(found) for _, found in chosen),
            "total": len(view.rows),
            "failed": failed,
            "failed_shown": sum(not row.ok for _, found in chosen for row in found),
        },
    )


def chosen_items(by_item: dict[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    """Items with failures first, then evenly spaced ones; at most `MOST` requests in all."""
    failed = [item for item, rows in by_item.items() if not all(row.ok for row in rows)]
    sound = [item for item in by_item if item not in set(failed)]
    kept = {item: _kept(rows) for item, rows in by_item.items()}
    room = MOST - sum(len(kept[item]) for item in failed)
    each = max((len(kept[item]) for item in sound), default=1)
    wanted = max(0, min(len(sound), room // each))
    picks = [sound[k * len(sound) // wanted] for k in range(wanted)]
    chosen: list[tuple[str, list[Row]]] = []
    left = MOST
    for item in [*failed, *picks]:
        rows = kept[item][:left]
        if rows:
            chosen.append((item, rows))
        left -= len(rows)
    return chosen


def _kept(rows: list[Row]) -> list[Row]:
    """All its failures, and then the first `EACH` answers of each pair."""
    seen: dict[str, int] = {}
    kept = [row for row in rows if not row.ok]
    for row in rows:
        if row.ok and seen.get(row.pair_id, 0) < EACH:
            seen[row.pair_id] = seen.get(row.pair_id, 0) + 1
            kept.append(row)
    return kept


def _answer(view: View, row: Row) -> Answer:
    text = (row.text or "").translate(_CONTROLS)
    pair = view.pair_index.get(row.pair_id)
    mark, sign = _mark(row)
    return Answer(
        pair=pair or 0,
        label=(row.pair_id if pair is None else view.labels[pair])
        # A conversation's answers follow each other; only the last of them is scored.
        + (f", turn {row.turn + 1}" if row.turn else ""),
        mark=mark,
        sign=sign,
        text=text[:MOST_CHARS],
        cut=max(0, len(text) - MOST_CHARS),
        extracted=row.extracted,
        score=DASH if row.score is None else f"{row.score:.3g}",
        energy=joules(row.energy_j, row.energy_low_j, row.energy_high_j),
        grade=row.grade,
        total=seconds_text(row.total_s),
        ttft=seconds_text(row.ttft_s),
        tokens=DASH if row.completion_tokens is None else str(row.completion_tokens),
        error=row.error,
    )


def _mark(row: Row) -> tuple[str, str]:
    if not row.ok:
        return "failed", "!"
    if row.score is None:
        return "not scored", "?"
    if row.score >= 1:
        return "right", "✓"
    return ("wrong", "✗") if row.score <= 0 else ("partly right", "◐")
