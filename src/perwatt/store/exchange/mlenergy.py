"""The ML.ENERGY benchmark's published configurations, v2 and v3, as figures of pairs under load.

Read are the leaderboard's own files (ml-energy/leaderboard 0cd52dab, public/data/tasks/*.json) and
tables of them in CSV, one configuration to a row. What its figures are, from its benchmark
(ml-energy/benchmark c1d6557f): all requests are sent at once, the engine is held to
`max_num_seqs`, and over the steady state the joules of all GPUs' NVML counters are divided by the
tokens received. Prefill is thus charged to output tokens, and energy per request is that figure
times the mean output length. Nothing says of how many requests, and no interval is given.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import PairIdentity, Verdict
from perwatt.core.study import Published
from perwatt.store.exchange.fields import Fields, read_json
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.sheet import Sheet, as_closed

__all__ = ["is_mlenergy_header", "is_mlenergy_json", "read_mlenergy_csv", "read_mlenergy_json"]

METHOD = "published without an interval: steady state of one configuration"
FIGURES: Mapping[str, str] = {
    "j_per_out_token": "J",
    "j_per_out_token_derived": "J",
    "j_per_request": "J",
    "avg_power_w_all_gpus": "W",
    "avg_power_w_all_gpus_derived": "W",
    "out_tok_per_s": "tok/s",
    "tok_per_s": "tok/s",
    "itl_ms_p50": "ms",
    "itl_ms_p90": "ms",
    "itl_ms_p95": "ms",
    "itl_ms_p99": "ms",
    "tpot_s_mean": "s",
    "output_len_mean": "tokens",
    "output_len_p50_hist": "tokens",
    "output_len_p95_hist": "tokens",
    "avg_batch_size": "requests",
}
"""Columns that are figures, and their units; their names are the metrics'."""
_JSON_NAMES = {
    "energy_per_token_joules": "j_per_out_token",
    "energy_per_request_joules": "j_per_request",
    "avg_power_watts": "avg_power_w_all_gpus",
    "output_throughput_tokens_per_sec": "out_tok_per_s",
    "median_itl_ms": "itl_ms_p50",
    "p90_itl_ms": "itl_ms_p90",
    "p95_itl_ms": "itl_ms_p95",
    "p99_itl_ms": "itl_ms_p99",
    "avg_output_len": "output_len_mean",
    "model_id": "model",
    "gpu_model": "gpu",
    "num_gpus": "n_gpus",
    "max_num_seqs": "max_batch_size",
    "total_params_billions": "params_b",
    "activated_params_billions": "params_b_active",
}
_NUMBERS = (*FIGURES, "n_gpus", "max_batch_size", "params_b", "params_b_total", "params_b_active")
_SETTINGS = {
    "n_gpus": "n_gpus",
    "tensor_parallel": "tensor_parallel",
    "tp": "tensor_parallel",
    "expert_parallel": "expert_parallel",
    "data_parallel": "data_parallel",
    "pp": "pipeline_parallel",
    "params_b_active": "active_parameters_b",
    "architecture": "architecture",
    "max_num_batched_tokens": "max_num_batched_tokens",
}
_NEEDED = ("model", "gpu", "n_gpus", "max_batch_size", "task")
MEASURED = (
    "How ML.ENERGY measures: joules are of all GPUs' NVML counters (boundary accelerator,"
    " grade B), without host, memory or cooling; prefill is charged to output tokens; all"
    " requests are sent at once and the engine runs at most max_num_seqs of them, which is"
    " here called closed:N; of how many requests a figure is, is not published."
)
IDENTITY = (
    "Its energy per request is joules per output token times the mean output length: one"
    " measurement, printed twice."
)


def is_mlenergy_header(names: list[str]) -> bool:
    """Is a table with these columns one of its configurations?"""
    return {*_NEEDED, "j_per_request", "output_len_mean"} <= set(names)


def is_mlenergy_json(values: Any) -> bool:
    """Is it one of the leaderboard's tasks?"""
    rows = values.get("configurations") if isinstance(values, dict) else None
    return bool(isinstance(rows, list) and rows and "energy_per_request_joules" in _first(rows))


