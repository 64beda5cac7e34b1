"""`perwatt calibrate`: what this host draws at a meter for what its sensors say, kept for later."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from perwatt.cli.run import Json
from perwatt.cli.show import stdout_console
from perwatt.core.errors import PerwattError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from perwatt.core.records import Domain
    from perwatt.sensors.calibrate import Fit, Stretch
    from perwatt.sensors.calibrate_measure import Side, Step
    from perwatt.sensors.host_profile import HostProfile

__all__ = ["calibrate", "lines_of"]

HZ = 20.0
SETTLE_S = 2.0
"""A plug's own smoothing, and clocks that follow the load."""


def calibrate(
    *,
    meter: Annotated[
        str, Parameter(help="The meter this host is plugged into, such as shelly:HOST.")
    ],
    sensors: Annotated[
        list[str] | None,
        Parameter(
            help="What is compared with it [default: auto].", negative="", show_default=False
        ),
    ] = None,
    seconds: Annotated[float, Parameter(help="Seconds of each stretch of load.")] = 8.0,
    rounds: Annotated[int, Parameter(help="Rounds of idle, 25%, 50% and 100% load.")] = 4,
    json: Json = False,
) -> None:
    """Fit this host's sensors, and its estimate, to a wall meter; keep the fit."""
    if not 0.2 <= seconds <= 600:
        msg = f"--seconds {seconds:g} is not usable: a stretch takes 0.2 to 600 seconds."
        raise SpecError(msg, "Leave it out for 8.")
    if not 2 <= rounds <= 50:
        msg = f"--rounds {rounds} is not usable: the fit needs 2 to 50."
        raise SpecError(msg, "Leave it out for 4.")
    profile, path = _calibrate(meter, tuple(sensors or ("auto",)), seconds, rounds)
    if json:
        kept = {"path": str(path), "profile": profile}
        sys.stdout.write(msgspec.json.encode(kept).decode() + "\n")
        return
    console = stdout_console()
    for line in lines_of(profile, path):
        console.print(line, soft_wrap=True)


def _calibrate(
    meter: str, sensors: tuple[str, ...], seconds: float, rounds: int
) -> tuple[HostProfile, Path]:
    from perwatt.sensors import host_profile
    from perwatt.sensors.calibrate import fit
    from perwatt.sensors.calibrate_load import KINDS, CpuLoad, usable_cores
    from perwatt.sensors.calibrate_measure import measure, plan, stretches_of

    with ExitStack() as stack:
        sides = _sides(meter, sensors, stack)
        steps = plan(rounds, KINDS, random.Random(0))
        settle_s = min(SETTLE_S, seconds / 2)
        total_s = len(steps) * (seconds + settle_s)
        print(
            f"Keeps the CPU busy and idle by turns for {total_s:.0f} s; leave the machine alone.",
            file=sys.stderr,
        )

        def told(number: int, step: Step) -> None:
            text = f"{number + 1} of {len(steps)}: {step.load:.0%} load, {step.kind}"
            print(text, file=sys.stderr)

        load = stack.enter_context(CpuLoad(usable_cores()))
        looks = measure(sides, load, steps, seconds=seconds, settle_s=settle_s, told=told)
    domains = sides["meter"].domains
    gain = (max(d.gain_low for d in domains), min(d.gain_high for d in domains))
    fits: dict[str, Fit] = {}
    stretches: dict[str, tuple[Stretch, ...]] = {}
    for name in ("sensors", "estimate"):
        if name in sides:
            names = tuple(f"{d.source}:{d.name}" for d in sides[name].domains)
            stretches[name] = tuple(stretches_of(looks, name, "meter"))
            _say_left_out(name, len(looks) - len(stretches[name]), len(looks))
            fits[name] = fit(stretches[name], domains=names, gain=gain)
    host = host_profile.identity()
    profile = host_profile.HostProfile(
        version=host_profile.VERSION,
        host=host,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        meter=host_profile.Meter(
            source=domains[0].source,
            device=domains[0].device,
            boundary=domains[0].boundary,
            gain_low=gain[0],
            gain_high=gain[1],
        ),
        sensors=fits.get("sensors"),
        estimate=fits.get("estimate"),
        stretches=stretches,
    )
    path = host_profile.path_for(host)
    host_profile.save(profile, path)
    return profile, path


