"""`perwatt sampler`: this machine's joules for a perwatt that runs elsewhere."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from perwatt.cli.run import Json
from perwatt.core.errors import SensorUnavailableError, SpecError

if TYPE_CHECKING:
    from perwatt.sensors.sampler import Sampler
    from perwatt.sensors.serve import SampleServer

__all__ = ["sampler"]


def sampler(
    *,
    listen: Annotated[
        str, Parameter(help="HOST:PORT to answer at. Beyond this machine a token is needed.")
    ] = "127.0.0.1:9471",
    sensors: Annotated[
        list[str] | None, Parameter(help="As for `perwatt run`; repeat it to add one.", negative="")
    ] = None,
    hz: Annotated[float, Parameter(help="Sensor readings per second.")] = 20.0,
    json: Json = False,
) -> None:
    """Read this machine's sensors until it is stopped, for `--sensors remote:` on another.

    Set PERWATT_SAMPLER_TOKEN on both sides to be reached from beyond this machine. The address goes
    to stdout once it answers.
    """
    from perwatt.sensors.pick import pick
    from perwatt.sensors.remote_wire import token_from_environment
    from perwatt.sensors.sampler import Sampler
    from perwatt.sensors.serve import SampleServer, parse_listen

    if not 0 < hz <= 1000:
        msg = f"--hz {hz:g} is not usable."
        raise SpecError(msg, "Give a rate above 0 and up to 1000.")
    host, port = parse_listen(listen)
    token = token_from_environment()
    picked = pick(sensors or ("auto",))
    try:
        for tried in picked.tried:
            if tried.asked and not tried.ok:  # nobody watches a service fall back
                raise SensorUnavailableError(tried.reason or f"{tried.name} failed.", tried.mend)
        reader = Sampler(picked.sensors, hz)
        server = SampleServer(reader, hz=hz, host=host, port=port, token=token)
        try:
            _serve_until_stopped(reader, server, picked.energy_line, json)
        finally:
            server.close()
            reader.stop()
    finally:
        picked.close()


def _serve_until_stopped(reader: Sampler, server: SampleServer, line: str, json: bool) -> None:
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        reader.start()
        server.start()
        names = [domain.name for domain in reader.domains]
        told = {"url": server.url, "session": server.session, "domains": names}
        print(line, file=sys.stderr)
        print(f"Answers until stopped, for --sensors remote:{server.url}", file=sys.stderr)
        print(msgspec.json.encode(told).decode() if json else server.url, flush=True)
        stopped.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
