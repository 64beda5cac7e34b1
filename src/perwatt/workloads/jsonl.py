"""Items from a .jsonl file: one JSON object a line, fields as in `core.records.Item`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import Item, Workload
from perwatt.workloads.hashing import workload_sha256

__all__ = ["read_items", "read_jsonl"]

_DECODER = msgspec.json.Decoder(Item)


def read_jsonl(path: Path) -> Workload:
    """The file as a workload named after it. Raises FileError naming the file and line."""
    items = read_items(path)
    return Workload(
        name=path.stem,
        version="file",
        items=items,
        sha256=workload_sha256(items),
        licence="unknown",
        source=path.name,
    )


def read_items(path: Path) -> tuple[Item, ...]:
    """All items of a file, blank lines skipped. Raises FileError naming the file and line."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        msg = f"There is no workload file {path}."
        raise FileError(
            msg, "Give a .jsonl file of items, or a name from `perwatt list`."
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"The workload file {path} cannot be read: {reason}."
        raise FileError(msg, "Check its kind and its permissions.") from None
    items: list[Item] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        item = _item(path, number, line)
        if item.id in lines:
            msg = f"Line {number} of {path} repeats the id {item.id!r} of line {lines[item.id]}."
            raise FileError(msg, "Give every item an id of its own.")
        lines[item.id] = number
        items.append(item)
    if not items:
        msg = f"The workload file {path} holds no item."
        raise FileError(msg, "Write one JSON object a line; docs/workloads.md shows the fields.")
    return tuple(items)


def _item(path: Path, number: int, line: bytes) -> Item:
    mend = "docs/workloads.md shows the fields of an item."
    try:
        # The standard parser first: its message says where in the line the JSON breaks.
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        msg = f"Line {number} of {path} is not UTF-8 text."
        raise FileError(msg, "Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        msg = f"Line {number} of {path} is not JSON: {error}."
        raise FileError(msg, mend) from None
    if isinstance(fields, dict) and (strange := sorted(set(fields) - set(Item.__struct_fields__))):
        msg = f"Line {number} of {path} has an unknown field {strange[0]!r}."
        raise FileError(msg, f"Known: {', '.join(Item.__struct_fields__)}.")
    try:
        item = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        msg = f"Line {number} of {path} is no item: {error}."
        raise FileError(msg, mend) from None
    if not item.id or not item.messages or item.max_tokens < 1:
        msg = f"Line {number} of {path} needs an id, at least one message and max_tokens of 1 up."
        raise FileError(msg, mend)
    if trouble := _unaskable(item):
        msg = f"Line {number} of {path} {trouble}."
        raise FileError(msg, mend)
    return item


def _unaskable(item: Item) -> str | None:
    """What is wrong with a conversation, or with a length, that cannot be had."""
    if item.prompt_tokens is not None and item.prompt_tokens < 1:
        return f"has prompt_tokens {item.prompt_tokens}, and 1 is the least"
    if item.prompt_tokens and all(message.role != "user" for message in item.messages):
        return "has prompt_tokens, but no user message to cut or lengthen"
    if item.turns and item.messages[-1].role != "user":
        return "has turns, so the last of its messages must be the user's"
    if not all(turn.strip() for turn in item.turns):
        return "has an empty turn"
    return None
