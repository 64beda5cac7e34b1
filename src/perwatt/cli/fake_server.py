"""`perwatt fake-server`: an OpenAI-compatible server of settable times, faults and known truth."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from perwatt.cli.run import Json
from perwatt.core.errors import EngineError, FileError
from perwatt.fakeserver.settings import Settings, Usage

if TYPE_CHECKING:
    from perwatt.fakeserver.spawn import Spawned
    from perwatt.fakeserver.truth import Truth

__all__ = ["fake_server"]

DEFAULT = Settings()


def fake_server(
    *,
    host: Annotated[str, Parameter(help="Address to listen at.")] = DEFAULT.host,
    port: Annotated[int, Parameter(help="0 picks a free one.")] = DEFAULT.port,
    workers: Annotated[int, Parameter(help="Processes on that one port.")] = DEFAULT.workers,
    model: Annotated[
        list[str] | None, Parameter(help="Name it serves; repeat it to add one.", negative="")
    ] = None,
    any_model: Annotated[bool, Parameter(help="Answer under any name.", negative="")] = False,
    api_key_env: Annotated[
        str | None, Parameter(help="Variable with the key that callers must present.")
    ] = None,
    ttft: Annotated[
        str, Parameter(help="Time to the first chunk: 5ms, exp:5ms, uniform:2ms..9ms.")
    ] = DEFAULT.ttft,
    itl: Annotated[str, Parameter(help="Time between chunks, likewise.")] = DEFAULT.itl,
    prefill_rate: Annotated[
        float | None, Parameter(help="Prompt tokens a second, on top of --ttft.")
    ] = None,
    tokens: Annotated[
        int, Parameter(help="Length of an answer; 0: as long as the request's max_tokens.")
    ] = 32,
    tokens_per_chunk: Annotated[int, Parameter(help="Tokens in each chunk.")] = 1,
    reasoning: Annotated[int, Parameter(help="Tokens of reasoning before the answer.")] = 0,
    reasoning_field: Annotated[
        str, Parameter(help="The field that holds it.")
    ] = DEFAULT.reasoning_field,
    tool_calls: Annotated[
        bool, Parameter(help="Call the first tool that a request offers.", negative="")
    ] = False,
    usage: Annotated[
        Usage,
        Parameter(
            help="Where token counts are: a last chunk (choices [] or null), the finish"
            " chunk, every chunk, nowhere."
        ),
    ] = DEFAULT.usage,
    cached: Annotated[float, Parameter(help="Share of the prompt said to be cached.")] = 0.0,
    timings: Annotated[
        bool, Parameter(help="Add llama.cpp's timings, which are true here.", negative="")
    ] = False,
    answers: Annotated[
        str, Parameter(help="words, echo, or a JSON-lines file of prompt and answer.")
    ] = DEFAULT.answers,
    context: Annotated[int | None, Parameter(help="Refuse prompts of more tokens.")] = None,
    slots: Annotated[
        int | None, Parameter(help="Requests worked on at once; the rest wait.")
    ] = None,
    batch_cost: Annotated[
        float, Parameter(help="Share by which each further one slows the others' chunks.")
    ] = 0.0,
    dribble: Annotated[bool, Parameter(help="Cut chunks at odd bytes.", negative="")] = False,
    early_headers: Annotated[
        bool, Parameter(help="Send headers before the first chunk is there.", negative="")
    ] = False,
    keep_alive: Annotated[bool, Parameter(help="Keep connections open.")] = True,
    keep_alive_s: Annotated[
        float | None, Parameter(help="Close connections idle for so long.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        Parameter(
            help="KIND:every=N, KIND:p=X or KIND:word=W; repeat it. docs/fakeserver.md lists"
            " the kinds.",
            negative="",
        ),
    ] = None,
    refuse_after: Annotated[
        int | None, Parameter(help="Refuse connections once so many requests were asked.")
    ] = None,
    stall_after: Annotated[
        int | None, Parameter(help="Likewise, but let them hang (Linux).")
    ] = None,
    late_s: Annotated[float, Parameter(help="Stall of the fault `late`.")] = DEFAULT.late_s,
    drip_s: Annotated[float, Parameter(help="Gap of the fault `timeout-total`.")] = DEFAULT.drip_s,
    retry_after_s: Annotated[
        float, Parameter(help="Retry-After of 429 and 503.")
    ] = DEFAULT.retry_after_s,
    seed: Annotated[int, Parameter(help="Seeds times, answers and faults.")] = 0,
    truth: Annotated[
        Path | None, Parameter(help="Write what happened to each request here, at the end.")
    ] = None,
    truth_keep: Annotated[
        int, Parameter(help="Requests whose truth is kept, for each worker.")
    ] = DEFAULT.truth_keep,
    json: Json = False,
) -> None:
    """Serve until stopped. The address goes to stdout; GET /truth tells what happened so far.

    With --json stdout has also an address that refuses, and one at which no connection is made.
    """
    from perwatt.fakeserver.spawn import spawn

    if truth is not None and not truth.absolute().parent.is_dir():
        msg = f"--truth {truth} cannot be written: there is no folder {truth.parent}."
        raise FileError(msg, "Make it first.")
    settings = Settings(
        host=host,
        port=port,
        workers=workers,
        models=tuple(model or DEFAULT.models),
        any_model=any_model,
        api_key_env=api_key_env,
        ttft=ttft,
        itl=itl,
        prefill_rate=prefill_rate,
        tokens=tokens or None,
        tokens_per_chunk=tokens_per_chunk,
        reasoning=reasoning,
        reasoning_field=reasoning_field,
        tool_calls=tool_calls,
        usage=usage,
        cached=cached,
        timings=timings,
        answers=answers,
        context=context,
        slots=slots,
        batch_cost=batch_cost,
        dribble=dribble,
        early_headers=early_headers,
        keep_alive=keep_alive,
        keep_alive_s=keep_alive_s,
        faults=tuple(fault or ()),
        refuse_after=refuse_after,
        stall_after=stall_after,
        late_s=late_s,
        drip_s=drip_s,
        retry_after_s=retry_after_s,
        seed=seed,
        truth_keep=truth_keep,
    )
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with spawn(settings) as server:
            _tell(server, json)
            while not stopped.wait(0.5) and server.alive:
                pass
            if not server.alive:
                msg = "A worker of the fake server ended by itself; its truth is lost."
                raise EngineError(
                    msg, "Start it again, with more memory or a smaller --truth-keep."
                )
            _finish(server, truth)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(server: Spawned, json: bool) -> None:
    told = {
        "url": server.url,
        "refused_url": server.refused_url,
        "stalled_url": server.stalled_url,
        "pids": server.pids,
    }
    print("Answers until stopped: a stand-in for a model, not one.", file=sys.stderr)
    print(msgspec.json.encode(told).decode() if json else server.url, flush=True)


def _finish(server: Spawned, file: Path | None) -> None:
    from perwatt.fakeserver.truth import as_lines

    truths = server.truth()
    if file is not None:
        try:
            file.write_bytes(as_lines(truths))
        except OSError as error:
            msg = f"--truth {file} cannot be written: {error.strerror or error}."
            raise FileError(msg) from None
    print(_summary(truths), file=sys.stderr)


def _summary(truths: list[Truth]) -> str:
    ended = [truth.ended for truth in truths]
    late = sorted(late for truth in truths for late in truth.late_s)
    line = f"{len(truths)} requests, {ended.count('cancelled')} of them cancelled by the client."
    if not late:
        return line
    p99_ms = late[int(0.99 * (len(late) - 1))] * 1e3
    return f"{line} {len(late)} chunks, sent late by {p99_ms:.2f} ms at p99."
