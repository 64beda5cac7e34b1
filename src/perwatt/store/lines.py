"""The lines of journal.jsonl: a tagged union, one JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.clock import ClockAnchor
from perwatt.core.errors import FileError, RunDirError
from perwatt.core.records import ClientAudit, Phase, PowerSample, Request, Score

__all__ = ["JournalRecord", "Power", "Session", "decode_lines", "encode_line", "repaired"]


class Session(msgspec.Struct, frozen=True, kw_only=True, tag="session"):
    """The run was started or resumed. First line of each sitting."""

    session: int
    anchor: ClockAnchor
    perwatt_version: str
    pid: int


class Power(msgspec.Struct, frozen=True, kw_only=True, tag="power"):
    """What the sampler gathered since the last such line."""

    session: int
    samples: tuple[PowerSample, ...]


JournalRecord = Session | Phase | Request | Score | Power | ClientAudit

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(JournalRecord)


def encode_line(record: JournalRecord) -> bytes:
    """One line with its newline. Half a surrogate pair becomes U+FFFD: no file can hold it."""
    try:
        return _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(repaired(msgspec.to_builtins(record))) + b"\n"


def decode_lines(path: Path) -> list[JournalRecord]:
    """Every whole line, in order. Raises FileError, or RunDirError naming a damaged line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        msg = f"There is no journal {path}."
        raise RunDirError(msg, "Give a directory that `perwatt run` has written.") from None
    except OSError as error:
        msg = f"The journal {path} cannot be read: {error.strerror}."
        raise FileError(msg) from None
    records: list[JournalRecord] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            records.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"Line {number} of {path} is damaged: {error}."
            mend = "Restore the file from a copy, or delete that line and `perwatt resume`."
            raise RunDirError(msg, mend) from None
    return records


def repaired(value: Any) -> Any:
    """Plain JSON values with every lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {repaired(key): repaired(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [repaired(item) for item in value]
    return value
