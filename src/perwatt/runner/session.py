"""One sitting of a run: engines started, idle measured, load applied, all of it journalled.

It knows nothing of scores or tables: it turns a plan into a journal (`finish` does the rest).
Stopped at any moment, by Ctrl-C or worse, it leaves a whole journal and no process behind.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec

from perwatt.core.clock import anchor_now, now_ns, seconds
from perwatt.core.errors import EngineError, FileError, SensorUnavailableError
from perwatt.core.protocols import Endpoint, EndpointConfig
from perwatt.core.records import (
    Phase,
    Prompt,
    Reply,
    Request,
    SensorTiming,
    Served,
    Workload,
)
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Listener, Note, Progress, Stage
from perwatt.runner.fill import Filler
from perwatt.runner.host import cpu_shares, cpu_snapshot, listeners
from perwatt.runner.live import LiveWatts
from perwatt.runner.loadgen import closed_loop
from perwatt.runner.plan import Job, Plan, Segment, prompt_for
from perwatt.sensors.pick import Picked
from perwatt.sensors.process_tree import with_descendants
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.timing_lag import measure_lag
from perwatt.store.journal import JournalWriter, Power
from perwatt.store.journal import Session as SessionStart
from perwatt.store.rundir import RunDir

__all__ = ["MeasuredSoFar", "Session"]

MeasuredSoFar = Mapping[tuple[str, str], tuple[float, int]]
"""(pair, item) → seconds in flight and requests, of the sessions before."""

SETTLE_S = 0.5
LAG_FROM_S = 1.0
"""Measuring lag takes three seconds: not where even idle is given less than one."""

DEAD_AFTER = 8
"""So many failures to reach the server in a row, and it is taken for dead."""


class Session:
    """Runs `plan` and appends to the journal.

    `opened` hears of each pair's identity, of the processes that serve it, where known, and of why
    its joules cannot be told from others', or None.
    """

    def __init__(
        self,
        spec: RunSpec,
        workload: Workload,
        plan: Plan,
        run_dir: RunDir,
        journal: JournalWriter,
        number: int,
        picked: Picked | None,
        opened: Callable[[Served, Sequence[int], str | None], None],
        listen: Listener,
        measured_s: MeasuredSoFar | None = None,
    ) -> None:
        self.spec = spec
        self.workload = workload
        self.plan = plan
        self.run_dir = run_dir
        self.journal = journal
        self.number = number
        self.picked = picked
        self.opened = opened
        self.listen = listen
        self.sampler = Sampler(picked.sensors, spec.sample_hz) if picked else None
        self.timings: tuple[SensorTiming, ...] = ()
        """Tick, read cost and lag of each domain, as measured at the start."""
        self._phases = 0
        self._done = 0
        self._failed = 0
        self._unreachable = 0
        self._load_s = 0.0
        self._live = LiveWatts()
        self._filler: Filler | None = None
        self._jitter = random.Random(spec.seed)
        self._measured_s = dict(measured_s or {})

    def run(self) -> None:
        """Block until the plan is done. Ctrl-C and SIGTERM raise KeyboardInterrupt, cleaned up."""
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:  # SIGTERM; asyncio itself turns SIGINT into this
            raise KeyboardInterrupt from None

    async def _run(self) -> None:
        from perwatt import __version__

        main = asyncio.current_task()
        assert main is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
        self.journal.append(
            SessionStart(
                session=self.number,
                anchor=anchor_now(),
                perwatt_version=__version__,
                pid=os.getpid(),
            )
        )
        if self.sampler:
            lags = await asyncio.to_thread(self._lags)
            self.sampler.start()
            self.timings = tuple(lags.get(t.domain, t) for t in self.sampler.timings)
        if self.spec.per_query:
            self._filler = Filler(self._tick_s(), self._measured_s)
        ticker = asyncio.create_task(self._tick())
        try:
            if self.spec.idle_s:
                self.listen(Stage(f"Measuring this machine at rest for {self.spec.idle_s:g} s"))
                async with self._phase("bare_idle", None, ()):
                    await asyncio.sleep(self.spec.idle_s)
            for segment in self.plan.segments:
                await self._segment(segment, ticker)
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker
            if self.sampler:
                self.sampler.stop()
                self._drain()

    async def _segment(self, segment: Segment, ticker: asyncio.Task[None]) -> None:
        endpoint = self._endpoint(segment)
        self.listen(Stage(f"Starting {segment.pair_id}"))
        try:
            async with self._phase("prepare", segment.pair_id, ()):
                served = await endpoint.open()
                # A user's own server says no pids: it is found by the port it listens on.
                pids = served.pids or (listeners(served.url) if served.url else ())
                self.opened(served, pids, self._narrowed(pids))
                for warning in served.warnings:
                    self.listen(Note(warning))
                prompts = [(job, prompt_for(self.spec, self.workload, job)) for job in segment.jobs]
                hashes = {job.item.id: await _prompt_hash(endpoint, p) for job, p in prompts}
            # Where it is not found, its load is not told from a neighbour's, and nobody is blamed.
            under_test = sorted(with_descendants(pids) - {os.getpid()}) if pids else None
            if self.spec.warmup:
                async with self._phase("warmup", segment.pair_id, under_test):
                    for _, prompt in prompts[: self.spec.warmup]:
                        await endpoint.ask(prompt)
            if self.spec.idle_s:
                async with self._phase("loaded_idle", segment.pair_id, under_test):
                    await asyncio.sleep(self.spec.idle_s)
            async with self._phase("load", segment.pair_id, under_test) as phase:
                await self._load(endpoint, served, phase, prompts, hashes, ticker)
            if self.spec.idle_s:
                # A device just worked draws more at rest than a cold one: the third baseline. Not
                # before the slowest counter has shown the last of the load.
                await asyncio.sleep(min(self.spec.idle_s, SETTLE_S))
                async with self._phase("after_idle", segment.pair_id, under_test):
                    await asyncio.sleep(self.spec.idle_s)
        finally:
            await endpoint.close()

    async def _load(
        self,
        endpoint: Endpoint,
        served: Served,
        phase: Phase,
        prompts: Sequence[tuple[Job, Prompt]],
        hashes: dict[str, str | None],
        ticker: asyncio.Task[None],
    ) -> None:
        started_ns = now_ns()
        load_before = self._load_s
        self._drain()
        self._live.clear()  # watts shown under load are of the load alone
        pair_id = served.identity.pair_id

        def finished(
            job: Job, prompt: Prompt, scheduled_ns: int, in_flight: int, reply: Reply
        ) -> None:
            cancelled = reply.status == "cancelled"
            request = Request(
                # A cancelled attempt is kept for its joules; the item itself is asked again.
                request_id=f"{job.request_id}#cancelled-{self.number}"
                if cancelled
                else job.request_id,
                item_id=job.item.id,
                pair_id=pair_id,
                session=self.number,
                phase_id=phase.phase_id,
                repeat=job.repeat,
                scheduled_ns=scheduled_ns,
                in_flight=in_flight,
                prompt_sha256=hashes.get(job.item.id),
                sampling=prompt.sampling,
                reply=reply,
            )
            self.journal.append(request)
            if cancelled:
                return
            if filler:
                filler.heard(request)
            self._done += 1
            self._failed += reply.status == "error"
            self._unreachable = self._unreachable + 1 if _unreachable(reply) else 0
            self._load_s = load_before + seconds(started_ns, now_ns())
            self._progress(pair_id)

        filler = self._filler

        async def keep_going() -> None:
            if (
                filler
            ):  # at another phase of the tick each time, so that what it misses averages out
                await asyncio.sleep(self._jitter.uniform(0, filler.tick_s))
            if ticker.done():  # it ends only by an error, such as a full disk
                await ticker
            if self._unreachable >= DEAD_AFTER:
                log = f" Its log is {served.log}." if served.log else ""
                msg = f"{served.identity.label} stopped answering after {self._done} requests.{log}"
                raise EngineError(msg, f"Then go on with: perwatt resume {self.run_dir.path}")

        try:
            jobs = filler.feed(pair_id, prompts) if filler else prompts
            await closed_loop(endpoint, jobs, self.spec.parallel, finished, keep_going)
        except BaseExceptionGroup as group:
            # Every place in flight reports the same trouble: one error is enough for a person.
            raise _first(group) from None

    @asynccontextmanager
    async def _phase(
        self, kind: str, pair_id: str | None, pids: Sequence[int] | None
    ) -> AsyncIterator[Phase]:
        """Journal a stretch's start and end: sensors read at both, the host's load between."""
        self._read_sensors()
        self._phases += 1
        phase = msgspec.convert(
            {
                "phase_id": f"s{self.number}-{self._phases}",
                "kind": kind,
                "session": self.number,
                "pair_id": pair_id,
                "start_ns": now_ns(),
            },
            Phase,
        )
        before = cpu_snapshot(pids)
        self.journal.append(phase)
        try:
            yield phase
        finally:
            end_ns = now_ns()
            after = cpu_snapshot(pids)
            neighbours, own = cpu_shares(before, after) if before and after else (None, None)
            self._read_sensors()
            self._drain()
            self.journal.append(
                msgspec.structs.replace(
                    phase, end_ns=end_ns, neighbour_share=neighbours, own_share=own
                )
            )

    def _endpoint(self, segment: Segment) -> Endpoint:
        spec = self.spec
        remote = "://" in spec.endpoint
        factory = registry("endpoint").get("openai" if remote else spec.endpoint)
        logs = self.run_dir.path / "logs"
        try:
            logs.mkdir(exist_ok=True)
        except OSError as error:
            msg = f"The folder {logs} cannot be made: {error.strerror}."
            raise FileError(
                msg, "Give a run directory that you may write to, with --out."
            ) from None
        endpoint: Endpoint = factory(
            EndpointConfig(
                pair_id=segment.pair_id,
                model=segment.model,
                work_dir=logs,
                url=spec.endpoint if remote else None,
                api_key_env=spec.api_key_env,
                parallel=spec.parallel,
                threads=spec.threads,
                context=spec.context,
                port=spec.port,
                timeouts=spec.timeouts,
                extra_body=spec.extra_body,
                accepted_terms=spec.accept_terms,
            )
        )
        return endpoint

    def _tick_s(self) -> float:
        """The slowest tick seen at the start; the sampling period where none was."""
        return max((t.tick_s for t in self.timings if t.tick_s), default=1 / self.spec.sample_hz)

    def _narrowed(self, pids: Sequence[int]) -> str | None:
        """Keep to the devices of these processes; why that cannot be done, such as a shared slice.

        Raises SensorUnavailableError in a run that requires a grade.
        """
        try:
            if self.picked:
                self.picked.narrow(pids)
        except SensorUnavailableError as error:
            if self.spec.require_grade is not None:
                raise
            self.listen(Note(f"Energy is UNKNOWN: {error.message}"))
            return error.message
        return None

    def _lags(self) -> dict[str, SensorTiming]:
        """How late CPU counters show a step of load, by steps of our own; takes three seconds."""
        if not self.picked or self.spec.idle_s < LAG_FROM_S:
            return {}
        counters = [
            (sensor, [d for d in own if d.kind == "counter" and d.grade == "B"])
            for sensor, own in self.picked.probed
        ]
        found = (measure_lag(sensor, own) for sensor, own in counters if own)
        return {timing.domain: timing for each in found for timing in each}

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._drain()

    def _read_sensors(self) -> None:
        if self.sampler:
            self.sampler.read_now()

    def _drain(self) -> None:
        if not self.sampler:
            return
        samples = self.sampler.drain()
        if samples:
            self._live.take(samples)
            self.journal.append(Power(session=self.number, samples=tuple(samples)))

    def _progress(self, pair_id: str) -> None:
        rate = self._done / self._load_s if self._load_s > 0 else None
        total = self.plan.total + (self._filler.added if self._filler else 0)
        left = total - self._done
        self.listen(
            Progress(
                pair_id=pair_id,
                done=self._done,
                total=total,
                failed=self._failed,
                power_w=self._live.power_w(self.picked.counted) if self.picked else None,
                rate_per_s=rate,
                eta_s=left / rate if rate else None,
            )
        )


async def _prompt_hash(endpoint: Endpoint, prompt: Prompt) -> str | None:
    rendered = await endpoint.render(prompt)
    if rendered is None:
        return None
    return hashlib.sha256(rendered.encode("utf-8", errors="surrogatepass")).hexdigest()


def _unreachable(reply: Reply) -> bool:
    return reply.status == "error" and reply.error_kind in {"connect", "engine-died"}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
