"""Pages of the served report: the list of runs, a run's requests, one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup, escape

from perwatt.core.estimate import Estimate
from perwatt.core.records import Item
from perwatt.core.study import StudyCell
from perwatt.report.format import DASH, Cell, cell, joules, seconds_text
from perwatt.report.page import render_page
from perwatt.report.served_around import around
from perwatt.report.served_requests import FILTERS, PER_PAGE, Found, Wanted
from perwatt.report.served_runs import Listed, Rows

__all__ = ["request_page", "requests_page", "run_bar", "runs_page", "study_bar"]

COLUMNS = (
    ("accuracy", "Accuracy"),
    ("ipj", "Answers per joule"),
    ("j_per_correct", "Joules per correct"),
    ("energy_gross_j", "Joules per request"),
    ("latency", "Latency"),
)
"""Of the study's table `pairs`, those that the list of runs shows."""
MARKS = (
    ("scheduled_ns", "due"),
    ("dispatched_ns", "dispatched"),
    ("sent_ns", "first byte sent"),
    ("first_byte_ns", "first byte back"),
    ("first_chunk_ns", "first chunk"),
    ("first_answer_ns", "first token that is no reasoning"),
    ("last_chunk_ns", "last chunk"),
)
_CONTROLS = {n: "\ufffd" for n in range(32) if chr(n) not in "\t\n\r"}


def runs_page(
    every: Sequence[Listed],
    pairs: Mapping[str, Rows],
    query: Mapping[str, str],
    *,
    shown: Sequence[Listed] = (),
    problem: tuple[str, str | None] | None = None,
) -> str:
    """`every`: to offer filters from; `pairs`: by run id, rows of the study's table `pairs`."""
    choices = {
        "workload": sorted({run.workload for run in every}),
        "model": sorted({model for run in every for model in run.models}),
        "device": sorted({device for run in every for device in run.devices}),
        "grade": sorted({run.grade or "none" for run in every}),
    }
    rows = [
        {
            "run": run,
            "started": str(run.about.get("started", "–")).replace("T", " ")[:16],
            "address": run.address,
            "pairs": [
                {
                    "label": row.get("label") or row.get("pair") or DASH,
                    "cells": [_shown(row.get(name)) for name, _ in COLUMNS],
                }
                for row in pairs[run.id].rows
            ],
            "why": run.problem or pairs[run.id].why,
        }
        for run in shown
    ]
    return render_page(
        "served_runs.html",
        title="Nothing to show here" if problem else f"{len(shown)} of {len(every)} runs",
        heads=[title for _, title in COLUMNS],
        rows=rows,
        choices=choices,
        query=query,
        study="/study?" + urlencode(dict(query)),
        problem=problem,
        form=Markup("/"),
    )


def run_bar(run: Listed) -> str:
    """What leads from a run's page back to the list, and on to its requests."""
    return (
        '<nav class="bar" aria-label="Served report"><a href="/">All runs</a>'
        f' <a href="{run.address}/requests">Each request of {escape(run.id)}</a></nav>'
    )


def study_bar(query: Mapping[str, str]) -> str:
    """What leads from a study back to the list of the runs that it is of."""
    address = "/?" + urlencode(dict(query)) if query else "/"
    return (
        '<nav class="bar" aria-label="Served report">'
        f'<a href="{escape(address)}">The runs of this study</a></nav>'
    )


def requests_page(
    run: Listed, found: Found, asked: Wanted, choices: Mapping[str, Sequence[str]]
) -> str:
    """One page of the requests that were asked for."""
    rows = [_listed(run, row) for row in found.rows]
    return render_page(
        "served_requests.html",
        title=f"{found.total:,} of {found.of:,} requests of {run.id}",
        run=run,
        rows=rows,
        asked=asked,
        choices={name: choices[name] for name in FILTERS if choices.get(name)},
        first=(asked.page - 1) * PER_PAGE + 1,
        found=found,
        before=_page_link(run, asked, asked.page - 1) if asked.page > 1 else None,
        after=_page_link(run, asked, asked.page + 1) if asked.page < found.pages else None,
    )


def request_page(run: Listed, row: Mapping[str, Any]) -> str:
    """All of one request: question, answer, score, joules, marks, and the power around it."""
    zero = row["dispatched_ns"]
    marks = [
        (words, seconds_text((row[name] - zero) / 1e9) if row[name] >= zero else _before(row, name))
        for name, words in MARKS
        if row.get(name) is not None and zero is not None
    ]
    facts = [
        (name, str(value))
        for name, value in row.items()
        if name not in _SHOWN_APART and value is not None and value not in ([], "")
    ]
    return render_page(
        "served_request.html",
        title=f"{row['request_id']} of {run.id}",
        run=run,
        row=row,
        item=_item(run, row["item_id"]),
        text=(row["text"] or "").translate(_CONTROLS),
        reasoning=(row["reasoning"] or "").translate(_CONTROLS),
        joules=[
            ("gross", joules(row["energy_gross_j"], row["energy_low_j"], row["energy_high_j"])),
            ("net of idle", joules(row["energy_net_j"], row["net_low_j"], row["net_high_j"])),
            ("prefill, gross", joules(row["prefill_j"])),
            ("decode, gross", joules(row["decode_j"])),
        ],
        marks=marks,
        facts=facts,
        beside=[_listed(run, other) for other in row["beside"]],
        figure=around(row),
    )


_SHOWN_APART = frozenset(
    {"text", "reasoning", "beside", "around", "scores", "power", "chunk_offsets_ns", "logprobs"}
    | {name for name, _ in MARKS}
)


def _shown(found: StudyCell) -> Cell:
    if isinstance(found, Estimate):
        return cell(found)
    return Cell(value=DASH if found is None else str(found))


def _listed(run: Listed, row: Mapping[str, Any]) -> dict[str, Any]:
    took = None
    if None not in (row["dispatched_ns"], row["last_chunk_ns"]):
        took = (row["last_chunk_ns"] - row["dispatched_ns"]) / 1e9
    score = row.get("score")
    return {
        **row,
        "address": f"{run.address}/request?" + urlencode({"id": row["request_id"]}),
        "took": seconds_text(took),
        "took_s": took,
        "joules": joules(row["energy_gross_j"], row.get("energy_low_j"), row.get("energy_high_j")),
        "again": _again(row),
        "shown_score": DASH if score is None else f"{score:.3g}",
        "text": (row.get("text") or "").translate(_CONTROLS),
    }


def _again(row: Mapping[str, Any]) -> str:
    """What tells a request from others of its item."""
    said = f", repeat {row['repeat'] + 1}" if row["repeat"] else ""
    return said + (f", stage {row['stage'] + 1}" if row.get("stage") else "")


def _page_link(run: Listed, asked: Wanted, page: int) -> str:
    query = {**asked.only, "right": asked.right, "q": asked.words, "order": asked.order}
    kept = {name: value for name, value in query.items() if value}
    return f"{run.address}/requests?" + urlencode({**kept, "page": page})


def _before(row: Mapping[str, Any], name: str) -> str:
    return f"{seconds_text((row['dispatched_ns'] - row[name]) / 1e9)} before"


_ITEM = msgspec.json.Decoder(Item)


def _item(run: Listed, item_id: str) -> Item | None:
    """Its question, where the run kept what it asked."""
    try:
        with (run.path / "items.jsonl").open("rb") as lines:
            for line in lines:
                item = _ITEM.decode(line)
                if item.id == item_id:
                    return item
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None
