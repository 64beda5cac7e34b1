"""`perwatt doctor`: what is found on this machine, and the mend for what is not."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from perwatt.cli.run import Json
from perwatt.cli.show import stdout_console
from perwatt.core.errors import PerwattError
from perwatt.core.records import Domain, SensorTiming
from perwatt.core.units import format_si

if TYPE_CHECKING:
    from perwatt.sensors.picked import Picked
    from perwatt.sensors.survey import Surveyed

__all__ = ["doctor"]

SAMPLED_S = 1.0
DEAR = 0.05


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a thing, whether it is well, what was found, and what to do."""

    name: str
    ok: bool
    found: str
    mend: str | None = None


def doctor(
    *,
    sensors: Annotated[
        list[str] | None,
        Parameter(help="Look at these alone, as `name` or `name:address`.", negative=""),
    ] = None,
    json: Json = False,
) -> None:
    """What is found on this machine, and the mend for what is not."""
    from perwatt.runner.energy import any_accelerator
    from perwatt.runner.environment import fingerprint
    from perwatt.sensors.survey import survey

    seen = survey(sensors)
    energy = _energy(sensors)
    gpu = _energy(sensors, uses_accelerator=True) if any_accelerator() else None
    host = _host(sensors)
    engines = [_engine(), *_models()]
    if json:
        found = {
            "energy": energy,
            "energy_on_gpu": gpu,
            "sensors": seen,
            "host": host,
            "engines": engines,
            "environment": fingerprint(),
        }
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    console = stdout_console()
    console.print(energy.found, style="bold")
    if gpu is not None:
        console.print(f"For an engine on the GPU: {gpu.found}", style="bold")
    console.print("\nSensors", style="bold")
    for each in sorted(seen, key=lambda one: (not one.readable, one.needs_address)):
        if not each.needs_address:
            _print_sensor(each, console)
    unnamed = [each.name for each in seen if each.needs_address]
    if unnamed:
        console.print(
            f"  ..  {', '.join(unnamed)}: read what you name, as in --sensors NAME:ADDRESS"
        )
        console.print("      → perwatt doctor --sensors NAME:ADDRESS says whether it answers")
    for title, checks in (("This machine", host), ("Engine", engines)):
        console.print(f"\n{title}", style="bold")
        for check in checks:
            _print_check(check, console)


def _print_check(check: Check, console: Console) -> None:
    mark, style = ("ok", "green") if check.ok else ("--", "yellow")
    console.print(Text.assemble("  ", (mark, style), f"  {check.name}: {check.found}"))
    if check.mend:
        console.print(f"      → {check.mend}")


def _print_sensor(seen: Surveyed, console: Console) -> None:
    if not seen.readable:
        found = seen.reason or "not readable"
        _print_check(Check(name=seen.name, ok=False, found=found, mend=seen.mend), console)
        return
    what = f"grade {seen.grade}, {seen.boundary} boundary"
    _print_check(Check(name=seen.name, ok=True, found=what), console)
    timings = {timing.domain: timing for timing in seen.timings}
    for domain in seen.domains:
        console.print(f"        {domain.name}: {_about(domain, timings.get(domain.name))}")
        if domain.note:
            console.print(Text(f"          {domain.note}", style="dim"))


def _about(domain: Domain, timing: SensorTiming | None) -> str:
    """One line: what kind of reading, how often it changes, what a look costs, how far to trust."""
    parts = [f"{domain.kind}, {domain.device}"]
    if timing and timing.tick_s is not None:
        parts.append(f"changes every {format_si(timing.tick_s, 's')}")
    if timing and timing.read_s is not None:
        parts.append(f"a read takes {format_si(timing.read_s, 's')}")
    if domain.power_window_s:
        parts.append(f"its watts are a mean over {domain.power_window_s:g} s")
    parts.append(f"true joules {domain.gain_low:g}× to {domain.gain_high:g}× of it")
    if domain.covers:
        parts.append(f"{', '.join(domain.covers)} inside it")
    return "; ".join(parts)


def _energy(sensors: list[str] | None, uses_accelerator: bool = False) -> Check:
    """What a run would be measured with; by default of the embedded engine, which uses the CPU."""
    from perwatt.sensors.pick import pick

    try:
        picked = pick(sensors or ("auto",), uses_accelerator=uses_accelerator)
    except PerwattError as error:
        return Check(name="energy", ok=False, found=error.message, mend=error.mend)
    picked.close()
    return Check(name="energy", ok=picked.grade < "D", found=picked.energy_line)


def _host(sensors: list[str] | None) -> list[Check]:
    """How busy the machine is now, and what sampling it costs."""
    from perwatt.runner.host import cpu_shares, cpu_snapshot
    from perwatt.sensors.pick import pick

    checks = []
    before = cpu_snapshot(())
    try:
        picked = pick(sensors or ("auto",))
        costs = {hz: _cost(picked, hz) for hz in (20.0, 100.0)}
        picked.close()
        shares = " and ".join(f"{share:.1%} at {hz:g} Hz" for hz, share in costs.items())
        found = f"sampling takes {shares} of one core"
        dear = costs[20.0] > DEAR
        mend = "Lower --sample-hz, or name fewer --sensors." if dear else None
        checks.append(Check(name="own overhead", ok=not dear, found=found, mend=mend))
    except PerwattError:
        time.sleep(SAMPLED_S)
    after = cpu_snapshot(())
    neighbours = cpu_shares(before, after)[0] if before and after else None
    if neighbours is None:
        checks.append(Check(name="neighbours", ok=False, found="their load is unknown here"))
    else:
        busy = neighbours > 0.05
        mend = "Stop what else is running before you measure." if busy else None
        found = f"other processes take {neighbours:.0%} of the CPU time"
        checks.append(Check(name="neighbours", ok=not busy, found=found, mend=mend))
    return checks


def _cost(picked: Picked, hz: float) -> float:
    """CPU seconds of the sampling per second, its start and end left out."""
    from perwatt.sensors.sampler import Sampler

    sampler = Sampler(picked.sensors, hz, timing_s=0.0)
    sampler.start()
    begin = sampler.cpu_seconds
    time.sleep(SAMPLED_S)
    used = sampler.cpu_seconds - begin
    sampler.stop()
    return used / SAMPLED_S


def _engine() -> Check:
    name = "llamacpp"
    if importlib.util.find_spec("xllamacpp") is None:
        mend = "Run: pip install 'perwatt[local]'"
        return Check(name=name, ok=False, found="xllamacpp is not installed", mend=mend)
    from importlib.metadata import version

    return Check(name=name, ok=True, found=f"xllamacpp {version('xllamacpp')}")


def _models() -> list[Check]:
    from perwatt.endpoints.models import known_models

    return [
        Check(
            name=model.name,
            ok=model.state.startswith("installed"),
            found=f"{model.state} ({model.package}, {model.licence})",
        )
        for model in known_models()
    ]
