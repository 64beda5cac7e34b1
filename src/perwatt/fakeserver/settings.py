"""How the server answers. One struct: the command line, the Python call and the child's JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from perwatt.core.errors import SpecError
from perwatt.fakeserver.delays import parse_delay
from perwatt.fakeserver.faults import parse_rule

__all__ = ["Settings", "Usage"]

Usage = Literal["last", "null", "finish", "every", "absent"]
"""Where a stream tells its token counts: in a last chunk with `choices: []` or `choices: null`
(both only where asked for by stream_options.include_usage), in the chunk that has the finish
reason, in every chunk, nowhere."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Raises SpecError where a value cannot be used. Times are words, see `delays`."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 picks a free one."""
    workers: int = 1
    """Processes on one port. Only `spawn` and the command start more than one."""
    models: tuple[str, ...] = ("fake",)
    any_model: bool = False
    """Answer under whatever name was asked for."""
    api_key_env: str | None = None
    """Environment variable with the key that callers must present."""
    ttft: str = "5ms"
    """From the request's last byte, or its slot, to the first chunk."""
    itl: str = "2ms"
    prefill_rate: float | None = None
    """Prompt tokens a second, on top of `ttft`."""
    tokens: int | None = 32
    """Length of an answer in words, which max_tokens may cut; None: as long as max_tokens."""
    tokens_per_chunk: int = 1
    reasoning: int = 0
    """Tokens of reasoning before the answer, not counted in `tokens`."""
    reasoning_field: str = "reasoning_content"
    tool_calls: bool = False
    """Call the first tool of a request that offers tools."""
    usage: Usage = "last"
    cached: float = 0.0
    """Share of the prompt tokens said to be read from a cache."""
    timings: bool = False
    """llama.cpp's `timings` object, with the server's own truth, in the chunk that ends it."""
    answers: str = "words"
    """`words`, `echo`, or a JSON-lines file (see `answers`)."""
    context: int | None = None
    """Refuse prompts of more tokens."""
    slots: int | None = None
    """Requests worked on at once; the rest wait in order. None: all."""
    batch_cost: float = 0.0
    """Each further request worked on lengthens the time between chunks by this share."""
    dribble: bool = False
    """Cut each chunk at odd bytes, a fifth of a millisecond apart."""
    early_headers: bool = False
    """Send the response's head at once and not with the first chunk."""
    keep_alive: bool = True
    keep_alive_s: float | None = None
    """Close a connection that has been idle for so long."""
    faults: tuple[str, ...] = ()
    """Rules, see `faults`."""
    refuse_after: int | None = None
    """Listen no more once so many requests have been asked: new connections are refused."""
    stall_after: int | None = None
    """The same, but new connections are neither made nor refused (Linux)."""
    late_s: float = 0.5
    drip_s: float = 0.05
    retry_after_s: float = 1.0
    seed: int = 0
    truth_keep: int = 100_000
    """Requests whose truth is kept, the newest; about 1 kB each."""

    def __post_init__(self) -> None:
        parse_delay("ttft", self.ttft)
        parse_delay("itl", self.itl)
        for rule in self.faults:
            parse_rule(rule)
        for name, least in (
            ("workers", 1),
            ("tokens", 1),
            ("tokens-per-chunk", 1),
            ("reasoning", 0),
            ("slots", 1),
            ("context", 1),
            ("port", 0),
            ("refuse-after", 1),
            ("stall-after", 1),
            ("truth-keep", 0),
            ("batch-cost", 0),
            ("cached", 0),
            ("late-s", 0),
            ("drip-s", 0.001),
            ("retry-after-s", 0),
            ("keep-alive-s", 0),
            ("prefill-rate", 1e-9),
        ):
            value = getattr(self, name.replace("-", "_"))
            if value is not None and value < least:
                msg = f"--{name} {value:g} is not usable."
                raise SpecError(msg, f"Give {least:g} or more.")
        if not self.models:
            msg = "The server has no model."
            raise SpecError(msg, "Name one: --model fake.")
        if self.cached > 1:
            msg = f"--cached {self.cached:g} is not usable."
            raise SpecError(msg, "It is a share, from 0 to 1.")
