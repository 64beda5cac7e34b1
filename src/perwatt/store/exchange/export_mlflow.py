"""Runs as MLflow runs, one for each pair: its figures as metrics, its identity and spec as params.

An Estimate becomes three metrics, `ipj`, `ipj_low` and `ipj_high`; one without a value becomes the
tag `perwatt.missing.NAME` with its reason. The client of mlflow-skinny writes to a server or to a
folder. Of a folder it says that it is in maintenance mode, and wants that said by a variable: a
user who names a folder has chosen it, so the variable is set while we write.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError, MissingExtraError
from perwatt.core.summary import PairSummary
from perwatt.store.exchange.export_table import ExportRun, copy_tables

__all__ = ["without_secrets", "write_mlflow"]

_PARAM, _TAG, _BATCH = 6000, 5000, 100
"""Longest values that MLflow takes, and how many at a time."""
_SECRET = re.compile(r"(?i)(^|_)(api_?key|key|token|secret|password|passwd|authorization)$")
_IN_ADDRESS = re.compile(r"//[^/@\s]+@")
_PLACE = re.compile(
    r"(?:[\w-]{2,}:)?(?!//)(?P<path>(?:~?/|[A-Za-z]:[\\/]).*?(?P<name>[^/\\]+))[/\\]?"
)
"""An absolute path, or one behind a plug-in's name such as `replay:`."""


def write_mlflow(
    runs: Sequence[ExportRun], to: str, *, experiment: str = "perwatt", text: bool = True
) -> list[str]:
    """A line for each pair written, or found there already. `to`: a folder, or a server's URI.

    Raises MissingExtraError, and FileError where the store cannot be written.
    """
    uri = to if "://" in to else Path(to).resolve().as_uri()
    shown = [_shown(run) for run in runs]
    with _settings(uri):
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise MissingExtraError("mlflow-skinny", "mlflow", "Export to MLflow") from None
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            known = client.get_experiment_by_name(experiment)
            place = known.experiment_id if known else client.create_experiment(experiment)
            return [
                _write_pair(client, place, run, pair, text)
                for run in shown
                for pair in run.summary.pairs
            ]
        except (MlflowException, OSError) as error:
            first = " ".join(str(error).split())[:200]
            msg = _IN_ADDRESS.sub("//", f"MLflow cannot write to {to}: {first}…")
            mend = "Name a folder, or a tracking server that runs, such as http://localhost:5000"
            raise FileError(msg, mend) from None


def without_secrets(value: Any, name: str = "") -> Any:
    """The same JSON without values whose name is a secret's, and names in addresses. The name of
    the variable that a key is in (`api_key_env`) stays."""
    if isinstance(value, Mapping):
        kept = {key: without_secrets(own, key) for key, own in value.items()}
        return {key: own for key, own in kept.items() if own is not _HIDDEN}
    if isinstance(value, list | tuple):
        return [without_secrets(own, name) for own in value]
    if _SECRET.search(name) and isinstance(value, str):
        return _HIDDEN
    return _IN_ADDRESS.sub("//", value) if isinstance(value, str) else value


_HIDDEN = object()


def without_places(run: Mapping[str, Any]) -> dict[str, Any]:
    """run.json with every absolute path of its spec, pairs and workload cut to the last name, there
    and wherever else it is told: folders say whose machine it was, and nothing about the run."""
    told = [run.get(key) for key in ("spec", "pairs", "workload")]
    found = [_PLACE.fullmatch(text) for text in _strings(told)]
    # A file's before its folder's, which it begins with.
    places = sorted({(m["path"], m["name"]) for m in found if m}, key=lambda p: -len(p[0]))

    def cut(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: cut(own) for key, own in value.items()}
        if isinstance(value, list | tuple):
            return [cut(own) for own in value]
        if isinstance(value, str):
            for path, name in places:
                value = value.replace(path, name)
        return value

    return {key: cut(own) for key, own in run.items()}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings(list(value.values()))
    elif isinstance(value, list | tuple):
        for own in value:
            yield from _strings(own)


