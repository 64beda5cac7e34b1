"""Can CPU power be told from CPU load? Fits the estimated sensor's curve, one host left out.

    python benchmarks/cpu_power_curve.py [codecarbon_cpu_load_vs_rapl_vs_wall.csv]

The data are five hosts' RAPL watts at 0 to 100% load, from mlco2/codecarbon (MIT), commit b05965e4,
data/hardware/cpu_load_profiling. They are not part of this repository.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEFAULT = Path(__file__).parents[2] / "shared/data/energy/codecarbon_cpu_load_vs_rapl_vs_wall.csv"

# Watts of all sockets of each host: TDP × sockets, the sockets told from the thread count.
RATED_W = {
    "AMD_EPYC_8024P_8C": 90.0,
    "AMD_Threadripper": 180.0,
    "E3-1240": 69.0,
    "E5-1240": 69.0,
    "E5-2620": 2 * 85.0,
}
T_975 = {4: 2.776, 3: 3.182}
"""Student's t, two-sided 95%, by degrees of freedom."""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not path.exists():
        print(
            f"Skipped: {path.name} is not here. Give its path (see the docstring for its source)."
        )
        return
    hosts, load, share = read(path)
    a, b, g = fit(load, share)
    print(f"{len(load)} rows, {len(RATED_W)} hosts, load 5% and above")
    print(f"P / rated = {a:.3f} + {b:.3f} × load^{g:.2f}")
    print(f"below 5% load: P / rated = {idle_share(path):.4f}, a package asleep")
    print("\nleft out                 n   median error   mean truth/estimate")
    errors: list[float] = []
    centres: list[float] = []
    for host in RATED_W:
        out = hosts == host
        left = fit(load[~out], share[~out])
        logs = np.log(share[out] / curve(left, load[out]))
        errors += list(logs)
        centres.append(float(logs.mean()))
        print(
            f"{host:22} {out.sum():3d} {np.median(np.abs(np.expm1(-logs))):13.0%}"
            f" {math.exp(centres[-1]):15.2f}×"
        )
    logs = np.array(errors)
    print(
        f"\nmedian absolute error {np.median(np.abs(np.expm1(-logs))):.0%}, "
        f"p90 {np.quantile(np.abs(np.expm1(-logs)), 0.9):.0%}"
    )
    low, high = np.exp(np.quantile(logs, [0.025, 0.975]))
    print(f"rows: 95% of truth/estimate lies in {low:.2f}× to {high:.2f}×")
    # Five hosts are the sample, not the rows: a sixth host is predicted with Student's t.
    within = float(np.sqrt(np.mean([np.var(logs[hosts == h]) for h in RATED_W])))
    between = float(np.std(centres, ddof=1))
    spread = T_975[len(centres) - 1] * math.hypot(between * math.sqrt(1 + 1 / len(centres)), within)
    print(
        f"a sixth host: {math.exp(-spread):.2f}× to {math.exp(spread):.2f}×, from the spread "
        f"between hosts (sd of log {between:.2f}) and along one curve ({within:.2f})"
    )


def idle_share(path: Path) -> float:
    """Median over hosts of RAPL over rated watts below 5% load."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["cpu_load"]) < 5]
    by_host = {
        h: [float(row["rapl_power"]) / RATED_W[h] for row in rows if row["host"] == h]
        for h in RATED_W
    }
    return float(np.median([np.mean(shares) for shares in by_host.values() if shares]))


def read(path: Path) -> tuple[NDArray[np.str_], Floats, Floats]:
    """host (n,), load 0 to 1 (n,), RAPL watts over rated watts (n,)."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["cpu_load"]) >= 5]
    hosts = np.array([row["host"] for row in rows])
    load = np.array([min(float(row["cpu_load"]) / 100, 1.0) for row in rows])
    share = np.array([float(row["rapl_power"]) / RATED_W[row["host"]] for row in rows])
    return hosts, load, share


def fit(load: Floats, share: Floats) -> tuple[float, float, float]:
    """a, b, g of `a + b·load^g`, a ≥ 0, by least squares of the logarithm over a grid."""
    best = (math.inf, 0.0, 1.0, 1.0)
    for a_over_b in np.linspace(0.0, 0.6, 61):
        for g in np.linspace(0.2, 1.5, 66):
            shape = a_over_b + load**g
            scale = float(np.exp(np.mean(np.log(share / shape))))
            loss = float(np.sum(np.log(share / (scale * shape)) ** 2))
            if loss < best[0]:
                best = (loss, scale * float(a_over_b), scale, float(g))
    return best[1], best[2], best[3]


def curve(params: tuple[float, float, float], load: Floats) -> Floats:
    a, b, g = params
    return a + b * load**g


if __name__ == "__main__":
    main()
