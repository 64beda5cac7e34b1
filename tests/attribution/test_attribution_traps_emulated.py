"""The traps from the hardware up: put below the vendor's interface, seen by sensors and sampler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emulated.build import NoCompilerError
from emulated.clock import library

ROOT = Path(__file__).parents[2]


def test_every_injected_trap_is_caught_and_clean_runs_raise_none() -> None:
    try:
        library()
    except NoCompilerError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "benchmarks.traps", "6"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "36/36 injections of 29 traps caught" in done.stdout
    assert "0/6 clean runs raise one" in done.stdout
