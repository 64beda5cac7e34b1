"""What routing saves: the published idealised figures reproduced, and the same with real errors.

    python -m benchmarks.routing_savings [--noticed 0.5] [--router 0.01] [--trace FILE]

1. The printed savings (arXiv 2511.07885v4 §4.3) against `simulate` under the paper's assumptions,
   its oracle row taken as given: which cells come out within their rounding. For those that do
   not, which assumption would explain them, by interval arithmetic over the printed digits.
2. Whether the oracle row follows from the paper's other tables.
3. The same router with errors both ways, unnoticed wrong answers, its own use, the cloud's batch
   curve and standby: one assumption at a time.
4. With the joules that the paper prints for its devices in place of the oracle row's.

Options are assumptions of parts 3 and 4, printed with them. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.routing_published import Cell, column
from perwatt.predict.devices import find_device
from perwatt.routing.savings import Router, idealised, simulate
from perwatt.routing.savings_curve import BatchCurve, BatchPoint
from perwatt.routing.savings_mix import RESOURCES, Mix, Resource
from perwatt.routing.savings_plant import CloudPlant, LocalPlant, Plant
from perwatt.routing.savings_waterfall import Step, waterfall
from perwatt.routing.trace_demand import Demand, demand_of, shaped_demand
from perwatt.workloads.traces import read_arrivals

WORD: dict[Resource, str] = {"energy_j": "energy", "flop": "compute", "cost_usd": "cost"}
SIZES = ("4B", "8B", "14B", "20B")
LOCAL = ("Qwen3-4B", "Qwen3-8B", "Qwen3-14B", "GPT-OSS-20B")
CLOUD = "Qwen3-235B"
Printed = dict[Resource, dict[float, Cell]]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--noticed", type=float, default=0.5, help="wrong local answers noticed")
    options.add_argument(
        "--router", type=float, default=0.01, help="router's use, of a cloud query"
    )
    options.add_argument("--standby-w", type=float, default=10.0, help="of one idle local device")
    options.add_argument("--trace", type=Path, help="arrivals to take the day's shape from")
    given = options.parse_args()
    printed: Printed = {
        r: {float(key[0]): cell for key, cell in saved("Routing", r).items()} for r in RESOURCES
    }
    share = next(iter(column("Routing share", "share").values()))
    mix = calibrated(printed, share)
    reproduced(printed, mix)
    explained(printed, share)
    derived(printed, share)
    demand = day(given.trace)
    real(printed, mix, given, demand)
    own_joules(share, given, demand)


def saved(name: str, resource: Resource) -> dict[tuple[str, ...], Cell]:
    return column(name, "saving", resource=WORD[resource])


def calibrated(printed: Printed, share: Cell) -> Mix:
    """Queries that are all alike, with the local side's use that the oracle row implies."""
    a = share.value / 100
    return Mix.uniform(
        a,
        local={r: 1 - printed[r][1.0].value / share.value for r in RESOURCES},
        cloud=dict.fromkeys(RESOURCES, 1.0),
    )


def reproduced(printed: Printed, mix: Mix) -> None:
    print("1. The paper's own router: printed / simulated, % saved. Row 1.0 is given, not found.")
    print("   router   " + "".join(f"{WORD[r]:>28}" for r in RESOURCES))
    hits = 0
    for p in (1.0, 0.8, 0.6):
        cells = []
        for r in RESOURCES:
            value = 100 * (simulate(mix, idealised(p)).saved(r) or 0.0)
            # The oracle's own rounding carries over: p times as wide.
            slack = p * printed[r][1.0].half
            cell = printed[r][p]
            near = abs(value - cell.value) <= cell.half + slack + 1e-9
            hits += near
            mark = "holds" if near else f"off {cell.value - value:+.2f}"
            cells.append(f"{cell.value:9.1f} / {value:6.2f} {mark:>9}")
        print(f"   {p:4.1f}     " + "  ".join(cells))
    print(f"   {hits} of 9 within rounding (3 of them given).\n")


