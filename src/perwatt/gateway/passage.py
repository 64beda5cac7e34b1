"""One request's way to the server and back. Nothing is asked twice once a byte has come back.

Before that only where a kept connection had been closed by the server unseen (see `http_client`).
A caller that leaves closes the server's socket at once: that is what stops it generating.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Timeouts
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_exchange import Sent, TransportError
from perwatt.gateway.answer import Answer, HeadOnlyError, Metering
from perwatt.gateway.asked import read_body
from perwatt.gateway.failure import STATUS_OF, error_body
from perwatt.gateway.headers import forwarded
from perwatt.gateway.ids import Names, tag
from perwatt.gateway.live_meter import LiveMeter
from perwatt.gateway.outflow import Message, Outflow
from perwatt.gateway.recorder import Heard, Recorder
from perwatt.gateway.reply import Outcome, reply_of
from perwatt.gateway.target import Target

__all__ = ["Passage", "Receive", "Wiring"]

Receive = Callable[[], Awaitable[Message]]

SERVED = "served"
"""The run of requests that name none."""


class Wiring(NamedTuple):
    """What every request needs."""

    client: HttpClient
    target: Target
    meter: LiveMeter
    recorder: Recorder
    names: Names
    timeouts: Timeouts
    upstream_key: str | None = None
    own_key: bool = False
    """Callers present a key of ours: it is not the server's to see."""


class Passage:
    """Metered where it is a POST: the rest costs the server nothing to speak of."""

    def __init__(
        self,
        wiring: Wiring,
        scope: dict[str, Any],
        out: Outflow,
        target: str,
        body: bytes | None,
    ) -> None:
        """Made when the last byte of the question has come in."""
        self._dispatched_ns = now_ns()
        self._wiring = wiring
        self._method: str = scope["method"]
        self._headers = scope["headers"]
        self._out = out
        recorded = self._method == "POST"
        self._id = wiring.names.request_id(self._headers, recorded=recorded)
        self._target = target
        self._body = body
        self._caller_left = False

    async def run(self, receive: Receive) -> None:
        """To its end, whichever that is."""
        if self._method != "POST":
            plain = Answer(self._out, self._id, None, head_only=self._method == "HEAD")
            if isinstance(await self._ask(plain, receive), Sent):
                plain.finish()
            return
        meter, asked = self._wiring.meter, read_body(self._body or b"")
        metered = await meter.begin(self._id, self._dispatched_ns, asked.prompt_tokens)
        in_flight, phase_id = meter.in_flight, meter.phase_id
        heard = Heard(self._dispatched_ns)
        metering = Metering(heard, metered.live, lambda t_ns: meter.told(metered, t_ns))
        answer = Answer(self._out, self._id, metering)
        outcome: Outcome = None
        try:
            outcome = await self._ask(answer, receive)
        finally:
            end_ns = now_ns()
            answer.complete(end_ns)
            reply = reply_of(answer, heard, outcome, end_ns)
            meter.end(metered, max(reply.last_chunk_ns, answer.last_ns or 0))
            run = tag(self._headers, b"x-perwatt-run") or SERVED
            item = tag(self._headers, b"x-perwatt-item") or asked.prompt_sha256[:16]
            item_id = f"{run.replace('/', '-')}/{item}"
            self._wiring.recorder.record(
                request_id=self._id,
                item_id=item_id,
                repeat=self._wiring.names.repeat(item_id),
                phase_id=phase_id,
                in_flight=in_flight,
                model=reply.served_model or asked.model,
                reply=reply,
            )
        if isinstance(outcome, Sent):  # only now: what was answered is in the journal
            answer.finish()

    async def _ask(self, answer: Answer, receive: Receive) -> Outcome:
        """Pass the question on and the answer back."""
        wiring = self._wiring
        headers = forwarded(
            self._headers, self._id, upstream_key=wiring.upstream_key, own_key=wiring.own_key
        )
        task = asyncio.current_task()
        assert task is not None
        watch = asyncio.create_task(self._watch(receive, answer, task))
        try:
            return await wiring.client.send(
                self._method, self._target, headers, self._body, answer, wiring.timeouts
            )
        except HeadOnlyError:
            return Sent(self._dispatched_ns)
        except TransportError as error:
            self._say_failed(answer, error.sentence, error.kind)
            return error
        except asyncio.CancelledError:
            task.uncancel()
            if not self._caller_left:  # the address is being closed, and waits no longer
                self._say_failed(answer, "The metering address is being closed.", "closing")
            return None
        finally:
            watch.cancel()

    def _say_failed(self, answer: Answer, sentence: str, code: str) -> None:
        if answer.started:
            answer.break_off(sentence, code)
        else:
            body = error_body(sentence, "upstream_error", code)
            answer.say(STATUS_OF.get(code, 502), body, answer.energy())

    async def _watch(self, receive: Receive, answer: Answer, task: asyncio.Task[Any]) -> None:
        """A caller that leaves before the end ends it."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if not answer.finished:
            self._caller_left = True
            task.cancel()
