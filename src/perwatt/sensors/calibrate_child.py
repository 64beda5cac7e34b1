"""One worker of the calibration's load: a script, run in a process of its own by calibrate_load.

Reads lines `SHARE WORK` on stdin and from then on keeps one core busy for that share of the time,
with loops of integers or products of matrices. Ends with its stdin, so it cannot outlive whoever
started it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

import numpy as np

PERIOD_S = 0.02


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent closes stdin when it is interrupted
    matrix = np.linspace(-1.0, 1.0, 128 * 128, dtype=np.float32).reshape(128, 128)
    share, work = 0.0, "integer"
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if select.select([0], [], [], None if share == 0 else 0)[0]:
            asked = os.read(0, 4096).decode("ascii")
            if not asked:
                return
            text, work = asked.splitlines()[-1].split()
            share = float(text)
        begun = time.perf_counter()
        while time.perf_counter() - begun < share * PERIOD_S:
            if work == "matrix":
                matrix @ matrix
            else:
                sum(range(2000))
        time.sleep(max(0.0, PERIOD_S - (time.perf_counter() - begun)) if share < 1 else 0)


if __name__ == "__main__":
    main()
