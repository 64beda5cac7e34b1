"""The emulated powercap tree against its own truth, and read as one reads sysfs."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulated.powercap import AMD_UNIT_NJ, INTEL_UNIT_NJ, EmulatedZone, VirtualPowercap, amd, intel

S = 1_000_000_000
RAMP = ((0, 100 * S), (0.0, 5_000.0))  # 50 W


def energy(tree: VirtualPowercap, name: str) -> int:
    return int((tree.path(name) / "energy_uj").read_text())


def test_the_layout_is_the_kernels(tmp_path: Path) -> None:
    tree = VirtualPowercap(
        tmp_path,
        [
            intel(RAMP, dram=RAMP, core=RAMP, tdp_w=95.0),
            EmulatedZone("psys", *RAMP),
            EmulatedZone("package-0", *RAMP, control="intel-rapl-mmio"),
        ],
    )
    assert sorted(p.name for p in tree.root.iterdir()) == [
        "intel-rapl",
        "intel-rapl-mmio",
        "intel-rapl-mmio:0",
        "intel-rapl:0",
        "intel-rapl:0:0",
        "intel-rapl:0:1",
        "intel-rapl:1",
    ]
    zone = tree.root / "intel-rapl:0"
    assert zone.is_symlink() and (zone / "intel-rapl:0:1" / "name").read_text() == "dram\n"
    assert (zone / "constraint_0_max_power_uw").read_text() == "95000000\n"
    # What a Xeon and an EPYC say.
    assert (zone / "max_energy_range_uj").read_text() == "262143328850\n"
    assert amd(RAMP).max_range_uj == 65_532_610_987
    assert not list(tree.root.glob("**/.*"))


@given(
    st.integers(0, 100 * S),
    st.sampled_from([0.0, 0.001, 0.02, 0.1]),
    st.sampled_from([0.0, 0.013]),
    st.sampled_from([INTEL_UNIT_NJ, AMD_UNIT_NJ]),
)
def test_what_is_shown_is_the_truth_of_the_last_tick(
    t_ns: int, tick_s: float, lag_s: float, unit_nj: int
) -> None:
    zone = EmulatedZone("package-0", *RAMP, tick_s=tick_s, lag_s=lag_s, unit_nj=unit_nj)
    shown = zone.energy_uj(t_ns)
    assert shown is not None
    behind_j = zone.true_j(t_ns) - shown / 1e6
    assert -1e-6 <= behind_j <= 50 * (tick_s + lag_s) + unit_nj / 1e9 + 2e-6


def test_gain_wrap_and_start(tmp_path: Path) -> None:
    zone = EmulatedZone(
        "package-0", *RAMP, tick_s=0, gain=1.1, unit_nj=1000, range_units=10**9, start_units=10**8
    )
    tree = VirtualPowercap(tmp_path, [zone])
    seen = []
    for second in range(40):
        tree.at(second * S)
        seen.append(energy(tree, "package-0"))
    assert seen[0] == 10**8 and max(seen) < 10**9
    deltas = [(b - a) % 10**9 for a, b in pairwise(seen)]
    assert sum(deltas) / 1e6 == pytest.approx(39 * 50 * 1.1, abs=1e-4)


def test_faults_come_and_go(tmp_path: Path) -> None:
    zone = EmulatedZone(
        "package-0",
        *RAMP,
        unit_nj=1000,
        frozen_ns=(S, 2 * S),
        zero_ns=(3 * S, 4 * S),
        missing_ns=(5 * S, 6 * S),
        garbage_ns=(7 * S, 8 * S),
        reset_ns=9 * S,
    )
    tree = VirtualPowercap(tmp_path, [zone])
    file = tree.path("package-0") / "energy_uj"

    def joules(t_ns: int) -> float:
        tree.at(t_ns)
        return int(file.read_text()) / 1e6

    assert joules(S + S // 2) == joules(S) == 50.0
    assert joules(2 * S) == 100.0
    assert joules(3 * S) == 0.0
    assert joules(4 * S) == 200.0
    tree.at(5 * S)
    with pytest.raises(FileNotFoundError):
        file.read_text()
    assert joules(6 * S) == 300.0
    tree.at(7 * S)
    assert file.read_text() == ""
    assert joules(9 * S) == 0.0
    assert joules(10 * S) == 50.0


def test_permissions_and_masking(tmp_path: Path) -> None:
    tree = VirtualPowercap(tmp_path, [EmulatedZone("package-0", *RAMP, mode=0o400)])
    file = tree.path("package-0") / "energy_uj"
    tree.at(3 * S)
    assert file.stat().st_mode & 0o777 == 0o400 & ~_umask()
    tree.mask()
    assert os.path.lexists(tree.root / "intel-rapl:0")
    assert not (tree.root / "intel-rapl:0").exists()
    tree.at(4 * S)  # nothing is left to write


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def test_a_reader_never_sees_half_a_number(tmp_path: Path) -> None:
    now = time.monotonic_ns()
    zone = EmulatedZone("package-0", (now, now + 100 * S), (0.0, 9_900_000.0))
    tree = VirtualPowercap(tmp_path, [zone])
    with tree.running():
        seen: list[int] = []
        while len(set(seen)) < 10 or len(seen) < 3000:
            seen.append(energy(tree, "package-0"))
    assert seen == sorted(seen)
    tree.at(now)
    assert energy(tree, "package-0") == 0


@pytest.mark.parametrize("process", [False, True])
def test_in_real_time_the_files_follow_the_clock(tmp_path: Path, process: bool) -> None:
    now = time.monotonic_ns()
    zone = EmulatedZone("package-0", (now, now + 100 * S), (0.0, 1e5), tick_s=0.01)
    tree = VirtualPowercap(tmp_path, [zone])
    with tree.running(process=process):
        first = last = energy(tree, "package-0")
        while (last - first) / 1e6 < 50.0:  # 1000 W: a joule a millisecond
            time.sleep(0.01)
            last = energy(tree, "package-0")
            # It may be late on a busy machine, but never ahead of the truth.
            assert last / 1e6 <= (time.monotonic_ns() - now) / 1e6
    stood = energy(tree, "package-0")
    time.sleep(0.03)
    assert energy(tree, "package-0") == stood
    tree.at(now + S)
    assert energy(tree, "package-0") == zone.energy_uj(now + S)
