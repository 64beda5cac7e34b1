"""`trace:FILE`: a public trace as a workload, and its arrivals alone for `--load trace:FILE`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Message, Workload
from perwatt.workloads.hashing import workload_sha256
from perwatt.workloads.options import parse_options, seconds_of, whole
from perwatt.workloads.trace_rows import BLOCK_TOKENS, TraceRow, read_rows
from perwatt.workloads.words import Words

__all__ = ["read_arrivals", "trace"]

VERSION = "1"
"""Of the text made for a row. Other text for the same row is a new version."""
MOST_TOKENS = 32_000_000
"""Of prompts held in memory, some 200 MB."""
_KNOWN = ("limit", "from", "for", "max-prompt", "max-output", "seed")


def read_arrivals(path: Path) -> tuple[float, ...]:
    """Seconds of each request of a trace from its first, rising. Raises FileError."""
    return tuple(row.arrival_s for row in read_rows(path))


def trace(options: str = "") -> Workload:
    """The trace FILE of `FILE,name=value…`: an item for each row, with its arrival.

    from, for    only this stretch, such as from=600s,for=5m; arrivals count from its first request
    limit        only its first so many requests
    max-prompt   longer prompts are cut to so many tokens, shared beginnings kept
    max-output   longer answers are cut to so many tokens
    seed         of the text (0)

    The text is made up: a trace holds lengths alone. Equal `hash_ids` give equal text, so that a
    prefix cache finds what it found in the service. Raises FileError, or SpecError for an option.
    """
    file, given = _split(options)
    path = Path(file)
    start_s = seconds_of("trace", given, "from") or 0.0
    for_s = seconds_of("trace", given, "for")
    most = whole("trace", given, "max-prompt", 0)
    rows = [
        row._replace(prompt_tokens=min(row.prompt_tokens, most or row.prompt_tokens))
        for row in read_rows(path)
        if row.arrival_s >= start_s and (for_s is None or row.arrival_s < start_s + for_s)
    ]
    rows = rows[: whole("trace", given, "limit", len(rows))]
    if not rows:
        msg = f"The trace {path} has no request in that stretch."
        raise SpecError(msg, "Change from= and for=.")
    tokens = sum(row.prompt_tokens for row in rows)
    if tokens > MOST_TOKENS:
        msg = f"The trace {path} asks for {tokens / 1e6:.0f} million tokens of prompts at once."
        raise SpecError(msg, "Take a part of it with limit=, for= or max-prompt=.")
    return _workload(path, rows, given)


def _split(options: str) -> tuple[str, dict[str, str]]:
    """File and options. A comma in the file's own name is no trouble: options come last."""
    parts = options.split(",")
    last = len(parts)
    while last > 1 and re.fullmatch(r"\s*[a-z-]+=[^/]*", parts[last - 1]):
        last -= 1
    file = ",".join(parts[:last]).strip()
    if not file:
        msg = "The workload `trace` needs a file."
        raise SpecError(msg, "Give it as --workload trace:azure_llm_2023_conv.csv.gz,limit=1000.")
    return file, dict(parse_options("trace", ",".join(parts[last:]), _KNOWN))


def _workload(path: Path, rows: Sequence[TraceRow], given: dict[str, str]) -> Workload:
    words = Words(whole("trace", given, "seed", 0, least=0))
    longest = whole("trace", given, "max-output", 0)
    items = tuple(
        Item(
            id=f"trace-{row.line:06d}",
            kind="trace",
            messages=(Message(role="user", content=_prompt(words, row)),),
            reference="",
            scorer="none",
            # A service may have answered nothing; no server can be asked for that.
            max_tokens=max(1, min(row.output_tokens, longest or row.output_tokens)),
            prompt_tokens=row.prompt_tokens,
        )
        for row in rows
    )
    said = "".join(f",{name}={value}" for name, value in sorted(given.items()))
    return Workload(
        name=path.name.removesuffix(".gz").rpartition(".")[0],
        version=VERSION,
        items=items,
        sha256=workload_sha256(items),
        licence="unknown",
        source=f"trace:{path.name}{said}",
        arrivals_s=tuple(round(row.arrival_s - rows[0].arrival_s, 6) for row in rows),
    )


def _prompt(words: Words, row: TraceRow) -> str:
    """One word a token. What lies beyond the row's blocks is its own."""
    pieces = []
    left = row.prompt_tokens
    for block in row.blocks:
        if left <= 0:
            break
        pieces.append(words.text("block", block, BLOCK_TOKENS))
        left -= BLOCK_TOKENS
    if left > 0:
        pieces.append(words.text("row", row.line, left))
        return " ".join(pieces)
    text = " ".join(pieces)
    return text if left == 0 else text.rsplit(" ", -left)[0]
