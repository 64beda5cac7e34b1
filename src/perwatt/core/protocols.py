"""The whole plug-in contract on one screen. A plug-in is a factory, registered by name.

kind         factory called with     gives
endpoint     an EndpointConfig       an Endpoint
sensor       nothing, or an address  a Sensor
scorer       nothing                 a Scorer
workload     nothing                 a Workload (records)
attribution  Evidence                a Rule
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from perwatt.core.records import Domain, Item, Judgement, Prompt, Reading, Reply, Served

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Attribution", "Endpoint", "EndpointConfig", "Scorer", "Sensor", "Shares"]


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that an endpoint is told. `model` may be a name, a name@precision, or a path."""

    pair_id: str
    model: str
    work_dir: Path
    """Where the endpoint may keep its logs. It exists."""
    url: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    parallel: int = 1
    """Most requests that will be in flight."""
    threads: int | None = None
    context: int = 2048
    """Tokens for each request in flight."""
    port: int = 0
    timeout_s: float = 120.0
    """Longest wait for any one chunk."""
    accepted_terms: tuple[str, ...] = ()


class Endpoint(Protocol):
    """Answers prompts. `ask` never raises for a failed request: that is a Reply."""

    async def open(self) -> Served:
        """Start or reach it. Raises EngineError, FileError, MissingExtraError, UnknownNameError."""
        ...

    async def render(self, prompt: Prompt) -> str | None:
        """The prompt as the model will see it, template applied; None where it cannot be known."""
        ...

    async def ask(self, prompt: Prompt) -> Reply:
        """Ask, stream, mark each chunk's arrival. Cancelling stops the server's work too."""
        ...

    async def close(self) -> None:
        """Stop everything that `open` started. Safe to call twice."""
        ...


class Sensor(Protocol):
    """Reads joules or watts. Nothing is touched until `probe`.

    The factory is called with the address (text) of `name:address` where the user gave one, such as
    a meter's host, else with nothing. One that needs an address says so in `probe`.
    """

    def probe(self) -> Sequence[Domain]:
        """What can be read here. Raises SensorUnavailableError with the mend."""
        ...

    def read(self) -> Sequence[Reading]:
        """A reading of each probed domain, quickly: it is called at the sampling rate.

        A source that keeps its own log gives all that is new, oldest first, or nothing.
        """
        ...

    def close(self) -> None: ...


class Scorer(Protocol):
    """Judges one answer. Pure: the same item and text give the same judgement."""

    def __call__(self, item: Item, text: str) -> Judgement: ...


class Shares(NamedTuple):
    """Which part of each interval's joules each request is charged. Four arrays, each (m,)."""

    interval: NDArray[np.int64]
    """0 to t − 1."""
    request: NDArray[np.int64]
    """0 to r − 1; each (interval, request) at most once."""
    prefill: Floats
    """Weight ≥ 0 before the request's first chunk."""
    decode: Floats
    """Weight ≥ 0 after it."""


class Attribution(Protocol):
    """Shares the joules of each interval among the requests active in it.

    Shapes: `edges_ns` (t+1,), rising; the rest (r,). Every mark of a request that falls within the
    edges is itself an edge, so a request is active in the whole of an interval or in none of it,
    and either before its first chunk there or after. Requests may begin before the first edge and
    end after the last: it is called block by block, and must not depend on where the blocks are
    cut. The weights of an interval (prefill + decode) sum to 1, or there are none.
    """

    def __call__(
        self,
        edges_ns: NDArray[np.int64],
        start_ns: NDArray[np.int64],
        first_chunk_ns: NDArray[np.int64],
        end_ns: NDArray[np.int64],
        completion_tokens: Floats,
    ) -> Shares:
        """`first_chunk_ns` is `end_ns` where no chunk came; tokens are NaN where unknown."""
        ...