def read_mlenergy_csv(path: Path) -> Foreign:
    """A table in CSV. Raises FileError naming the line and the column."""
    rows: list[Fields] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                rows.append(_typed(f"Line {reader.line_num} of {path}", row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read: {error}."
        raise FileError(msg, "Fetch it again.") from None
    return _foreign(path, rows)


def read_mlenergy_json(path: Path) -> Foreign:
    """A task of the leaderboard. Raises FileError naming the configuration and the field."""
    whole = Fields(read_json(path), str(path))
    task = whole.text("task") or path.stem
    rows = []
    for row in whole.objects("configurations"):
        renamed = {_JSON_NAMES.get(key, key): value for key, value in row.values.items()}
        rows.append(Fields({"task": task, **renamed}, row.place))
    return _foreign(path, rows)


def _typed(place: str, row: Mapping[str | None, Any]) -> Fields:
    """A row of text with its numbers as numbers: the nearest double to what is written."""
    if None in row or None in row.values():
        msg = f"{place} has not as many columns as the header."
        raise FileError(msg, "Fetch it again.")
    values: dict[str, Any] = {}
    for name, text in row.items():
        if text == "":
            continue
        try:
            values[str(name)] = float(text) if name in _NUMBERS else text
        except ValueError:
            msg = f"{place} has the {name} {text!r}, which is no number."
            raise FileError(msg, "Fetch it again.") from None
    return Fields(values, place)


def _foreign(path: Path, rows: list[Fields]) -> Foreign:
    if not rows:
        msg = f"{path} holds no configuration."
        raise FileError(msg, "Give the table or the task's JSON whole.")
    pairs: dict[str, PairIdentity] = {}
    published: list[Published] = []
    places = Counter[tuple[str, str, str]]()
    alike = 0
    for row in rows:
        identity = _identity(row)
        load = as_closed(_count(row, "max_batch_size"))
        key = (identity.pair_id, row.needed("task"), load)
        places[key] += 1
        if places[key] > 1:
            # Nothing that is published tells the two apart, so their number has to.
            alike += 1
            again = f" ({places[key]})"
            identity = msgspec.structs.replace(
                identity, pair_id=identity.pair_id + again, label=identity.label + again
            )
        pairs.setdefault(identity.pair_id, identity)
        published += _figures(row, identity.pair_id, load, path.name)
    verdicts = [
        Verdict(code="imported-method", severity="note", sentence=MEASURED),
        Verdict(code="imported-identity", severity="note", sentence=IDENTITY),
    ]
    if alike:
        sentence = f"{alike} rows of {path.name} have a configuration that another row has too;"
        sentence += " what tells them apart was not published, so they are numbered."
        verdicts.append(Verdict(code="imported-alike", severity="warning", sentence=sentence))
    return Foreign(
        tool="ML.ENERGY v3" if "weight_precision" in rows[0] else "ML.ENERGY v2",
        file=path.name,
        published=tuple(published),
        pairs=tuple(pairs.values()),
        verdicts=tuple(verdicts),
    )


def _figures(row: Fields, pair_id: str, load: str, file: str) -> Iterator[Published]:
    sheet = Sheet(
        tool="mlenergy",
        pair_id=pair_id,
        workload=row.needed("task"),
        load=load,
        source=f"{file}, {row.place.split(' of ')[0].split(' at ')[-1].lower()}",
        method=METHOD,
    )
    for name, unit in FIGURES.items():
        energy = unit in ("J", "W")
        reason = None
        if name.endswith("_derived"):
            reason = "computed from its other columns by whoever wrote this table"
        elif name == "j_per_request":
            reason = "J per output token times the mean output length, not measured by itself"
        sheet.put(
            name,
            row.number(name),
            unit,
            grade="B" if energy else None,
            boundary="accelerator" if energy else None,
            reason=reason,
        )
    return iter(sheet.rows)


def _identity(row: Fields) -> PairIdentity:
    model, gpu = row.needed("model"), row.needed("gpu")
    precision = row.text("weight_precision")
    settings = {ours: row.values[name] for name, ours in _SETTINGS.items() if name in row}
    settings = {name: _plain(value) for name, value in settings.items()}
    gpus = int(_count(row, "n_gpus"))
    parallel = "".join(
        f" {short}{settings[name]}"
        for short, name in (
            ("tp", "tensor_parallel"),
            ("ep", "expert_parallel"),
            ("dp", "data_parallel"),
            ("pp", "pipeline_parallel"),
        )
        if settings.get(name) not in (None, 1)
    )
    if "max_num_batched_tokens" in settings:
        parallel += f" mbt{settings['max_num_batched_tokens']}"
    billions = row.number("params_b_total") or row.number("params_b")
    return PairIdentity(
        pair_id=f"{model}@{precision or 'unknown'} {gpus}x{gpu}{parallel}",
        label=f"{row.text('nickname') or model} {precision or ''}".strip()
        + f", {gpus}x {gpu}{parallel}",
        model=model,
        engine="vLLM",
        precision=precision,
        parameters=round(billions * 1e9) if billions and billions < 1e9 else None,
        device=f"{gpus}x {gpu}",
        settings=settings,
    )


def _count(row: Fields, name: str) -> float:
    number = row.number(name)
    if number is None or not 1 <= number <= 1e6 or number != int(number):
        told = row.values.get(name)
        msg = f"{row.place} has the {name} {told!r}, where a whole number from 1 is due."
        raise FileError(msg, "Fetch it again.")
    return number


def _plain(value: Any) -> Any:
    """Text of a table as the number it is; 8.0 as 8."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _first(rows: list[Any]) -> dict[str, Any]:
    return rows[0] if isinstance(rows[0], dict) else {}
