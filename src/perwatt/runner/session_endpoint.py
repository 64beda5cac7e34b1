"""Which endpoint a spec names, and what it is told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError, SpecError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Served
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.runner.plan import Segment

__all__ = ["config_for", "for_workers", "named"]


def named(endpoint: str) -> tuple[str, str | None]:
    """(registered name, address) of `name`, `name:address` or a bare URL, which is `openai`'s."""
    name, colon, address = endpoint.partition(":")
    if colon and address and name in registry("endpoint").names():
        return name, address
    return ("openai", endpoint) if "://" in endpoint else (endpoint, None)


def config_for(spec: RunSpec, segment: Segment, logs: Path) -> EndpointConfig:
    """What the endpoint of a pair is told; makes its folder. Raises FileError."""
    try:
        logs.mkdir(exist_ok=True)
    except OSError as error:
        msg = f"The folder {logs} cannot be made: {error.strerror}."
        raise FileError(msg, "Give a run directory that you may write to, with --out.") from None
    return EndpointConfig(
        pair_id=segment.pair_id,
        model=segment.model,
        work_dir=logs,
        url=named(spec.endpoint)[1],
        api_key_env=spec.api_key_env,
        parallel=spec.parallel,
        threads=spec.threads,
        context=spec.context,
        port=spec.port,
        timeouts=spec.timeouts,
        extra_body=spec.extra_body,
        accepted_terms=spec.accept_terms,
    )


def for_workers(name: str, config: EndpointConfig, served: Served) -> tuple[str, EndpointConfig]:
    """How other processes ask the same pair: an engine that we started, by its own address.

    Raises SpecError for one that has none.
    """
    if served.url is None:
        msg = f"--workers: the endpoint {name} answers within this process."
        raise SpecError(msg, "Leave --workers at 1.")
    if config.url is not None:
        return name, config
    if name != "llamacpp":  # a server of its own kind at its usual address
        return name, msgspec.structs.replace(config, url=served.url)
    route = "completions" if served.identity.settings.get("mode") == "completion" else None
    alias = re.sub(r"[^A-Za-z0-9._@-]+", "-", config.pair_id)
    return "openai", msgspec.structs.replace(
        config,
        url=f"{served.url}/v1/{route or 'chat/completions'}",
        model=alias,
        api_key_env=None,
    )
