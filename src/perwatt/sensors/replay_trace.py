"""The file of a recorded trace: CSV or JSON lines, with what each domain is at its head.

CSV: lines `# {"name": …}` (one Domain each, as JSON), a row of column names, then the samples.
JSON lines: Domains first, each an object with `name`, then samples, each an object with `domain`.
Columns are those of power.parquet; `t_s` may stand for `t_ns`, others are ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import Boundary, Domain, PowerSample, Reading

__all__ = ["Trace", "read_trace", "write_trace"]

COLUMNS = (
    "t_ns", "domain", "counter_j", "power_w", "utilization", "memory_bytes", "temperature_c",
    "clock_mhz", "power_average_w", "power_limit_w", "throttle", "clock_error_ns", "flag",
)  # fmt: skip
NUMBERS = (
    "counter_j", "power_w", "utilization", "temperature_c", "clock_mhz", "power_average_w",
    "power_limit_w",
)  # fmt: skip
MEND = "Give a trace with the columns t_ns or t_s, domain, and counter_j or power_w."


class Trace(NamedTuple):
    """All that a file holds."""

    domains: tuple[Domain, ...]
    readings: tuple[Reading, ...]
    """By time, and never falling within a domain."""
    remarks: tuple[str, ...]
    """One sentence for what was left out, with the file and the first such line."""


def write_trace(path: Path, domains: Sequence[Domain], samples: Iterable[PowerSample]) -> None:
    """Keep what the sampler gave: `.csv`, or JSON lines by any other name. Read by `read_trace`.

    The sampler has undone the counters' wraps, so none is left in the file's domains.
    """
    heads = [msgspec.structs.replace(domain, wrap_j=None) for domain in domains]
    rows = [{name: getattr(sample, name) for name in COLUMNS} for sample in samples]
    text = io.StringIO()
    if path.suffix == ".csv":
        for head in heads:
            text.write(f"# {msgspec.json.encode(head).decode()}\n")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        for each in [*heads, *map(_present, rows)]:
            text.write(msgspec.json.encode(each).decode() + "\n")
    path.write_text(text.getvalue(), encoding="utf-8")


def read_trace(path: Path) -> Trace:
    """Raises FileError, naming file and line, where nothing usable is left."""
    heads: dict[str, Domain] = {}
    by_domain: dict[str, list[Reading]] = {}
    bad: list[str] = []
    readings: list[Reading] = []
    rows = 0
    for line, fields in _rows(path, heads):
        rows += 1
        try:
            reading = _reading(fields)
            own = by_domain.setdefault(reading.domain, [])
            if own and reading.t_ns < own[-1].t_ns:
                msg = f"its time is {(own[-1].t_ns - reading.t_ns) / 1e9:g} s before the one above"
                raise ValueError(msg)
        except ValueError as error:
            bad.append(f"line {line}: {error}")
        else:
            own.append(reading)
            readings.append(reading)
    if all(reading.error is not None for reading in readings):
        why = f"all {rows} samples are unusable ({bad[0]})" if bad else "it has no samples"
        msg = f"Nothing can be replayed from {path}: {why}."
        raise FileError(msg, MEND)
    remarks = (f"{len(bad)} of its {rows} samples left out, first {bad[0]}",) if bad else ()
    return Trace(
        tuple(heads.get(name) or _guess(name, own) for name, own in by_domain.items()),
        tuple(sorted(readings, key=lambda reading: reading.t_ns)),
        remarks,
    )


def _rows(path: Path, heads: dict[str, Domain]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and fields of each sample; domains met on the way go to `heads`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        msg = f"The trace {path} cannot be read: {why}."
        raise FileError(msg, MEND) from None
    columns: list[str] | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if text.startswith(("#", "{")):
            fields = _object(text.lstrip("# "))
            if fields is None:
                continue  # a comment of some other kind
            if "name" in fields:
                head = _domain(fields, path, number)
                heads[head.name] = head
            else:
                yield number, fields
        elif columns is None:
            columns = next(csv.reader([text]))
            if not {"t_ns", "t_s"} & set(columns) or not {"counter_j", "power_w"} & set(columns):
                msg = f"Line {number} of {path} does not name the columns of a trace."
                raise FileError(msg, MEND)
        else:
            cells = next(csv.reader([text]))
            short = len(cells) != len(columns)
            yield number, {"short": True} if short else dict(zip(columns, cells, strict=True))


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"short": True}
    return found


def _domain(fields: Mapping[str, Any], path: Path, number: int) -> Domain:
    try:
        return msgspec.convert(fields, Domain)
    except msgspec.ValidationError as error:
        msg = f"Line {number} of {path} does not describe a domain: {error}."
        raise FileError(
            msg, "Mend the line, or take it out: names and columns then tell."
        ) from None


def _reading(fields: Mapping[str, Any]) -> Reading:
    """Raises ValueError with what is wrong with it."""
    if "short" in fields:
        msg = "it is cut short"
        raise ValueError(msg)
    t_ns = _time_ns(fields)
    numbers = {name: _number(fields, name) for name in NUMBERS}
    memory, clock_error = _number(fields, "memory_bytes"), _number(fields, "clock_error_ns")
    flag = fields.get("flag") or None
    missing = numbers["counter_j"] is None and numbers["power_w"] is None
    if missing and flag is None:
        msg = "it has neither counter_j nor power_w"
        raise ValueError(msg)
    return Reading(
        domain=str(fields.get("domain") or "wall"),
        t_ns=t_ns,
        throttle=tuple(filter(None, str(fields.get("throttle") or "").split(","))),
        error=f"flagged {flag} when it was recorded" if missing else None,
        counter_j=numbers["counter_j"],
        power_w=numbers["power_w"],
        utilization=numbers["utilization"],
        memory_bytes=None if memory is None else int(memory),
        temperature_c=numbers["temperature_c"],
        clock_mhz=numbers["clock_mhz"],
        power_average_w=numbers["power_average_w"],
        power_limit_w=numbers["power_limit_w"],
        clock_error_ns=None if clock_error is None else int(clock_error),
    )


def _time_ns(fields: Mapping[str, Any]) -> int:
    number, t_s = _number(fields, "t_ns"), _number(fields, "t_s")
    if number is not None:
        # Whole nanoseconds as they stand: a float holds them exactly for 104 days only.
        text = str(fields["t_ns"]).strip()
        return int(text) if text.lstrip("-").isdigit() else round(number)
    if t_s is None:
        msg = "it has no time"
        raise ValueError(msg)
    return round(t_s * 1e9)


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        msg = f"its {name} {value!r} is no number"
        raise ValueError(msg)
    return number


def _guess(name: str, readings: Sequence[Reading]) -> Domain:
    """A domain that the file does not describe, told from its name and columns."""
    counter = any(reading.counter_j is not None for reading in readings)
    boundary: Boundary = "system"
    if name.startswith("gpu"):
        boundary = "accelerator"
    elif name.startswith(("package", "dram", "cpu")):
        boundary = "package"
    return Domain(
        name=name,
        kind="counter" if counter else "gauge",
        boundary=boundary,
        source="an unnamed source",
        grade="B" if counter else "C",
        device="not recorded",
        # As wide as this package's judgement of an undocumented counter or gauge.
        gain_low=0.9 if counter else 0.7,
        gain_high=1.1 if counter else 1.3,
        note="the file does not describe it: boundary, grade and gain are guesses",
    )


def _present(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
