"""What a router between a laptop and a cloud saves: the slide's number, then the day's.

Nothing is measured here: queries, joules and errors are made up. With runs of your own,
`perwatt study DIR… --table savings` takes them from what was measured.
"""

from __future__ import annotations

from perwatt.routing.savings import Router
from perwatt.routing.savings_curve import BatchCurve, BatchPoint
from perwatt.routing.savings_mix import Mix
from perwatt.routing.savings_plant import CloudPlant, LocalPlant, Plant
from perwatt.routing.savings_waterfall import waterfall
from perwatt.routing.trace_demand import shaped_demand

NIGHT, DAY = 1.0, 4.0


def main() -> None:
    # The laptop answers 70% of the queries right, for 40 J in 8 s; the cloud takes 150 J.
    queries = Mix.uniform(
        0.7, local={"energy_j": 40.0}, cloud={"energy_j": 150.0}, local_s=8.0, cloud_s=6.0
    )
    router = Router(false_cloud=0.15, false_local=0.2, noticed=0.5, energy_j=1.0)
    # Joules per query fall as more are in flight; half the machines' day is night.
    curve = BatchCurve(
        (
            BatchPoint(in_flight=1, energy_j=900.0, seconds=3.0),
            BatchPoint(in_flight=16, energy_j=150.0, seconds=6.0),
        )
    )
    plant = Plant(
        cloud=CloudPlant(curve=curve, measured_at=16, full_at=16, standby_w=80.0),
        local=LocalPlant(standby_w=3.0),
    )
    demand = shaped_demand(200_000, [NIGHT, DAY], "a night and a day")
    for step in waterfall(queries, router, plant, demand):
        saved = step.savings.saved("energy_j")
        print(f"{step.name:55} {saved:7.1%} saved, {step.savings.right_lost:5.1%} answers lost")


if __name__ == "__main__":
    main()
