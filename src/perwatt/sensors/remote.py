"""A `perwatt sampler` on another machine, its samples dated on our own clock with a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.clock_offset import ClockFit, Exchange, fit_clock, tightest
from perwatt.sensors.http_meter import HttpMeter
from perwatt.sensors.http_meter_address import MeterAddress, parse_address
from perwatt.sensors.poller import Opened, PolledSensor
from perwatt.sensors.remote_wire import (
    DEFAULT_PORT,
    TOKEN_VARIABLE,
    BatchHead,
    DomainsAnswer,
    TimeAnswer,
    WireSample,
    token_from_environment,
)

__all__ = ["RemoteSensor"]

BURST = 8
"""Questions for the time asked in a row; the one with the shortest round trip counts."""
EVERY_NS = 10_000_000_000
KEPT = 30
"""Bursts kept: five minutes, enough to see a drift of 1 ppm."""
DROP_J = 1e9
"""A counter that lost track is made to fall by this: no wrap explains it, so that the sampler here
flags `reset` and leaves the joules in between unattributed, rather than call them 0."""

_HEAD = msgspec.json.Decoder(BatchHead)
_SAMPLE = msgspec.json.Decoder(WireSample)


class RemoteSensor(PolledSensor):
    """`remote:http://HOST:9471`, with `?prefix=node1.` to keep its domains apart from ours.

    Each reading carries `clock_error_ns`, how far its date may be off. A sampler that was started
    anew, samples that were lost and a clock that was set are each a failed reading in their place.
    """

    def open(self) -> Opened:
        address = parse_address(
            "remote",
            self.address,
            port=DEFAULT_PORT,
            options=("prefix",),
            example=f"http://HOST:{DEFAULT_PORT}",
        )
        token = token_from_environment()
        meter = self.device = HttpMeter(address, bearer=token, password_in=TOKEN_VARIABLE)
        link = _Link(meter, address)
        period_s = address.number("period", 0.25, 0.01, 60.0)
        return Opened(link.domains, link.ask, period_s, dated=True)


class _Link:
    """One client's memory of one sampler."""

    def __init__(self, meter: HttpMeter, address: MeterAddress) -> None:
        self._meter, self._base = meter, address.path
        self._bursts: deque[Exchange] = deque(maxlen=KEPT)
        found = meter.json(meter.get(f"{self._base}/v1/domains"), DomainsAnswer)
        self._session, self._since = found.session, found.next - 1
        prefix = address.options.get("prefix", "")
        self._names = {domain.name: f"{prefix}{domain.name}" for domain in found.domains}
        self.domains = tuple(self._ours(domain, address.host) for domain in found.domains)
        self._shift_j = dict.fromkeys(self._names, 0.0)
        self._last_ns = dict.fromkeys(self._names, 0)
        self._asked_ns = 0
        self._fit = self._ask_time()

    def ask(self) -> list[Reading]:
        """What came since the last question."""
        if now_ns() - self._asked_ns > EVERY_NS:
            self._fit = self._ask_time()
        readings: list[Reading] = []
        if self._fit.stepped:
            self._bursts = deque(self._fit.kept, maxlen=KEPT)
            self._fit = fit_clock(self._fit.kept)
            readings += self._failed("its clock or ours was set, or one of the two slept")
        more = True
        while more:
            query = f"since={self._since}&session={quote(self._session)}"
            answer = self._meter.get(f"{self._base}/v1/samples?{query}")
            head, samples = self._lines(answer.body)
            if head.session != self._session:
                readings += self._restarted(head)
            elif head.first > self._since + 1:
                lost = head.first - self._since - 1
                readings += self._failed(f"{lost} of its samples were not fetched in time")
            for sample in samples:
                if sample.seq > self._since and sample.domain in self._names:
                    readings += self._readings(sample)
                self._since = max(self._since, sample.seq)
            more = head.more and bool(samples)
        return readings

    def _lines(self, body: bytes) -> tuple[BatchHead, list[WireSample]]:
        lines = body.splitlines()
        try:
            head = _HEAD.decode(lines[0])
            samples = [_SAMPLE.decode(line) for line in lines[1:]]
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
            msg = f"{self._meter.named} sent something else than samples: {error}."
            raise SensorUnavailableError(msg, "See that perwatt sampler runs there.") from None
        return head, samples

    def _ask_time(self) -> ClockFit:
        burst = []
        for _ in range(BURST):
            answer = self._meter.get(f"{self._base}/v1/time")
            told = self._meter.json(answer, TimeAnswer)
            burst.append(Exchange(answer.sent_ns, told.t_ns, answer.received_ns))
        self._asked_ns = now_ns()
        self._bursts.append(tightest(burst))
        return fit_clock(tuple(self._bursts))

    def _restarted(self, head: BatchHead) -> list[Reading]:
        """Another session: its counters start at 0, and its clock may be another boot's."""
        self._session, self._since = head.session, 0
        self._bursts.clear()
        self._fit = self._ask_time()
        for name in self._shift_j:
            self._shift_j[name] -= DROP_J
        return self._failed("it was started anew; the joules in between are unknown")

    def _readings(self, sample: WireSample) -> Iterator[Reading]:
        """The sample on our clock; before it, what its sampler had against it."""
        name = self._names[sample.domain]
        dated_ns, error_ns = self._fit.date(sample.t_ns)
        # A better fit must not put a sample before the one that it follows.
        t_ns = max(dated_ns, self._last_ns[sample.domain] + 1)
        self._last_ns[sample.domain] = t_ns
        error_ns += (t_ns - dated_ns) + (sample.clock_error_ns or 0)
        if sample.flag is not None and sample.flag != "wrap":  # which was undone over there
            why = f"{self._meter.named} flagged {sample.flag}."
            yield Reading(domain=name, t_ns=t_ns, clock_error_ns=error_ns, error=why)
            if sample.flag == "reset":
                self._shift_j[sample.domain] -= DROP_J
        if sample.counter_j is None and sample.power_w is None:
            return
        counter_j = sample.counter_j
        yield Reading(
            domain=name,
            t_ns=t_ns,
            counter_j=None if counter_j is None else counter_j + self._shift_j[sample.domain],
            power_w=sample.power_w,
            utilization=sample.utilization,
            memory_bytes=sample.memory_bytes,
            temperature_c=sample.temperature_c,
            clock_mhz=sample.clock_mhz,
            power_average_w=sample.power_average_w,
            power_limit_w=sample.power_limit_w,
            throttle=tuple(filter(None, (sample.throttle or "").split(","))),
            clock_error_ns=error_ns,
        )

    def _failed(self, why: str) -> list[Reading]:
        t_ns = now_ns()
        text = f"{self._meter.named}: {why}."
        return [Reading(domain=name, t_ns=t_ns, error=text) for name in self._names.values()]

    def _ours(self, domain: Domain, host: str) -> Domain:
        read_by = f"{domain.source} read by perwatt sampler on {host}"
        return msgspec.structs.replace(
            domain,
            name=self._names[domain.name],
            covers=tuple(self._names.get(name, name) for name in domain.covers),
            source="remote",
            wrap_j=None,  # undone over there
            note=f"{domain.note}; {read_by}" if domain.note else read_by,
        )
