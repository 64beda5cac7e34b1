"""Kill real runs with `kill -9` at random moments, resume them, look for what is lost or double.

python -m benchmarks.kill_nine [--kills 200] [--engine-share 0.2] [--seed 0] [--jobs 2] [--keep DIR]

Every run is the command `perwatt run`, against `perwatt fake-server`, which remembers all that it
served, or on the embedded engine. It is killed (the process alone, or its whole group) at a moment
anywhere from its start to its usual length, and `perwatt resume`d, which may be killed again, until
it ends well. The journal is read all the while; kill_nine_checks.py says what must hold at the end.
Exit 1 if anything does not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.kill_nine_checks import Found, Kill, Planned, check
from benchmarks.kill_nine_sitting import PHASES, Sitting, left_behind, phase_of, sit, whole_lines
from perwatt.core.clock import now_ns
from perwatt.core.errors import PerwattError
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import Spawned, spawn
from perwatt.workloads.load import load, sample

ENGINE = "smollm2-135m"
ENGINE_ITEMS = 6
AGAIN = 0.75
"""Chance that the next sitting of a run is to be killed too."""
GROUP = 0.5
"""Chance that a kill is of the whole process group."""
MOST_FAULTS = 30
MODELS = ("one", "two")
LOADS = (
    ("closed:1",),
    ("closed:4",),
    ("closed:8", "--workers", "2"),
    ("poisson:40",),
    ("closed:2@1s,closed:6@1s",),
)
TIMED_S = 2.0
"""Of the last: how long it goes on for each pair and round, over the items again and again."""
PROGRAMS, TALKS, PLAIN = 6, 3, 12
QUESTIONS = (
    *(f"p{n}" for n in range(PROGRAMS)),
    *(f"t{n}" for n in range(TALKS)),
    *(f"q{n}" for n in range(PLAIN)),
)
PROGRAM = "```python\ndef twice(x):\n    return x + x\n```"


class Kind(NamedTuple):
    """What is run."""

    name: str
    key: str
    """Runs of one key take about as long."""
    args: tuple[str, ...]
    pairs: tuple[str, ...]


class Job(NamedTuple):
    """One run, killed or, to learn how long it takes, not."""

    number: int
    kind: Kind
    kill: bool


class Totals:
    """What the table shows; written by several threads."""

    def __init__(self, kills: int) -> None:
        self.wanted = kills
        self.kills = 0
        self.phases: dict[str, Counter[str]] = {}
        self.runs: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.looks = 0
        self.unmetered = 0
        self.faults: list[str] = []
        self.usual_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def killed(self, kind: str, phase: str) -> None:
        with self._lock:
            self.kills += 1
            self.phases.setdefault(kind, Counter())[phase] += 1

    def ended(self, key: str, sitting: Sitting, run_to_end: bool) -> None:
        with self._lock:
            self.looks += sitting.looks
            if run_to_end:
                self.usual_s[key] = sitting.seconds

    def checked(self, kind: str, found: Found, planned: Planned) -> None:
        with self._lock:
            self.runs[kind] += 1
            self.requests[kind] += len(planned.pairs) * len(planned.items)
            self.unmetered += found.unmetered
            self.faults += found.faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--engine-share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="leave the runs that went wrong here")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-nine-") as folder:
        answers = Path(folder, "answers.jsonl")
        lines = [{"prompt": question(f"p{n}"), "answer": PROGRAM} for n in range(PROGRAMS)]
        answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
        settings = Settings(models=MODELS, ttft="20ms", itl="5ms", tokens=8, answers=str(answers))
        with spawn(settings) as server:
            campaign = Campaign(asked, Path(folder), server)
            campaign.run()
    report(campaign.totals, time.monotonic() - began)
    sys.exit(1 if campaign.totals.faults else 0)


class Campaign:
    """All the runs, `jobs` at a time."""

    def __init__(self, asked: argparse.Namespace, folder: Path, server: Spawned) -> None:
        self.asked = asked
        self.folder = folder
        self.server = server
        self.totals = Totals(asked.kills)

    def run(self) -> None:
        """Each kind once to its end, so that its usual length is known; then all to be killed."""
        kinds = served_kinds(self.server.url)
        engine = engine_kind()
        engine_share = self.asked.engine_share
        first = [*kinds, engine] if engine_share > 0 else kinds
        numbers = count()
        with ThreadPoolExecutor(self.asked.jobs) as pool:
            list(pool.map(self.one, [Job(next(numbers), kind, False) for kind in first]))
            rng = random.Random(self.asked.seed)
            while self.totals.kills < self.totals.wanted and len(self.totals.faults) < MOST_FAULTS:
                batch = [
                    Job(next(numbers), rng.choice(kinds), True) for _ in range(self.asked.jobs)
                ]
                killed = self.totals.phases.get(engine.name, Counter()).total()
                if killed < engine_share * (self.totals.kills + 1):
                    batch[0] = batch[0]._replace(kind=engine)
                list(pool.map(self.one, batch))

    def one(self, job: Job) -> None:
        """Run, kill, resume … until it ends well; then check it."""
        name = f"{job.kind.name}-{job.number}"
        run = self.folder / name
        kills: list[Kill] = []
        planned, args = self.plan(job.kind, name)
        try:
            found = self.sittings(job, run, args, kills)
            if not found.faults:
                truth = None if job.kind.name == "engine" else self.server.truth()
                found = check(run, planned, kills, truth)
            if left := left_behind(run):
                found.faults.append(f"processes {left} outlived the run")
        except (AssertionError, PerwattError) as error:
            found = Found([str(error)], 0)
        said = [f"{name} ({job.kind.key}) after {len(kills)} kills: {f}" for f in found.faults]
        self.totals.checked(job.kind.name, Found(said, found.unmetered), planned)
        for fault in said:
            print(fault, file=sys.stderr, flush=True)
        if said and self.asked.keep:
            shutil.copytree(run, self.asked.keep / name, dirs_exist_ok=True)
        shutil.rmtree(run, ignore_errors=True)

    def sittings(self, job: Job, run: Path, args: tuple[str, ...], kills: list[Kill]) -> Found:
        """All processes of one run; what each kill left is added to `kills`."""
        rng = random.Random(f"{self.asked.seed}:{job.number}")
        totals = self.totals
        faults: list[str] = []
        while True:
            again = not kills or rng.random() < AGAIN
            to_die = job.kill and again and totals.kills < totals.wanted
            moment_s = rng.uniform(0.0, totals.usual_s[job.kind.key]) if to_die else None
            # Before run.json is there, nothing was asked, and the run is begun again.
            begun = (run / "run.json").exists()
            verb = ("resume", str(run)) if begun else ("run", *args, "--out", str(run))
            sitting = sit(verb, run, moment_s, group=rng.random() < GROUP)
            totals.ended(job.kind.key, sitting, run_to_end=not job.kill)
            if sitting.exit_code != -9:
                break
            at_ns = now_ns()
            totals.killed(job.kind.name, phase_of(run))
            if left := left_behind(run):
                faults.append(f"processes {left} outlived kill {len(kills) + 1}")
            journal = run / "journal.jsonl"
            lines = whole_lines(journal) if journal.exists() else b""
            kills.append(Kill(at_ns, lines))
        if sitting.exit_code:
            last = " ".join(sitting.error.strip().splitlines()[-2:])
            faults.append(f"`perwatt {verb[0]}` ended with {sitting.exit_code}: {last}")
        return Found(faults, 0)

    def plan(self, kind: Kind, name: str) -> tuple[Planned, tuple[str, ...]]:
        """What is asked, and by which options. Items name the run: the server tells them apart."""
        if kind.name == "engine":
            items = tuple(item.id for item in sample(load("core"), ENGINE_ITEMS, 0).items)
            return Planned(kind.pairs, items), kind.args
        items = tuple(f"{q}-{name}" for q in QUESTIONS)
        file = self.folder / f"{name}.jsonl"
        file.write_text("".join(map(item_line, items)), encoding="utf-8")
        timed_s = TIMED_S * len(kind.pairs) if "@" in kind.key else None
        return Planned(kind.pairs, items, timed_s), (*kind.args, "--workload", str(file))


def question(name: str) -> str:
    """The same in every run."""
    return f"Write the program {name}." if name.startswith("p") else f"What is {name}?"


def item_line(name: str) -> str:
    """One item: a question, a conversation, or a program, which takes its time to score."""
    kind = name.partition("-")[0]
    item: dict[str, Any] = {
        "id": name,
        "kind": "killed",
        "messages": [{"role": "user", "content": question(kind)}],
        "reference": "A",
        "scorer": "exact",
    }
    if kind.startswith("p"):
        options = {"test": "def check(f):\n    assert f(2) == 4", "entry_point": "twice"}
        item |= {"scorer": "code", "options": options}
    if kind.startswith("t"):
        item["turns"] = ["And then?", "And at last?"]
    return json.dumps(item) + "\n"


def served_kinds(url: str) -> list[Kind]:
    """One and two pairs under each load."""
    kinds = []
    for words, *more in LOADS:
        for pairs in (MODELS[:1], MODELS):
            models = [part for model in pairs for part in ("--model", model)]
            common = ("--idle-s", "0.3", "--warmup", "2", "--rounds", str(len(pairs)), *more)
            args = ("--endpoint", url, *models, "--load", words, *common)
            kinds.append(Kind("server", f"{words}, pairs: {len(pairs)}", args, pairs))
    return kinds


def engine_kind() -> Kind:
    """The embedded engine; one thread, since two that wait for each other spin."""
    args = ("--model", ENGINE, "--workload", "core", "--limit", str(ENGINE_ITEMS), "--load",
            "closed:2", "--threads", "1", "--idle-s", "0.3", "--warmup", "1")  # fmt: skip
    return Kind("engine", "engine", args, (ENGINE,))


def report(totals: Totals, took_s: float) -> None:
    """Kills by what they fell into, and what was found."""
    print(f"\n{'kills while':16s}" + "".join(f" {kind:>8s}" for kind in totals.phases))
    for phase in PHASES:
        row = "".join(f" {seen[phase]:8d}" for seen in totals.phases.values())
        print(f"{phase:16s}{row}")
    print(f"{'all':16s}" + "".join(f" {seen.total():8d}" for seen in totals.phases.values()))
    print(
        f"\n{totals.kills} kills in {totals.runs.total()} runs of {totals.requests.total()} planned"
        f" requests, {took_s:.0f} s; the journal was read {totals.looks} times meanwhile."
    )
    print(
        f"{totals.unmetered} requests that finished after the last samples journaled before a kill"
        " have no joules."
    )
    print(f"Failures: {len(totals.faults)}")
    for fault in totals.faults:
        print(f"  {fault}")


if __name__ == "__main__":
    main()
