"""A host's calibration as it is kept: whole or not at all, and for that host alone."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from perwatt.core.errors import FileError, SpecError
from perwatt.sensors.calibrate import Stretch, fit
from perwatt.sensors.host_profile import (
    VERSION,
    HostProfile,
    Meter,
    identity,
    load,
    path_for,
    save,
    wall_from,
)

LOADS = (0.0, 0.25, 0.5, 1.0)


def host_root(folder: Path, **changed: str) -> Path:
    texts = {
        "etc/machine-id": "0123456789abcdef0123456789abcdef",
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 9354\n",
        "proc/sys/kernel/osrelease": "6.8.0-45",
        "sys/class/dmi/id/bios_vendor": "Acme",
        "sys/class/dmi/id/bios_version": "F12",
    }
    for name, text in {**texts, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


def made(root: Path) -> HostProfile:
    data = tuple(
        Stretch(load=x, kind="", seconds=8, sensors_w=60 * x, meter_w=40 + 78 * x + 0.5 * (n % 2))
        for n, x in enumerate(LOADS * 3)
    )
    line = fit(data, domains=("rapl:package-0",), gain=(0.99, 1.01))
    return HostProfile(
        version=VERSION,
        host=identity(root / "proc", root / "sys", root / "etc"),
        made="2026-11-21T08:00:00+00:00",
        meter=Meter(
            source="shelly", device="plug", boundary="system", gain_low=0.99, gain_high=1.01
        ),
        sensors=line,
        estimate=None,
        stretches={"sensors": data},
    )


def test_it_comes_back_as_it_was_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    profile = made(host_root(tmp_path / "host"))
    path = tmp_path / "data" / "perwatt" / "hosts" / "a.json"
    save(profile, path)
    save(profile, path)
    assert load(path, profile.host) == profile
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_the_machine_id_is_not_in_it(tmp_path: Path) -> None:
    profile = made(host_root(tmp_path))
    assert b"0123456789abcdef" not in msgspec.json.encode(profile)
    assert len(profile.host.machine) == 32


def test_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = identity(etc=host_root(tmp_path) / "etc")
    monkeypatch.delenv("PERWATT_HOST_PROFILE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert path_for(host) == tmp_path / "share/perwatt/hosts" / f"{host.machine}.json"
    monkeypatch.setenv("PERWATT_HOST_PROFILE", str(tmp_path / "mine.json"))
    assert path_for(host) == tmp_path / "mine.json"


def test_none_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json", identity()) is None


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("etc/machine-id", "f" * 32, "made on another host\\."),
        ("proc/cpuinfo", "model name\t: Other", "another CPU: AMD EPYC 9354, and now Other"),
        ("proc/sys/kernel/osrelease", "6.9.1", "another kernel: 6.8.0-45, and now 6.9.1"),
        ("sys/class/dmi/id/bios_version", "F13", "another BIOS: Acme F12, and now Acme F13"),
    ],
)
def test_another_machine_is_told(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    profile = made(host_root(tmp_path / "then"))
    path = tmp_path / "p.json"
    save(profile, path)
    now = host_root(tmp_path / "now", **{name: text})
    with pytest.raises(FileError, match=sentence) as caught:
        load(path, identity(now / "proc", now / "sys", now / "etc"))
    assert "perwatt calibrate" in str(caught.value.mend)


def test_damage_is_told(tmp_path: Path) -> None:
    profile = made(host_root(tmp_path))
    path = tmp_path / "p.json"
    save(profile, path)
    whole = path.read_bytes()
    assert profile.sensors is not None
    turned = msgspec.structs.replace(profile.sensors, b_low=9.0)
    odd = msgspec.structs.replace(profile, sensors=turned)
    newer = msgspec.structs.replace(profile, version=99)
    for data, sentence in (
        (whole[: len(whole) // 2], "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "is damaged"),
        (msgspec.json.encode(odd), "does not hold its own value"),
        (msgspec.json.encode(newer), "of version 99"),
    ):
        path.write_bytes(data)
        with pytest.raises(FileError, match=sentence):
            load(path, profile.host)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written") as caught:
        save(made(host_root(tmp_path)), tmp_path / "file" / "p.json")
    assert "PERWATT_HOST_PROFILE" in str(caught.value.mend)


def test_wall_joules_from_the_sensors(tmp_path: Path) -> None:
    profile = made(host_root(tmp_path))
    value, low, high = wall_from(profile, sensors_j=300.0, seconds=10.0)
    truth = (40.25 + 1.3 * 30) * 10
    assert low < truth < high
    assert value == pytest.approx(truth, rel=0.01)
    assert low >= value * 0.95 and high <= value * 1.05
    twice = wall_from(profile, sensors_j=600.0, seconds=20.0)
    assert twice == pytest.approx((2 * value, 2 * low, 2 * high))
    for joules, seconds in ((1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(SpecError):
            wall_from(profile, joules, seconds)
    with pytest.raises(SpecError, match="no fit"):
        wall_from(msgspec.structs.replace(profile, sensors=None), 1.0, 1.0)
