"""cluster.json: nodes, jobs and every attempt at one. What `perwatt resume` goes on from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.study import StudyFault
from perwatt.store.disk import disk_errors, write_atomic

__all__ = [
    "FORMAT",
    "Attempt",
    "Clock",
    "Cluster",
    "Job",
    "Node",
    "Spread",
    "locked",
    "read_cluster",
    "unfinished_clusters",
]

FORMAT = 1
NAME = "cluster.json"
NAMED = 5
"""Jobs that a sentence names."""
Spread = Literal["pairs", "items", "replicas"]


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """A node's wall clock against the head's, by asking and being answered."""

    offset_s: float
    """To be subtracted from the node's wall times."""
    bound_s: float
    """The true offset is within this of it: half the quickest exchange."""
    at: str


class Node(msgspec.Struct, kw_only=True):
    """One place where jobs are run."""

    name: str
    """`node1` …: what directories and sentences call it."""
    host: str
    machine: str
    """The kernel's id of this boot: containers of one machine share it. The host where unknown."""
    kind: str
    """What must be alike for two nodes to share the items of one pair."""
    energy: str = ""
    """The sentence of what is read there."""
    grade: str | None = None
    boundary: str | None = None
    clocks: list[Clock] = []
    """When it was met, and at the end."""
    lost: str | None = None
    """Why it is no longer used."""


class Attempt(msgspec.Struct, kw_only=True):
    """One time that a job was begun or gone on with."""

    node: str
    started: str
    ended: str | None = None
    resumed: bool = False
    """It went on from the journal that was there."""
    outcome: Literal["done", "worker-lost", "node-lost", "failed", "stopped"] | None = None
    sentence: str | None = None


class Job(msgspec.Struct, kw_only=True):
    """One run directory to be made."""

    name: str
    models: tuple[str, ...]
    shard: int = 0
    shards: int = 1
    """Which of how many equal parts of the items it asks."""
    node: str | None = None
    """The only one that may do it; None: any."""
    home: str | None = None
    """Where its directory is, until it has been brought back."""
    status: Literal["waiting", "running", "complete", "failed"] = "waiting"
    requests: int = 0
    """Planned."""
    directory: str | None = None
    """Under OUT, once it is there and its hashes were checked."""
    attempts: list[Attempt] = []


class Cluster(msgspec.Struct, kw_only=True):
    """All of it."""

    format: int = FORMAT
    perwatt_version: str
    cluster_id: str
    status: Literal["running", "interrupted", "failed", "complete"] = "running"
    started: str
    ended: str | None = None
    address: str
    spread: Spread
    share_machine: bool
    spec: dict[str, Any]
    workload_sha256: str
    nodes: list[Node] = []
    jobs: list[Job] = []
    sentences: list[str] = []
    """What a reader must know: workers lost, clocks apart, machines shared."""

    def write(self, out: Path) -> None:
        """Replace OUT/cluster.json. Raises FileError or DiskFullError."""
        data = msgspec.json.format(msgspec.json.encode(self), indent=2)
        write_atomic(out / NAME, data + b"\n")

    def say(self, sentence: str) -> str:
        """Keep it, once."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return sentence

    def named(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)


def read_cluster(out: Path) -> Cluster:
    """Raises RunDirError where `out` holds none, or a damaged one."""
    file = out / NAME
    try:
        return msgspec.json.decode(file.read_bytes(), type=Cluster)
    except OSError:
        msg = f"{out} holds no {NAME}."
        raise RunDirError(msg, "Give a directory that `perwatt run --cluster` has made.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is damaged: {error}."
        raise RunDirError(msg, "Restore it from a copy.") from None


def unfinished_clusters(directories: Iterable[Path]) -> list[StudyFault]:
    """What is missing from those of `directories` that a cluster has not filled: whole runs.

    The runs that there are look complete each; without this nobody would know of the others.
    """
    faults = []
    for out in directories:
        if not (out / NAME).is_file():
            continue
        try:
            cluster = read_cluster(out)
        except RunDirError as error:
            said, mend, missing = error.message, error.mend, True
        else:
            left = [job.name for job in cluster.jobs if job.status != "complete"]
            missing = bool(left)
            more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
            said = (
                f"{out} lacks {len(left)} of the {len(cluster.jobs)} runs that its cluster was to"
                f" make: {', '.join(left[:NAMED])}{more}."
            )
            mend = f"Finish it with: perwatt resume {out}"
        if missing:
            faults.append(
                StudyFault(
                    code="unfinished",
                    run=out.resolve().name,
                    sentence=said,
                    mend=mend,
                    left_out=True,
                )
            )
    return faults


@contextmanager
def locked(out: Path, *, new: bool) -> Iterator[None]:
    """`out` for this process alone; `new`: it must be empty, and is made.

    Raises RunDirError where another is at it or something is in it, FileError.
    """
    import fcntl

    if new:
        with disk_errors(out, "made"):
            out.mkdir(parents=True, exist_ok=True)
        if any(entry.name != "lock" for entry in out.iterdir()):
            msg = f"{out} is not empty."
            mend = f"Give a new directory with --out, or go on: perwatt resume {out}"
            raise RunDirError(msg, mend)
    with disk_errors(out / "lock"):
        fd = os.open(out / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        msg = f"{out} is in use by another perwatt."
        raise RunDirError(msg, "Wait for it to end, or give another --out.") from None
    try:
        yield
    finally:
        os.close(fd)
