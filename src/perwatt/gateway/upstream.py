"""The server that is metered: one that runs already, or an engine started for the purpose."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Endpoint, EndpointConfig, Timeouts
from perwatt.core.records import PairIdentity
from perwatt.core.registry import registry
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_exchange import BodyReceiver, TransportError
from perwatt.gateway.options import ServeOptions
from perwatt.gateway.target import Target, parse_target
from perwatt.runner.host import listeners
from perwatt.runner.plan import pair_ids
from perwatt.store.rundir import RunDir

__all__ = ["Upstream", "reached", "started"]

FIRST_WORDS = Timeouts(connect_s=5.0, first_s=5.0, chunk_s=5.0, total_s=10.0)


class Upstream(NamedTuple):
    """Where requests go, what answers there, and what to close in the end."""

    target: Target
    identity: PairIdentity
    pids: tuple[int, ...]
    warning: str | None = None
    endpoint: Endpoint | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] = []


async def reached(target: Target, key: str | None) -> Upstream:
    """A server that runs, or will: one that cannot be reached yet is only warned of."""
    host = target.root.partition("://")[2]
    models, warning = await _models(target, key)
    model = models[0] if len(models) == 1 else None
    identity = PairIdentity(
        pair_id=pair_ids((model,))[0] if model else "served",
        label=f"{model or 'what was served'} at {host}",
        model=model or "as asked",
        engine="OpenAI-compatible server",
        settings={"models": models[:50]},
    )
    return Upstream(target, identity, listeners(target.root), warning)


async def started(options: ServeOptions, run_dir: RunDir) -> Upstream:
    """An engine of our own with `options.model`. Raises what its `open` raises."""
    assert options.model is not None
    endpoint: Endpoint = registry("endpoint").get(options.endpoint)(
        EndpointConfig(
            pair_id=pair_ids((options.model,))[0],
            model=options.model,
            work_dir=run_dir.path / "logs",
            parallel=options.parallel,
            threads=options.threads,
            context=options.context,
            timeouts=options.timeouts,
            accepted_terms=options.accept_terms,
        )
    )
    try:
        served = await endpoint.open()
        if served.url is None:
            msg = f"The endpoint {options.endpoint} has no address to pass requests on to."
            raise PerwattError(msg, "Use --endpoint llamacpp, or --to with a server's address.")
    except BaseException:
        await endpoint.close()
        raise
    # What the engine is asked is the callers' own, our cache setting among it.
    settings = {k: v for k, v in served.identity.settings.items() if k not in _OURS}
    identity = msgspec.structs.replace(served.identity, settings=settings)
    warning = " ".join(served.warnings) or None
    return Upstream(parse_target(served.url), identity, served.pids, warning, endpoint)


_OURS = frozenset({"cache_prompt", "mode"})


async def _models(target: Target, key: str | None) -> tuple[list[str], str | None]:
    client = HttpClient(target.root, connect_s=FIRST_WORDS.connect_s)
    heard = BodyReceiver()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        await client.send("GET", f"{target.path}/models", headers, None, heard, FIRST_WORDS)
        answer = msgspec.json.decode(heard.content, type=_Models) if heard.status == 200 else None
    except TransportError as error:
        return [], f"Nothing answers at {target.url} yet ({error.sentence})."
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = None
    finally:
        await client.close()
    return ([model.id for model in answer.data] if answer else []), None
