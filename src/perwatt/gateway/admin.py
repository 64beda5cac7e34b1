"""What can be asked of the address itself: joules by request id, how it stands, /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.gateway.failure import error_body
from perwatt.gateway.headers import authorised
from perwatt.gateway.live_meter import LiveMeter
from perwatt.gateway.outflow import Send
from perwatt.gateway.passage import Receive

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["admin_app"]

App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
JSON = "application/json"


def admin_app(
    meter: LiveMeter,
    registry: CollectorRegistry,
    status: Callable[[], dict[str, Any]],
    client_key: str | None,
) -> App:
    """Everything outside `/v1`. All but /healthz asks for the callers' key, where there is one."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    def answer(status_code: int, value: Any) -> Response:
        return Response(msgspec.json.encode(value), status_code, media_type=JSON)

    def failed(status_code: int, message: str, code: str) -> Response:
        body = error_body(message, "invalid_request_error", code)
        return Response(body, status_code, media_type=JSON)

    def kept(
        handler: Callable[[Request], Response],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            if client_key is not None and not authorised(request.headers.raw, client_key):
                return failed(401, "The key is missing or wrong.", "invalid_api_key")
            return handler(request)

        return checked

    def one(request: Request) -> Response:
        request_id = request.path_params["request_id"]
        told = meter.asked(request_id)
        if told is None:
            message = "No such request, or one that ended long ago: see the run directory."
            return failed(404, message, "not_found")
        return answer(200, told)

    def state(_: Request) -> Response:
        return answer(200, status())

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def health(_: Request) -> Response:
        return answer(200, {"status": "ok"})

    async def unknown(_: Request, __: Exception) -> Response:
        message = "There are /v1/…, /perwatt/status, /perwatt/requests/ID, /metrics and /healthz."
        return failed(404, message, "not_found")

    return Starlette(
        routes=[
            Route("/perwatt/requests/{request_id:path}", kept(one)),
            Route("/perwatt/status", kept(state)),
            Route("/metrics", kept(metrics)),
            Route("/healthz", health),
        ],
        exception_handlers={404: unknown},
    )
