"""The runs behind a served report: found anew at each look, computed once until they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from perwatt.core.errors import PerwattError
from perwatt.core.study import StudyCell, StudySummary
from perwatt.report.build import render_report
from perwatt.report.load import load_run
from perwatt.store.rundir import read_run
from perwatt.study.options import StudyOptions
from perwatt.study.runs import expanded
from perwatt.study.study import open_study
from perwatt.study.summary import summarise_study

__all__ = ["Library", "Listed", "Rows"]

KEPT = 12
"""Pages in memory; the one asked for longest ago goes first."""
Made = TypeVar("Made")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the list."""

    id: str
    """Its directory's name, and a number where two have the same."""
    path: Path
    about: dict[str, Any]
    """run.json; empty where it cannot be read."""
    problem: str | None = None
    """Why it cannot be shown."""

    @property
    def address(self) -> str:
        """Of its report: a directory may be called `50% off #2`, and an address may not."""
        return "/run/" + quote(self.id, safe="", errors="replace")

    @property
    def workload(self) -> str:
        return str((self.about.get("workload") or {}).get("name") or "–")

    @property
    def grade(self) -> str | None:
        return (self.about.get("energy") or {}).get("grade")

    @property
    def models(self) -> list[str]:
        return [str(pair.get("label", key)) for key, pair in self.about.get("pairs", {}).items()]

    @property
    def devices(self) -> list[str]:
        cpu = (self.about.get("environment") or {}).get("cpu")
        found = [pair.get("device") or cpu for pair in self.about.get("pairs", {}).values()]
        return sorted({str(device) for device in found if device})


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """One run's rows of the study's table `pairs`."""

    rows: tuple[dict[str, StudyCell], ...] = ()
    why: str = ""
    """Why there is none."""


class Library:
    """Safe to use from several threads. Memory being short, one report or study is computed at a
    time, and beside it one run's row of the list; what is known already waits for nobody."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)
        self._made: dict[tuple[str, str], tuple[tuple[int, ...], Any]] = {}
        self._lock = threading.Lock()
        """Of what is known: never held while anything is read or computed."""
        self._computing = {"page": threading.Lock(), "pairs": threading.Lock()}

    def runs(self) -> list[Listed]:
        """All of now, newest first; one that cannot be read is listed with its problem."""
        found: list[Listed] = []
        seen: dict[str, int] = {}
        for path in expanded(self._directories):
            name = path.resolve().name
            seen[name] = seen.get(name, 0) + 1
            own = name if seen[name] == 1 else f"{name}~{seen[name]}"
            found.append(self._kept("about", path, partial(_listed, path, own)))
        return sorted(found, key=lambda run: str(run.about.get("started", "")), reverse=True)

    def run(self, run_id: str) -> Listed | None:
        return next((run for run in self.runs() if run.id == run_id), None)

    def page(self, run: Listed) -> str:
        """The report of the run, the very page that `perwatt report` writes."""
        return self._kept("page", run.path, lambda: render_report([load_run(run.path)]))

    def pairs(self, run: Listed) -> Rows:
        """What the list shows of it; nothing where there is nothing to compute from."""

        def make() -> Rows:
            options = StudyOptions(only=("pairs",), check=False)
            with open_study([run.path], options) as study:
                found = summarise_study(study)
            if found.tables:
                return Rows(rows=found.tables[0].rows)
            lost = [fault.sentence for fault in found.faults if fault.left_out]
            return Rows(why=lost[0] if lost else "No answers: published figures alone.")

        return Rows() if run.problem else self._kept("pairs", run.path, make)

    def study(self, runs: Sequence[Listed]) -> StudySummary:
        """Of those runs together. Not kept: which runs it is of changes with every filter."""
        with self._computing["page"], open_study([run.path for run in runs]) as study:
            return summarise_study(study)

    def _kept(self, what: str, path: Path, make: Callable[[], Made]) -> Made:
        key, stamp = (what, str(path)), _stamp(path)
        made: Made
        if known := self._known(key, stamp):
            (made,) = known
            return made
        with self._computing.get(what) or nullcontext():
            if known := self._known(key, stamp):  # made while this one waited
                (made,) = known
                return made
            made = make()
        with self._lock:
            self._made[key] = stamp, made
            pages = [k for k in self._made if k[0] == "page"]
            for old in pages[: max(0, len(pages) - KEPT)]:
                del self._made[old]
        return made

    def _known(self, key: tuple[str, str], stamp: tuple[int, ...]) -> tuple[Any] | None:
        """What was made of the run as it is now, and from here on the last to be forgotten."""
        with self._lock:
            known = self._made.pop(key, None)
            if known is None or known[0] != stamp:
                return None
            self._made[key] = known
            return (known[1],)


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when the run does."""
    stamps = []
    for name in ("run.json", "requests.parquet"):
        try:
            stat = (path / name).stat()
        except OSError:
            continue
        stamps += [stat.st_mtime_ns, stat.st_size]
    return tuple(stamps)


def _listed(path: Path, run_id: str) -> Listed:
    try:
        about = read_run(path)
    except PerwattError as error:
        return Listed(id=run_id, path=path, about={}, problem=error.message)
    problem = None
    if not (path / "requests.parquet").is_file():
        problem = f"It is not finished. Finish it with: perwatt resume {path.name}"
    return Listed(id=run_id, path=path, about=about, problem=problem)
