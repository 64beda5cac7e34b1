"""A process of the load generator: `python -m perwatt.runner.worker`, one core's worth of asking.

stdin carries its orders and is its lifeline: when it ends, the parent is gone, and so is this. On
Linux the kernel kills it with its parent besides. stdout carries what it has asked; all that is
printed goes to stderr, which the parent points at a log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback

from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Endpoint
from perwatt.core.records import Request
from perwatt.core.registry import registry
from perwatt.endpoints.parent_death import die_with_parent
from perwatt.runner.loadgen_stretch import Orders, Prepared, apply_load
from perwatt.runner.loop_watch import LoopWatch
from perwatt.runner.session_loop import run_loop, settled_heap
from perwatt.runner.worker_wire import (
    Apply,
    Ended,
    FromWorker,
    Ready,
    Setup,
    Stop,
    Told,
    frame,
    receive,
    to_worker,
)

__all__ = ["main"]

Trouble = tuple[str, str | None]


def main() -> None:
    """Ask until the parent ends, or says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    die_with_parent(os.getppid())
    replies = os.dup(1)
    os.dup2(2, 1)
    run_loop(_serve(replies))


class _Line:
    """The pipe to the parent: what ends in one turn of the loop goes in one message."""

    def __init__(self, writer: asyncio.WriteTransport) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Request] = []

    def tell(self, request: Request) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(request)

    def say(self, message: FromWorker) -> None:
        self._flush()
        self._writer.write(frame(message))

    def _flush(self) -> None:
        told, self._waiting = self._waiting, []
        if told:
            self._writer.write(frame(Told(tuple(told))))


async def _serve(replies: int) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin.buffer)
    with os.fdopen(replies, "wb", 0) as pipe:
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
        line = _Line(writer)
        decoder = to_worker()
        first = await receive(commands)
        setup = decoder.decode(first) if first else None
        if not isinstance(setup, Setup) or os.getppid() != setup.parent:
            return  # the parent has gone before the kernel was asked to tell
        endpoint: Endpoint = registry("endpoint").get(setup.endpoint)(setup.config)
        trouble = await _opened(endpoint)
        at_work: asyncio.Task[None] | None = None
        try:
            with settled_heap():
                line.say(Ready(trouble))
                while (body := await receive(commands)) is not None:
                    match decoder.decode(body):
                        case Apply(orders):
                            work = _work(endpoint, orders, setup.prepared, line)
                            at_work = asyncio.create_task(work)
                        case Stop() if at_work:
                            at_work.cancel()
        finally:
            if at_work and at_work.cancel():
                await asyncio.wait([at_work])
            await endpoint.close()
            writer.close()


async def _opened(endpoint: Endpoint) -> Trouble | None:
    try:
        await endpoint.open()
    except PerwattError as error:
        return error.message, error.mend
    return None


async def _work(endpoint: Endpoint, orders: Orders, prepared: Prepared, line: _Line) -> None:
    trouble: Trouble | None = None
    watch = LoopWatch()
    try:
        async with watch:
            await apply_load(endpoint, orders, prepared, line.tell)
    except asyncio.CancelledError:
        pass  # what was in flight has been told
    except BaseExceptionGroup as group:
        trouble = _trouble(group)
    except Exception as error:
        trouble = _trouble(error)
    line.say(Ended(watch.audit(orders.phase_id, orders.worker), trouble))


def _trouble(error: BaseException) -> Trouble:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, PerwattError):
        return error.message, error.mend
    traceback.print_exception(error)  # a bug: the log has the whole of it
    return f"A load worker failed: {type(error).__name__}: {error}.", None


if __name__ == "__main__":
    main()
