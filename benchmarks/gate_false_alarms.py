"""How often a build's gate fails, passes or stays undecided, by what truly changed.

    python -m benchmarks.gate_false_alarms [--builds 300]

`perwatt compare --fail-if`: two runs of one workload, drawn anew for each build. Items are hard or
easy, long or short, for both runs alike; right or wrong, and joules, are drawn for each. A change
that is exactly the threshold should fail at most 2.5% of builds and pass at most 2.5%; a gate must
almost never fail where nothing changed. Shares with 95% Wilson intervals.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from perwatt.core.records import Columns
from perwatt.core.summary import EnergyLedger
from perwatt.metrics.comparison import common_rows
from perwatt.metrics.paired_metrics import ComparedSide, compare_metrics
from perwatt.stats.intervals import wilson
from perwatt.study.gates import judge_gates, parse_gate

ACCURACY = 0.6
OUTCOMES = ("fail", "undecided", "pass", "unjudged")
CASES = {
    "accuracy < -2pt": (0.0, -0.02, -0.08),
    "ipj < -5%": (0.0, -0.05, -0.20),
    "energy_gross_j > 3%": (0.0, 0.03, 0.06),
}
"""True changes: of shares in points, else relative."""


def rows(right: NDArray[np.bool_], joules: NDArray[np.float64]) -> Columns:
    n = right.size
    return {
        "item_id": [f"q{k}" for k in range(n)],
        "status": ["ok"] * n,
        "repeat": [0] * n,
        "score": right.astype(float).tolist(),
        "energy_gross_j": joules.tolist(),
        "grade": ["B"] * n,
        "boundary": ["accelerator"] * n,
        "scheduled_ns": [0] * n,
        "dispatched_ns": [0] * n,
        "first_chunk_ns": [10**8] * n,
        "first_answer_ns": [10**8] * n,
        "last_chunk_ns": [10**9] * n,
    }


def build(rng: np.random.Generator, gate: str, change: float, items: int) -> str:
    """The outcome of one build whose true change is `change`."""
    ease = rng.beta(1.2, 0.8, items)  # mean 0.6
    length = rng.lognormal(0, 0.6, items)
    share = 1 + change / ACCURACY if gate.startswith("accuracy") else 1.0
    cost = 1.0
    if gate.startswith("ipj"):
        cost = 1 / (1 + change)
    elif gate.startswith("energy"):
        cost = 1 + change
    sides = []
    for right, joules in ((1.0, 1.0), (share, cost)):
        own = rng.random(items)
        sides.append(rows(own < ease * right, joules * length * rng.lognormal(0, 0.1, items)))
    a, b = common_rows(*sides)
    ledger = EnergyLedger(
        pair_id="m",
        device_j=1.0,
        requests_j=1.0,
        idle_j=0.0,
        unattributed_j=0.0,
        prefill_j=0.0,
        decode_j=0.0,
        idle_power_w=None,
        window_s=1.0,
        domains=("gpu0",),
        boundary="accelerator",
        grade="B",
        gain_low=1.0,
        gain_high=1.0,
    )
    parsed = parse_gate(gate)
    known = ComparedSide(label="m", ledger=ledger)
    found = compare_metrics(
        a, b, known, known, [parsed.metric], same_sensor=True, rng=rng, draws=500
    )
    return judge_gates([parsed], found)[0].outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--builds", type=int, default=300)
    builds = parser.parse_args().builds
    print(f"{builds} builds a row; share of each outcome [its 95% interval]")
    print(f"{'gate':22}{'items':>6}{'true':>8}", *(f"{name:>22}" for name in OUTCOMES))
    for gate, changes in CASES.items():
        for items in (100, 500):
            for change in changes:
                rng = np.random.default_rng([items, int(1000 * abs(change)), len(gate)])
                found = Counter(build(rng, gate, change, items) for _ in range(builds))
                cells = (
                    "{:.1%} [{:.1%}, {:.1%}]".format(
                        found[name] / builds, *wilson(found[name], builds)
                    )
                    for name in OUTCOMES
                )
                told = f"{100 * change:+.0f}%" if "%" in gate else f"{100 * change:+.0f} pt"
                print(f"{gate:22}{items:>6}{told:>8}", *(f"{c:>22}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
