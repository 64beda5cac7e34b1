"""What runs on a node for the head: starts one job at a time, tells of it, hands its files over.

A Ray actor is made of it (`nodes.py`); it knows nothing of Ray. Calls come one at a time, and none
waits for a job.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from perwatt.cluster.child import End, decode
from perwatt.cluster.parcel import spec_for
from perwatt.core.clock import anchor_now
from perwatt.core.errors import FileError, PerwattError
from perwatt.core.spec import RunSpec
from perwatt.runner.energy import find_energy
from perwatt.runner.environment import fingerprint
from perwatt.runner.events import Event

__all__ = ["About", "Agent", "PackedFile", "Polled"]

KEPT_EVENTS = 200
LOG_TAIL = 300


class About(NamedTuple):
    """What the head must know of a node before it sends a job."""

    host: str
    machine: str
    kind: str
    energy: str
    grade: str | None
    boundary: str | None
    lacks: tuple[str, ...]
    """Environment variables that the spec names and this node has not."""
    error: tuple[str, str | None] | None
    """Sentence and mend: its sensors are not what the spec requires, or it has nowhere to write."""


class Polled(NamedTuple):
    """What has become of the job."""

    events: list[Event]
    end: End | None
    """None while it runs."""


class PackedFile(NamedTuple):
    """One file of a run directory."""

    name: str
    """With forward slashes, under the directory."""
    size: int
    sha256: str


class Agent:
    """`run_id` keeps the directories of one cluster run apart from all others."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.node = "unnamed"
        self.base = _base()
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._end: End | None = None
        self._log: Path | None = None

    def about(self, given: dict[str, Any], gpus: float) -> About:
        """`given`: the spec as JSON; `gpus`: how many Ray counts here."""
        spec = RunSpec.resolve(given)
        picked, line, error = None, "", None
        try:
            _check_disk(_base())
            picked, line = find_energy(spec)
        except PerwattError as found:
            error = (found.message, found.mend)
        finally:
            if picked:
                picked.close()
        names = [name for name in (spec.api_key_env, spec.judge_key_env) if name]
        here = fingerprint()
        return About(
            host=platform.node() or "unknown",
            machine=anchor_now().boot_id or platform.node(),
            kind=f"{here['cpu']} × {here['cpus']}, {here['machine']}, {gpus:g} GPU"
            f"{_devices(picked)}",
            energy=line,
            grade=picked.grade if picked else None,
            boundary=picked.boundary if picked else None,
            lacks=tuple(name for name in names if not os.environ.get(name)),
            error=error,
        )

    def call(self, node: str) -> None:
        """Its name, which its directories on the disk are under."""
        self.node = node
        self.base = _base() / f"perwatt-cluster-{self.run_id}" / node

    def clock_ns(self) -> int:
        """Its wall clock, Unix nanoseconds."""
        anchor = anchor_now()
        return anchor.wall_ns

    def holds(self, job: str) -> bool:
        """Is something of this job on its disk?"""
        return (self.base / job / "run.json").is_file()

    def begin(self, job: str, given: dict[str, Any], models: tuple[str, ...], items: bytes) -> None:
        """Start the job's process, or go on with what is there. Raises FileError."""
        try:
            self.base.mkdir(parents=True, exist_ok=True)
            parcel = self.base / f"{job}.items.json"
            if not parcel.is_file():
                part = parcel.with_suffix(".part")
                part.write_bytes(items)
                part.replace(parcel)
            spec = spec_for(RunSpec.resolve(given), models, parcel, self.base / job)
            file = self.base / f"{job}.spec.json"
            file.write_bytes(msgspec.json.encode(spec.to_json()))
            self._log = self.base / f"{job}.log"
            self._events.clear()
            self._end = None
            with self._log.open("ab") as log:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "perwatt.cluster.child", str(os.getpid()), str(file)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=_environment(),
                )
        except OSError as error:
            raise _no_room(self.base, error) from None
        self._reader = threading.Thread(target=self._listen, args=(self._child,), daemon=True)
        self._reader.start()

    def poll(self) -> Polled:
        """Events since the last call, and how it ended, once it has."""
        ended = self._child is not None and self._child.poll() is not None
        if ended and self._reader:
            self._reader.join(5.0)
        events = [self._events.popleft() for _ in range(len(self._events))]
        if not ended or self._child is None:
            return Polled(events, None)
        code = self._child.returncode
        lost = End(outcome="lost", message=f"its process ended with {_code(code)}{self._tail()}")
        return Polled(events, self._end or lost)

    def stop(self, *, kill: bool = False) -> None:
        """Ask it to end, as Ctrl-C does; `kill`: end it."""
        if self._child and self._child.poll() is None:
            with suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGKILL if kill else signal.SIGTERM)

    def files(self, job: str) -> list[PackedFile]:
        """Everything in its directory, run.json last: where that is, the rest is too."""
        root = self.base / job
        found = [path for path in sorted(root.rglob("*")) if path.is_file()]
        names = [path.relative_to(root).as_posix() for path in found if path.name != "lock"]
        names.sort(key=lambda name: name == "run.json")
        return [
            PackedFile(name, (root / name).stat().st_size, _sha256(root / name)) for name in names
        ]

    def read(self, job: str, name: str, offset: int, length: int) -> bytes:
        """A piece of one of those files."""
        with (self.base / job / name).open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)

    def forget(self, job: str) -> None:
        """It has been brought back."""
        shutil.rmtree(self.base / job, ignore_errors=True)
        for suffix in (".items.json", ".spec.json", ".log"):
            (self.base / f"{job}{suffix}").unlink(missing_ok=True)
        for folder in (self.base, self.base.parent):
            with suppress(OSError):
                folder.rmdir()

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                said = decode(line)
                if isinstance(said, End):
                    self._end = said
                elif said is not None:
                    self._events.append(said)

    def _tail(self) -> str:
        """The last line it wrote, such as an exception's."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines() if self._log else []
        except OSError:
            lines = []
        return f" ({lines[-1][-LOG_TAIL:]})" if lines else ""


def _base() -> Path:
    """A disk that outlives a worker, and a reboot where there is one."""
    own = os.environ.get("PERWATT_CLUSTER_DIR")
    if own:
        return Path(own)
    lasting = Path("/var/tmp")
    return lasting if os.access(lasting, os.W_OK) else Path(tempfile.gettempdir())


def _check_disk(base: Path) -> None:
    """Before anything is asked. Raises FileError."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            pass
    except OSError as error:
        raise _no_room(base, error) from None


def _no_room(base: Path, error: OSError) -> FileError:
    msg = f"No run can be kept in {base}: {error.strerror}."
    return FileError(msg, "Set PERWATT_CLUSTER_DIR there to a folder with room.")


def _environment() -> dict[str, str]:
    """As the node's own, less what Ray set for the actor: an engine's threads are the spec's."""
    left_out = {"OMP_NUM_THREADS", "RAY_JOB_ID", "RAY_RAYLET_PID"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def _devices(picked: Any) -> str:
    if picked is None:
        return ""
    devices = sorted({domain.device or domain.name for domain in picked.domains})
    return f", {', '.join(devices)}"


def _code(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
