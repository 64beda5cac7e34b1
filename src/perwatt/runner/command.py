"""Joules of any command, once or repeated, as time(1) tells its seconds."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from perwatt.attribution.window import Window, mean_windows
from perwatt.core.clock import now_ns, seconds
from perwatt.core.errors import FileError, SpecError
from perwatt.runner.fill import FILL_S, is_filled
from perwatt.runner.host import cpu_shares, cpu_snapshot
from perwatt.runner.meter import Measured, Meter

__all__ = ["CommandEnergy", "Repeat", "measure_command"]

Repeat = int | Literal["fill"]
"""How often; `fill`: until five seconds and fifty ticks are measured."""


class CommandEnergy(msgspec.Struct, frozen=True, kw_only=True):
    """What a command drew. With repeats, every figure is the mean of one."""

    command: tuple[str, ...]
    exit_code: int
    """Of the last time it ran; 128 + n where signal n ended it."""
    repeats: int
    measured: Measured
    neighbour_share: float | None
    """Share of all CPU time that others used meanwhile; None where it cannot be told."""
    own_share: float
    """CPU time of the sampling, as a share of one core."""


def measure_command(
    argv: Sequence[str],
    meter: Meter,
    *,
    idle_s: float,
    repeat: Repeat = 1,
    fill_s: float = FILL_S,
    quiet_stdout: bool = False,
    seed: int = 0,
) -> CommandEnergy:
    """Run `argv` with a started meter around it. Its stdin, stdout and stderr are ours.

    `quiet_stdout` sends what it prints to stderr, to keep stdout for data. Each repeat begins at a
    random phase of the counter's tick, so that what the edges miss averages out. A command that
    fails is not repeated.

    Raises FileError for one that cannot be started, SpecError for a repeat below 1.
    """
    if repeat != "fill" and repeat < 1:
        msg = f"--repeat {repeat} is not usable: it is 1 or more, or `fill`."
        raise SpecError(msg)
    meter.rest(idle_s)
    jitter = random.Random(seed)
    before, sampling_s, began_ns = cpu_snapshot(()), meter.cpu_seconds, now_ns()
    children_s = _children_s()
    spans: list[tuple[int, int]] = []
    code = 0
    while code == 0 and not _enough(spans, repeat, fill_s, meter):
        if spans:
            meter.settle()
        time.sleep(jitter.uniform(0, meter.tick_s()))
        start_ns = meter.mark()
        code = _run(argv, quiet_stdout)
        spans.append((start_ns, meter.mark()))
    after, wall_s = cpu_snapshot(()), seconds(began_ns, now_ns())
    meter.settle()
    neighbours = None
    if before and after and after.total > before.total:
        others = cpu_shares(before, after)[0]
        # Ticks of /proc/stat are hundredths of a second.
        own = (_children_s() - children_s) * 100 / (after.total - before.total)
        neighbours = None if others is None else max(0.0, others - own)
    return CommandEnergy(
        command=tuple(argv),
        exit_code=code,
        repeats=len(spans),
        measured=_mean(meter, spans, padded=idle_s > 0),
        neighbour_share=neighbours,
        own_share=(meter.cpu_seconds - sampling_s) / wall_s if wall_s > 0 else 0.0,
    )


def _mean(meter: Meter, spans: Sequence[tuple[int, int]], *, padded: bool) -> Measured:
    if len(spans) == 1:
        return meter.energy(*spans[0], padded=padded)

    def mean(windows: list[Window | None]) -> Window | None:
        whole = [window for window in windows if window is not None]
        return mean_windows(whole) if whole and len(whole) == len(windows) else None

    return meter.energy_over(spans, mean, padded=padded)


def _enough(spans: Sequence[tuple[int, int]], repeat: Repeat, fill_s: float, meter: Meter) -> bool:
    if repeat != "fill":
        return len(spans) >= repeat
    measured_s = sum(seconds(*span) for span in spans)
    return is_filled(measured_s, len(spans), meter.tick_s(), fill_s)


def _run(argv: Sequence[str], quiet_stdout: bool) -> int:
    try:
        process = subprocess.Popen(argv, stdout=sys.stderr.fileno() if quiet_stdout else None)
    except FileNotFoundError:
        msg = f"There is no command {argv[0]!r}."
        raise FileError(msg, "See that it is spelt right and on your PATH.") from None
    except OSError as error:
        msg = f"The command {argv[0]!r} cannot be started: {error.strerror}."
        raise FileError(msg) from None
    # Ctrl-C reaches the command too; what it drew until it ended is still told.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - code if code < 0 else code


def _children_s() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
