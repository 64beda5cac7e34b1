"""`perwatt doctor`: what is found on this machine, and the mend for what is not."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any

import msgspec

from perwatt.cli.run import Json
from perwatt.cli.show import stdout_console
from perwatt.core.errors import PerwattError
from perwatt.core.units import format_si

__all__ = ["doctor"]

SAMPLED_S = 1.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a thing, whether it is well, what was found, and what to do."""

    name: str
    ok: bool
    found: str
    mend: str | None = None


def doctor(*, json: Json = False) -> None:
    """What is found on this machine, and the mend for what is not."""
    from rich.text import Text

    from perwatt.runner.environment import fingerprint
    from perwatt.sensors.survey import survey

    sensors = [_sensor(each) for each in survey()]
    energy = _energy()
    host = _host()
    engines = [_engine(), *_models()]
    if json:
        found = {
            "energy": energy,
            "sensors": sensors,
            "host": host,
            "engines": engines,
            "environment": fingerprint(),
        }
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    console = stdout_console()
    console.print(energy.found, style="bold")
    for title, checks in (("Sensors", sensors), ("This machine", host), ("Engine", engines)):
        console.print(f"\n{title}", style="bold")
        for check in checks:
            mark, style = ("ok", "green") if check.ok else ("--", "yellow")
            console.print(Text.assemble("  ", (mark, style), f"  {check.name}: {check.found}"))
            if check.mend:
                console.print(f"      → {check.mend}")


def _energy() -> Check:
    """What a run of the embedded engine would be measured with."""
    from perwatt.sensors.pick import pick

    try:
        picked = pick()
    except PerwattError as error:
        return Check(name="energy", ok=False, found=error.message, mend=error.mend)
    picked.close()
    return Check(name="energy", ok=picked.grade < "D", found=picked.energy_line)


def _sensor(seen: Any) -> Check:
    if not seen.readable:
        return Check(name=seen.name, ok=False, found=seen.reason or "not readable", mend=seen.mend)
    names = ", ".join(f"{d.name} ({d.device})" for d in seen.domains)
    tick = "no tick of its own" if seen.tick_s is None else f"tick {format_si(seen.tick_s, 's')}"
    return Check(
        name=seen.name,
        ok=True,
        found=f"grade {seen.grade}, {seen.boundary} boundary, {tick}: {names}",
    )


def _host() -> list[Check]:
    """How busy the machine is now, and what sampling it costs."""
    from perwatt.runner.host import cpu_shares, cpu_snapshot
    from perwatt.sensors.pick import pick
    from perwatt.sensors.sampler import Sampler

    checks = []
    before = cpu_snapshot(())
    try:
        picked = pick()
        sampler = Sampler(picked.sensors, 20.0)
        sampler.start()
        time.sleep(SAMPLED_S)
        sampler.stop()
        picked.close()
        share = sampler.cpu_seconds / SAMPLED_S
        found = f"sampling at 20 Hz takes {share:.1%} of one core"
        checks.append(Check(name="own overhead", ok=share < 0.05, found=found))
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
