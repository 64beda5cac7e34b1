"""The estimate's constants are what the public data say, where those data are at hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from perwatt.sensors.accelerator_parts import ACTIVE_GAIN, ACTIVE_SHARE
from perwatt.sensors.estimated_cpu import CURVE_GAIN, EXPONENT, FULL_SHARE, IDLE_SHARE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def printed(script: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if "skipped" in done.stdout.lower():
        pytest.skip("the public energy data are not beside this repository")
    return done.stdout


def number(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, pattern
    return [float(group) for group in found.groups()]


def test_accelerators_and_what_calibrating_buys() -> None:
    text = printed("estimate_error.py")
    assert number(r"at work \(mean of .*\): ([\d.]+)", text) == [ACTIVE_SHARE]
    low, bound = number(r"another kind: ([\d.]+)×.*bound it at ([\d.]+)×", text)
    assert (low, bound) == ACTIVE_GAIN
    inside, held = number(r"estimate hold (\d+) of (\d+)", text)
    assert inside / held >= 0.95
    (before,) = number(r"before: median absolute error (\d+)%", text)
    (after,) = number(r"after: median absolute error (\d+)%", text)
    assert after < before / 2


def test_the_cpu_curve() -> None:
    text = printed("cpu_power_curve.py")
    a, b, exponent = number(r"P / rated = ([\d.]+) \+ ([\d.]+) × load\^([\d.]+)", text)
    assert a + b == pytest.approx(FULL_SHARE, abs=0.005)
    assert exponent == EXPONENT
    assert number(r"below 5% load: P / rated = ([\d.]+)", text) == [IDLE_SHARE]
    assert tuple(number(r"95% of truth/estimate lies in ([\d.]+)× to ([\d.]+)×", text)) == (
        CURVE_GAIN
    )
