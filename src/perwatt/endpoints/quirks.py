"""Where servers that speak the OpenAI protocol differ. One row each; a new server is a new row."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["PLAIN", "QUIRKS", "Quirk", "recognise"]


class Quirk(msgspec.Struct, frozen=True, kw_only=True):
    """How one engine is known, and what it needs or offers beyond the common protocol."""

    engine: str
    server_header: str | None = None
    """Start of its `Server` response header."""
    owned_by: str | None = None
    """What it writes as owner in `/v1/models`."""
    extra_body: dict[str, Any] = {}
    """Sent with every request, besides what was asked for."""
    headers: dict[str, str] = {}
    """Sent with every answer asked for."""
    version_path: str | None = None
    version_field: str | None = None
    template_path: str | None = None
    """Route that applies the chat template without answering."""


PLAIN = Quirk(engine="openai-compatible")
"""A server that cannot be told from others."""

QUIRKS = (
    Quirk(
        engine="llama.cpp",
        server_header="llama.cpp",
        owned_by="llamacpp",
        # A prompt read from the cache costs no joules: repeats would look cheaper than they are.
        extra_body={"cache_prompt": False},
        # It drops the connection right after a stream without saying so: the next request on it
        # would be lost.
        headers={"Connection": "close"},
        version_path="/props",
        version_field="build_info",
        template_path="/apply-template",
    ),
    Quirk(
        engine="vLLM",
        owned_by="vllm",
        version_path="/version",
        version_field="version",
    ),
    Quirk(engine="SGLang", owned_by="sglang"),
    Quirk(
        engine="Ollama",
        owned_by="library",
        version_path="/api/version",
        version_field="version",
    ),
)


def recognise(server_header: str | None, owners: set[str]) -> Quirk:
    """The row of the server that sent this `Server` header and these `owned_by` values."""
    for quirk in QUIRKS:
        by_header = quirk.server_header and (server_header or "").startswith(quirk.server_header)
        if by_header or quirk.owned_by in owners:
            return quirk
    return PLAIN
