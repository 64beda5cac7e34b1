"""The parent's side of the workers: started, told what to ask, listened to, always stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from perwatt.core.errors import EngineError, FileError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import ClientAudit, Request
from perwatt.endpoints.engine_process import python_module
from perwatt.runner.loadgen_stretch import Orders, Prepared
from perwatt.runner.worker_wire import (
    Apply,
    Ended,
    FromWorker,
    Ready,
    Setup,
    Stop,
    Told,
    ToWorker,
    frame,
    from_worker,
    receive,
)

__all__ = ["WorkerPool"]

START_S = 60.0
STOP_S = 5.0
"""For the replies that were in flight to come as cancelled."""
CLOSE_S = 1.0
"""For its connections to be closed; one that is still starting has none, and is killed then."""


class _Worker:
    def __init__(self, number: int, process: asyncio.subprocess.Process, log: Path) -> None:
        self.number = number
        self.process = process
        self.log = log
        self._decoder = from_worker()

    async def say(self, message: ToWorker) -> None:
        assert self.process.stdin is not None
        with suppress(ConnectionError):  # it has died: listening to it says so
            self.process.stdin.write(frame(message))
            await self.process.stdin.drain()

    async def hear(self) -> FromWorker:
        """Its next message. Raises EngineError when it has died."""
        assert self.process.stdout is not None
        body = await receive(self.process.stdout)
        if body is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self.process.wait()
            code = self.process.returncode
            how = "closed its pipe" if code is None else f"ended with exit code {code}"
            if code is not None and code < 0:
                how = f"was killed by signal {-code}"
            msg = f"Load worker {self.number} {how}; its log is {self.log}."
            raise EngineError(msg, "What it had finished is kept: go on with `perwatt resume`.")
        return self._decoder.decode(body)


class WorkerPool:
    """`count` processes that ask one pair. They run in sessions of their own, so that Ctrl-C
    reaches the parent alone, and end with it however it ends.
    """

    def __init__(self, count: int, logs: Path) -> None:
        self.count = count
        self.logs = logs
        self._workers: list[_Worker] = []

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(worker.process.pid for worker in self._workers)

    async def start(self, endpoint: str, config: EndpointConfig, prepared: Prepared) -> None:
        """Start all, each with connections of its own. Raises what opening the endpoint raises."""
        each = msgspec.structs.replace(config, parallel=max(1, config.parallel // self.count))
        setup = Setup(os.getpid(), endpoint, each, prepared)
        for number in range(self.count):
            self._workers.append(await self._started(number))
        try:
            async with asyncio.timeout(START_S):
                ready = await asyncio.gather(*(self._ready(w, setup) for w in self._workers))
        except TimeoutError:
            msg = f"The load workers were not ready after {START_S:.0f} s."
            raise EngineError(msg, f"Their logs are in {self.logs}.") from None
        for answer in ready:
            if answer.error is not None:
                raise EngineError(*answer.error)

    async def apply(
        self,
        orders: Orders,
        heard: Callable[[Request], None],
        audited: Callable[[ClientAudit], None],
        check: Callable[[], None],
    ) -> None:
        """Have the workers apply this load, each its share. No more of them than there are places.

        `check` is called as requests end, and may raise to stop. Cancelled, or stopped by an error,
        what was in flight is heard of first.
        """
        bound = orders.stretch.load.in_flight or orders.max_in_flight or self.count
        chosen = self._workers[: min(self.count, bound)]
        for worker in chosen:
            share = msgspec.structs.replace(orders, worker=worker.number, workers=len(chosen))
            await worker.say(Apply(share))

        async def listen(worker: _Worker) -> None:
            while True:
                match await worker.hear():
                    case Told(requests):
                        for request in requests:
                            heard(request)
                        if not stopping:
                            check()
                    case Ended(audit, error):
                        audited(audit)
                        if error is not None:
                            raise EngineError(*error)
                        return

        stopping = False
        listening = {worker.number: asyncio.create_task(listen(worker)) for worker in chosen}
        try:
            await _all(listening.values())
        except BaseException:
            stopping = True
            for worker in chosen:
                if not listening[worker.number].done():
                    await worker.say(Stop())
            left = [task for task in listening.values() if not task.done()]
            if left:
                await asyncio.wait(left, timeout=STOP_S)
            for task in listening.values():
                if not task.cancel() and not task.cancelled():
                    task.exception()  # seen: one error is enough for a person
            raise

    async def close(self) -> None:
        """End all. Safe to call twice, and finishes even when the caller is cancelled."""
        workers, self._workers = self._workers, []
        for worker in workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                for worker in workers:
                    await worker.process.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            for worker in workers:
                with suppress(ProcessLookupError):
                    worker.process.kill()
                await worker.process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _started(self, number: int) -> _Worker:
        log = self.logs / f"worker-{number}.log"
        try:
            with log.open("ab") as file:
                process = await asyncio.create_subprocess_exec(
                    *python_module("perwatt.runner.worker"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=file,
                    start_new_session=True,
                )
        except OSError as error:
            msg = f"A load worker cannot be started: {error.filename or log}: {error.strerror}."
            raise FileError(msg, "Lower --workers.") from None
        return _Worker(number, process, log)

    @staticmethod
    async def _ready(worker: _Worker, setup: Setup) -> Ready:
        await worker.say(setup)
        answer = await worker.hear()
        assert isinstance(answer, Ready)
        return answer


async def _all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait for all; raise the first error as soon as there is one."""
    done, _ = await asyncio.wait(list(tasks), return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
