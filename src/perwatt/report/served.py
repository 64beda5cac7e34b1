"""The report over many runs, served: a list with filters, each run's page, each request.

Read only. It binds to this machine unless told otherwise, and answers no other host's name: a page
of somebody else's in the same browser could else read it through a name of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.core.errors import MissingExtraError, PerwattError
from perwatt.report.page import asset, script_hash
from perwatt.report.served_pages import (
    request_page,
    requests_page,
    run_bar,
    runs_page,
    study_bar,
)
from perwatt.report.served_requests import choices_of, find_requests, one_request, wanted
from perwatt.report.served_runs import Library, Listed
from perwatt.report.study_page import render_study
from perwatt.runner.summary import summarise_run
from perwatt.store.load import load_tables

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["check_extra", "served_app"]

LOCAL = ("localhost", "127.0.0.1", "[::1]")


def check_extra() -> None:
    """Raises MissingExtraError where the server's packages are not installed."""
    import importlib.util

    for package in ("uvicorn", "starlette"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "gateway", "`perwatt report --serve`")


def served_app(directories: Sequence[Path], hosts: Sequence[str] = ()) -> Starlette:
    """The ASGI application. `hosts`: names it answers to besides this machine's own."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    library = Library(directories)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self';"
        f" base-uri 'none'; frame-ancestors 'none'; script-src '{script_hash(asset('report.js'))}'"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }

    def page(text: str, status: int = 200) -> Response:
        return HTMLResponse(text.encode("utf-8", errors="replace"), status, headers)

    def data(value: Any, status: int = 200) -> Response:
        body = msgspec.json.encode(value, enc_hook=str)
        return Response(body, status, headers, "application/json")

    def told(request: Request, status: int, message: str, mend: str | None = None) -> Response:
        if request.url.path.startswith("/api/"):
            return data({"error": message, "mend": mend}, status)
        return page(runs_page(library.runs(), {}, {}, problem=(message, mend)), status)

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        async def handled(request: Request) -> Response:
            try:  # parquet and statistics are no work for the event loop
                return await asyncio.to_thread(answer, request)
            except _NotFoundError as error:
                return told(request, 404, str(error))
            except PerwattError as error:
                return told(request, 400, error.message, error.mend)

        return Route(path, handled, methods=["GET"])

    def named(request: Request) -> Listed:
        run = library.run(request.path_params["run"])
        if run is None:
            raise _NotFoundError(f"There is no run {request.path_params['run']!r} here.")
        return run

    def readable(request: Request) -> Listed:
        run = named(request)
        if run.problem:
            raise _NotFoundError(run.problem)
        return run

    def asked_for(request: Request) -> tuple[Listed, dict[str, Any]]:
        run, request_id = readable(request), request.query_params.get("id", "")
        found = one_request(run.path, request_id)
        if found is None:
            raise _NotFoundError(f"There is no request {request_id!r} in {run.id}.")
        return run, found

    def runs(request: Request) -> Response:
        shown = _filtered(library.runs(), request.query_params)
        pairs = {run.id: library.pairs(run) for run in shown}
        return page(runs_page(library.runs(), pairs, dict(request.query_params), shown=shown))

    def study(request: Request) -> Response:
        shown = _filtered(library.runs(), request.query_params)
        made = render_study(library.study([run for run in shown if not run.problem]))
        return page(_with_bar(made, study_bar(request.query_params)))

    def run(request: Request) -> Response:
        found = readable(request)
        return page(_with_bar(library.page(found), run_bar(found)))

    def requests(request: Request) -> Response:
        found, asked = readable(request), wanted(request.query_params)
        return page(
            requests_page(found, find_requests(found.path, asked), asked, choices_of(found.path))
        )

    def one(request: Request) -> Response:
        return page(request_page(*asked_for(request)))

    def elsewhere(request: Request, _: Exception) -> Response:
        return told(request, 404, f"There is no page {request.url.path!r} here.")

    def api_run(request: Request) -> Response:
        return data(summarise_run(load_tables(readable(request).path)))

    def api_requests(request: Request) -> Response:
        found = find_requests(readable(request).path, wanted(request.query_params))
        return data({"total": found.total, "of": found.of, "requests": found.rows})

    return Starlette(
        routes=[
            route("/", runs),
            route("/study", study),
            route("/run/{run}", run),
            route("/run/{run}/requests", requests),
            route("/run/{run}/request", one),
            route("/api/runs", lambda request: data(_api_runs(library, request.query_params))),
            route("/api/run/{run}", api_run),
            route("/api/run/{run}/requests", api_requests),
            route("/api/run/{run}/request", lambda request: data(asked_for(request)[1])),
        ],
        exception_handlers={404: elsewhere},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, *hosts])],
    )


def _with_bar(page: str, bar: str) -> str:
    return page.replace("<main", bar + "<main", 1)


class _NotFoundError(Exception):
    """Its words are the reason."""


def _filtered(runs: Sequence[Listed], query: Mapping[str, str]) -> list[Listed]:
    words = query.get("q", "").lower()

    def fits(run: Listed) -> bool:
        has = {
            "workload": [run.workload],
            "model": run.models,
            "device": run.devices,
            "grade": [run.grade or "none"],
        }
        said = f"{run.id} {run.workload} {' '.join(run.models)}".lower()
        return words in said and all(
            query[name] in values for name, values in has.items() if query.get(name)
        )

    return [run for run in runs if fits(run)]


def _api_runs(library: Library, query: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "id": run.id,
            "started": run.about.get("started"),
            "workload": run.workload,
            "grade": run.grade,
            "models": run.models,
            "devices": run.devices,
            "problem": run.problem,
            "pairs": library.pairs(run).rows,
        }
        for run in _filtered(library.runs(), query)
    ]
