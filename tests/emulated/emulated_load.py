"""Work for the emulated GPU as benchmarks/gpu_probe.py asks for it: 400 W when told to, else 60 W.

The power rises in the emulated hardware itself: each order rewrites its truth from now on. The
argument is when the truth began.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from emulated.nvml import EmulatedGpu, write_state

IDLE_W, BUSY_W = 60.0, 400.0
S = 10**9


def main() -> None:
    state = Path(os.environ["EMULATED_NVML"])
    t_ns, joules = [int(sys.argv[1])], [0.0]

    def until(end_ns: int, watts: float) -> None:
        joules.append(joules[-1] + watts * (end_ns - t_ns[-1]) / S)
        t_ns.append(end_ns)

    def show() -> None:
        """What was, and idle from there on."""
        far_s = 600
        gpu = EmulatedGpu(
            [*t_ns, t_ns[-1] + far_s * S],
            [*joules, joules[-1] + IDLE_W * far_s],
            tick_s=0.02,
            lag_s=0.03,
            power_tick_s=0.01,
        )
        write_state(state, [gpu])

    until(time.monotonic_ns(), IDLE_W)
    show()
    for line in sys.stdin:
        begin_ns = time.monotonic_ns()
        until(begin_ns, IDLE_W)
        until(begin_ns + round(float(line) * S), BUSY_W)
        show()
        print(begin_ns, flush=True)
        time.sleep(float(line))


if __name__ == "__main__":
    main()
