"""The server as processes of its own: for benchmarks, for the command, for more than one worker."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import msgspec

from perwatt.core.errors import EngineError
from perwatt.fakeserver.child import Ready, Told
from perwatt.fakeserver.ports import listening
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.truth import Truth, read_truth

__all__ = ["Spawned", "spawn"]

PATIENCE_S = 10.0


class Spawned:
    """A running server: a context manager, or call `stop`. `truth` and `clear` speak for all."""

    def __init__(self, settings: Settings, cpus: list[int] | None = None) -> None:
        self.settings = settings
        self._children: list[subprocess.Popen[bytes]] = []
        self._readies: list[Ready] = []
        shared = settings.workers > 1
        # Held while the workers bind it, so that all of them get the one port that was picked.
        holder = listening(settings.host, settings.port, shared=True) if shared else None
        try:
            if holder is not None:
                port = holder.getsockname()[1]
                settings = msgspec.structs.replace(settings, port=port)
            for worker in range(settings.workers):
                self._start(Told(settings, worker, shared, cpus))
            for child in self._children:
                self._readies.append(self._ready(child))
            ports = [ready.own_port for ready in self._readies]
            for child in self._children:
                self._tell(child, ports)
        except BaseException:
            self.stop()
            raise
        finally:
            if holder is not None:
                holder.close()
        first = self._readies[0]
        self.url = first.url
        self.refused_url = first.refused_url
        self.stalled_url = first.stalled_url

    def __enter__(self) -> Spawned:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._children]

    @property
    def alive(self) -> bool:
        return all(child.poll() is None for child in self._children)

    def cpu_s(self) -> float:
        """CPU seconds of all workers so far (Linux)."""
        # man 3 clock_getcpuclockid: the CPU-time clock of another process.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def truth(self, *, clear: bool = False) -> list[Truth]:
        """Of the requests that have ended, by arrival."""
        target = "/truth?own=1&clear=1" if clear else "/truth?own=1"
        lines = b"".join(_get(ready.own_port, target) for ready in self._readies)
        return sorted(read_truth(lines), key=lambda truth: truth.first_byte_ns)

    def clear(self) -> None:
        """Forget the truth so far."""
        self.truth(clear=True)

    def stop(self) -> None:
        """End all workers. Safe to call twice."""
        for child in self._children:
            if child.stdin and not child.stdin.closed:
                child.stdin.close()
        for child in self._children:
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdout:
                child.stdout.close()

    def _start(self, told: Told) -> None:
        root = str(Path(__file__).parents[2])
        boot = f"import sys; sys.path.insert(0, {root!r}); "
        boot += "from perwatt.fakeserver.child import main; main()"
        child = subprocess.Popen(
            [sys.executable, "-c", boot], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._children.append(child)
        self._tell(child, told)

    def _tell(self, child: subprocess.Popen[bytes], message: object) -> None:
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(message) + b"\n")
        child.stdin.flush()

    def _ready(self, child: subprocess.Popen[bytes]) -> Ready:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            msg = f"The fake server ended before it served (exit {child.wait()})."
            raise EngineError(msg)
        ready = msgspec.json.decode(line, type=Ready)
        if ready.error is not None:
            raise EngineError(ready.error, ready.mend)
        return ready


def spawn(settings: Settings, cpus: list[int] | None = None) -> Spawned:
    """Start it and wait until it serves. `cpus`: the CPUs it may use; None: all.

    Raises EngineError, which carries a worker's own words; PortInUseError.
    """
    return Spawned(settings, cpus)


def _get(port: int, target: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", target)
        return connection.getresponse().read()
    finally:
        connection.close()
