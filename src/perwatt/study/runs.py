"""Run directories as a study reads them: what each holds, and what is wrong with it.

A fault never ends a study. Each is named with its run and its mend, and the rest is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyFault, StudyRun
from perwatt.core.summary import EnergyLedger
from perwatt.store.integrity import changed_file
from perwatt.store.load import check_fields
from perwatt.store.rundir import read_run
from perwatt.study.abreast import at_once

__all__ = ["OpenRun", "OpenRuns", "expanded", "open_runs"]

TABLES = ("requests.parquet", "power.parquet", "scores.parquet")


class OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that can be read."""

    path: Path
    about: StudyRun
    run: dict[str, Any]
    """run.json."""
    identities: dict[str, PairIdentity]
    ledgers: dict[str, EnergyLedger]

    @property
    def requests(self) -> Path:
        return self.path / "requests.parquet"


class OpenRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Those that can be read, in the order given, and what was found wrong with any."""

    runs: tuple[OpenRun, ...]
    faults: tuple[StudyFault, ...]


def open_runs(directories: Sequence[Path], *, check: bool = True) -> OpenRuns:
    """Read each run.json and look its files over; `check`: hash the tables too.

    A directory that holds no run itself, but run directories, stands for all of those.
    """
    found: list[OpenRun] = []
    faults: list[StudyFault] = []
    looked_over = at_once(partial(_looked_over, check=check), expanded(directories))
    for path, run, own in looked_over:
        faults += own
        if run is None:
            continue
        same = next((r for r in found if r.about.run_id == run.about.run_id), None)
        if same is not None:
            sentence = (
                f"{path.name} and {same.path.name} are one run, {run.about.run_id}: counted once."
            )
            mend = "Leave one of them out; a copied directory is no second measurement."
            faults.append(_left_out("duplicate-run", path, sentence, mend))
            continue
        found.append(run)
    faults += _unlike_workloads(found) + _mixed_versions(found)
    return OpenRuns(runs=tuple(found), faults=tuple(faults))


def _looked_over(path: Path, *, check: bool) -> tuple[Path, OpenRun | None, list[StudyFault]]:
    """The run, if it can be read, and what is wrong with it."""
    faults: list[StudyFault] = []
    try:
        return path, _open(path, faults, check=check), faults
    except FileError as error:
        fault = _left_out("unreadable", path, error.message, error.mend)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        sentence = f"run.json of {path.name} has not the fields of a run: {error}."
        fault = _left_out("unreadable", path, sentence, "Restore it from a copy.")
    return path, None, [*faults, fault]


def expanded(directories: Sequence[Path]) -> list[Path]:
    """Each run directory once; a folder of run directories stands for them, by name."""
    paths: list[Path] = []
    for directory in directories:
        try:
            own = any((directory / name).is_file() for name in ("run.json", "journal.jsonl"))
            inside = [] if own else sorted(directory.glob("*/run.json"))
        except OSError:  # not ours to look into: whoever reads it says so
            inside = []
        paths += [file.parent for file in inside] or [directory]
    return list(dict.fromkeys(paths))


def _open(path: Path, faults: list[StudyFault], *, check: bool) -> OpenRun | None:
    run = read_run(path)
    name = path.resolve().name
    missing = [table for table in TABLES[:1] if not (path / table).is_file()]
    if missing and run["status"] == "complete":
        sentence = f"{name} has lost its {missing[0]}."
        faults.append(_left_out("unreadable", path, sentence, _again(path, run)))
        return None
    if missing or run["status"] != "complete":
        sentence = f"{name} was cut short: it has status {run['status']!r}"
        sentence += f" and no {missing[0]}." if missing else "."
        mend = f"Finish it with: perwatt resume {path}"
        faults.append(
            StudyFault(
                code="unfinished", run=name, sentence=sentence, mend=mend, left_out=bool(missing)
            )
        )
        if missing:
            return None
    check_fields(path, run)
    if check and (changed := changed_file(path, run)):
        sentence = f"{changed} in {name} is not the file that perwatt wrote: its hash differs."
        faults.append(_left_out("tampered", path, sentence, _again(path, run)))
        return None
    if check and "files" not in run and "imported" not in run:
        sentence = f"{name} was written before tables were hashed; a change could not be seen."
        faults.append(StudyFault(code="not-hashed", run=name, sentence=sentence))
    ledgers = {k: msgspec.convert(v, EnergyLedger) for k, v in run["ledgers"].items()}
    if not ledgers and run["energy"].get("grade") is None:
        sentence = f"No energy was measured in {name}: its answers count, its joules are unknown."
        faults.append(StudyFault(code="no-energy", run=name, sentence=sentence))
    workload = run["workload"]
    return OpenRun(
        path=path,
        about=StudyRun(
            run_id=run.get("run_id") or f"{run['started']}/{run['name']}",
            directory=name,
            started=run["started"],
            perwatt_version=run["perwatt_version"],
            workload=workload["name"],
            workload_sha256=workload["sha256"],
            requests=run.get("requests", 0),
            imported_from=", ".join(run["imported"]["tools"]) if "imported" in run else None,
        ),
        run=run,
        identities={k: msgspec.convert(v, PairIdentity) for k, v in run["pairs"].items()},
        ledgers=ledgers,
    )


def _again(path: Path, run: dict[str, Any]) -> str:
    return "Import it again." if "imported" in run else f"Make it again: perwatt score {path}"


def _unlike_workloads(runs: Sequence[OpenRun]) -> list[StudyFault]:
    """Runs whose workload has another's name and other items: their ids are taken for the same."""
    first: dict[str, OpenRun] = {}
    faults = []
    for run in runs:
        about = run.about
        # Other tools' questions are mostly not known, and callers' have their hash for an id.
        if about.imported_from is not None or run.run.get("kind") == "serve":
            continue
        known = first.setdefault(about.workload, run).about
        if known.workload_sha256 != about.workload_sha256:
            faults.append(
                StudyFault(
                    code="unlike-workload",
                    run=about.directory,
                    sentence=f"{about.directory} asked another {about.workload}"
                    f" ({about.workload_sha256[:8]}) than {known.directory}"
                    f" ({known.workload_sha256[:8]}): what has one id is taken for one question.",
                    mend="Study them apart, unless their ids mean the same questions.",
                )
            )
    return faults


def _mixed_versions(runs: Sequence[OpenRun]) -> list[StudyFault]:
    versions = {run.about.perwatt_version for run in runs if run.about.imported_from is None}
    if len(versions) < 2:
        return []
    newest = max(versions, key=_version)
    mend = "Definitions are those of this perwatt for all; only what was recorded may differ."
    return [
        StudyFault(
            code="mixed-versions",
            run=run.about.directory,
            sentence=f"{run.about.directory} was measured by perwatt {run.about.perwatt_version},"
            f" others by {newest}.",
            mend=mend,
        )
        for run in runs
        if run.about.imported_from is None and run.about.perwatt_version != newest
    ]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))


def _left_out(code: Any, path: Path, sentence: str, mend: str | None) -> StudyFault:
    return StudyFault(
        code=code, run=path.resolve().name, sentence=sentence, mend=mend, left_out=True
    )
