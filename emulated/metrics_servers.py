"""A DCGM exporter and a Prometheus server on loopback, with true power traces behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulated.meter_server import Asked, MeterServer, PowerTrace, Sent

__all__ = ["DcgmExporter", "PrometheusServer"]

TEXT = (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),)


class DcgmExporter(MeterServer):
    """`/metrics` as dcgm-exporter 4 writes it, MIG slices listed with their whole GPU's counter."""

    def __init__(
        self,
        traces: Sequence[PowerTrace],
        *,
        mig: Mapping[int, Sequence[str]] | None = None,
        refresh_s: float = 0.0,
        counter: bool = True,
    ) -> None:
        """`mig`: ids of the slices of some GPUs. `refresh_s`: how rarely values are renewed."""
        super().__init__(self._route)
        self._traces, self._mig = list(traces), dict(mig or {})
        self._refresh_ns, self._counter = round(refresh_s * 1e9), counter
        self.lost: set[int] = set()
        """GPUs that have fallen off the bus."""

    def _route(self, asked: Asked) -> Sent:
        if asked.path != "/metrics":
            return Sent("404 page not found\n", 404, TEXT)
        t_ns = time.monotonic_ns()
        if self._refresh_ns:
            start = self._traces[0].start_ns
            t_ns = start + (t_ns - start) // self._refresh_ns * self._refresh_ns
        families: list[tuple[str, str, str, Callable[[int], str]]] = [
            ("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", lambda _: "1755"),
            ("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", lambda _: "41"),
            (
                "DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).",
                lambda gpu: f"{self._traces[gpu].power_w(t_ns):.6f}",
            ),
            (
                "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter",
                "Total energy consumption since boot (in mJ).",
                lambda gpu: f"{self._traces[gpu].energy_j(t_ns) * 1000:.0f}",
            ),
            ("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", lambda _: "37"),
            ("DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).", lambda _: "2048"),
        ]  # fmt: skip
        lines = []
        for name, kind, text, value in families:
            if name.endswith("CONSUMPTION") and not self._counter:
                continue
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            for gpu in range(len(self._traces)):
                if gpu not in self.lost:
                    rows = self._labels(gpu)
                    lines += [f"{name}{{{labels}}} {value(gpu)}" for labels in rows]
        return Sent("\n".join(lines) + "\n", 200, TEXT)

    def _labels(self, gpu: int) -> list[str]:
        head = (
            f'gpu="{gpu}",UUID="GPU-6d5c0ac5-74d7-3130-46f1-e93ed57f469{gpu}",'
            f'pci_bus_id="00000000:{gpu:02X}:00.0",device="nvidia{gpu}",'
            'modelName="NVIDIA A800-SXM4-80GB"'
        )
        tail = 'Hostname="node-35",DCGM_FI_DRIVER_VERSION="590.48.01"'
        slices = self._mig.get(gpu)
        if not slices:
            return [f"{head},{tail}"]
        return [f'{head},GPU_I_PROFILE="2g.20gb",GPU_I_ID="{each}",{tail}' for each in slices]


class PrometheusServer(MeterServer):
    """`/api/v1/query` for selectors by name, with scrapes at their own times and a wall clock.

    It evaluates `time()`, `NAME`, `sum(NAME)`, `NAME[range]`, and the union of a selector with the
    dates of its scrapes; anything else is the parse error that the real one gives.
    """

    def __init__(
        self,
        series: Mapping[str, Sequence[tuple[Mapping[str, str], PowerTrace, str]]],
        *,
        scrape_s: float = 0.1,
        ahead_s: float = 1.7e9,
    ) -> None:
        """`series`: by name (labels, trace, what to show: `joules` or `watts`).

        `ahead_s`: the server's wall clock less our monotonic one.
        """
        super().__init__(self._route)
        self._series, self._scrape_ns = series, round(scrape_s * 1e9)
        self.ahead_s = ahead_s
        self.down = False

    def _route(self, asked: Asked) -> Sent:
        if asked.path != "/api/v1/query":
            return Sent("404 page not found", 404, TEXT)
        now_ns = time.monotonic_ns()
        now_s = round(now_ns / 1e9 + self.ahead_s, 3)
        query = asked.query.get("query", "")
        if query == "time()":
            return _success("scalar", [now_s, str(now_s)])
        name = query.partition(" or ")[0]
        dates = f'label_replace(timestamp({name}), "perwatt_scraped", "1", "", "")'
        bare = name.removeprefix("sum(").removesuffix(")").partition("[")[0]
        if query not in (name, f"{name} or {dates}") or not bare.replace("_", "").isalnum():
            reason = f'invalid parameter "query": 1:1: parse error in {query!r}'
            body = {"status": "error", "errorType": "bad_data", "error": reason}
            return Sent(json.dumps(body), 400)
        if name.endswith("]"):
            return _success("matrix", [])
        scraped_ns = now_ns // self._scrape_ns * self._scrape_ns
        scraped_s = round(scraped_ns / 1e9 + self.ahead_s, 3)
        values: list[tuple[dict[str, str], float]] = []
        for labels, trace, shown in () if self.down else self._series.get(bare, ()):
            value = trace.energy_j(scraped_ns) if shown == "joules" else trace.power_w(scraped_ns)
            values.append(({"__name__": bare, **labels}, value))
        if name.startswith("sum("):
            values = [({}, sum(value for _, value in values))] if values else []
            scraped_s = now_s  # timestamp() of an expression is the moment of the question
        result = [{"metric": m, "value": [now_s, repr(value)]} for m, value in values]
        if query != name:
            for metric, _ in values:
                rest = {k: v for k, v in metric.items() if k != "__name__"}
                told = {**rest, "perwatt_scraped": "1"}
                result.append({"metric": told, "value": [now_s, repr(scraped_s)]})
        return _success("vector", result)


def _success(kind: str, result: Any) -> Sent:
    return Sent(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}))
