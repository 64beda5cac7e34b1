"""Any power or energy series of a Prometheus server, dated by its own scrapes.

`GET /api/v1/query` (prometheus.io/docs/prometheus/latest/querying/api). An instant vector carries
the moment of the question, not of the scrape, so `timestamp()` of each series is asked for in the
same query, and the server's clock is dated on ours as a remote sampler's is.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast
from urllib.parse import quote

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import AddressNeededError, SensorUnavailableError
from perwatt.core.estimate import Grade
from perwatt.core.records import Boundary, Domain, Reading
from perwatt.sensors.clock_offset import ClockFit, Exchange, fit_clock, tightest
from perwatt.sensors.energy_units import UNITS, unit_of
from perwatt.sensors.http_meter import HttpMeter
from perwatt.sensors.http_meter_address import MeterAddress, parse_address
from perwatt.sensors.http_meter_auth import credentials_from
from perwatt.sensors.poller import Opened, PolledSensor

__all__ = ["PrometheusSensor"]

EXAMPLE = "http://HOST:9090?query=SERIES"
MARK = "perwatt_scraped"
"""Label that tells a scrape's date from a value."""
CLOCK_STEP_NS = 1_000_000
"""The server tells its time in milliseconds."""
BURST, KEPT, EVERY_NS = 5, 30, 10_000_000_000
GAIN = {"counter": (0.9, 1.1), "gauge": (0.7, 1.3)}
"""What is behind a series is unknown: as wide as an undocumented counter or gauge."""


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error: str | None = None


class _Value(NamedTuple):
    number: float
    scraped_ns: int
    """On the server's wall clock."""


Labels = frozenset[tuple[str, str]]


class PrometheusSensor(PolledSensor):
    """`prometheus:http://HOST:9090?query=SERIES`: one domain for each series that it gives.

    `&unit=` (J, mJ, uJ, kJ, MJ, Wh, kWh, W, mW, uW, kW) where the name does not tell; energy is
    read as a counter, power as a gauge. `&boundary=` (system), `&grade=` (B, C for a gauge; A for
    one that you know to be a wall meter) and `&domain=` say what it is.
    """

    def open(self) -> Opened:
        options = ("query", "unit", "kind", "boundary", "grade")
        address = parse_address(
            "prometheus", self.address, port=9090, options=options, example=EXAMPLE
        )
        if "query" not in address.options:
            raise AddressNeededError("prometheus", EXAMPLE)
        credentials = credentials_from("prometheus", "perwatt", basic=address.scheme == "https")
        meter = self.device = HttpMeter(address, credentials=credentials)
        source = _Source(meter, address)
        period_s = address.number("period", 1.0, 0.05, 60.0)
        return Opened(source.domains, source.ask, period_s, dated=True)


