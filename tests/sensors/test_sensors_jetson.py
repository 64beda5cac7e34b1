"""JetsonSensor on the hwmon trees of several modules, over known joules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emulated.hwmon import EmulatedChannel, EmulatedChip, VirtualHwmon
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.jetson import JetsonSensor

S = 1_000_000_000


def rail(label: str, watts: float, number: int = 1, millivolts: int = 5000) -> EmulatedChannel:
    knots = (0, 100 * S), (0.0, 100 * watts)
    return EmulatedChannel(
        "rail", *knots, label=label, number=number, tick_s=0.01, millivolts=millivolts, step=8
    )


def monitor(*channels: EmulatedChannel) -> EmulatedChip:
    return EmulatedChip("ina3221", channels, {"update_interval": "31"})


ORIN_NX = [monitor(rail("VDD_IN", 18), rail("VDD_CPU_GPU_CV", 9, 2), rail("VDD_SOC", 4, 3))]
AGX_ORIN = [
    monitor(rail("VDD_GPU_SOC", 20), rail("VDD_CPU_CV", 6, 2), rail("VIN_SYS_5V0", 5, 3)),
    monitor(rail("NC", 0), rail("VDDQ_VDD2_1V8AO", 2, 2)),
]
AGX_XAVIER = [
    monitor(rail("GPU", 9, 1, 19000), rail("CPU", 4, 2, 19000), rail("SOC", 3, 3, 19000)),
    monitor(rail("CV", 1, 1, 19000), rail("VDDRQ", 2, 2, 19000), rail("SYS5V", 3, 3)),
]
THOR = [
    EmulatedChip("ina238", [EmulatedChannel("power", (0, 100 * S), (0.0, 9000.0))]),
    monitor(rail("VDD_GPU", 40), rail("VDD_CPU_SOC_MSS", 20, 2), rail("VIN_SYS_5V0", 9, 3)),
]


def made(tmp_path: Path, chips: Sequence[EmulatedChip], product: str) -> JetsonSensor:
    tree = VirtualHwmon(tmp_path, chips)
    tree.at(50 * S)
    model = tmp_path / "model"
    model.write_bytes(product.encode() + b"\0")
    return JetsonSensor(str(tree.root), model=model)


@pytest.mark.parametrize(
    ("chips", "product", "system", "watts"),
    [
        (ORIN_NX, "NVIDIA Jetson Orin NX", ["VDD_IN"], 18),
        (
            AGX_ORIN,
            "NVIDIA Jetson AGX Orin Developer Kit",
            ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
            31,
        ),
        (
            AGX_XAVIER,
            "NVIDIA Jetson AGX Xavier",
            ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
            22,
        ),
        (THOR, "NVIDIA Jetson AGX Thor Developer Kit", ["VIN"], 90),
    ],
)
def test_the_system_is_the_module_counted_once(
    tmp_path: Path, chips: list[EmulatedChip], product: str, system: list[str], watts: float
) -> None:
    sensor = made(tmp_path, chips, product)
    domains = sensor.probe()
    summed = [d for d in domains if d.boundary == "system"]
    assert [d.name for d in summed] == system
    assert {(d.grade, d.kind, d.device) for d in domains} == {("C", "gauge", product)}
    assert not {d.name for d in summed} & {name for d in summed for name in d.covers}
    shown = {r.domain: r.power_w for r in sensor.read()}
    # A step of 8 mA at 5 V, or 19 V, is lost on each rail.
    assert sum(shown[name] or 0.0 for name in system) == pytest.approx(watts, abs=0.9)


def test_rails_inside_the_input_stand_beside(tmp_path: Path) -> None:
    whole, *beside = made(tmp_path, ORIN_NX, "NVIDIA Jetson Orin NX").probe()
    assert whole.covers == ("VDD_CPU_GPU_CV", "VDD_SOC")
    assert whole.power_window_s == 0.031
    assert {(d.boundary, d.note) for d in beside} == {("package", "inside VDD_IN")}


def test_the_memory_rail_of_agx_orin_is_inside_its_5_volts(tmp_path: Path) -> None:
    last = made(tmp_path, AGX_ORIN, "NVIDIA Jetson AGX Orin").probe()[-1]
    assert (last.name, last.covers) == ("VIN_SYS_5V0", ("VDDQ_VDD2_1V8AO",))


def test_each_reading_is_of_the_moment_not_an_average(tmp_path: Path) -> None:
    knots = (0, 10 * S, 20 * S), (0.0, 50.0, 350.0)  # 5 W, then 30 W
    step = EmulatedChannel("rail", *knots, label="VDD_IN", tick_s=0.01)
    tree = VirtualHwmon(tmp_path, [monitor(step)])
    sensor = JetsonSensor(str(tree.root), model=tmp_path / "none")
    sensor.probe()
    seen = []
    for t_ns in (9 * S, 10 * S + S // 50):
        tree.at(t_ns)
        seen.append(sensor.read()[0].power_w)
    assert seen == [pytest.approx(5.0, abs=0.01), pytest.approx(30.0, abs=0.01)]


def test_a_rail_that_goes_fails_its_reads_only(tmp_path: Path) -> None:
    sensor = made(tmp_path, ORIN_NX, "NVIDIA Jetson Orin NX")
    sensor.probe()
    (tmp_path / "class/hwmon/hwmon0/curr2_input").write_text("")
    readings = {r.domain: r for r in sensor.read()}
    assert readings["VDD_IN"].error is None
    assert readings["VDD_CPU_GPU_CV"].error and readings["VDD_CPU_GPU_CV"].power_w is None


def test_what_is_no_jetson_or_no_known_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="no NVIDIA Jetson"):
        made(tmp_path / "a", [], "Raspberry Pi 5").probe()
    with pytest.raises(SensorUnavailableError, match="Orin Nano shows no INA3221") as caught:
        made(tmp_path / "b", [], "NVIDIA Jetson Orin Nano").probe()
    assert "JetPack" in str(caught.value.mend)
    with pytest.raises(SensorUnavailableError, match="not known to make a sum: VDD_X"):
        made(tmp_path / "c", [monitor(rail("VDD_X", 1))], "NVIDIA Jetson New").probe()
