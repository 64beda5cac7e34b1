"""A request's joules against an emulated device whose true joules are known, one in flight.

    python benchmarks/attribution_truth.py

70 W idle, each request at a power of its own from 150 to 500 W, a counter seen at its ticks alone.
"""

from __future__ import annotations

import time

import numpy as np

from perwatt.attribution.check import residual
from perwatt.attribution.integrate import Curve
from perwatt.attribution.ledger import attribute

REQUESTS, SECOND = 2000, 1_000_000_000


def main() -> None:
    print(f"{REQUESTS} requests of 1 to 8 s: error of gross joules")
    print("tick      median      p90   intervals that hold the truth")
    for tick_ms in (1, 20, 100):
        median, p90, held = errors(tick_ms)
        print(f"{tick_ms:3d} ms {median:10.2%} {p90:8.2%} {held:12.0%}")
    seconds, left = scale()
    print(f"100,000 requests over 1,000,000 ticks: {seconds:.1f} s, residual {left:.0e}")


def errors(tick_ms: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(tick_ms)
    length = rng.integers(SECOND, 8 * SECOND, REQUESTS)
    end = np.cumsum(length + rng.integers(0, SECOND, REQUESTS)) + SECOND
    start = end - length
    power = rng.uniform(150, 500, REQUESTS)
    knots = np.unique(np.concatenate([[0], start, end, [end[-1] + SECOND]]))
    watts = np.full(len(knots) - 1, 70.0)
    watts[np.searchsorted(knots, start)] = power
    energy = np.concatenate(([0.0], np.cumsum(np.diff(knots) / 1e9 * watts)))
    t = np.arange(rng.integers(0, tick_ms * 1_000_000), knots[-1], tick_ms * 1_000_000)
    curve = Curve(t, np.interp(t, knots, energy), np.ones(len(t) - 1, dtype=np.bool_))
    out = attribute(curve, [(t[0], t[-1])], start, start, end)
    truth = power * length / 1e9
    error = np.abs(out.gross_j - truth) / truth
    held = (out.low_j <= truth) & (truth <= out.high_j)
    return float(np.median(error)), float(np.quantile(error, 0.9)), float(held.mean())


def scale() -> tuple[float, float]:
    rng = np.random.default_rng(0)
    t = np.arange(1_000_000, dtype=np.int64) * 50_000_000
    joules = np.cumsum(rng.uniform(5, 25, len(t)))
    start = np.sort(rng.integers(0, t[-1] - 10 * SECOND, 100_000))
    end = start + rng.integers(SECOND, 8 * SECOND, len(start))
    curve = Curve(t, joules, np.ones(len(t) - 1, dtype=np.bool_))
    began = time.perf_counter()
    out = attribute(curve, [(t[0], t[-1])], start, start + SECOND // 4, end)
    return time.perf_counter() - began, abs(residual(out))


if __name__ == "__main__":
    main()
