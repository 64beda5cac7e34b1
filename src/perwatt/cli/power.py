"""`perwatt power -- CMD …`: joules of any command, like time(1)."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console

from perwatt.cli.run import Json
from perwatt.core.errors import SpecError
from perwatt.core.estimate import Estimate, Grade
from perwatt.core.records import Boundary
from perwatt.core.units import format_duration, format_si

__all__ = ["power"]

BUSY = 0.05
FLAGS = {
    "few-ticks": "fewer than 5 ticks of the counter: repeat it (--repeat fill)",
    "untrusted": "a reading in it could not be trusted",
    "no-reading": "the sensor gave no reading on both sides of it",
}


def power(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    json: Json = False,
    repeat: Annotated[
        str, Parameter(help="Run it N times; `fill`: until 5 s and 50 ticks are measured.")
    ] = "1",
    idle_s: Annotated[
        float, Parameter(help="Seconds of idle measured first, for net joules; 0: none.")
    ] = 2.0,
    sensors: Annotated[
        list[str] | None, Parameter(help="As for `perwatt run`; repeat it to add one.", negative="")
    ] = None,
    boundary: Annotated[
        Boundary | None, Parameter(help="Which joules count, where sensors offer several.")
    ] = None,
    require_grade: Annotated[
        Grade | None, Parameter(help="Do not run it unless energy is at least this grade.")
    ] = None,
    sample_hz: Annotated[float, Parameter(help="Sensor readings per second.")] = 50.0,
) -> None:
    """Joules of any command, like time(1): `perwatt power -- CMD …`.

    The figures go to stderr, and to stdout with --json (the command's own stdout then goes to
    stderr). Exits as the command did.
    """
    from perwatt.runner.command import measure_command
    from perwatt.runner.energy import any_accelerator
    from perwatt.runner.meter import Meter

    if not command:
        msg = "Nothing to run was given."
        raise SpecError(msg, "Put the command after two dashes: perwatt power -- python job.py")
    if not 0 < sample_hz <= 1000 or idle_s < 0:
        msg = "--sample-hz lies between 0 and 1000, and --idle-s is not negative."
        raise SpecError(msg)
    meter = Meter(
        sensors or ("auto",),
        hz=sample_hz,
        boundary=boundary,
        uses_accelerator=boundary == "accelerator" or (boundary is None and any_accelerator()),
        require_grade=require_grade,
    )
    with meter:
        done = measure_command(
            command, meter, idle_s=idle_s, repeat=_times(repeat), quiet_stdout=json
        )
    if json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    else:
        _show(done)
    sys.exit(done.exit_code)


def _times(text: str) -> int | Literal["fill"]:
    if text == "fill":
        return "fill"
    try:
        return int(text)
    except ValueError:
        msg = f"--repeat {text!r} is not usable."
        raise SpecError(msg, "Give a number, or `fill`.") from None


def _show(done: object) -> None:
    from perwatt.runner.command import CommandEnergy

    assert isinstance(done, CommandEnergy)
    measured = done.measured
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"\n{measured.energy_line}", style="bold")
    each = f" each, mean of {done.repeats}" if done.repeats > 1 else ""
    for name, estimate in (("gross", measured.gross), ("net", measured.net)):
        console.print(f"  {name:<8}{_value(estimate)}{each}")
    console.print(f"  {'power':<8}{_value(measured.power)}")
    console.print(f"  {'time':<8}{format_duration(measured.seconds)}{each}")
    if len(measured.domains) > 1:
        parts = (f"{name} {_short(joules)}" for name, joules in measured.domains.items())
        console.print(f"  {'of it':<8}{', '.join(parts)}")
    if done.neighbour_share is not None and done.neighbour_share > BUSY:
        share = f"{done.neighbour_share:.0%}"
        console.print(f"  !       other processes took {share} of the CPU time: it is in there")
    for flag in measured.flags:
        console.print(f"  !       {FLAGS.get(flag, flag)}")


def _value(estimate: Estimate) -> str:
    return str(estimate) if estimate.value is not None else f"– ({estimate.reason})"


def _short(estimate: Estimate) -> str:
    return "–" if estimate.value is None else format_si(estimate.value, estimate.unit)
