"""`perwatt report DIR… -o report.html`; `--serve` over many runs; `--as TOOL` in its words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from perwatt.core.errors import SpecError

__all__ = ["report"]

Tool = Literal["vllm", "guidellm", "aiperf", "inference-perf"]
PAGE = Path("report.html")


def report(
    *directories: Annotated[
        Path, Parameter(help="Directories of finished runs, or folders that hold them.")
    ],
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"], help=f"File to write. [default: {PAGE}]", show_default=False
        ),
    ] = None,
    as_: Annotated[
        Tool | None,
        Parameter(
            name="--as",
            help="Print the figures that this tool would report of the same requests, under its"
            " own names and by its own formulas, instead of writing a page.",
        ),
    ] = None,
    serve: Annotated[
        bool,
        Parameter(
            help="Serve the reports of all runs, with filters and each single request, instead of"
            " writing a page.",
            negative="",
            show_default=False,
        ),
    ] = False,
    host: Annotated[str, Parameter(help="With --serve: the address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="With --serve: 0 picks a free one.")] = 8765,
    json: Annotated[
        bool, Parameter(help="With --as: print them as JSON.", negative="", show_default=False)
    ] = False,
) -> None:
    """Write one self-contained HTML report of one or more runs, or serve many. No network is used
    or needed."""
    from perwatt.report.build import write_report
    from perwatt.report.load import load_run
    from perwatt.study.runs import expanded

    if not directories:
        msg = "`perwatt report` was given no run directory."
        raise SpecError(msg, "Name one or more, such as: perwatt report runs/demo -o report.html")
    if json and as_ is None:
        msg = "--json prints what another tool would report, and no tool was named."
        raise SpecError(msg, "Name one, such as --as vllm; perwatt's own figures are in the page.")
    if serve:
        _serve(directories, host, port)
        return
    runs = [load_run(directory) for directory in expanded(directories)]
    if as_ is not None:
        from perwatt.cli.show import stdout_console
        from perwatt.cli.show_reported import print_reported

        console = stdout_console()
        shown = [(run.directory, run.summary) for run in runs]
        print_reported(shown, as_, console, json=json)
    if as_ is None or output is not None:
        page = output or PAGE
        write_report(runs, page)
        if as_ is None:
            print(page)


def _serve(directories: Sequence[Path], host: str, port: int) -> None:
    """Until Ctrl-C. Raises PortInUseError, MissingExtraError, or SpecError for the options."""
    import socket
    import sys

    from perwatt.endpoints.engine_process import check_port
    from perwatt.report.served import check_extra, served_app

    check_extra()
    import uvicorn

    missing = next((path for path in directories if not path.is_dir()), None)
    if missing is not None:
        msg = f"There is no directory {missing}."
        raise SpecError(msg, "Name run directories, or folders that hold them.")
    if port:
        check_port(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        msg = f"Nothing can listen at --host {host} --port {port}: {error}."
        raise SpecError(msg, "Give an address of this machine, such as 127.0.0.1.") from None
    with listening:
        bound = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{bound}", flush=True)
        print("Ctrl-C ends it.", file=sys.stderr)
        # Who listens to everybody is asked for by names that nobody here can know.
        named = ("*",) if host in ("0.0.0.0", "::") else (shown,)
        config = uvicorn.Config(
            served_app(directories, named),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run(sockets=[listening])