def _sides(meter: str, sensors: tuple[str, ...], stack: ExitStack) -> dict[str, Side]:
    """The meter, the measured sensors where there are any, and the estimate where it can be had."""
    from perwatt.core.errors import SensorUnavailableError
    from perwatt.sensors.calibrate_measure import Side
    from perwatt.sensors.estimated import EstimatedSensor
    from perwatt.sensors.pick import pick, sensor_named
    from perwatt.sensors.sampler import Sampler

    wall = sensor_named(meter)
    stack.callback(wall.close)
    sides = {"meter": Side(Sampler([wall], HZ, timing_s=0), _of_meter(meter, wall.probe()))}
    against = sides["meter"].domains[0]
    if against.boundary == "system":  # within a package there is nothing smaller to compare
        picked = pick(sensors)
        stack.callback(picked.close)
        inside = [d for d in picked.domains if d.grade < "D" and d.boundary != "system"]
        if inside:
            sides["sensors"] = Side(Sampler(picked.sensors, HZ, timing_s=0), _apart(inside))
    estimate = EstimatedSensor("cpu,uncalibrated")
    stack.callback(estimate.close)
    try:
        guessed = tuple(d for d in estimate.probe() if d.name == "package-0")
    except SensorUnavailableError:
        guessed = ()
    if guessed:
        sides["estimate"] = Side(Sampler([estimate], HZ, timing_s=0), guessed)
    if len(sides) == 1:
        msg = f"Nothing here can be compared with {meter}: no sensor inside this host is readable."
        raise SpecError(msg, "See `perwatt doctor` for what would make one readable.")
    return sides


def _of_meter(name: str, domains: Sequence[Domain]) -> tuple[Domain, ...]:
    """The meter's domains that are summed: the whole host's, else the packages'."""
    if any(domain.grade == "D" for domain in domains):
        msg = f"{name} is itself an estimate, and nothing can be calibrated to it."
        raise SpecError(msg, "Name a meter: --meter shelly:HOST")
    system = _apart([d for d in domains if d.boundary == "system"])
    package = _apart([d for d in domains if d.boundary == "package" and d.name[:4] != "dram"])
    if not system and not package:
        names = ", ".join(d.name for d in domains) or "nothing"
        msg = f"{name} reads {names}, and neither this host nor its CPU package."
        raise SpecError(msg, "Name a wall meter, or rapl where it can be read.")
    return system or package


def _apart(domains: Sequence[Domain]) -> tuple[Domain, ...]:
    """Without those whose joules are inside another's."""
    inside = {name for domain in domains for name in domain.covers}
    return tuple(domain for domain in domains if domain.name not in inside)


def _say_left_out(name: str, left_out: int, of: int) -> None:
    if left_out == of:
        msg = f"The meter or the {name} gave no watts in any of {of} stretches."
        raise PerwattError(msg, "Stretches may be shorter than the meter's tick: --seconds 30")
    if left_out:
        text = f"{left_out} of {of} stretches are left out: no watts of the meter or the {name}."
        print(text, file=sys.stderr)


def lines_of(profile: HostProfile, path: Path) -> list[str]:
    """What a person reads."""
    meter = profile.meter
    lines = [f"Meter: {meter.source} ({meter.device}), {meter.boundary} boundary."]
    for found in (profile.sensors, profile.estimate):
        if found is not None:
            lines.append(_sentence(meter.source, found))
    if profile.estimate is not None:
        low, high = _range(profile.estimate)
        lines.append(
            f"The estimate of the {meter.boundary} is now good to {low:.2f}× to {high:.2f}× "
            "(still grade D: load tells watts only so far)."
        )
    lines.append(f"Kept in {path}, and used until CPU, kernel or BIOS change.")
    return lines


def _sentence(meter: str, found: Fit) -> str:
    return (
        f"{meter} = {found.a_w:.4g} W [{found.a_low_w:.4g}, {found.a_high_w:.4g}] + {found.b:.4g} "
        f"[{found.b_low:.4g}, {found.b_high:.4g}] × ({' + '.join(found.domains)}), 95%; residual "
        f"{found.residual_sd_w:.2g} W over {found.n} stretches at {found.loads} loads, where the "
        f"sensors read {found.sensors_low_w:.3g} to {found.sensors_high_w:.3g} W."
    )


def _range(found: Fit) -> tuple[float, float]:
    """The estimate's range of truth over value at full load."""
    from perwatt.sensors.calibrate import predict

    value, low, high = predict(found, found.sensors_high_w)
    return low / value, high / value
