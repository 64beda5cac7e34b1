"""transformers' own continuous batching (`init_continuous_batching`, from transformers 5)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from perwatt.endpoints.transformers_job import Job, Token
from perwatt.endpoints.transformers_load import Loaded

__all__ = ["ContinuousBatches"]

PAGE = 256
"""Tokens of one page of its cache: its own default."""
BATCH_TOKENS = 2048
STOP_S = 2.0


class ContinuousBatches:
    """Greedy requests of one model. Raises what transformers raises where it cannot do it."""

    def __init__(self, loaded: Loaded, parallel: int, context: int) -> None:
        config_class = getattr(loaded.transformers, "ContinuousBatchingConfig", None)
        if config_class is None or not hasattr(loaded.model, "init_continuous_batching"):
            msg = f"transformers {loaded.version} has none"
            raise NotImplementedError(msg)
        self._loaded = loaded
        self._config_class = config_class
        # All requests in flight fit at their longest, so that none is thrown out and begun again.
        self._blocks = parallel * (math.ceil(context / PAGE) + 1)
        self._parallel = parallel
        self._managers: dict[bool, Any] = {}
        # Its marks are of perf_counter; ours of the monotonic clock. On Linux they are one.
        self._shift_ns = time.monotonic_ns() - time.perf_counter_ns()

    async def generate(self, job: Job) -> AsyncGenerator[Token, None]:
        """Its tokens, marked by the thread that generates. Closed early: cancelled."""
        manager = self._manager(job.sampling.logprobs)
        results: asyncio.Queue[Any] = asyncio.Queue()
        name = f"{job.number}"
        manager.register_result_handler(name, results.put_nowait)
        accepted = manager.add_request(
            job.ids,
            request_id=name,
            max_new_tokens=job.most,
            streaming=True,
            record_timestamps=True,
            eos_token_id=sorted(self._loaded.end_ids),
        )
        if accepted is None:
            job.error = "transformers' batching has stopped; its log says why"
            return
        seen = 0
        over = False
        try:
            while not over:
                result = await results.get()
                over = result.is_finished()
                if result.error is not None:
                    job.error = str(result.error)
                    return
                if result.lifespan[0] >= 0:
                    job.begun_ns = self._mark(result.lifespan[0])
                for at in range(seen, len(result.generated_tokens)):
                    token = int(result.generated_tokens[at])
                    yield Token(
                        t_ns=self._mark(result.timestamps[at]),
                        id=token,
                        logprob=result.logprobs[at] if at < len(result.logprobs) else None,
                        ends=token in self._loaded.end_ids,
                    )
                seen = len(result.generated_tokens)
        finally:
            if not over:
                manager.cancel_request(name)

    def close(self) -> None:
        for manager in self._managers.values():
            with suppress(Exception):  # it is about to be killed anyway
                manager.stop(block=True, timeout=STOP_S, hard_stop=True)
        self._managers.clear()

    def _manager(self, logprobs: bool) -> Any:
        """One with and one without log-probabilities: they cost a softmax over the vocabulary."""
        if logprobs not in self._managers:
            generation = self._loaded.transformers.GenerationConfig(
                do_sample=False, eos_token_id=sorted(self._loaded.end_ids)
            )
            manager = self._loaded.model.init_continuous_batching(
                generation,
                self._config_class(
                    page_size=PAGE,
                    num_blocks=self._blocks,
                    max_batch_tokens=max(BATCH_TOKENS, self._parallel),
                    max_requests_per_batch=self._parallel,
                    # A prompt read from a cache costs no joules: repeats would look cheaper.
                    allow_block_sharing=False,
                    return_logprobs=logprobs,
                ),
            )
            manager.start()
            self._managers[logprobs] = manager
        return self._managers[logprobs]

    def _mark(self, counter_s: float) -> int:
        return int(counter_s * 1e9) + self._shift_ns
