"""Runs as a Hugging Face data set: parquet files in folders, and a card that says what they are.

`datasets.load_dataset(FOLDER, "requests")` reads it, as does anything that reads parquet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perwatt import __version__
from perwatt.store.disk import write_atomic
from perwatt.store.exchange.export_table import TABLES, ExportRun, copy_tables, kept

__all__ = ["write_hf"]

_DTYPES = {
    "VARCHAR": "string",
    "INTEGER": "int32",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "BOOLEAN": "bool",
}
_LICENCES = {
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-3.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "bsd-3-clause",
    "odc-by",
}
"""As the Hub spells them; others are `other`, by name."""
_WHAT = {
    "requests": "one row for each attempt: raw marks (ns), tokens, score and joules of that answer",
    "metrics": "one row for each published figure, with its 95% interval, grade and boundary",
    "scores": "one row for each score that a scorer gave",
    "power": "one row for each sample of a power domain",
    "published": "one row for each figure that another tool published of a pair",
}
_SHOWN = ("accuracy", "ipj", "j_per_correct", "energy_gross_j", "ttft", "latency")


def write_hf(runs: Sequence[ExportRun], folder: Path, *, text: bool = True) -> list[Path]:
    """`data/TABLE/RUN.parquet` and README.md, the card. Raises FileError or DiskFullError."""
    written = []
    for run in runs:
        # A config whose files are all empty cannot be loaded, so empty tables are left out.
        place = "data/{table}/{run}.{form}"
        written += copy_tables(run, folder, "parquet", text=text, empty=False, place=place)
    tables = [name for name in TABLES if any(path.parent.name == name for path in written)]
    card = folder / "README.md"
    write_atomic(card, (_front(runs, tables, text) + _page(runs, tables, text)).encode())
    return [*written, card]


def _front(runs: Sequence[ExportRun], tables: Sequence[str], text: bool) -> str:
    """YAML. Every word that is not ours is written as JSON, which YAML is a superset of."""
    said = {str(run.run["workload"].get("licence") or "unknown") for run in runs}
    licence = next(iter(said)).lower() if len(said) == 1 else "other"
    lines = ["---", f"pretty_name: {json.dumps(_title(runs))}"]
    if licence in _LICENCES:
        lines.append(f"license: {licence}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(', '.join(sorted(said)))}"]
    lines += ["tags:", *(f"- {tag}" for tag in ("perwatt", "energy", "llm", "benchmark"))]
    lines.append("configs:")
    for number, table in enumerate(tables):
        lines.append(f"- config_name: {table}")
        lines += ["  default: true"] if number == 0 else []
        lines += ["  data_files:", "  - split: train", f'    path: "data/{table}/*.parquet"']
    lines.append("dataset_info:")
    for table in tables:
        lines += [f"- config_name: {table}", "  features:"]
        for name, kind in kept(table, text).items():
            item = _DTYPES[kind.removesuffix("[]")]
            lines += [f"  - name: {name}"]
            lines += [f"    sequence: {item}" if kind.endswith("[]") else f"    dtype: {item}"]
    return "\n".join([*lines, "---", "", ""])


def _page(runs: Sequence[ExportRun], tables: Sequence[str], text: bool) -> str:
    first = runs[0].summary
    titles = {info.name: info for info in first.metrics}
    shown = [name for name in _SHOWN if name in titles]
    lines = [f"# {_title(runs)}", ""]
    lines += [
        "Requests to language models, each answer's joules beside its score, measured with"
        f" perwatt and exported by perwatt {__version__}. A missing value is null, never 0 or −1;"
        " times are monotonic nanoseconds; every figure has a 95% interval.",
        "",
    ]
    lines += [f"- `{table}`: {_WHAT[table]}." for table in tables]
    if not text:
        lines.append("- Columns of text (answers, reasoning, explanations) were left out.")
    lines += ["", "```python", "from datasets import load_dataset", ""]
    lines += [f'requests = load_dataset("PATH_OR_ID", "{tables[0]}", split="train")', "```", ""]
    heads = ["pair", "run", *(titles[name].title for name in shown)]
    lines += [_cells(heads), _cells(["---"] * len(heads))]
    for run in runs:
        for pair in run.summary.pairs:
            figures = [str(pair.metrics[name]) for name in shown]
            lines.append(_cells([pair.identity.label, run.name, *figures]))
    lines += ["", "In brackets the 95% interval, in parentheses the grade of the joules: A wall"]
    lines += ["meter, B energy counter, C sampled power gauge, D model estimate.", ""]
    lines += ["## Definitions", "", *(f"- {titles[n].title}: {titles[n].formula}" for n in shown)]
    lines += ["", "## How it was measured", ""]
    for run in runs:
        workload = run.run["workload"]
        lines.append(
            f"- {run.name} (`{run.run_id}`, perwatt {run.run['perwatt_version']},"
            f" {run.run['started']}): {run.summary.energy_line} Workload {workload['name']}"
            f" {workload['version']}, {workload['items_asked']} items, licence"
            f" {workload.get('licence') or 'unknown'}, sha256 `{workload['sha256'][:16]}`."
        )
        for verdict in run.summary.verdicts:
            if verdict.severity != "note":
                lines.append(f"  - {verdict.severity}: {verdict.sentence}")
    return "\n".join(lines) + "\n"


def _title(runs: Sequence[ExportRun]) -> str:
    names = list(dict.fromkeys(str(run.run["workload"]["name"]) for run in runs))
    return f"Joules and scores: {', '.join(names)}"


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
