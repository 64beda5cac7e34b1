"""How far the estimate may be off: accelerators from their specifications, and what calibrating
one host buys. The CPU's curve itself has benchmarks/cpu_power_curve.py.

    python benchmarks/estimate_error.py [FOLDER]

FOLDER holds the public data, which are not part of this repository (a part whose file is missing is
skipped, with its name):
- mlenergy_v3_llm.csv, mlenergy_v2_llm.csv: watts of GPUs that serve, ML.ENERGY leaderboard at
  0cd52dab and leaderboard-v2 at c3af7f31;
- wilkins2024_llm_energy_runs.csv: joules and seconds of runs, grantwilkins/energy-inference at
  5c2cfa4a (no licence: only aggregates are printed);
- codecarbon_cpu_load_vs_rapl_vs_wall.csv: mlco2/codecarbon at b05965e4 (MIT),
  data/hardware/cpu_load_profiling.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perwatt.sensors.calibrate import Stretch, fit, predict
from perwatt.sensors.estimated_cpu import power_w

Floats = NDArray[np.float64]

DEFAULT = Path(__file__).parents[2] / "shared/data/energy"

RATED_W = {"H100": 700.0, "B200": 1000.0, "A100": 400.0, "V100": 300.0}
"""SXM parts, by the vendor's data sheets."""
T_975 = {2: 4.303, 3: 3.182}

CPU_RATED_W = {
    "AMD_EPYC_8024P_8C": 90.0,
    "AMD_Threadripper": 180.0,
    "E3-1240": 69.0,
    "E5-1240": 69.0,
    "E5-2620": 2 * 85.0,
}
"""Thermal design power of all sockets, as in cpu_power_curve.py."""
SHAPES = ("all_cores", "some_cores")
CALIBRATED_AT = (0.0, 0.25, 0.5, 1.0)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    accelerators(folder)
    print()
    calibrated_hosts(folder)
    print()
    wall(folder)


def accelerators(folder: Path) -> None:
    """Watts over rated watts of GPUs at work, one kind of GPU left out at a time."""
    shares = read_shares(folder)
    if len(shares) < 3:
        print("Accelerators: skipped, the ML.ENERGY and Wilkins files are not all here.")
        return
    print("Accelerators at work: watts as a share of rated watts")
    print("left out      n   2.5%  median  97.5%   truth/estimate: mean, 95% of its rows")
    logs: list[Floats] = []
    for kind, share in shares.items():
        others = [np.mean(np.log(s)) for k, s in shares.items() if k != kind]
        logs.append(np.log(share) - np.mean(others))
        low, mid, high = np.quantile(share, [0.025, 0.5, 0.975])
        rows = np.exp(np.quantile(logs[-1], [0.025, 0.975]))
        print(
            f"{kind:8} {len(share):6d}  {low:5.2f}  {mid:6.2f}  {high:5.2f}   "
            f"{math.exp(logs[-1].mean()):.2f}×, {rows[0]:.2f}× to {rows[1]:.2f}×"
        )
    middle = math.exp(float(np.mean([np.mean(np.log(s)) for s in shares.values()])))
    every = np.concatenate(logs)
    error = np.abs(np.expm1(-every))
    low, high = np.exp(np.quantile(every, [0.025, 0.975]))
    print(f"share of rated watts at work (mean of the kinds' logarithms): {middle:.2f}")
    print(f"median absolute error {np.median(error):.0%}, p90 {np.quantile(error, 0.9):.0%}")
    print(f"rows: 95% of truth/estimate lies in {low:.2f}× to {high:.2f}×")
    within = float(np.sqrt(np.mean([np.var(each) for each in logs])))
    between = float(np.std([np.mean(np.log(s)) for s in shares.values()], ddof=1))
    n = len(shares)
    spread = T_975[n - 1] * math.hypot(between * math.sqrt(1 + 1 / n), within)
    print(
        f"another kind: {math.exp(-spread):.2f}× to {math.exp(spread):.2f}× by Student's t (sd of "
        f"log between kinds {between:.2f}, within one {within:.2f}); rated watts bound it at "
        f"{1 / middle:.2f}×"
    )


def read_shares(folder: Path) -> dict[str, Floats]:
    """Watts per GPU over rated watts, by kind of GPU."""
    found: dict[str, list[float]] = {kind: [] for kind in RATED_W}
    for row in rows_of(folder / "mlenergy_v3_llm.csv"):
        watts = float(row["avg_power_w_all_gpus"]) / float(row["n_gpus"])
        found[row["gpu"]].append(watts / RATED_W[row["gpu"]])
    for row in rows_of(folder / "mlenergy_v2_llm.csv"):
        kind = "A100" if "A100" in row["gpu"] else "H100"
        watts = float(row["avg_power_w_all_gpus_derived"]) / float(row["n_gpus"])
        found[kind].append(watts / RATED_W[kind])
    for row in rows_of(folder / "wilkins2024_llm_energy_runs.csv"):
        kind = row["system"].rpartition("+")[2]
        if kind in RATED_W:
            watts = float(row["gpu_energy_j"]) / float(row["runtime_s"]) / float(row["n_gpus"])
            found[kind].append(watts / RATED_W[kind])
    return {kind: np.array(shares) for kind, shares in found.items() if shares}


