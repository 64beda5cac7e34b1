"""The emulated hwmon tree against its own truth."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from emulated.hwmon import EmulatedChannel, EmulatedChip, VirtualHwmon

S = 1_000_000_000
STEP = ((0, 10 * S, 20 * S), (0.0, 200.0, 1200.0))  # 20 W, then 100 W


def test_counters_gauges_and_rails_show_the_truth_in_their_units(tmp_path: Path) -> None:
    tree = VirtualHwmon(
        tmp_path,
        [
            EmulatedChip("amd_energy", [EmulatedChannel("energy", *STEP, label="Esocket0")]),
            EmulatedChip(
                "amdgpu",
                [
                    EmulatedChannel("power", *STEP, label="PPT", gain=1.05),
                    EmulatedChannel("average", *STEP, number=2, window_s=1.0),
                ],
            ),
            EmulatedChip("ina3221", [EmulatedChannel("rail", *STEP, label="VDD_IN", step=8)]),
        ],
    )

    def value(index: int, name: str) -> int:
        return int((tree.folder(index) / name).read_text())

    tree.at(5 * S + 50_000_000)
    assert value(0, "energy1_input") == 100_000_000
    assert value(1, "power1_input") == pytest.approx(21_000_000, abs=1)
    tree.at(10 * S + 500_000_000)
    assert value(1, "power2_average") == pytest.approx(60_000_000, abs=1)
    assert value(1, "power2_average_interval") == 1000
    assert value(1, "power1_input") == pytest.approx(105_000_000, abs=1)
    assert (value(2, "in1_input"), value(2, "curr1_input")) == (5000, 20_000)
    assert (tree.folder(2) / "in1_label").read_text() == "VDD_IN\n"
    assert (tree.folder(1) / "device" / "hwmon").is_dir()


def test_old_drivers_keep_their_files_with_the_device(tmp_path: Path) -> None:
    channel = EmulatedChannel("average", *STEP, missing_ns=(S, 2 * S))
    tree = VirtualHwmon(
        tmp_path, [EmulatedChip("power_meter", [channel], {"power1_oem_info": "x"}, legacy=True)]
    )
    assert not (tree.folder(0) / "name").exists()
    file = tree.folder(0) / "device" / "power1_average"
    assert (tree.folder(0) / "device" / "name").read_text() == "power_meter\n"
    tree.at(S)
    assert not file.exists()
    tree.at(2 * S)
    assert int(file.read_text()) == pytest.approx(20e6, abs=1)


def test_in_real_time(tmp_path: Path) -> None:
    now = time.monotonic_ns()
    knots = (now, now + 100 * S), (0.0, 5000.0)
    tree = VirtualHwmon(
        tmp_path, [EmulatedChip("xe", [EmulatedChannel("energy", *knots, tick_s=0.01)])]
    )
    file = tree.folder(0) / "energy1_input"
    with tree.running():
        first = last = int(file.read_text())
        while last - first < 1e6:
            time.sleep(0.01)
            last = int(file.read_text())
    assert last / 50e6 <= (time.monotonic_ns() - now) / 1e9
