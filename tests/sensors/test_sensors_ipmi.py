"""IpmiSensor with an `ipmitool` on PATH that prints what the real one prints."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from emulated.bmc import write_ipmitool
from emulated.meter_server import PowerTrace
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.ipmi import IpmiSensor

DOCUMENTED = """
    Instantaneous power reading:                   173 Watts
    Minimum during sampling period:                  0 Watts
    Maximum during sampling period:               1023 Watts
    Average power reading over sample period:      138 Watts
    IPMI timestamp:                           Thu Aug  1 13:46:34 2024
    Sampling period:                          00010824 Seconds.
    Power reading state is:                   activated
"""
"""As openubmc.cn documents the command's answer."""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("IPMI_PASSWORD", raising=False)
    return write_ipmitool(tmp_path, PowerTrace([(0.0, 212.4)]))


def fault(tool: Path, name: str) -> None:
    tool.with_name("ipmitool.fault").write_text(name)


def test_the_bmc_of_this_machine_is_a_gauge_of_grade_c(tool: Path) -> None:
    sensor = IpmiSensor()
    (domain,) = sensor.probe()
    (first,) = sensor.read()
    sensor.close()
    assert (domain.name, domain.kind, domain.boundary, domain.grade) == (
        "bmc",
        "gauge",
        "system",
        "C",
    )
    assert first.power_w == 212.0  # whole watts
    assert first.counter_j is None
    assert first.clock_error_ns is not None
    assert first.clock_error_ns > 0


def test_the_documented_text_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    path = tmp_path / "ipmitool"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{DOCUMENTED}\nEND\n")
    path.chmod(0o755)
    sensor = IpmiSensor()
    sensor.probe()
    assert sensor.read()[0].power_w == 173.0
    sensor.close()


def test_over_the_network_the_password_stays_out_of_the_command(
    tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        IpmiSensor("10.0.0.9").probe()
    assert "unauthorized name" in caught.value.message
    assert "PERWATT_IPMI_USER and IPMI_PASSWORD" in (caught.value.mend or "")
    monkeypatch.setenv("PERWATT_IPMI_USER", "root")
    monkeypatch.setenv("IPMI_PASSWORD", "hunter2")
    sensor = IpmiSensor("10.0.0.9?domain=node9")
    (domain,) = sensor.probe()
    sensor.close()
    assert (domain.name, domain.device) == ("node9", "BMC of 10.0.0.9")
    assert "hunter2" not in repr(domain)


@pytest.mark.parametrize(
    ("name", "sentence", "mend"),
    [
        ("no-device", "Could not open device at /dev/ipmi0", "modprobe"),
        ("inactive", "The BMC's power reading is deactivated", "activate"),
        ("garbage", "gives no power", "by hand"),
    ],
)
def test_each_failure_is_one_sentence_with_its_mend(
    tool: Path, name: str, sentence: str, mend: str
) -> None:
    fault(tool, name)
    with pytest.raises(SensorUnavailableError) as caught:
        IpmiSensor().probe()
    assert sentence in caught.value.message
    assert mend in (caught.value.mend or "")
    assert "\n" not in str(caught.value)


def test_an_ipmitool_that_cannot_run_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ipmitool").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "ipmitool").chmod(0o755)
    with pytest.raises(SensorUnavailableError, match="ipmitool cannot be run: Exec format error"):
        IpmiSensor().probe()


def test_without_ipmitool_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SensorUnavailableError, match="ipmitool is not installed"):
        IpmiSensor().probe()


def test_a_bmc_that_hangs_is_a_flagged_gap_and_close_does_not_wait(tool: Path) -> None:
    sensor = IpmiSensor("10.0.0.9?timeout=0.3&period=0.05")
    fault(tool, "hang")
    begun = time.monotonic()
    with pytest.raises(SensorUnavailableError, match=r"did not finish within 0\.3 s"):
        sensor.probe()
    assert time.monotonic() - begun < 20  # it would hang for 30
    fault(tool, "")
    local = IpmiSensor()
    local.probe()
    local.read()
    fault(tool, "hang")
    time.sleep(0.1)
    local.read()
    begun = time.monotonic()
    local.close()
    local.close()
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("address", ["-oProxy", "ho st", "http://u:p@h"])
def test_a_host_that_is_none_is_refused(tool: Path, address: str) -> None:
    with pytest.raises(SensorUnavailableError):
        IpmiSensor(address).probe()
