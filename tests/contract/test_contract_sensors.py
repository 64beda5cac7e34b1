"""Every registered sensor against the contract: readable on emulated hardware, and without any."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from emulated import amdsmi as emulated_amdsmi
from emulated import nvml as emulated_nvml
from emulated.analyser import PowerAnalyser
from emulated.bmc import RedfishBmc, write_ipmitool
from emulated.build import NoCompilerError
from emulated.hwmon import EmulatedChannel, EmulatedChip, VirtualHwmon
from emulated.meter_server import PowerTrace
from emulated.meters import ShellyGen2, TasmotaPlug
from emulated.metrics_servers import DcgmExporter, PrometheusServer
from emulated.powercap import EmulatedZone, VirtualPowercap
from perwatt.core.errors import AddressNeededError, PerwattError
from perwatt.core.records import Domain, PowerSample
from perwatt.core.registry import registry
from perwatt.sensors.jetson import JetsonSensor
from perwatt.sensors.pick import sensor_named
from perwatt.sensors.replay_trace import write_trace
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.serve import SampleServer
from tests.contract.sensor_contract import check_sensor

S = 1_000_000_000
ADDRESSED = {"dcgm", "prometheus", "redfish", "remote", "replay", "scpi", "shelly", "tasmota"}


def knots(watts: float = 100.0) -> tuple[tuple[int, int], tuple[float, float]]:
    now = time.monotonic_ns()
    return (now - S, now + 600 * S), (0.0, 601 * watts)


def trace() -> PowerTrace:
    return PowerTrace([(0.0, 400.0)], start_ns=time.monotonic_ns() - 1000 * S)


@contextmanager
def rapl(tmp_path: Path) -> Iterator[str]:
    zones = [EmulatedZone("package-0", *knots()), EmulatedZone("package-1", *knots(50))]
    tree = VirtualPowercap(tmp_path, zones)
    with tree.running():
        yield f"rapl:{tree.root}"


@contextmanager
def hwmon(tmp_path: Path) -> Iterator[str]:
    channel = EmulatedChannel("energy", *knots(), label="Esocket0", tick_s=0.01)
    tree = VirtualHwmon(tmp_path, [EmulatedChip("amd_energy", [channel])])
    with tree.running():
        yield f"hwmon:{tree.root}"


@contextmanager
def estimated(_: Path) -> Iterator[str]:
    if not Path("/proc/stat").exists():
        pytest.skip("estimates are made on Linux only")
    yield "estimated"


@contextmanager
def shelly(_: Path) -> Iterator[str]:
    with ShellyGen2(trace()) as plug:
        yield f"shelly:{plug.host}?period=0.05"


@contextmanager
def tasmota(_: Path) -> Iterator[str]:
    with TasmotaPlug(trace()) as plug:
        yield f"tasmota:{plug.host}?period=0.05"


@contextmanager
def redfish(_: Path) -> Iterator[str]:
    with RedfishBmc(trace()) as bmc:
        yield f"redfish:http://{bmc.host}?period=0.05"


@contextmanager
def ipmi(tmp_path: Path) -> Iterator[str]:
    before = os.environ["PATH"]
    write_ipmitool(tmp_path, trace())
    os.environ["PATH"] = f"{tmp_path}{os.pathsep}{before}"
    try:
        yield "ipmi"
    finally:
        os.environ["PATH"] = before


@contextmanager
def scpi(_: Path) -> Iterator[str]:
    with PowerAnalyser(trace(), "wt310e", False) as analyser:
        yield f"scpi:{analyser.address}?period=0.05"


@contextmanager
def prometheus(_: Path) -> Iterator[str]:
    labels = {"instance": "node:9100", "job": "node"}
    series = {"node_rapl_package_joules_total": [(labels, trace(), "joules")]}
    with PrometheusServer(series, scrape_s=0.05) as server:
        query = "query=node_rapl_package_joules_total&boundary=package&period=0.05"
        yield f"prometheus:http://{server.host}?{query}"


@contextmanager
def dcgm(_: Path) -> Iterator[str]:
    with DcgmExporter([trace()]) as exporter:
        yield f"dcgm:http://{exporter.host}/metrics?period=0.05"


@contextmanager
def remote(tmp_path: Path) -> Iterator[str]:
    with rapl(tmp_path) as name:
        sensor = sensor_named(name)
        hz = 3.0  # so slow that only what is held up for two seconds has stalled, and says so
        sampler = Sampler([sensor], hz, timing_s=0)
        server = SampleServer(sampler, hz=hz)
        sampler.start()
        server.start()
        yield f"remote:{server.url}?period=0.05"
        server.close()
        sampler.stop()
        sensor.close()


@contextmanager
def replay(tmp_path: Path) -> Iterator[str]:
    domain = Domain(
        name="wall", kind="gauge", boundary="system", source="shelly", grade="A", device="a plug"
    )
    samples = [PowerSample(n * S // 50, "wall", None, 40.0 + n) for n in range(6000)]
    file = tmp_path / "trace.csv"
    write_trace(file, [domain], samples)
    yield f"replay:{file}"


STAGES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    stage.__name__: stage
    for stage in (
        rapl, hwmon, estimated, shelly, tasmota, redfish, ipmi, scpi, prometheus, dcgm, remote,
        replay,
    )
}  # fmt: skip
ELSEWHERE = {"nvml", "amdsmi", "jetson", "apple"}
"""Tested below in ways of their own; `apple` on its stand-in, in test_sensors_apple.py."""


def test_no_sensor_is_left_out() -> None:
    assert set(registry("sensor").names()) == set(STAGES) | ELSEWHERE


@pytest.mark.parametrize("name", STAGES)
def test_on_emulated_hardware(name: str, tmp_path: Path) -> None:
    with STAGES[name](tmp_path) as address:
        domains = check_sensor(lambda: sensor_named(address), seconds=0.15)
    assert {domain.source for domain in domains} <= {name, "rapl", "shelly"}


def test_jetson(tmp_path: Path) -> None:
    rail = EmulatedChannel("rail", *knots(18), label="VDD_IN", tick_s=0.01, millivolts=5000, step=8)
    tree = VirtualHwmon(tmp_path, [EmulatedChip("ina3221", [rail], {"update_interval": "31"})])
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Orin NX\0")
    with tree.running():
        check_sensor(lambda: JetsonSensor(str(tree.root), model=tmp_path / "model"), seconds=0.2)


@pytest.mark.parametrize("name", ["nvml", "amdsmi"])
def test_gpus_through_their_makers_own_package(name: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    try:
        if name == "nvml":
            emulated_nvml.write_state(state, [emulated_nvml.EmulatedGpu(*knots(), tick_s=0.02)])
            env = emulated_nvml.environment(state)
        else:
            emulated_amdsmi.write_state(state, [emulated_amdsmi.EmulatedAmdGpu(*knots())])
            env = emulated_amdsmi.environment(state)
    except (NoCompilerError, emulated_amdsmi.NoPackageError) as error:
        pytest.skip(str(error))
    script = (
        "from perwatt.sensors.pick import sensor_named\n"
        "from tests.contract.sensor_contract import check_sensor\n"
        f"check_sensor(lambda: sensor_named({name!r}), seconds=0.15)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, **env, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*STAGES, *ELSEWHERE])
def test_without_hardware_it_says_what_would_mend_that(name: str) -> None:
    """On whatever machine this runs: readable, or one sentence and a mend. Never anything else."""
    sensor = sensor_named(name)
    with nullcontext() if name not in ADDRESSED else pytest.raises(AddressNeededError) as needed:
        try:
            assert sensor.probe()
        except PerwattError as error:
            assert error.message.endswith(".") and "\n" not in error.message
            assert error.mend
            if name in ADDRESSED:
                raise
    if needed is not None:
        assert f"--sensors {name}:" in (needed.value.mend or "")
    sensor.close()
