"""The address while it is open: engine, sensors, journal and HTTP server, closed in order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple

import msgspec

from perwatt import __version__
from perwatt.core.clock import anchor_now, now_ns, seconds
from perwatt.core.errors import SensorUnavailableError
from perwatt.endpoints.http_client import HttpClient
from perwatt.gateway.admin import admin_app
from perwatt.gateway.finish import KIND
from perwatt.gateway.http_server import http_server, routed, url_of
from perwatt.gateway.ids import Names
from perwatt.gateway.live_journal import LiveJournal
from perwatt.gateway.live_meter import LiveMeter
from perwatt.gateway.metrics import Joules, registry_of
from perwatt.gateway.options import ServeOptions
from perwatt.gateway.passage import Wiring
from perwatt.gateway.proxy import Proxy
from perwatt.gateway.recorder import Recorder
from perwatt.gateway.stretches import Stretches
from perwatt.gateway.upstream import Upstream, reached, started
from perwatt.runner.events import Listener, Note, Stage
from perwatt.runner.traps import hosting
from perwatt.sensors.pick import Picked
from perwatt.sensors.sampler import Sampler
from perwatt.store.lines import Session
from perwatt.store.rundir import RunDir

__all__ = ["Keys", "Sitting"]

SESSION = 1


class Keys(NamedTuple):
    """Secrets: in memory alone, and in no record, log or error."""

    upstream: str | None
    client: str | None

    def __repr__(self) -> str:
        return "Keys(…)"


class Sitting:
    """`run` until `stop`. What it leaves is a whole journal and a run.json that says what it is."""

    def __init__(
        self,
        options: ServeOptions,
        run_dir: RunDir,
        run: dict[str, Any],
        keys: Keys,
        listening: socket.socket,
        picked: Picked | None,
        listen: Listener,
    ) -> None:
        self._options = options
        self._run_dir = run_dir
        self._run = run
        self._keys = keys
        self._listening = listening
        self._picked = picked
        self._listen = listen
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_stop = asyncio.Event()
        self._at_once = False
        self._starting: asyncio.Task[Any] | None = None
        """What a signal cancels while nothing is served yet."""
        self._began_ns = now_ns()
        self._wall = run["started"]

    def stop(self, *, now: bool) -> None:
        """From any thread. `now`: do not wait for requests in flight."""
        self._at_once = self._at_once or now
        if self._loop is None or self._loop.is_closed():
            self._told_to_stop.set()
        else:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)

    async def run(self, answers: Callable[[str], None]) -> None:
        """Serve. Raises what an engine raises that does not start, DiskFullError; CancelledError
        where a signal came before the address was open."""
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.current_task()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.add_signal_handler(number, self._signalled)
        async with AsyncExitStack() as stack:
            journal = LiveJournal(self._run_dir.journal, lambda _: self.stop(now=False))
            stack.callback(journal.close)
            journal.put(
                Session(
                    session=SESSION,
                    anchor=anchor_now(),
                    perwatt_version=__version__,
                    pid=os.getpid(),
                )
            )
            sampler = None
            if self._picked:
                sampler = Sampler(self._picked.sensors, self._options.sample_hz)
                await asyncio.to_thread(sampler.start)
                stack.push_async_callback(asyncio.to_thread, sampler.stop)
                timings = msgspec.to_builtins(sampler.timings)
                self._run["energy"]["timings"] = timings
            upstream = await self._upstream(stack)
            await self._serve(upstream, journal, sampler, answers, stack)

    async def _upstream(self, stack: AsyncExitStack) -> Upstream:
        target = self._options.target()
        if target is None:
            self._listen(Stage(f"Starting {self._options.model}"))
            upstream = await started(self._options, self._run_dir)
            assert upstream.endpoint is not None
            stack.push_async_callback(upstream.endpoint.close)
        else:
            upstream = await reached(target, self._keys.upstream)
        if upstream.warning:
            self._listen(Note(upstream.warning))
        self._opened(upstream)
        return upstream

    async def _serve(
        self,
        upstream: Upstream,
        journal: LiveJournal,
        sampler: Sampler | None,
        answers: Callable[[str], None],
        stack: AsyncExitStack,
    ) -> None:
        options, keys = self._options, self._keys
        pair_id = upstream.identity.pair_id
        counted = self._run["energy"]["counted"].get(pair_id)
        picked = self._picked if counted else None
        refused = self._run["energy"]["refused"].get(pair_id)
        stretches = Stretches(journal.put, SESSION, pair_id)
        stretches.serves(upstream.pids)
        joules = Joules()
        line = refused or self._run["energy"]["line"]
        meter = LiveMeter(picked, sampler, journal.put, stretches, SESSION, line, joules.add)
        secrets = tuple(key for key in keys if key)
        recorder = Recorder(
            journal.put,
            session=SESSION,
            pair_id=pair_id,
            keep_text=options.keep_text,
            secrets=secrets,
        )
        client = HttpClient(upstream.target.root, connect_s=options.connect_timeout_s)
        stack.push_async_callback(client.close)
        wiring = Wiring(
            client,
            upstream.target,
            meter,
            recorder,
            Names(),
            options.timeouts,
            upstream_key=keys.upstream,
            own_key=keys.client is not None,
        )
        proxy = Proxy(wiring, client_key=keys.client, max_body_bytes=options.max_body_mib * 2**20)
        admin = admin_app(
            meter,
            registry_of(meter, recorder, joules),
            lambda: self._status(upstream, meter, recorder),
            keys.client,
        )
        server = http_server(routed(proxy, admin), options.drain_s)
        meter.rests_from_ns = now_ns()
        stretches.idle(meter.rests_from_ns)
        running = [asyncio.create_task(meter.run()), asyncio.create_task(journal.keep_forced())]
        try:
            if options.idle_s:
                self._listen(Stage(f"Measuring this machine at rest for {options.idle_s:g} s"))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._told_to_stop.wait(), options.idle_s)
            self._starting = None
            gc.collect()
            gc.freeze()  # what is loaded by now stays: a full collection need not look at it
            serving = asyncio.create_task(server.serve(sockets=[self._listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            answers(url_of(self._listening))
            stopping = asyncio.create_task(self._told_to_stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            self._listen(Stage(f"Stopping: {meter.in_flight} requests are in flight"))
            while not serving.done():
                if self._at_once:
                    server.force_exit = True
                    for task in list(server.server_state.tasks):
                        task.cancel()
                await asyncio.wait({serving}, timeout=0.05)
            await serving
        finally:
            gc.unfreeze()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if sampler:
                await asyncio.to_thread(sampler.stop)
            await meter.close()

    def _opened(self, upstream: Upstream) -> None:
        """run.json says what answers, and whose joules count."""
        pair_id, energy = upstream.identity.pair_id, self._run["energy"]
        self._run["pairs"] = {pair_id: msgspec.to_builtins(upstream.identity)}
        energy["counted"][pair_id] = []
        if self._picked:
            try:
                self._picked.narrow(upstream.pids)
                energy["counted"][pair_id] = [d.name for d in self._picked.counted]
            except SensorUnavailableError as error:
                if self._options.require_grade is not None:
                    raise
                self._listen(Note(f"Energy is UNKNOWN: {error.message}"))
                energy["refused"][pair_id] = error.message
            energy["hosting"][pair_id] = hosting(self._picked.domains, upstream.pids)
        self._run_dir.write_run(self._run)

    def _status(self, upstream: Upstream, meter: LiveMeter, recorder: Recorder) -> dict[str, Any]:
        meter.take_over()
        baseline, ledger = meter.baseline(), meter.ledger
        return {
            "kind": KIND,
            "perwatt_version": __version__,
            "to": upstream.target.url,
            "pair_id": upstream.identity.pair_id,
            "started": self._wall,
            "up_s": seconds(self._began_ns, now_ns()),
            "in_flight": meter.in_flight,
            "requests": {
                status: sum(n for (s, _), n in recorder.requests.items() if s == status)
                for status in ("ok", "error", "cancelled")
            },
            "energy_line": meter.line,
            "grade": meter.picked.grade if meter.picked else None,
            "boundary": meter.picked.boundary if meter.picked else None,
            "device_j": ledger.device_j if meter.picked else None,
            "requests_j": ledger.requests_j if meter.picked else None,
            "idle_j": ledger.idle_j if meter.picked else None,
            "unattributed_j": ledger.unattributed_j if meter.picked else None,
            "power_w": ledger.power_w,
            "idle": baseline._asdict() if baseline else None,
        }

    def _signalled(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        self.stop(now=self._told_to_stop.is_set())
