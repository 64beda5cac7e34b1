"""Public traces of real services: when each request came, and how long its prompt and answer were.

Azure     .csv     TIMESTAMP, ContextTokens, GeneratedTokens (AzurePublicDataset, LLM 2023 and 2024)
Mooncake  .jsonl   timestamp (ms), input_length, output_length, hash_ids: one for each 512 tokens of
                   the prompt, equal where the prompts are equal up to there (FAST '25)

Either may be compressed (.gz).
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from perwatt.core.errors import FileError

__all__ = ["BLOCK_TOKENS", "TraceRow", "read_rows"]

BLOCK_TOKENS = 512
MOST = 2**53
"""No trace has larger numbers, and a float holds all up to here."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_FIELDS = ("timestamp", "input_length", "output_length")
_MEND = "docs/workloads.md shows the columns of each kind of trace."


class TraceRow(NamedTuple):
    """One request of a trace."""

    line: int
    arrival_s: float
    """From the first request of the trace."""
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...]
    """Which text each 512 tokens of the prompt are; empty where the trace does not say."""


def read_rows(path: Path) -> list[TraceRow]:
    """All requests by time, those of one moment in the file's order.

    Raises FileError naming the file, and the line that cannot be read.
    """
    name = path.name.removesuffix(".gz")
    read = {".csv": _azure, ".jsonl": _mooncake}.get(Path(name).suffix)
    if read is None:
        msg = f"The trace {path} is neither .csv nor .jsonl."
        raise FileError(msg, _MEND)
    rows = list(read(path, _text(path)))
    if not rows:
        msg = f"The trace {path} holds no request."
        raise FileError(msg, _MEND)
    first = min(row.arrival_s for row in rows)
    moved = (row._replace(arrival_s=round(row.arrival_s - first, 6)) for row in rows)
    return sorted(moved, key=lambda row: row.arrival_s)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if path.suffix == ".gz" else raw
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        msg = f"There is no trace {path}."
        raise FileError(msg, "Give a .csv or .jsonl file, also as .gz.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        msg = f"The trace {path} is no whole gzip file: {error}."
        raise FileError(msg, "Fetch it again.") from None
    except UnicodeDecodeError:
        msg = f"The trace {path} is not UTF-8 text."
        raise FileError(msg, "Save it as UTF-8.") from None
    except OSError as error:
        msg = f"The trace {path} cannot be read: {error.strerror or error}."
        raise FileError(msg, "Check its kind and its permissions.") from None


def _azure(path: Path, text: str) -> Iterator[TraceRow]:
    lines = csv.reader(text.splitlines())
    header = _cells(path, lines) or []
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        msg = f"The trace {path} has no column {missing[0]}."
        raise FileError(msg, _MEND)
    when, context, generated = (header.index(name) for name in _COLUMNS)
    while (cells := _cells(path, lines)) is not None:
        if not cells:
            continue
        try:
            moment = datetime.fromisoformat(cells[when])
            prompt_tokens, output_tokens = int(cells[context]), int(cells[generated])
        except (ValueError, IndexError) as error:
            raise _bad(path, lines.line_num, str(error)) from None
        # The 2023 traces have no time zone, those of 2024 have +00:00: both are UTC.
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        arrival_s = (zoned - _EPOCH).total_seconds()
        row = TraceRow(lines.line_num, arrival_s, prompt_tokens, output_tokens, ())
        yield _checked(path, row)


def _cells(path: Path, lines: Any) -> list[str] | None:
    """Of the next line of a csv reader; None at the end."""
    try:
        return next(lines, None)
    except csv.Error as error:
        raise _bad(path, lines.line_num, str(error)) from None


def _mooncake(path: Path, text: str) -> Iterator[TraceRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad(path, number, f"not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise _bad(path, number, "not a JSON object")
        values: list[Any] = [fields.get(name) for name in _FIELDS]
        moment_ms, prompt_tokens, output_tokens = values
        blocks = fields.get("hash_ids", [])
        if not (_whole(prompt_tokens) and _whole(output_tokens) and _number(moment_ms)):
            raise _bad(path, number, f"it needs the numbers {', '.join(_FIELDS)}")
        if not isinstance(blocks, list) or not all(_whole(b) and b >= 0 for b in blocks):
            raise _bad(path, number, "hash_ids is not a list of whole numbers")
        row = TraceRow(number, moment_ms / 1e3, prompt_tokens, output_tokens, tuple(blocks))
        yield _checked(path, row)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _checked(path: Path, row: TraceRow) -> TraceRow:
    if not (1 <= row.prompt_tokens <= MOST and 0 <= row.output_tokens <= MOST):
        raise _bad(path, row.line, "a prompt has at least 1 token, an answer at least 0")
    return row


def _bad(path: Path, number: int, why: str) -> FileError:
    return FileError(f"Line {number} of {path} is no request of a trace: {why}.", _MEND)
