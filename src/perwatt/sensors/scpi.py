"""A bench power analyser over SCPI: the wall meter of laboratories, grade A."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from perwatt.core.clock import now_ns
from perwatt.core.errors import AddressNeededError, SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.energy_units import UNITS
from perwatt.sensors.poller import Opened, PolledSensor
from perwatt.sensors.scpi_link import Link, TcpLink, VisaLink

__all__ = ["ScpiSensor"]

EXAMPLE = "tcp://HOST:5025"
OPTIONS = frozenset({"query", "unit", "element", "domain", "period", "timeout"})
ABSENT = 9e37
"""SCPI writes 9.91E+37 for "not a number" and 9.9E+37 for infinity (SCPI-99, 7.2.1.5)."""


class _Profile(NamedTuple):
    """How one make is asked for active power and, where its integrator runs, energy."""

    sign: tuple[str, ...]
    """Words of which `*IDN?` has one."""
    setup: tuple[str, ...]
    query: str
    gain: float
    """±, 95%: the basic accuracy with room for range, crest factor and power factor."""


PROFILES = (
    # Yokogawa WT300E IM WT310E-17EN, NUMeric group; 0.1% of reading + 0.05% of range.
    _Profile(
        ("YOKOGAWA,WT",),
        (
            ":NUMERIC:FORMAT ASCII",
            ":NUMERIC:NORMAL:NUMBER 2",
            ":NUMERIC:NORMAL:ITEM1 P,{element}",
            ":NUMERIC:NORMAL:ITEM2 WH,{element}",
        ),
        ":NUMERIC:NORMAL:VALUE?",
        0.005,
    ),
    # Rohde & Schwarz HMC8015 SCPI manual, measurement commands; 0.05% + 0.05% of range.
    _Profile(("HMC8015",), ("CHAN:MEAS:FUNC P,WH",), "CHAN:MEAS:DATA?", 0.005),
)
UNKNOWN_GAIN = 0.02


class ScpiSensor(PolledSensor):
    """`scpi:tcp://HOST:5025`, or `scpi:` and a VISA resource (the extra `scpi`).

    Yokogawa WT and R&S HMC8015 are known by their `*IDN?`: active power, and the integrated energy
    as a counter where the instrument's integrator runs when it is probed. Another one is asked
    what `?query=` says, whose first number has the unit `&unit=` (W). `&element=` is the input.
    """

    def open(self) -> Opened:
        if not self.address:
            raise AddressNeededError("scpi", EXAMPLE)
        place, options = _split(self.address)
        timeout_s = _number(options, "timeout", 2.0)
        link = self.device = _link(place, timeout_s)
        identity = link.query("*IDN?")
        profile = _profile(identity, options, place)
        for command in profile.setup:
            link.write(command.format(element=options.get("element", "1")))
        unit = options.get("unit", "W")
        if unit not in UNITS:
            msg = f"scpi: unit={unit} is not usable."
            raise SensorUnavailableError(msg, f"Known: {', '.join(UNITS)}.")
        power, energy = _ask(link, profile.query)
        known = "query" not in options
        counter = (known and energy is not None) or UNITS[unit].kind == "counter"
        if power is None:
            msg = f"The analyser {place} gives no power now."
            raise SensorUnavailableError(msg, "See that its display shows watts, not an overload.")
        domain = Domain(
            name=options.get("domain", "wall"),
            kind="counter" if counter else "gauge",
            boundary="system",
            source="scpi",
            grade="A",
            device=" ".join(identity.split(",")[:2]),
            gain_low=1 - profile.gain,
            gain_high=1 + profile.gain,
            note=f"{profile.query} on element {options.get('element', '1')}; "
            f"{'its own integration' if counter else 'each a mean over its update interval'}",
        )

        def reading() -> Reading:
            sent_ns = now_ns()
            first, second = _ask(link, profile.query)
            received_ns = now_ns()
            power_w, counter_j = first, None
            if not known:
                factor = UNITS[unit].factor
                amount = None if first is None else first * factor
                power_w, counter_j = (None, amount) if counter else (amount, None)
            elif counter:
                counter_j = None if second is None else second * 3600
            missing = counter_j is None if counter else power_w is None
            why = f"The analyser {place} gives no value: see that it is not overloaded."
            return Reading(
                domain=domain.name,
                t_ns=(sent_ns + received_ns) // 2,
                counter_j=counter_j,
                power_w=power_w,
                clock_error_ns=(received_ns - sent_ns + 1) // 2,
                error=why if missing else None,
            )

        def ask() -> Sequence[Reading]:
            return (reading(),)

        return Opened((domain,), ask, _number(options, "period", 0.1), (reading(),))


def _split(text: str) -> tuple[str, dict[str, str]]:
    place, _, query = text.partition("?")
    options: dict[str, str] = {}
    # `query=` comes last, so that a question mark or an ampersand in it needs no escape.
    head, found, asked = f"&{query}".partition("&query=")
    for part in filter(None, head.split("&")):
        name, _, value = part.partition("=")
        if name not in OPTIONS:
            msg = f"scpi has no option {name!r}."
            raise SensorUnavailableError(msg, f"Known: {', '.join(sorted(OPTIONS))}.")
        options[name] = unquote(value)
    if found:
        options["query"] = unquote(asked)
    element = options.get("element", "1")
    if not element.isalnum() or not element.isascii():
        msg = f"scpi: element={element} is not usable."
        raise SensorUnavailableError(msg, "Give an input such as 1, 2 or SIGMA.")
    return place, options


def _number(options: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(options.get(name, default))
    except ValueError:
        value = math.nan
    if not 0.02 <= value <= 60:
        msg = f"scpi: {name}={options[name]} is not usable."
        raise SensorUnavailableError(msg, "Give seconds from 0.02 to 60.")
    return value


def _link(place: str, timeout_s: float) -> Link:
    if not place.startswith("tcp://"):
        if "::" not in place:
            msg = f"scpi:{place} is neither tcp://HOST:PORT nor a VISA resource."
            raise SensorUnavailableError(msg, f"Write --sensors scpi:{EXAMPLE}.")
        return VisaLink(place, timeout_s)
    try:
        url = urlsplit(place)
        host, port = url.hostname, url.port or 5025
    except ValueError:
        host, port = None, 0
    if not host or "@" in place:
        msg = "The address of scpi is not usable."
        raise SensorUnavailableError(msg, f"Write --sensors scpi:{EXAMPLE}.")
    return TcpLink(host, port, timeout_s)


def _profile(identity: str, options: dict[str, str], place: str) -> _Profile:
    upper = identity.upper()
    found = next((p for p in PROFILES if any(word in upper for word in p.sign)), None)
    if "query" in options:
        return _Profile((), (), options["query"], found.gain if found else UNKNOWN_GAIN)
    if found is None:
        msg = f"The analyser {place} is unknown here: {identity or 'it does not name itself'}."
        raise SensorUnavailableError(msg, "Say how it is asked: &query=MEAS:POW?")
    return found


def _ask(link: Link, query: str) -> tuple[float | None, float | None]:
    """The first two numbers of the answer; None for one that it has not."""
    text = link.query(query)
    numbers: list[float | None] = []
    for part in text.split(",")[:2]:
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        numbers.append(value if abs(value) < ABSENT else None)  # False for NaN
    return numbers[0], numbers[1] if len(numbers) > 1 else None
