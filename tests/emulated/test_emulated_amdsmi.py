"""The emulated libamd_smi.so, loaded by the real `amdsmi`, against its own truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from emulated.amdsmi import (
    EmulatedAmdGpu,
    NoCompilerError,
    NoPackageError,
    environment,
    write_state,
)

S = 1_000_000_000


def test_the_real_package_reads_counter_power_and_state(tmp_path: Path) -> None:
    now = time.monotonic_ns()
    gpu = EmulatedAmdGpu(
        (now - 10 * S, now, now + 100 * S),
        (0.0, 2000.0, 52_000.0),
        name="AMD Instinct MI210",
        tick_s=0.01,
        gain=1.1,
        pids=(7, 8),
        limit_w=300.0,
    )
    state = tmp_path / "state"
    write_state(state, [gpu, EmulatedAmdGpu((0,), (0.0,), no_counter=True, no_metrics=True)])
    try:
        more = environment(state)
    except (NoCompilerError, NoPackageError) as error:
        pytest.skip(str(error))
    script = """
        import amdsmi as smi, json, time
        smi.amdsmi_init()
        one, two = smi.amdsmi_get_processor_handles()
        first = smi.amdsmi_get_energy_count(one)
        offset = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        out = {
            "joules": first["energy_accumulator"] * first["counter_resolution"] / 1e6,
            "at_ns": first["timestamp"] - offset,
            "watts": smi.amdsmi_get_power_info(one)["current_socket_power"],
            "name": smi.amdsmi_get_gpu_asic_info(one)["market_name"],
            "hotspot": smi.amdsmi_get_gpu_metrics_info(one)["temperature_hotspot"],
            "cap": smi.amdsmi_get_power_cap_info(one)["power_cap"],
            "pids": [p["pid"] for p in smi.amdsmi_get_gpu_process_list(one)],
            "refused": [],
        }
        for ask in (smi.amdsmi_get_energy_count, smi.amdsmi_get_gpu_metrics_info):
            try:
                ask(two)
            except smi.AmdSmiLibraryException as error:
                out["refused"].append(error.get_error_code())
        smi.amdsmi_shut_down()
        print(json.dumps(out))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    since_s = (out["at_ns"] - now) / 1e9
    # 200 W before `now`, 500 W from then on; counted at 1.1 times as much.
    assert out["joules"] == pytest.approx(1.1 * (2000 + 500 * since_s), abs=0.01)
    assert (out["watts"], out["name"], out["hotspot"]) == (500, "AMD Instinct MI210", 55)
    assert (out["cap"], out["pids"], out["refused"]) == (300_000_000, [7, 8], [2, 2])
