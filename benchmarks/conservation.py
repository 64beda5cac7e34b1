"""Do the parts sum to the whole? Requests + idle + unattributed against the device's joules.

    python benchmarks/conservation.py [ITEMS] [MODEL]

The device's joules are worked out here a second time, straight from power.parquet.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np

import perwatt


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
    print(f"{model}, {items} items of `core`, embedded engine")
    heads = ("requests J", "idle J", "unattrib. J", "sum J", "device J")
    print("in flight" + "".join(f"{head:>12s}" for head in heads) + "  sum/device-1   tok/s")
    with tempfile.TemporaryDirectory() as folder:
        for in_flight in (1, 2, 4):
            out = Path(folder, str(in_flight))
            summary = perwatt.run(model=[model], limit=items, load=f"closed:{in_flight}", out=out)
            ledger = summary.pairs[0].ledger
            if ledger is None:
                sys.exit(summary.energy_line)
            requests = sum_of_requests(out)
            total = requests + ledger.idle_j + ledger.unattributed_j
            device = device_joules(out)
            speed = summary.pairs[0].metrics["output_tokens_per_s"].value
            parts = (requests, ledger.idle_j, ledger.unattributed_j, total, device)
            cells = "".join(f"{joules:12.3f}" for joules in parts)
            rate = "unknown" if speed is None else f"{speed:.1f}"
            print(f"{in_flight:9d}{cells}{total / device - 1:14.1e}{rate:>8s}")
    print(summary.energy_line)


def sum_of_requests(run: Path) -> float:
    query = "SELECT sum(energy_gross_j) FROM read_parquet(?)"
    row = duckdb.execute(query, [str(run / "requests.parquet")]).fetchone()
    assert row is not None
    return float(row[0])


def device_joules(run: Path) -> float:
    """Counter differences over the load phases, every domain of the boundary, read anew."""
    saved = json.loads((run / "run.json").read_text())
    domains = [
        d["name"]
        for d in saved["energy"]["domains"]
        if d["boundary"] == saved["energy"]["boundary"]
    ]
    loads = [p for p in saved["phases"] if p["kind"] == "load"]
    total = 0.0
    for domain in domains:
        rows = duckdb.execute(
            "SELECT t_ns, counter_j FROM read_parquet(?) WHERE domain = ? AND counter_j IS NOT NULL"
            " ORDER BY t_ns",
            [str(run / "power.parquet"), domain],
        ).fetchall()
        t, counter = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
        for phase in loads:
            start, end = np.interp([phase["start_ns"], phase["end_ns"]], t, counter)
            total += end - start
    return total


if __name__ == "__main__":
    main()
