"""A process under the virtual clock lives hours at once, and everything else in it stays real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from emulated import clock
from emulated.clock import STEP_NS, library, run_virtual, virtual
from emulated.nvml import NoCompilerError

try:
    library()
except NoCompilerError as error:
    pytest.skip(str(error), allow_module_level=True)


def under_the_clock(script: str, **options: Any) -> Any:
    text = "import json, time\nfrom emulated.clock import virtual\n" + textwrap.dedent(script)
    command = [sys.executable, "-W", "error", "-c", text]
    env = {**os.environ, "PYTHONPATH": str(Path(clock.__file__).parents[1])}
    done = run_virtual(command, capture_output=True, timeout=120, env=env, **options)
    return json.loads(done.stdout.splitlines()[-1])


def test_it_starts_where_it_is_told_and_each_look_takes_a_step() -> None:
    first, gaps = under_the_clock(
        """
        virtual.set(7)
        looks = [time.monotonic_ns() for _ in range(100)]
        print(json.dumps([looks[0], [b - a for a, b in zip(looks, looks[1:])]]))
        """,
        start_ns=5,
    )
    assert first == 7
    assert set(gaps) == {STEP_NS}


def test_sleeps_take_virtual_time_and_no_real_one() -> None:
    begun = time.monotonic()
    slept, cpu = under_the_clock(
        """
        virtual.set_step(0)
        begin, cpu = time.monotonic_ns(), time.process_time()
        time.sleep(7200)
        virtual.advance(1_000)
        print(json.dumps([time.monotonic_ns() - begin, time.process_time() - cpu]))
        """
    )
    assert slept == 7200 * 10**9 + 1_000
    assert cpu < 1
    assert time.monotonic() - begun < 600


def test_waits_with_a_limit_end_when_it_is_reached() -> None:
    waited, worked = under_the_clock(
        """
        import asyncio, queue, threading
        virtual.set_step(0)
        out = []
        for wait in (
            lambda: threading.Event().wait(0.02),
            lambda: queue.Queue().put(1, timeout=5),
            lambda: asyncio.run(asyncio.sleep(0.02)),
        ):
            begin = time.monotonic_ns()
            wait()
            out.append((time.monotonic_ns() - begin) / 1e9)
        event = threading.Event()
        threading.Thread(target=event.set).start()
        print(json.dumps([out, event.wait(20)]))
        """
    )
    assert waited == [pytest.approx(0.02, abs=0.002), 0, pytest.approx(0.02, abs=0.005)]
    assert worked is True


def test_the_wall_clock_goes_along_and_can_be_stepped() -> None:
    start, later, stepped = under_the_clock(
        """
        virtual.set_step(0)
        start = time.time()
        virtual.advance(3600 * 10**9)
        later = time.time()
        virtual.step_wall(-5 * 10**9)
        print(json.dumps([start, later, time.time()]))
        """
    )
    assert start == pytest.approx(time.time(), abs=30)
    assert later - start == pytest.approx(3600)
    assert stepped - later == pytest.approx(-5)


def test_processes_that_it_starts_share_the_clock() -> None:
    here, there = under_the_clock(
        """
        import subprocess, sys
        virtual.set_step(0)
        virtual.set(123 * 10**9)
        child = "from emulated.clock import virtual; virtual.advance(10**9)"
        subprocess.run([sys.executable, "-c", child], check=True)
        print(json.dumps([virtual.now_ns(), time.monotonic_ns()]))
        """
    )
    assert here == there
    assert here >= 124 * 10**9


def test_numpy_works_under_it() -> None:
    mean = under_the_clock(
        """
        import numpy
        print(json.dumps(float(numpy.random.default_rng(0).normal(size=1000).mean())))
        """
    )
    assert abs(mean) < 0.2


def test_a_command_can_put_itself_under_it(tmp_path: Path) -> None:
    """And read an hour of an emulated GPU, which it attaches to in its own process."""
    script = tmp_path / "hour.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            from pathlib import Path
            from emulated.clock import reexec, virtual
            from emulated.nvml import EmulatedGpu, attach, write_state
            from perwatt.sensors.nvml import NvmlSensor
            from perwatt.sensors.sampler import Sampler

            reexec()
            S = 10**9
            write_state(Path(sys.argv[1]), [EmulatedGpu([0, 3600 * S], [0.0, 360_000.0])])
            attach(Path(sys.argv[1]))
            virtual.set(S)
            sampler = Sampler([NvmlSensor()], 1, timing_s=0)
            for t in range(2, 3600):
                virtual.set(t * S)
                sampler.read_now()
            samples = sampler.drain()
            joules = samples[-1].counter_j - samples[0].counter_j
            print(json.dumps([joules, sorted({s.flag for s in samples if s.flag})]))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "nvml"],
        env={**os.environ, "PYTHONPATH": str(Path(clock.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    joules, flags = json.loads(done.stdout)
    assert joules == pytest.approx(100 * 3597)
    assert flags == []  # neither a stall nor a clock that steps: one second is one period here


def test_without_it_the_clock_cannot_be_set() -> None:
    assert not virtual.active
    with pytest.raises(RuntimeError, match="not under the virtual clock"):
        virtual.set(0)