def explained(printed: Printed, share: Cell) -> None:
    print("   What would explain the row that is off?")
    for p in (0.8, 0.6):
        bounds = [
            (printed[r][p].low / printed[r][1.0].high, printed[r][p].high / printed[r][1.0].low)
            for r in RESOURCES
        ]
        low, high = max(b[0] for b in bounds), min(b[1] for b in bounds)
        each = ", ".join(f"{lo:.4f}–{hi:.4f}" for lo, hi in bounds)
        one = f"{low:.4f}–{high:.4f}" if low <= high else "no one accuracy fits all three"
        print(f"   - another accuracy for the row {p}: {each}: {one}")
    print("   - a fallback that costs less than the cloud by f points of its price:")
    for r in RESOURCES:
        spans = []
        for p in (0.8, 0.6):
            cell, oracle = printed[r][p], printed[r][1.0]
            edges = ((cell.low - p * oracle.high), (cell.high - p * oracle.low))
            spans.append(tuple(edge / (1 - p) for edge in edges))
        low, high = max(s[0] for s in spans), min(s[1] for s in spans)
        said = f"f = {low:.2f}–{high:.2f}" if low <= high else "no f fits both rows"
        print(f"     {WORD[r]:8} {said}")
    a = share.value / 100
    p_hat = max(printed[r][0.6].low / printed[r][1.0].high for r in RESOURCES)
    # Two standard deviations of the share of a·n local queries that are kept reach p_hat.
    most = 4 * 0.24 / (p_hat - 0.6) ** 2 / a
    print(
        f"   - chance, where each query's route is tossed: a sample of at most {most:,.0f} queries"
    )
    spread = math.sqrt(0.24 / 80.2e6 / a)
    print(f"     (2 sd from 0.6 to {p_hat:.4f}); of 80.2 million one sd is {spread:.5f}.\n")


def derived(printed: Printed, share: Cell) -> None:
    print("2. Does the oracle row follow from the paper's other tables?")
    totals = [
        column("Table 4", "coverage", benchmark=b)[("TOTAL",)].value
        for b in ("WildChat", "NaturalReasoning")
    ]
    print(
        f"   share served locally: mean of table 4's totals {totals[0]} and {totals[1]}"
        f" = {sum(totals) / 2:.2f}, printed {share.value}"
    )
    for r in RESOURCES:
        eight, nine = (saved(t, r)[("any ≤20B",)].value for t in ("Table 8", "Table 9"))
        note = "" if nine <= totals[1] else f"; {nine} is more than the {totals[1]} it can serve"
        print(
            f"   {WORD[r]:8} mean of tables 8 and 9 at 20B ({eight}, {nine})"
            f" = {(eight + nine) / 2:5.1f}, printed {printed[r][1.0].value}{note}"
        )
    billions = [float(size[:-1]) for size in SIZES]
    whole = float(CLOUD.rpartition("-")[2][:-1])
    compute = share.value * (1 - sum(billions) / len(billions) / whole)
    price = column("Table 10", "price", side="output")
    cheap = sum(price[(model,)].value for model in LOCAL) / len(LOCAL) / price[(CLOUD,)].value
    print(
        f"   compute by parameter counts, the four local models alike often: {compute:.1f},"
        f" printed {printed['flop'][1.0].value}"
    )
    print(
        f"   cost by table 10's output prices, likewise: {share.value * (1 - cheap):.1f},"
        f" printed {printed['cost_usd'][1.0].value}"
    )
    joules = local_joules()
    oracle = printed["energy_j"][1.0]
    least, most = (1 - (oracle.low / share.high), 1 - (oracle.high / share.low))
    print(
        f"   energy: a local answer would cost {100 * most:.2f}–{100 * least:.2f}% of a cloud one."
        f" Tables 13 and 14 give {joules / 1e3:.1f} kJ for Qwen3-8B on the M4 Max, so a cloud"
        f" answer {joules / least / 1e6:.1f}–{joules / most / 1e6:.1f} MJ; table 15's dearest is"
        f" {column('Table 15', 'energy_j')[('Qwen3-8B', '1')].value / 1e3:.1f} kJ.\n"
    )


def day(trace: Path | None) -> Demand:
    if trace is not None:
        found = demand_of(read_arrivals(trace), trace.name)
        return shaped_demand(80.2e6, found.per_s, f"80.2 M queries in the shape of {trace.name}")
    wave = [1 + 0.6 * math.sin(2 * math.pi * (hour - 8) / 24) for hour in range(24)]
    return shaped_demand(80.2e6, wave, "80.2 M queries, assumed day: a sine, peak 1.6 × mean")


def real(printed: Printed, mix: Mix, given: argparse.Namespace, demand: Demand) -> None:
    print("3. The same, made real one assumption at a time: % saved; answers lost, % of all")
    curve = batch_curve("Qwen3-8B", column("Table 15", "energy_j"))
    at = float(curve.energy_j(16.0))
    scaled = Mix.uniform(
        mix.local_right,
        local={r: x[0] * (at if r == "energy_j" else 1) for r, x in mix.local.used.items()},
        cloud={r: at if r == "energy_j" else 1.0 for r in RESOURCES},
    )
    plant = Plant(cloud=CloudPlant(curve=curve, measured_at=16.0, full_at=16.0, standby_w=idle_w()))
    print(f"   {demand.source}. Errs alike both ways; {given.noticed:.0%} of wrong local answers")
    print(f"   noticed; the router uses {given.router:.1%} of a cloud query. Batch curve: shape of")
    print(
        f"   table 15 (Qwen3-8B, B200), 16 in flight at the peak; standby {idle_w():.0f} W (H200)."
    )
    for p in (0.8, 0.6):
        router = Router(
            false_cloud=1 - p,
            false_local=1 - p,
            noticed=given.noticed,
            energy_j=given.router * at,
            cost_usd=given.router,
            flop=given.router,
        )
        show(f"router {p}", waterfall(scaled, router, plant, demand), RESOURCES)
        cells = "".join(percent(printed[r][p].value / 100) for r in RESOURCES)
        print(f"     {'printed':51}{cells}")
    print()


