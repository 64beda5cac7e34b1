"""What the sensors' tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from emulated import clock
from emulated.nvml import EmulatedGpu, NoCompilerError, environment, write_state

PREAMBLE = """
import json, os, sys, time
from emulated.clock import virtual
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.nvml import NvmlSensor
S = 10**9
if virtual.active:
    virtual.set(100 * S)

def said(work):
    try:
        return work()
    except SensorUnavailableError as error:
        return [error.message, error.mend]

def notes(domains):
    return {d.name: d.note for d in domains}
"""


@pytest.fixture
def nvml_child(tmp_path: Path) -> Callable[..., Any]:
    """Runs a script, by default under the virtual clock from 100 s on, that sees these GPUs.

    Its last printed line, read as JSON, is the result.
    """

    def run(
        gpus: Sequence[EmulatedGpu] | None, script: str, *, real_time: bool = False, **how: Any
    ) -> Any:
        state = tmp_path / "nvml"
        env = {**os.environ, "PYTHONPATH": str(Path(clock.__file__).parents[1])}
        try:
            if gpus is not None:
                write_state(state, gpus, **how)
                env |= environment(state)
            if not real_time:
                env |= clock.environment(tmp_path / "clock")
        except NoCompilerError as error:
            pytest.skip(str(error))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(script)],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
