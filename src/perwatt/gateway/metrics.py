"""What Prometheus is told. Read when it asks: nothing of this is done on the way of a request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from perwatt.gateway.live_meter import LiveMeter
from perwatt.gateway.recorder import Recorder

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import CollectorRegistry

__all__ = ["BUCKETS_J", "Joules", "registry_of"]

BUCKETS_J = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 100_000)


class Joules:
    """Counts requests by their joules: the buckets of `perwatt_request_energy_joules`."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_J) + 1)
        self.sum_j = 0.0

    def add(self, energy_j: float) -> None:
        """One more request whose joules are all known."""
        at = next((n for n, top in enumerate(BUCKETS_J) if energy_j <= top), len(BUCKETS_J))
        self.counts[at] += 1
        self.sum_j += energy_j

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        total, found = 0, []
        for top, count in zip([*map(str, BUCKETS_J), "+Inf"], self.counts, strict=True):
            total += count
            found.append((top, float(total)))
        return found


def registry_of(meter: LiveMeter, recorder: Recorder, joules: Joules) -> CollectorRegistry:
    """A registry of our own: nothing of the interpreter's or of anybody else's is in it."""
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(_Collector(meter, recorder, joules))
    return registry


class _Collector:
    def __init__(self, meter: LiveMeter, recorder: Recorder, joules: Joules) -> None:
        self._meter = meter
        self._recorder = recorder
        self._joules = joules

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        meter = self._meter
        meter.take_over()
        yield from self._power()
        parts = CounterMetricFamily(
            "perwatt_attributed_joules",
            "Where the counted domains' joules went; the parts sum to the device's",
            labels=["part"],
        )
        ledger = meter.ledger
        parts.add_metric(["requests"], ledger.requests_j)
        parts.add_metric(["idle"], ledger.idle_j)
        parts.add_metric(["unattributed"], ledger.unattributed_j)
        yield parts
        yield HistogramMetricFamily(
            "perwatt_request_energy_joules",
            "Gross joules of finished requests, by the live attribution",
            buckets=self._joules.buckets(),
            sum_value=self._joules.sum_j,
        )
        requests = CounterMetricFamily(
            "perwatt_requests", "Requests that have ended", labels=["status", "model"]
        )
        for (status, model), count in self._recorder.requests.items():
            requests.add_metric([status, model], count)
        yield requests
        tokens = CounterMetricFamily("perwatt_tokens", "Tokens counted", labels=["kind", "model"])
        for (kind, model), count in self._recorder.tokens.items():
            tokens.add_metric([kind, model], count)
        yield tokens
        yield GaugeMetricFamily("perwatt_in_flight", "Requests in flight", value=meter.in_flight)
        yield CounterMetricFamily(
            "perwatt_cpu_seconds", "CPU time of perwatt itself", value=time.process_time()
        )

    def _power(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        meter = self._meter
        if meter.picked is None:
            return
        labels = ["domain", "boundary", "grade"]
        energy = CounterMetricFamily(
            "perwatt_energy_joules", "Joules drawn since the start", labels=labels
        )
        power = GaugeMetricFamily("perwatt_power_watts", "Watts of the last tick", labels=labels)
        totals = meter.curve.totals()
        for domain in meter.picked.domains:
            energy_j, power_w = totals[domain.name]
            named = [domain.name, domain.boundary, domain.grade]
            energy.add_metric(named, energy_j)
            if power_w is not None:
                power.add_metric(named, power_w)
        yield energy
        yield power
        baseline = meter.baseline()
        if baseline is not None:
            yield GaugeMetricFamily(
                "perwatt_idle_power_watts",
                "The rolling idle that net joules subtract",
                value=baseline.power_w,
            )
            yield GaugeMetricFamily(
                "perwatt_idle_age_seconds", "Since it was last measured", value=baseline.age_s
            )
