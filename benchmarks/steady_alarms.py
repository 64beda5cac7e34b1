"""How often a steady load is called unsteady, and how often a change is seen.

    python -m benchmarks.steady_alarms [--series 300]

Series of known nature and length to `stats.steady.change_of`: independent values, autoregressions,
sojourn times of stationary M/G/k queues (lognormal service, its coefficient of variation given),
and levels that ramp or begin high, with a spread of 30%.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable

import numpy as np

from perwatt.stats.steady import Floats, change_of

LENGTHS = (30, 60, 100, 300, 1000)
QUEUES = ((0.5, 1, 1.0), (0.5, 4, 1.5), (0.7, 8, 1.0), (0.8, 1, 1.0), (0.8, 4, 1.5))
Series = Callable[[np.random.Generator, int], Floats]


def autoregressive(coefficient: float) -> Series:
    def series(rng: np.random.Generator, n: int) -> Floats:
        noise = rng.normal(size=n + 200)
        for i in range(1, n + 200):
            noise[i] += coefficient * noise[i - 1]
        values: Floats = np.exp(0.3 * noise[200:])
        return values

    return series


def queue(load: float, servers: int, cv: float, length: int = 200_000) -> Series:
    """Cut at random from one long run."""
    rng = np.random.default_rng(7)
    arrivals = np.cumsum(rng.exponential(1 / (load * servers), length))
    variance = np.log(1 + cv**2)
    service = rng.lognormal(-variance / 2, np.sqrt(variance), length)
    free = [0.0] * servers
    times = np.empty(length)
    for i in range(length):
        begun = max(heapq.heappop(free), arrivals[i])
        heapq.heappush(free, begun + service[i])
        times[i] = begun + service[i] - arrivals[i]

    def series(rng: np.random.Generator, n: int) -> Floats:
        cut = int(rng.integers(20_000, length - n))
        return times[cut : cut + n]

    return series


def ramp(times: float) -> Series:
    def series(rng: np.random.Generator, n: int) -> Floats:
        level: Floats = np.exp(rng.normal(0, 0.3, n) + np.log(times) * np.linspace(0, 1, n))
        return level

    return series


def high_start(share: float, times: float) -> Series:
    def series(rng: np.random.Generator, n: int) -> Floats:
        level: Floats = np.exp(rng.normal(0, 0.3, n))
        level[: round(share * n)] *= times
        return level

    return series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--series", type=int, default=300)
    count = parser.parse_args().series
    steady = {f"autoregression of {c}": autoregressive(c) for c in (0.0, 0.5, 0.9)}
    steady |= {f"M/G/{k} at {load:.0%}, cv {cv}": queue(load, k, cv) for load, k, cv in QUEUES}
    changes = {f"ramp to {times}×": ramp(times) for times in (1.5, 2.0, 3.0)}
    changes |= {
        f"first {share:.0%} {times}×": high_start(share, times)
        for share, times in ((0.1, 3.0), (0.2, 2.0), (0.5, 1.5))
    }
    for title, group in (("false alarms", steady), ("changes seen", changes)):
        print(f"{title:28}" + "".join(f"{n:>8}" for n in LENGTHS))
        for name, series in group.items():
            rng = np.random.default_rng(1)
            shares = [
                np.mean([change_of(series(rng, n), rng=rng) is not None for _ in range(count)])
                for n in LENGTHS
            ]
            print(f"{name:28}" + "".join(f"{share:8.1%}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
