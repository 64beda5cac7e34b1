"""The workers of the calibration's load: as busy as asked, and gone when they should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perwatt.core.errors import PerwattError
from perwatt.sensors.calibrate_load import KINDS, CpuLoad

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(done: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()


@needs_proc
@pytest.mark.parametrize("kind", KINDS[:2])
def test_half_of_two_cores_is_one_or_two_halves(kind: str) -> None:
    with CpuLoad(2) as load:
        first, second = load.pids
        before = cpu_s(first), cpu_s(second)
        load.set(0.5, kind)
        least_s = 0.0 if kind.startswith("some-cores") else 0.04
        assert until(
            lambda: cpu_s(first) - before[0] >= 0.1 and cpu_s(second) - before[1] >= least_s
        )
        load.set(0.0, kind)
        spent = cpu_s(first) - before[0], cpu_s(second) - before[1]
    if kind.startswith("some-cores"):
        assert spent[1] <= 0.02 < spent[0]


@needs_proc
def test_an_error_within_ends_them() -> None:
    pids: tuple[int, ...] = ()
    with pytest.raises(ZeroDivisionError), CpuLoad(2) as load:
        pids = load.pids
        load.set(1.0, KINDS[0])
        raise ZeroDivisionError
    assert len(pids) == 2 and not any(alive(pid) for pid in pids)


@needs_proc
def test_they_do_not_outlive_a_killed_parent() -> None:
    script = """
        import time
        from perwatt.sensors.calibrate_load import KINDS, CpuLoad
        with CpuLoad(2) as load:
            load.set(1.0, KINDS[0])
            print(*load.pids, flush=True)
            time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert until(lambda: not any(alive(pid) for pid in pids))


@needs_proc
def test_a_worker_that_died_is_told() -> None:
    with CpuLoad(1) as load:
        os.kill(load.pids[0], signal.SIGKILL)

        def told() -> bool:
            try:
                load.set(1.0, KINDS[0])
            except PerwattError as error:
                return f"process {load.pids[0]}" in error.message
            return False

        assert until(told)
