"""The main tables' sums in polars or pandas, as somebody would write them there.

    python study_scale_frames.py polars|pandas FILE…

For each pair, kind, level and category: how many answers, and of score, joules (gross and net),
watts, prefill, decode, tokens and seconds the sums that a mean, a ratio of means and their
delta-method intervals need. JSON on stdout. Imports nothing of perwatt.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

KEYS = ["pair_id", "workload", "kind", "level", "category"]
READ = [
    *KEYS,
    "status",
    "score",
    "energy_gross_j",
    "energy_net_j",
    "prefill_j",
    "decode_j",
    "prompt_tokens",
    "completion_tokens",
    "dispatched_ns",
    "last_chunk_ns",
]
VALUES = [
    "score",
    "energy_gross_j",
    "energy_net_j",
    "prefill_j",
    "decode_j",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "watts",
    "net_watts",
]
CROSSED = ["energy_gross_j", "energy_net_j", "watts", "net_watts"]


def by_polars(files: list[str]) -> tuple[str, int, float]:
    pl: Any = import_module("polars")

    took = (pl.col("last_chunk_ns") - pl.col("dispatched_ns")) / 1e9
    rows = (
        pl.scan_parquet(files)
        .select(READ)
        .filter(~pl.col("status").is_in(["cancelled", "retried"]))
        .with_columns(
            seconds=took,
            watts=pl.col("energy_gross_j") / took,
            net_watts=pl.col("energy_net_j") / took,
        )
    )
    sums: list[Any] = [pl.len().alias("n")]
    for name in VALUES:
        x = pl.col(name).cast(pl.Float64)
        sums += [(x**power).sum().alias(f"{name}_{power}") for power in (1, 2, 3)]
    sums += [(pl.col("score") * pl.col(x)).sum().alias(f"score_{x}") for x in CROSSED]
    found = rows.group_by(KEYS).agg(sums).collect(engine="streaming")
    return pl.__version__, found.height, float(found["energy_gross_j_1"].sum())


def by_pandas(files: list[str]) -> tuple[str, int, float]:
    pd: Any = import_module("pandas")

    parts = []
    for file in files:  # one file at a time, or a tenth of the study would not fit
        rows = pd.read_parquet(file, columns=READ)
        rows = rows[~rows["status"].isin(["cancelled", "retried"])]
        rows["seconds"] = (rows["last_chunk_ns"] - rows["dispatched_ns"]) / 1e9
        rows["watts"] = rows["energy_gross_j"] / rows["seconds"]
        rows["net_watts"] = rows["energy_net_j"] / rows["seconds"]
        sums = {"n": rows["score"] * 0 + 1}
        for name in VALUES:
            x = rows[name].astype("float64")
            sums |= {f"{name}_{power}": x**power for power in (1, 2, 3)}
        sums |= {f"score_{x}": rows["score"] * rows[x] for x in CROSSED}
        parts.append(pd.DataFrame(sums).groupby([rows[key] for key in KEYS], observed=True).sum())
    found = pd.concat(parts).groupby(level=KEYS).sum()
    return pd.__version__, len(found), float(found["energy_gross_j_1"].sum())


def main() -> None:
    which, *files = sys.argv[1:]
    start = time.perf_counter()
    version, groups, joules = (by_polars if which == "polars" else by_pandas)(files)
    wall_s = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = Path("/proc/self/status")
    if status.exists():
        # Of this program alone: what its parent was before it began is in ru_maxrss too.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        peak = int(lines["VmHWM"].split()[0]) * 1024
    print(
        json.dumps(
            {
                "version": version,
                "groups": groups,
                "joules": joules,
                "wall_s": wall_s,
                "cpu_s": used.ru_utime + used.ru_stime,
                "peak_bytes": peak,
            }
        )
    )


if __name__ == "__main__":
    main()
