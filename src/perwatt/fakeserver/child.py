"""A worker process: `python -m perwatt.fakeserver.child`, told by JSON lines on its stdin.

First line in: `Told`. First line out: `Ready`, or an error's words. Next line in: the ports of all
workers. It ends with its stdin, so that it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import msgspec

from perwatt.core.errors import PerwattError
from perwatt.fakeserver.server import FakeServer
from perwatt.fakeserver.settings import Settings

__all__ = ["Ready", "Told"]


class Told(msgspec.Struct):
    """What a worker is started with."""

    settings: Settings
    worker: int
    shared: bool
    cpus: list[int] | None = None
    """CPUs to stay on; None: any."""


class Ready(msgspec.Struct):
    """What it says once it serves, or why it does not."""

    url: str = ""
    own_port: int = 0
    refused_url: str = ""
    stalled_url: str = ""
    error: str | None = None
    mend: str | None = None


async def _serve(told: Told) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    async with FakeServer(told.settings, worker=told.worker, shared=told.shared) as server:
        ready = Ready(
            url=server.url,
            own_port=server.own_port,
            refused_url=server.refused_url(),
            stalled_url=server.stalled_url(),
        )
        _say(ready)
        rest = bytearray()

        def hear() -> None:
            data = os.read(0, 65536)
            if not data:
                loop.remove_reader(0)
                ended.set()
                return
            rest.extend(data)
            if b"\n" in rest:
                server.know_siblings(msgspec.json.decode(bytes(rest), type=list[int]))
                rest.clear()

        loop.add_reader(0, hear)
        # A collection over all the truth that is kept would make every chunk of that moment late.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        await ended.wait()


def _say(ready: Ready) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(ready) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    # Signals reach the whole group; whoever started us decides, and closes our stdin.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    line = bytearray()
    while not line.endswith(b"\n"):  # unbuffered, so that nothing after the line is swallowed
        byte = os.read(0, 1)
        if not byte:
            return
        line += byte
    told = msgspec.json.decode(bytes(line), type=Told)
    if told.cpus:
        os.sched_setaffinity(0, told.cpus)
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_serve(told))
    except PerwattError as error:
        _say(Ready(error=error.message, mend=error.mend))
        sys.exit(2)


if __name__ == "__main__":
    main()
