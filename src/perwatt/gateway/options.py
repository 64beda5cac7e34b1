"""What `perwatt serve` is told, and all that can be known to be wrong with it before it starts."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import msgspec

from perwatt.core.errors import PortInUseError, SpecError
from perwatt.core.estimate import Grade
from perwatt.core.protocols import Timeouts
from perwatt.core.records import Boundary
from perwatt.core.spec import RunSpec
from perwatt.gateway.target import Target, parse_target

__all__ = ["ServeOptions", "bound", "key_from", "run_spec"]


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One of `to` (a server that runs) and `model` (an engine of our own) is given."""

    to: str | None = None
    model: str | None = None
    endpoint: str = "llamacpp"
    host: str = "127.0.0.1"
    port: int = 8100
    out: Path | None = None
    sensors: tuple[str, ...] = ("auto",)
    boundary: Boundary | None = None
    require_grade: Grade | None = None
    attribution: str = "phase"
    sample_hz: float = 50.0
    idle_s: float = 2.0
    api_key_env: str | None = None
    """The server's key, which takes the place of the callers' own."""
    client_key_env: str | None = None
    """What callers must present."""
    keep_text: bool = False
    max_body_mib: int = 64
    connect_timeout_s: float = 10.0
    timeout_s: float = 600.0
    drain_s: float = 30.0
    """When told to stop, requests in flight have so long to end."""
    parallel: int = 8
    threads: int | None = None
    context: int = 4096
    accept_terms: tuple[str, ...] = ()

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(
            connect_s=self.connect_timeout_s, first_s=self.timeout_s, chunk_s=self.timeout_s
        )

    def target(self) -> Target | None:
        """The server's address; None where the engine is ours. Raises SpecError."""
        if (self.to is None) == (self.model is None or "://" in self.endpoint):
            msg = "`perwatt serve` needs a server, or a model to start one with."
            raise SpecError(msg, "Give --to http://localhost:8000/v1, or --model smollm2-135m.")
        return None if self.to is None else parse_target(self.to)


def run_spec(options: ServeOptions, model: str) -> RunSpec:
    """The same in the words of a run, as run.json keeps it. Raises SpecError."""
    return RunSpec.resolve(
        {
            "model": [model],
            "endpoint": options.endpoint if options.to is None else options.to,
            "workload": "served",
            "load": "trace",  # when the callers say
            "sensors": list(options.sensors),
            "boundary": options.boundary,
            "require_grade": options.require_grade,
            "attribution": options.attribution,
            "sample_hz": options.sample_hz,
            "idle_s": options.idle_s,
            "api_key_env": options.api_key_env,
            "timeout_s": options.timeout_s,
            "connect_timeout_s": options.connect_timeout_s,
            "slots": options.parallel,
            "threads": options.threads,
            "context": options.context,
            "accept_terms": list(options.accept_terms),
            "out": options.out,
        }
    )


def key_from(variable: str | None, option: str) -> str | None:
    """The key in that environment variable. Raises SpecError where it is not set."""
    if variable is None:
        return None
    if not variable.isidentifier():  # a pasted key would be saved
        msg = f"{option} is not usable: give the variable's name, not the key itself."
        raise SpecError(msg)
    key = os.environ.get(variable, "").strip()
    if not key:
        msg = f"The environment variable {variable}, named by {option}, is not set."
        raise SpecError(msg, f"Set it: export {variable}=…")
    return key


def bound(host: str, port: int, client_key: str | None) -> socket.socket:
    """A socket that listens there. Raises SpecError for one that others could reach without a key,
    PortInUseError where the port is taken."""
    if client_key is None and not _loopback(host):
        msg = f"{host} can be reached by other machines, and callers would need no key."
        mend = "Name the variable with theirs, --client-key-env VAR, or keep --host 127.0.0.1."
        raise SpecError(msg, mend)
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        msg = f"{host}:{port} cannot be listened at: {error.strerror or error}."
        raise PortInUseError(msg, "Give another --port, or 0 for a free one.") from None
    return listening


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
