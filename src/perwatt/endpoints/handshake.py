"""The first words with a server: does it answer, what is it, does it have the model?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.core.errors import EngineError, UnknownNameError
from perwatt.endpoints.address import Address
from perwatt.endpoints.failures import bounded, server_message
from perwatt.endpoints.quirks import Quirk, recognise

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Greeting", "greet"]

PATIENCE_S = 10.0


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """What a server tells of itself. None where it does not say."""

    quirk: Quirk
    engine_version: str | None = None
    precision: str | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    warnings: tuple[str, ...] = ()


async def greet(
    session: aiohttp.ClientSession,
    address: Address,
    model: str,
    headers: dict[str, str],
    key: str | None,
) -> Greeting:
    """Ask for `/v1/models`. A server that lists nothing is accepted, with a warning.

    Raises EngineError where nothing answers or what answers is no such server, UnknownNameError.
    """
    url = address.url("/v1/models")
    status, server, body = await _get(session, url, headers)
    if status in {401, 403}:
        said = bounded(server_message(body), key)
        msg = f"The server at {address.root} refused the key (HTTP {status}: {said})."
        raise EngineError(msg, "Name the variable that holds the right key with --api-key-env.")
    listed = _listed(body) if status == 200 else None
    if listed is None and status not in {404, 405, 501}:
        said = bounded(server_message(body), key)[:120]
        msg = f"What answers at {url} is no OpenAI-compatible server (HTTP {status}: {said})."
        raise EngineError(msg, "Check the address; it usually ends in /v1.")
    models = listed or []
    quirk = recognise(server, {str(m.get("owned_by")) for m in models})
    warnings: tuple[str, ...] = ()
    chosen: dict[str, Any] = {}
    if models:
        by_name = {name: m for m in models for name in _names(m)}
        if model not in by_name:
            raise UnknownNameError(f"model at {address.root}", model, by_name)
        chosen = by_name[model]
    else:
        warnings = (f"{address.root} does not list its models; {model} is taken on trust.",)
    meta = chosen.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return Greeting(
        quirk=quirk,
        engine_version=await _version(session, address, quirk, headers),
        precision=_typed(meta.get("ftype"), str),
        parameters=_typed(meta.get("n_params"), int),
        model_bytes=_typed(meta.get("size"), int),
        warnings=warnings,
    )


async def _get(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str]
) -> tuple[int, str | None, bytes]:
    import aiohttp

    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, response.headers.get("Server"), await response.read()
    except TimeoutError:
        msg = f"The server at {url} did not answer within {PATIENCE_S:g} s."
    except (aiohttp.ClientError, OSError) as error:
        reason = str(getattr(error, "os_error", None) or error).rstrip(".")
        msg = f"No server can be reached at {url}: {reason}."
    raise EngineError(msg, "Start it, or check the address given to --endpoint.") from None


async def _version(
    session: aiohttp.ClientSession, address: Address, quirk: Quirk, headers: dict[str, str]
) -> str | None:
    if quirk.version_path is None or quirk.version_field is None:
        return None
    try:
        status, _, body = await _get(session, address.url(quirk.version_path), headers)
        answer = msgspec.json.decode(body) if status == 200 else None
    except (EngineError, msgspec.DecodeError):
        return None
    version = answer.get(quirk.version_field) if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None


def _listed(body: bytes) -> list[dict[str, Any]] | None:
    """The models in a `/v1/models` answer; None if it is none."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    data = answer.get("data") if isinstance(answer, dict) else answer
    if data is None:
        return []
    if not isinstance(data, list):
        return None
    return [m for m in data if isinstance(m, dict) and isinstance(m.get("id"), str)]


def _names(model: dict[str, Any]) -> list[str]:
    aliases = model.get("aliases")
    more = [a for a in aliases if isinstance(a, str)] if isinstance(aliases, list) else []
    return [model["id"], *more]


def _typed(value: Any, kind: type[Any]) -> Any:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