@contextmanager
def _settings(uri: str) -> Iterator[None]:
    """MLflow's leave to write to a folder, and no word to its makers, for as long as we write."""
    ours = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    if uri.startswith("file:"):
        ours["MLFLOW_ALLOW_FILE_STORE"] = "true"
    else:
        # A server that is not there is told at once, not after minutes of new tries.
        ours["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = os.environ.get(
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"
        )
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _shown(run: ExportRun) -> ExportRun:
    return msgspec.structs.replace(run, run=without_secrets(without_places(run.run)))


def _write_pair(client: Any, place: str, run: ExportRun, pair: PairSummary, text: bool) -> str:
    from mlflow.entities import Metric, Param, RunTag

    own = f"{run.run_id}/{pair.identity.pair_id}"
    found = client.search_runs([place], f"tags.`perwatt.pair` = '{own.replace(chr(39), '')}'")
    if found:
        return f"{found[0].info.run_id} {pair.identity.label} (was there already)"
    started, ended = (_ms(run.run.get(key)) for key in ("started", "ended"))
    made = client.create_run(
        place, start_time=started, run_name=f"{run.name} {pair.identity.label}"
    )
    run_id = str(made.info.run_id)
    figures, missing = _figures(pair)
    metrics = [Metric(_key(name), value, ended, 0) for name, value in figures.items()]
    params = [Param(_key(k), v[:_PARAM]) for k, v in _params(run, pair).items()]
    tags = [RunTag(_key(k), v[:_TAG]) for k, v in _tags(run, pair, own, missing).items()]
    for start in range(0, max(len(metrics), len(params), len(tags)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=params[part], tags=tags[part])
    with tempfile.TemporaryDirectory() as folder:
        about = msgspec.json.format(msgspec.json.encode(run.run), indent=2)
        Path(folder, "run.json").write_bytes(about)
        copy_tables(run, Path(folder), "parquet", text=text, place="tables/{table}.{form}")
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id, end_time=ended)
    return f"{run_id} {pair.identity.label}"


def _figures(pair: PairSummary) -> tuple[dict[str, float], dict[str, str]]:
    """Values by name, and the reason of those that there are none of."""
    figures: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, estimate in pair.metrics.items():
        if estimate.value is None:
            missing[name] = estimate.reason or ""
            continue
        figures[name] = estimate.value
        for end in ("low", "high"):
            if (value := getattr(estimate, end)) is not None:
                figures[f"{name}_{end}"] = value
    counts = {"attempted": pair.attempted, "served": pair.served, "failed": pair.failed}
    return figures | {name: float(n) for name, n in counts.items()}, missing


def _params(run: ExportRun, pair: PairSummary) -> dict[str, str]:
    """What was under test, and how it was asked."""
    identity = run.run["pairs"][pair.identity.pair_id]
    workload = {key: run.run["workload"].get(key) for key in ("name", "version", "sha256")}
    return dict(_flat({"pair": identity, "spec": run.run["spec"], "workload": workload}))


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, own in value.items():
        if isinstance(own, Mapping):
            yield from _flat(own, f"{before}{key}.")
        elif own is not None:
            told = own if isinstance(own, str) else msgspec.json.encode(own).decode()
            yield f"{before}{key}", told


def _tags(
    run: ExportRun, pair: PairSummary, own: str, missing: Mapping[str, str]
) -> dict[str, str]:
    # Another tool's joules have no ledger; what they rest on stands beside the figure.
    joules = pair.ledger or pair.metrics.get("energy_gross_j")
    return {
        "perwatt.pair": own.replace("'", ""),
        "perwatt.run_id": run.run_id,
        "perwatt.version": str(run.run["perwatt_version"]),
        "perwatt.grade": (joules and joules.grade) or "none",
        "perwatt.boundary": (joules and joules.boundary) or "none",
        "perwatt.energy": run.summary.energy_line,
        "perwatt.verdicts": ", ".join(sorted({v.code for v in run.summary.verdicts})) or "none",
        "mlflow.note.content": run.summary.headline,
        **{f"perwatt.missing.{name}": reason for name, reason in missing.items()},
    }


def _key(name: str) -> str:
    """MLflow takes letters, digits and _ - . / and spaces, up to 250 of them."""
    return re.sub(r"[^\w\-. /]", "-", name)[:250]


def _ms(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0
