"""The vLLM endpoint, its child process included, against a stand-in of vLLM's own API.

No machine of ours runs vLLM: what holds here is what we call and what we make of the answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perwatt.core.clock import now_ns
from perwatt.core.errors import EngineError, FileError, MissingExtraError, SpecError
from perwatt.core.likelihood import Likelihood, decode
from perwatt.core.protocols import EndpointConfig, Timeouts
from perwatt.core.records import Prompt, Served
from perwatt.endpoints.vllm import VllmEndpoint

Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]
Test = Callable[[VllmEndpoint, Served], Awaitable[None]]
STAND_IN = Path(__file__).parent / "stand_in"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """vLLM is "installed", and this tells what it was asked."""
    path = tmp_path / "vllm.jsonl"
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("STAND_IN_LOG", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def run(endpoint: VllmEndpoint, test: Test) -> None:
    async def go() -> None:
        try:
            async with asyncio.timeout(300):
                await test(endpoint, await endpoint.open())
        finally:
            await endpoint.close()
            await endpoint.close()

    asyncio.run(go())


def test_life_of_an_engine(
    log: Callable[[], list[dict[str, Any]]],
    make_config: Config,
    make_prompt: MakePrompt,
    gone: Callable[..., bool],
) -> None:
    """One start for all of it: a process takes half a second."""
    child: list[int] = []

    async def test(endpoint: VllmEndpoint, served: Served) -> None:
        child.extend(served.pids)
        it = served.identity
        assert (it.engine, it.engine_version, it.label) == (
            "vLLM (offline)",
            "0.99.0",
            "tiny bfloat16",
        )
        assert (it.device, served.uses_accelerator) == ("Stand-in GPU", True)
        assert it.settings["prefix_cache"] is False
        assert served.pids[0] != os.getpid()
        assert log()[0]["args"] == {
            "model": "org/tiny",
            "dtype": "bfloat16",
            "max_model_len": 32,
            "max_num_seqs": 3,
            "enable_prefix_caching": False,
            "disable_log_stats": False,
            "quantization": None,
        }
        rendered = "<user> Where is it? <assistant>"
        assert await endpoint.render(make_prompt("Where is it?")) == rendered
        assert await endpoint.count_tokens("four words of text") == 4
        long = await endpoint.render(make_prompt("a longer line than a pipe holds " * 10_000))
        assert len(long or "") > 300_000
        await one(endpoint)
        await several(endpoint)
        await weighing(endpoint)
        await refusals(endpoint)
        await cancelling(endpoint)

    async def one(endpoint: VllmEndpoint) -> None:
        before = now_ns()
        prompt = make_prompt("Where is it?", max_tokens=3, seed=4, stop=("\n",), logprobs=True)
        reply = await endpoint.ask(prompt)
        assert (reply.status, reply.text, reply.finish_reason) == ("ok", "w0 w1 w2 ", "length")
        assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (5, 3, 0)
        assert reply.logprobs == (-0.5, -1.0, -1.5)
        assert len(reply.chunk_offsets_ns) == 3
        assert before <= reply.dispatched_ns < (reply.first_chunk_ns or 0)
        assert (reply.first_chunk_ns or 0) < reply.last_chunk_ns <= now_ns()
        assert reply.server is not None
        times = (reply.server.queue_s, reply.server.prefill_s, reply.server.decode_s)
        assert times == pytest.approx((0.25, 0.5, 2.0))
        assert reply.server.ttft_s == 0.8
        thinks = await endpoint.ask(make_prompt("Where is it?", max_tokens=4, seed=16))
        assert (thinks.reasoning, thinks.text) == ("hm so", "Yes.")
        assert len(thinks.chunk_offsets_ns) == 4
        assert thinks.first_answer_ns == thinks.dispatched_ns + thinks.chunk_offsets_ns[2]
        asked = log()[-2]
        assert asked["prompt"] == {"prompt_token_ids": [6, 5, 2, 3, 11]}
        assert (asked["kind"], asked["logprobs"], asked["stop"]) == ("DELTA", 0, ["\n"])
        assert (asked["temperature"], asked["seed"], asked["max_tokens"]) == (0.0, 4, 3)

    async def several(endpoint: VllmEndpoint) -> None:
        sizes = range(1, 9)
        replies = await asyncio.gather(*(endpoint.ask(make_prompt(max_tokens=n)) for n in sizes))
        assert [reply.completion_tokens for reply in replies] == list(sizes)
        assert {reply.logprobs for reply in replies} == {()}

    async def weighing(endpoint: VllmEndpoint) -> None:
        prompt = make_prompt("Where is it?", thinking=False)
        empty = await endpoint.weigh(msgspec.structs.replace(prompt, continuations=("",)))
        assert (empty.status, empty.error_kind) == ("error", "unsupported")
        asked = msgspec.structs.replace(prompt, continuations=("here", " far away"))
        reply = await endpoint.weigh(asked)
        assert reply.status == "ok", reply.error
        # The stand-in's tokens are words: `<assistant>here` is one, so weighing begins before it.
        assert decode(reply.text) == (
            Likelihood(logprob=-0.15, tokens=1, greedy=False),
            Likelihood(logprob=-0.14 - 0.04, tokens=2, greedy=False),
        )
        assert (reply.prompt_tokens, reply.completion_tokens) == (5 + 6, 3)
        assert {"variables": {"enable_thinking": False, "thinking": False}} in log()
        assert (log()[-1]["prompt_logprobs"], log()[-1]["max_tokens"]) == (1, 1)
        await endpoint.ask(make_prompt(max_tokens=1, repetition_penalty=1.2))
        assert log()[-1]["repetition_penalty"] == 1.2

    async def refusals(endpoint: VllmEndpoint) -> None:
        for prompt, kind in (
            (make_prompt("word " * 40), "context-overflow"),
            (make_prompt(seed=13), "engine-died"),
            (make_prompt(seed=14), "engine"),
        ):
            reply = await endpoint.ask(prompt)
            assert (reply.status, reply.error_kind) == ("error", kind)
        assert reply.error == "ValueError: prompt is not to my taste"

    async def cancelling(endpoint: VllmEndpoint) -> None:
        task = asyncio.create_task(endpoint.ask(make_prompt(max_tokens=20)))
        await asyncio.sleep(0)
        while "request" not in log()[-1] or log()[-1]["max_tokens"] != 20:
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while "abort" not in log()[-1]:
            await asyncio.sleep(0.002)
        assert (await endpoint.ask(make_prompt(max_tokens=1))).status == "ok"

    run(VllmEndpoint(make_config(model="org/tiny@bf16", context=32, parallel=3)), test)
    assert gone(child[0])
    assert "shutdown" in log()[-1]


def test_a_dead_engine_is_a_failed_request(
    log: Callable[[], list[dict[str, Any]]], make_config: Config, make_prompt: MakePrompt
) -> None:
    async def test(endpoint: VllmEndpoint, served: Served) -> None:
        waiting = asyncio.create_task(endpoint.ask(make_prompt(max_tokens=1000)))
        reply = await endpoint.ask(make_prompt(seed=15))
        assert (reply.status, reply.error_kind) == ("error", "engine-died")
        assert "exit code 3" in (reply.error or "")
        assert (await waiting).error_kind == "engine-died"
        assert (await endpoint.ask(make_prompt())).error_kind == "engine-died"
        assert await endpoint.render(make_prompt()) is None

    run(VllmEndpoint(make_config(model="org/tiny", context=4096)), test)


PARENT = """
import asyncio, sys
from pathlib import Path
from perwatt.core.protocols import EndpointConfig
from perwatt.endpoints.vllm import VllmEndpoint
async def main():
    config = EndpointConfig(pair_id="p", model="org/tiny", work_dir=Path(sys.argv[1]))
    served = await VllmEndpoint(config).open()
    print(served.pids[0], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_kill_9_of_the_parent_leaves_no_child(
    log: Callable[[], list[dict[str, Any]]], tmp_path: Path, gone: Callable[..., bool]
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert gone(pid)
    finally:
        parent.kill()
        parent.stdout.close()


@pytest.mark.parametrize(
    ("seed", "timeouts", "kind"),
    [
        (17, Timeouts(first_s=0.3, chunk_s=30), "timeout-first"),
        (18, Timeouts(first_s=30, chunk_s=0.2), "timeout-chunk"),
        (18, Timeouts(first_s=30, chunk_s=30, total_s=1.0), "timeout-total"),
    ],
)
def test_silence_has_names(
    log: Callable[[], list[dict[str, Any]]],
    make_config: Config,
    make_prompt: MakePrompt,
    seed: int,
    timeouts: Timeouts,
    kind: str,
) -> None:
    async def test(endpoint: VllmEndpoint, served: Served) -> None:
        reply = await endpoint.ask(make_prompt(max_tokens=5, seed=seed))
        assert (reply.status, reply.error_kind) == ("error", kind)
        if kind == "timeout-chunk":  # it had begun, so it is ended
            assert (reply.text, reply.tokens_by) == ("w0 ", "chunks")
            while "abort" not in log()[-1]:
                await asyncio.sleep(0.002)

    run(VllmEndpoint(make_config(model="org/tiny", timeouts=timeouts)), test)


def test_what_can_be_mended_is_told(
    log: Callable[[], list[dict[str, Any]]], make_config: Config, tmp_path: Path
) -> None:
    for config, error, words in (
        ({"model": "org/missing"}, SpecError, "vLLM cannot load org/missing: org/missing is not"),
        ({"model": "org/tiny", "extra_body": {"bogus": 1}}, SpecError, "'bogus'"),
        ({"model": str(tmp_path)}, FileError, "no config.json"),
        ({"model": str(tmp_path / "nowhere")}, FileError, "there is no such folder"),
    ):
        endpoint = VllmEndpoint(make_config(**config))
        with pytest.raises(error, match=words):
            asyncio.run(endpoint.open())


def test_without_vllm(
    make_config: Config, make_prompt: MakePrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    endpoint = VllmEndpoint(make_config())
    with pytest.raises(EngineError, match="is not open"):
        asyncio.run(endpoint.ask(make_prompt()))
    with pytest.raises(MissingExtraError, match="pip install vllm"):
        asyncio.run(endpoint.open())
