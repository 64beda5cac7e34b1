"""A file or folder of another tool, told by what is in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError, SpecError, UnknownNameError
from perwatt.store.exchange import aiperf, optimum
from perwatt.store.exchange.aiperf import is_aiperf, read_aiperf
from perwatt.store.exchange.fields import read_json
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.guidellm import is_guidellm, read_guidellm
from perwatt.store.exchange.inspect_read import read_inspect
from perwatt.store.exchange.intelligence_per_watt import (
    arrow_rows,
    is_ipw_folder,
    is_profile_row,
    read_ipw,
)
from perwatt.store.exchange.intelligence_per_watt_traces import TRACES, is_trace, read_traces
from perwatt.store.exchange.llama_bench import (
    is_llama_bench,
    is_llama_bench_header,
    read_llama_bench,
)
from perwatt.store.exchange.lmeval import read_lmeval
from perwatt.store.exchange.mlenergy import (
    is_mlenergy_header,
    is_mlenergy_json,
    read_mlenergy_csv,
    read_mlenergy_json,
)
from perwatt.store.exchange.optimum import is_optimum, read_optimum
from perwatt.store.exchange.scored_table import read_scored_table
from perwatt.store.exchange.vllm_bench import is_vllm_bench, read_vllm_bench

__all__ = ["TOOLS", "read_foreign"]

TOOLS = (
    "inspect",
    "lm-eval",
    "table",
    "mlenergy",
    "aiperf",
    "guidellm",
    "vllm-bench",
    "llama-bench",
    "optimum-benchmark",
    "intelligence-per-watt",
)
"""Names for `--tool`."""
_BY_JSON: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (is_aiperf, "aiperf"),
    (is_guidellm, "guidellm"),
    (is_mlenergy_json, "mlenergy"),
    (is_vllm_bench, "vllm-bench"),
    (is_llama_bench, "llama-bench"),
    (is_trace, "intelligence-per-watt"),
    (is_profile_row, "intelligence-per-watt"),
    (is_optimum, "optimum-benchmark"),
)
_SHOWN = 8
"""Folders named where one was given that only holds them."""
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz")
_KNOWN = (
    "Known: Inspect, lm-eval, ML.ENERGY, AIPerf, GuideLLM, vLLM bench, llama-bench,"
    " optimum-benchmark, intelligence-per-watt, and tables in .csv, .tsv, .jsonl or .parquet;"
    " --tool names one."
)


def read_foreign(
    path: Path,
    columns: Mapping[str, str] | None = None,
    scale: float = 1.0,
    tool: str | None = None,
) -> Foreign:
    """One file, or one folder that a tool wrote. `columns` and `scale` are of a table of scores.

    `tool`: one of TOOLS, whatever the file looks like. Raises FileError naming file and line,
    SpecError for a column or a tool, MissingExtraError.
    """
    if tool is not None and tool not in TOOLS:
        raise UnknownNameError("tool", tool, TOOLS)
    if not path.exists():
        msg = f"There is no file {path}."
        raise FileError(msg, "Give what another tool has written.")
    found = tool or (_of_folder(path) if path.is_dir() else _of_file(path))
    if found == "table":
        return read_scored_table(path, columns, scale)
    if columns or scale != 1.0:
        msg = f"--{'columns' if columns else 'scale'} is of a table, and {path} is none."
        raise SpecError(msg, "Leave it out, or import the tables apart.")
    if path.is_dir() and found not in ("aiperf", "optimum-benchmark", "intelligence-per-watt"):
        msg = f"{path} is a folder, and {found} writes files."
        raise FileError(msg, "Name its file.")
    return _reader(found, path)(path)


def _reader(tool: str, path: Path) -> Callable[[Path], Foreign]:
    match tool:
        case "inspect":
            return read_inspect
        case "lm-eval":
            return read_lmeval
        case "mlenergy":
            return read_mlenergy_csv if path.suffix == ".csv" else read_mlenergy_json
        case "intelligence-per-watt":
            return read_ipw if _is_profile(path) else read_traces
    readers = {
        "aiperf": read_aiperf,
        "guidellm": read_guidellm,
        "vllm-bench": read_vllm_bench,
        "llama-bench": read_llama_bench,
        "optimum-benchmark": read_optimum,
    }
    return readers[tool]


def _is_profile(path: Path) -> bool:
    """Of the study harness's two formats, is it the one of `ipw profile`?"""
    if path.is_dir():
        return is_ipw_folder(path) and "trace_json" not in next(arrow_rows(path), {})
    return is_profile_row(_first_line(path))


def _of_folder(path: Path) -> str:
    if tool := _tool_of_folder(path):
        return tool
    msg = f"{path} is a folder that no known tool wrote."
    # Of a sweep, whose runs lie below.
    inner = [str(one) for one in sorted(path.iterdir()) if one.is_dir() and _tool_of_folder(one)]
    if inner:
        more = " …" if len(inner) > _SHOWN else ""
        raise FileError(msg, f"Name those in it: {' '.join(inner[:_SHOWN])}{more}")
    raise FileError(msg, "Name the files in it.")


def _tool_of_folder(path: Path) -> str | None:
    if (path / aiperf.AGGREGATES).is_file():
        return "aiperf"
    if is_ipw_folder(path) or (path / TRACES).is_file():
        return "intelligence-per-watt"
    if any((path / name).is_file() for name in (optimum.REPORT, optimum.WHOLE)):
        return "optimum-benchmark"
    return None


def _of_file(path: Path) -> str:
    if path.suffix == ".eval":
        return "inspect"
    if path.suffix == ".json":
        return _of_json(path)
    if path.suffix == ".jsonl":
        return _of_first_line(path)
    if path.suffix == ".csv":
        return _of_header(path)
    if path.suffix in (".tsv", ".parquet"):
        return "table"
    if path.suffix in _PACKED:
        raise FileError(f"{path} is packed.", "Unpack it first, and give what was in it.")
    msg = f"{path} is of no kind that can be read."
    raise FileError(msg, _KNOWN)


def _of_json(path: Path) -> str:
    try:
        values = read_json(path)
    except FileError:
        # `vllm bench serve --append-result` writes one object a line into a .json file.
        if (tool := _of_first_line(path)) == "vllm-bench":
            return tool
        raise
    if isinstance(values, dict) and "eval" in values:
        return "inspect"
    for told, tool in _BY_JSON:
        if told(values):
            return tool
    msg = f"{path} is no JSON of a tool that can be read."
    raise FileError(msg, _KNOWN)


def _of_first_line(path: Path) -> str:
    row = _first_line(path)
    if isinstance(row, dict):
        if {"doc_id", "resps"} <= set(row):
            return "lm-eval"
        if path.name == aiperf.REQUESTS:
            return "aiperf"
        for told, tool in _BY_JSON:
            if tool in ("vllm-bench", "llama-bench", "intelligence-per-watt") and told(row):
                return tool
    return "table"


def _first_line(path: Path) -> Any:
    with path.open("rb") as file:
        first = file.readline()
    try:
        return json.loads(first)
    except (ValueError, RecursionError):  # a table's reader says what is wrong with it
        return None


def _of_header(path: Path) -> str:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return "table"
    if is_mlenergy_header(names):
        return "mlenergy"
    return "llama-bench" if is_llama_bench_header(names) else "table"
