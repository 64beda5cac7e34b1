"""What test_emulated_nvml.py starts: answers questions of pynvml at given virtual times."""

from __future__ import annotations

import json
import sys
from typing import Any

import pynvml

from emulated.clock import virtual


def answer(t_ns: int, function: str, gpu: int, arguments: list[Any]) -> Any:
    virtual.set(t_ns)
    handle = pynvml.nvmlDeviceGetHandleByIndex(gpu)
    virtual.set(t_ns)
    if function == "fields":
        values = pynvml.nvmlDeviceGetFieldValues(handle, [tuple(a) for a in arguments])
        return [None if v.nvmlReturn else v.value.uiVal for v in values]
    if function == "utilization":
        return pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
    if function == "pids":
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return [[p.pid, p.gpuInstanceId] for p in found]
    if function == "timed":
        before = virtual.now_ns()
        energy_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return [before, energy_mj / 1e3, virtual.now_ns()]
    return getattr(pynvml, function)(handle, *arguments)


def main() -> None:
    virtual.set_step(0)
    pynvml.nvmlInit()
    for line in sys.stdin:
        try:
            result = answer(*json.loads(line))
        except pynvml.NVMLError as error:
            result = ["error", error.value]
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