def calibrated_hosts(folder: Path) -> None:
    """Fit watts = a + b × estimate at four loads of two shapes; predict every other load."""
    rows = rows_of(folder / "codecarbon_cpu_load_vs_rapl_vs_wall.csv")
    if not rows:
        print("Calibrating: skipped, codecarbon_cpu_load_vs_rapl_vs_wall.csv is not here.")
        return
    print("Calibrating the estimate on its host: RAPL watts at 0, 25, 50 and 100% load, with the")
    print("load on some cores and spread over all; every other load above 5% predicted")
    print("host                  b, 95%              held out  inside   before: p50    after: p50")
    before: list[float] = []
    after: list[float] = []
    slope_only: list[float] = []
    shapes: list[float] = []
    inside = 0
    for host, rated in CPU_RATED_W.items():
        own = [r for r in rows if r["host"] == host]
        shapes += shape_ratios(own)
        used, held = split(own, rated)
        found = fit(used)
        errors = []
        hits = 0
        for stretch in held:
            value, low, high = predict(found, stretch.sensors_w)
            hits += low <= stretch.meter_w <= high
            errors.append((stretch.sensors_w / stretch.meter_w, value / stretch.meter_w))
        inside += hits
        slope_only += [s.meter_w / (found.b * s.sensors_w) for s in held]
        ratios = np.abs(np.array(errors) - 1)
        before += list(ratios[:, 0])
        after += list(ratios[:, 1])
        print(
            f"{host:20}  {found.b:4.2f} [{found.b_low:.2f}, {found.b_high:.2f}]  {len(held):8d}  "
            f"{hits:6d}   {np.median(ratios[:, 0]):11.0%}   {np.median(ratios[:, 1]):11.0%}"
        )
    for name, errs in (("before", before), ("after", after)):
        print(
            f"{name}: median absolute error {np.median(errs):.0%}, p90 {np.quantile(errs, 0.9):.0%}"
        )
    print(f"95% intervals of the calibrated estimate hold {inside} of {len(after)} held-out watts")
    low, high = np.quantile(slope_only, [0.025, 0.975])
    print(
        "the slope alone, which is all a wall meter tells of a package: 95% of truth/(b × estimate)"
        f" lies in {low:.2f}× to {high:.2f}×"
    )
    print(
        f"the same load on some cores and over all (within 3 points, from 20%): watts differ by "
        f"{np.median(shapes):.2f}× in the median, {max(shapes):.1f}× at most, {len(shapes)} pairs"
    )


def shape_ratios(rows: list[dict[str, str]]) -> list[float]:
    """Greater over smaller watts of two shapes of load, at loads no more than 3 points apart."""
    points = [
        [(float(r["cpu_load"]), float(r["rapl_power"])) for r in rows if r["load_type"] == shape]
        for shape in SHAPES
    ]
    return [
        max(one / other, other / one)
        for load, one in points[0]
        for near, other in points[1]
        if load >= 20 and abs(load - near) <= 3
    ]


def split(rows: list[dict[str, str]], rated: float) -> tuple[list[Stretch], list[Stretch]]:
    """Stretches at the calibrated loads, and all others above 5% load."""
    used: list[Stretch] = []
    held: list[Stretch] = []
    for shape in SHAPES:
        points = [
            (min(float(r["cpu_load"]) / 100, 1.0), float(r["rapl_power"]))
            for r in rows
            if r["load_type"] == shape
        ]
        loads = np.array([load for load, _ in points])
        nearest = {int(np.argmin(np.abs(loads - at))): at for at in CALIBRATED_AT}
        for index, (load, watts) in enumerate(points):
            at = nearest.get(index)
            stretch = Stretch(
                load=load if at is None else at,
                kind=shape,
                seconds=30.0,
                sensors_w=power_w(rated, load),
                meter_w=watts,
            )
            if at is not None:
                used.append(stretch)
            elif load >= 0.05:
                held.append(stretch)
    return used, held


def wall(folder: Path) -> None:
    """The one host with a wall meter: wall = a + b × RAPL on one shape of load, tested on both."""
    rows = [
        row
        for row in rows_of(folder / "codecarbon_cpu_load_vs_rapl_vs_wall.csv")
        if float(row["tapo_power"]) > 0
    ]
    if not rows:
        print("Wall meter: skipped, codecarbon_cpu_load_vs_rapl_vs_wall.csv is not here.")
        return
    stretches = [
        Stretch(
            load=round(float(r["cpu_load"]), -1) / 100,
            kind=r["load_type"],
            seconds=float(r["duration"]),
            sensors_w=float(r["rapl_power"]),
            meter_w=float(r["tapo_power"]),
        )
        for r in rows
    ]
    used, held = stretches[::2], stretches[1::2]
    found = fit(used)
    errors = []
    inside = 0
    for stretch in held:
        value, low, high = predict(found, stretch.sensors_w)
        inside += low <= stretch.meter_w <= high
        errors.append(abs(value / stretch.meter_w - 1))
    print("A wall meter (Tapo plug, one reading a stretch) beside RAPL on the Threadripper host:")
    print(
        f"wall = {found.a_w:.0f} W [{found.a_low_w:.0f}, {found.a_high_w:.0f}] + {found.b:.2f} "
        f"[{found.b_low:.2f}, {found.b_high:.2f}] × RAPL, residual sd {found.residual_sd_w:.0f} W"
    )
    print(
        f"every other reading held out: median error {np.median(errors):.0%}, "
        f"p90 {np.quantile(errors, 0.9):.0%}, {inside} of {len(held)} inside the 95% interval"
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
