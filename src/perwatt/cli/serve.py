"""`perwatt serve`: one address in front of a server; joules for every request that goes through."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from perwatt.cli.run import Json
from perwatt.core.errors import SpecError

if TYPE_CHECKING:
    from perwatt.gateway.serve import Serving

__all__ = ["serve"]


def serve(
    *,
    to: Annotated[
        str | None, Parameter(help="The server to meter, such as http://localhost:8000/v1.")
    ] = None,
    model: Annotated[
        str | None, Parameter(help="Start the embedded engine with this model, and meter it.")
    ] = None,
    endpoint: Annotated[str, Parameter(help="The engine that --model starts.")] = "llamacpp",
    host: Annotated[
        str, Parameter(help="Where to answer. Beyond this machine --client-key-env is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0 picks a free one.")] = 8100,
    out: Annotated[
        Path | None, Parameter(help="Run directory; default runs/<time>-serve-<server>.")
    ] = None,
    sensors: Annotated[
        list[str] | None, Parameter(help="As for `perwatt run`; repeat it to add one.", negative="")
    ] = None,
    boundary: Annotated[
        Literal["accelerator", "package", "system"] | None,
        Parameter(help="Which joules count, where the sensors offer several boundaries."),
    ] = None,
    require_grade: Annotated[
        Literal["A", "B", "C", "D"] | None,
        Parameter(help="Do not start unless energy is at least this grade."),
    ] = None,
    attribution: Annotated[
        str,
        Parameter(help="How the finished run shares the joules of requests in flight together."),
    ] = "phase",
    sample_hz: Annotated[float, Parameter(help="Sensor readings per second.")] = 50.0,
    idle_s: Annotated[
        float, Parameter(help="Seconds of idle measured before the first request is taken.")
    ] = 2.0,
    api_key_env: Annotated[
        str | None,
        Parameter(help="Variable with the server's key, sent instead of the callers' own."),
    ] = None,
    client_key_env: Annotated[
        str | None, Parameter(help="Variable with the key that callers must present.")
    ] = None,
    keep_text: Annotated[
        bool,
        Parameter(help="Keep the answers' text in the run; it is the callers' own.", negative=""),
    ] = False,
    max_body_mib: Annotated[int, Parameter(help="Largest request body.")] = 64,
    timeout_s: Annotated[
        float, Parameter(help="Longest wait for the server's first byte, and between two.")
    ] = 600.0,
    connect_timeout_s: Annotated[float, Parameter(help="Longest wait for a connection.")] = 10.0,
    drain_s: Annotated[
        float, Parameter(help="When stopped, requests in flight have so long to end.")
    ] = 30.0,
    parallel: Annotated[int, Parameter(help="Embedded engine's places.")] = 8,
    threads: Annotated[int | None, Parameter(help="Embedded engine's threads.")] = None,
    context: Annotated[int, Parameter(help="Embedded engine's context for each place.")] = 4096,
    accept_terms: Annotated[
        list[str] | None,
        Parameter(help="Models whose licence terms you have read and accept.", negative=""),
    ] = None,
    json: Json = False,
) -> None:
    """An OpenAI-compatible address that meters: joules of each request, for any program.

    They are in headers, in a stream's last usage chunk, in /metrics and, once the address is closed
    by Ctrl-C or SIGTERM, in a run directory.

    The address goes to stdout once it answers. Prompts are never kept, answers only with
    --keep-text.
    """
    from perwatt.cli.show import ProgressView
    from perwatt.gateway.options import ServeOptions
    from perwatt.gateway.serve import serve as open_address

    given: dict[str, Any] = {
        "to": to,
        "model": model,
        "endpoint": endpoint,
        "host": host,
        "port": port,
        "out": out,
        "sensors": tuple(sensors or ("auto",)),
        "boundary": boundary,
        "require_grade": require_grade,
        "attribution": attribution,
        "sample_hz": sample_hz,
        "idle_s": idle_s,
        "api_key_env": api_key_env,
        "client_key_env": client_key_env,
        "keep_text": keep_text,
        "max_body_mib": max_body_mib,
        "timeout_s": timeout_s,
        "connect_timeout_s": connect_timeout_s,
        "drain_s": drain_s,
        "parallel": parallel,
        "threads": threads,
        "context": context,
        "accept_terms": tuple(accept_terms or ()),
    }
    for option, least in (("port", 0), ("max_body_mib", 1), ("parallel", 1), ("drain_s", 0)):
        if given[option] < least or (option == "port" and port > 65535):
            msg = f"--{option.replace('_', '-')} {given[option]} is not usable."
            raise SpecError(msg, f"Give {least} or more{', up to 65535' * (option == 'port')}.")

    def opened(serving: Serving) -> None:
        told = {"url": f"{serving.url}/v1", "run": str(serving.directory)}
        print(f"Requests to {told['url']} are metered until Ctrl-C.", file=sys.stderr)
        print(msgspec.json.encode(told).decode() if json else told["url"], flush=True)

    with ProgressView(json=True) as view:  # stdout is the address
        directory = open_address(ServeOptions(**given), view, opened)
    if directory is not None:
        from perwatt.cli.run import show_result

        show_result(directory, json=json)