class _Source:
    def __init__(self, meter: HttpMeter, address: MeterAddress) -> None:
        self._meter, self._base = meter, f"{address.path}/api/v1/query?query="
        query = address.options["query"]
        dates = f'label_replace(timestamp({query}), "{MARK}", "1", "", "")'
        self._target = self._base + quote(f"{query} or {dates}", safe="")
        self._bursts: deque[Exchange] = deque(maxlen=KEPT)
        self._asked_ns = 0
        self._fit = self._ask_time()
        found = self._values()
        if not found:
            msg = f"{meter.named} has no series for {query}."
            raise SensorUnavailableError(msg, "Try the query in its own page first.")
        self._unit = _unit(found, address)
        names = _names(found, address.options.get("domain"))
        self._names: dict[Labels, str] = names
        self._scraped = dict.fromkeys(names, 0)
        self._last_ns = dict.fromkeys(names, 0)
        self.domains = tuple(_domain(name, self._unit, address) for name in names.values())

    def ask(self) -> Sequence[Reading]:
        """A reading of each series that was scraped since the last question."""
        if now_ns() - self._asked_ns > EVERY_NS:
            self._fit = self._ask_time()
        found = self._values()
        kind, factor = UNITS[self._unit]
        readings = []
        for labels, name in self._names.items():
            value = found.get(labels)
            if value is None or not math.isfinite(value.number):
                why = f"{self._meter.named} has no value of {name} now: see its target's health."
                readings.append(Reading(domain=name, t_ns=now_ns(), error=why))
            elif value.scraped_ns > self._scraped[labels]:
                self._scraped[labels] = value.scraped_ns
                dated_ns, error_ns = self._fit.date(value.scraped_ns)
                t_ns = max(dated_ns, self._last_ns[labels] + 1)
                self._last_ns[labels] = t_ns
                amount = value.number * factor
                readings.append(
                    Reading(
                        domain=name,
                        t_ns=t_ns,
                        counter_j=amount if kind == "counter" else None,
                        power_w=amount if kind == "gauge" else None,
                        clock_error_ns=error_ns + t_ns - dated_ns,
                    )
                )
        return readings

    def _values(self) -> dict[Labels, _Value]:
        """By labels without the name: what each series shows, and when it was scraped."""
        answer = self._meter.get(self._target, also=(400, 422))  # they say what is wrong
        raw = self._read(self._meter.json(answer, _Answer), "vector")
        try:
            series = msgspec.json.decode(raw, type=list[_Series])
            told = [(frozenset(s.metric.items()), s.value[0], float(s.value[1])) for s in series]
        except (msgspec.DecodeError, ValueError) as error:
            msg = f"{self._meter.named} sent something else than series: {error}."
            raise SensorUnavailableError(msg, "See that it is a Prometheus server.") from None
        mark = (MARK, "1")
        # `timestamp` drops the name, but for servers that put this off to the end.
        dates = {_nameless(labels - {mark}): n for labels, _, n in told if mark in labels}
        values = {}
        for labels, asked_s, number in told:
            if mark not in labels:
                scraped_ns = round(dates.get(_nameless(labels), asked_s) * 1e9)
                values[labels] = _Value(number, scraped_ns)
        return values

    def _ask_time(self) -> ClockFit:
        """The server's wall clock against our monotonic one."""
        burst = []
        for _ in range(BURST):
            target = self._base + quote("time()", safe="")
            answer = self._meter.get(target)
            raw = self._read(self._meter.json(answer, _Answer), "scalar")
            try:
                told_s, _ = msgspec.json.decode(raw, type=tuple[float, str])
            except msgspec.DecodeError as error:
                msg = f"{self._meter.named} does not tell its time: {error}."
                raise SensorUnavailableError(msg, "See that it is a Prometheus server.") from None
            early, late = answer.sent_ns - CLOCK_STEP_NS, answer.received_ns + CLOCK_STEP_NS
            burst.append(Exchange(early, round(told_s * 1e9), late))
        self._asked_ns = now_ns()
        self._bursts.append(tightest(burst))
        fit = fit_clock(tuple(self._bursts))
        if fit.stepped:
            self._bursts = deque(fit.kept, maxlen=KEPT)
        return fit

    def _read(self, answer: _Answer, kind: str) -> msgspec.Raw:
        if answer.data is None or answer.status != "success":
            msg = f"{self._meter.named} could not answer: {answer.error or answer.status}."
            raise SensorUnavailableError(msg, "Try the query in its own page first.")
        if answer.data.result_type != kind:
            msg = f"{self._meter.named} gave a {answer.data.result_type}, not one value a series."
            raise SensorUnavailableError(msg, "Leave out the [range] of the query.")
        return answer.data.result


def _nameless(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != "__name__")


def _unit(found: Mapping[Labels, _Value], address: MeterAddress) -> str:
    given = address.choice("unit", UNITS)
    names = {dict(labels).get("__name__", "") for labels in found}
    told = {unit_of(name) for name in names} if given is None else {given}
    unit = told.pop() if len(told) == 1 else None
    if unit is None:
        msg = f"Whether {address.options['query']} is joules or watts cannot be told from its name."
        raise SensorUnavailableError(msg, "Say it: &unit=J or &unit=W.")
    wanted = address.choice("kind", ("counter", "gauge"))
    if wanted not in (None, UNITS[unit].kind):
        msg = f"prometheus: kind={wanted} does not go with {unit}."
        raise SensorUnavailableError(msg, "Joules are a counter, watts a gauge.")
    return unit


def _names(found: Mapping[Labels, _Value], named: str | None) -> dict[Labels, str]:
    """A domain for each series: the labels in which they differ make its name."""
    series = sorted(found, key=sorted)
    if len(series) == 1:
        return {series[0]: named or "wall"}
    keys = sorted({key for labels in series for key, _ in labels} - {"__name__"})
    differ = [key for key in keys if len({dict(labels).get(key) for labels in series}) > 1]
    names = {}
    for labels in series:
        text = "-".join(dict(labels).get(key, "") for key in differ)
        text = f"gpu{text}" if differ == ["gpu"] else text
        names[labels] = (f"{named}-" if named else "") + re.sub(r"[^\w.-]+", "_", text)
    return names


def _domain(name: str, unit: str, address: MeterAddress) -> Domain:
    kind, _ = UNITS[unit]
    boundary = address.choice("boundary", ("accelerator", "package", "system")) or "system"
    grade = address.choice("grade", ("A", "B", "C")) or ("B" if kind == "counter" else "C")
    return Domain(
        name=name,
        kind=kind,
        boundary=cast(Boundary, boundary),
        source="prometheus",
        grade=cast(Grade, grade),
        device=f"{address.options['query']} at {address.host}",
        gain_low=GAIN[kind][0],
        gain_high=GAIN[kind][1],
        note=f"{unit}, as often as it is scraped; an expression is dated when it is asked, "
        "and may be older by a scrape",
    )
