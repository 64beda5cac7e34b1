"""NVIDIA GPUs through a DCGM exporter's /metrics: one domain for each whole GPU.

`DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION` (mJ since the driver was loaded), `DCGM_FI_DEV_POWER_USAGE`
(W): docs.nvidia.com/datacenter/dcgm, DCGM Exporter Metrics. Every MIG slice is listed with the
counter of its whole GPU (NVIDIA/dcgm-exporter #317), which is counted once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.http_meter import Answer, HttpMeter
from perwatt.sensors.http_meter_address import parse_address
from perwatt.sensors.http_meter_auth import credentials_from
from perwatt.sensors.poller import Opened, PolledSensor
from perwatt.sensors.prometheus_text import parse_text

__all__ = ["DcgmSensor"]

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
POWER = "DCGM_FI_DEV_POWER_USAGE"
GAIN_COUNTER = (0.95, 1.05)
"""NVML's counter behind it: ±5% is documented for old boards only, and assumed for the rest."""
GAIN_GAUGE = (0.7, 1.3)
"""As for any sampled GPU gauge: boards sample a part of the time (arXiv 2312.02741)."""


class _Gpu(NamedTuple):
    """One whole GPU in one answer."""

    model: str
    host: str
    slices: frozenset[str]
    values: dict[str, float]


class DcgmSensor(PolledSensor):
    """`dcgm:http://HOST:9400/metrics`, with `?gpus=0,2` for some of the GPUs.

    The exporter refreshes its values every 30 s unless it is started with `-c 1000` or less, so
    readings repeat in between: see the tick that is measured at the start.
    """

    def open(self) -> Opened:
        address = parse_address(
            "dcgm",
            self.address,
            port=9400,
            options=("gpus",),
            example="http://HOST:9400/metrics",
        )
        credentials = credentials_from("dcgm", "perwatt", basic=address.scheme == "https")
        meter = self.device = HttpMeter(address, credentials=credentials)
        target = address.path or "/metrics"
        answer = meter.get(target)
        gpus = _gpus(meter, answer)
        named = address.options.get("gpus")
        wanted = list(gpus) if named is None else named.split(",")
        missing = [index for index in wanted if index not in gpus]
        if missing:
            msg = f"{meter.named} has no GPU {missing[0]!r}."
            raise SensorUnavailableError(msg, f"It has: {', '.join(gpus)}.")
        prefix = address.options.get("domain", "gpu")
        domains = tuple(_domain(f"{prefix}{index}", gpus[index]) for index in wanted)

        def readings(now: Answer) -> tuple[Reading, ...]:
            seen = _gpus(meter, now)
            return tuple(
                _reading(domain, seen.get(index), now)
                for domain, index in zip(domains, wanted, strict=True)
            )

        def ask() -> Sequence[Reading]:
            return readings(meter.get(target))

        period_s = address.number("period", 0.5, 0.05, 60.0)
        return Opened(domains, ask, period_s, readings(answer))


def _gpus(meter: HttpMeter, answer: Answer) -> dict[str, _Gpu]:
    """By the exporter's `gpu` label, each once however many slices it has."""
    try:
        samples, _ = parse_text(answer.body.decode())
    except (UnicodeDecodeError, ValueError) as error:
        msg = f"{meter.named} sent something else than metrics: {error}."
        raise SensorUnavailableError(msg, "See that the address is a DCGM exporter's.") from None
    found: dict[str, _Gpu] = {}
    for sample in samples:
        index = sample.labels.get("gpu")
        if index is None or not math.isfinite(sample.value):
            continue
        labels = sample.labels
        before = found.get(index)
        slices = before.slices if before else frozenset()
        if "GPU_I_ID" in labels:
            slices |= {labels["GPU_I_ID"]}
            # A slice's own utilisation or memory is not the GPU's; energy and power are.
            if sample.name not in (ENERGY, POWER):
                continue
        values = before.values if before else {}
        values.setdefault(sample.name, sample.value)
        model, host = labels.get("modelName", "NVIDIA GPU"), labels.get("Hostname", "")
        found[index] = _Gpu(model, host, slices, values)
    gpus = {index: gpu for index, gpu in found.items() if {ENERGY, POWER} & set(gpu.values)}
    if not gpus:
        msg = f"{meter.named} exports neither {ENERGY} nor {POWER}."
        raise SensorUnavailableError(msg, "Add them to the exporter's counters file.")
    return gpus


def _domain(name: str, gpu: _Gpu) -> Domain:
    counter = ENERGY in gpu.values
    gain = GAIN_COUNTER if counter else GAIN_GAUGE
    note = "the exporter refreshes every 30 s unless told otherwise (-c, milliseconds)"
    if gpu.slices:
        count = len(gpu.slices)
        note += f"; MIG is on: {count} slices share this counter, and it is counted once"
    return Domain(
        name=name,
        kind="counter" if counter else "gauge",
        boundary="accelerator",
        source="dcgm",
        grade="B" if counter else "C",
        device=f"{gpu.model} of {gpu.host}" if gpu.host else gpu.model,
        gain_low=gain[0],
        gain_high=gain[1],
        note=note,
    )


def _reading(domain: Domain, gpu: _Gpu | None, answer: Answer) -> Reading:
    values = gpu.values if gpu else {}
    energy_mj = values.get(ENERGY) if domain.kind == "counter" else None
    power_w = values.get(POWER)
    if energy_mj is None and (domain.kind == "counter" or power_w is None):
        why = f"The exporter no longer lists {domain.name}: see that the GPU has not failed."
        return Reading(domain=domain.name, t_ns=answer.t_ns, error=why)
    percent, megabytes = values.get("DCGM_FI_DEV_GPU_UTIL"), values.get("DCGM_FI_DEV_FB_USED")
    return Reading(
        domain=domain.name,
        t_ns=answer.t_ns,
        counter_j=None if energy_mj is None else energy_mj / 1e3,
        power_w=power_w,
        utilization=None if percent is None else percent / 100,
        memory_bytes=None if megabytes is None else round(megabytes * 2**20),
        temperature_c=values.get("DCGM_FI_DEV_GPU_TEMP"),
        clock_mhz=values.get("DCGM_FI_DEV_SM_CLOCK"),
        clock_error_ns=answer.clock_error_ns,
    )