def own_joules(share: Cell, given: argparse.Namespace, demand: Demand) -> None:
    print("4. With the joules that the paper prints: local Qwen3-8B on the M4 Max (tables 13, 14),")
    print("   cloud GPT-OSS-120B on the B200 (table 15's IPJ, table 11's accuracy), 16 in flight")
    accuracy = (
        column("Table 11", "accuracy", benchmark="average of the row")[("GPT-OSS-120B",)].value
        / 100
    )
    ipj = column("Table 15", "ipj")
    joules = {
        key: Cell(accuracy / (cell.value * 1e-5), 0.0)
        for key, cell in ipj.items()
        if key[0] == "GPT-OSS-120B"
    }
    curve = batch_curve("GPT-OSS-120B", joules)
    local = local_joules()
    watts = column("Table 13", "ipw")[("Qwen3-8B", "M4 Max")].value * 1e-3
    seconds = watts / (column("Table 14", "ipj")[("Qwen3-8B", "M4 Max")].value * 1e-5)
    there = float(curve.energy_j(16.0))
    mix = Mix.uniform(
        share.value / 100,
        local={"energy_j": local},
        cloud={"energy_j": there},
        local_s=seconds,
        cloud_s=float(curve.seconds(16.0)),
    )
    plant = Plant(
        cloud=CloudPlant(curve=curve, measured_at=16.0, full_at=16.0, standby_w=idle_w()),
        local=LocalPlant(standby_w=given.standby_w),
    )
    print(
        f"   a query: {local / 1e3:.1f} kJ and {seconds:.0f} s here,"
        f" {there / 1e3:.2f} kJ there; {given.standby_w:g} W of an idle local device"
    )
    for p in (1.0, 0.8):
        router = Router(
            false_cloud=1 - p,
            false_local=1 - p,
            noticed=given.noticed,
            energy_j=given.router * there,
        )
        show(f"router {p}", waterfall(mix, router, plant, demand), ("energy_j",))


def show(title: str, steps: Sequence[Step], resources: Sequence[Resource]) -> None:
    """One line a step; then the last one's savings per right answer."""
    heads = "".join(f"{WORD[r]:>10}" for r in resources)
    print(f"   {title:53}{heads}      lost")
    for step in steps:
        values = "".join(percent(step.savings.saved(r)) for r in resources)
        print(f"     {step.name:51}{values}{percent(step.savings.right_lost)}")
    per_right = "".join(percent(steps[-1].savings.saved_per_right(r)) for r in resources)
    print(f"     {'all of it, per right answer':51}{per_right}")


def percent(share: float | None) -> str:
    return f"{'–':>10}" if share is None else f"{100 * share + 0.0:10.1f}"


def batch_curve(model: str, joules: dict[tuple[str, ...], Cell]) -> BatchCurve:
    """Of table 15; seconds from its watts (joules × in flight / watts), which it prints for
    Qwen3-8B alone: another model is taken to draw as much."""
    watts = column("Table 15", "power_w")
    points = []
    for key, cell in sorted(joules.items(), key=lambda item: float(item[0][1])):
        if key[0] == model:
            in_flight = float(key[1])
            seconds = cell.value * in_flight / watts[("Qwen3-8B", key[1])].value
            points.append(BatchPoint(in_flight=in_flight, energy_j=cell.value, seconds=seconds))
    return BatchCurve(tuple(points))


def local_joules() -> float:
    """Of one query to Qwen3-8B on the M4 Max: accuracy over IPJ."""
    key = ("Qwen3-8B", "M4 Max")
    accuracy = column("Table 13", "accuracy")[key].value / 100
    return accuracy / (column("Table 14", "ipj")[key].value * 1e-5)


def idle_w() -> float:
    device = find_device("H200")
    if device is None or device.idle_w is None:
        msg = "the catalogue of devices has no idle watts of the H200"
        raise LookupError(msg)
    return device.idle_w


if __name__ == "__main__":
    main()
