"""The API as a raw socket sees it: every shape that the settings promise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import FileError, SpecError
from perwatt.fakeserver import FakeServer, Settings

QUICK: dict[str, Any] = {"ttft": "0", "itl": "0"}
USAGE = {"include_usage": True}


def test_a_stream_is_the_api_s(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=5, **QUICK)) as server:
            seen = await ask(server.url, "one two three", stream_options=USAGE)
            assert (seen.status, seen.done, seen.finish) == (200, True, "stop")
            assert seen.headers["content-type"] == "text/event-stream"
            assert len(seen.text.split()) == 5
            assert seen.deltas[0] == {"role": "assistant", "content": ""}
            assert len({event["id"] for event in seen.events}) == 1
            assert seen.events[-1]["choices"] == []
            usage = seen.events[-1]["usage"]
            assert usage == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
            other = await ask(server.url, "one two three")
            assert other.events[0]["id"] != seen.events[0]["id"]
            assert all("usage" not in event for event in other.events)
            bare = await ask(server.url, "one two three", path="/v1/completions")
            assert bare.events[0]["object"] == "text_completion"
            assert len(bare.text.split()) == 5

    asyncio.run(main())


def test_whole_answers_say_what_streams_say(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=6, reasoning=2, **QUICK)) as server:
            streamed = await ask(server.url, "the same")
            whole = await ask(server.url, "the same", stream=False)
            message = whole.json()["choices"][0]["message"]
            assert message["content"] == streamed.text
            thought = "".join(d.get("reasoning_content", "") for d in streamed.deltas)
            assert message["reasoning_content"] == thought != ""
            assert whole.json()["usage"]["completion_tokens"] == 8
            details = whole.json()["usage"]["completion_tokens_details"]
            assert details == {"reasoning_tokens": 2}

    asyncio.run(main())


@pytest.mark.parametrize("usage", ["last", "null", "finish", "every", "absent"])
def test_usage_is_where_it_was_asked_for(ask: Any, usage: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=3, usage=usage, cached=0.5, **QUICK)) as server:
            seen = await ask(server.url, "a b c d", stream_options=USAGE)
            having = [event for event in seen.events if event.get("usage")]
            if usage == "absent":
                assert having == []
                return
            last = having[-1]
            assert last["usage"]["completion_tokens"] == 3
            assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
            assert last["choices"] == {"last": [], "null": None}.get(usage, last["choices"])
            if usage == "finish":
                assert last["choices"][0]["finish_reason"] == "stop"
            if usage == "every":
                assert [e["usage"]["completion_tokens"] for e in having] == [1, 2, 3, 3]

    asyncio.run(main())


def test_chunks_tools_and_log_probabilities(ask: Any) -> None:
    async def main() -> None:
        settings = Settings(tokens=7, tokens_per_chunk=3, tool_calls=True, **QUICK)
        async with FakeServer(settings) as server:
            seen = await ask(server.url, logprobs=True)
            counts = [len(d.get("content", "").split()) for d in seen.deltas]
            assert counts == [0, 3, 3, 1, 0]
            given = [e["choices"][0]["logprobs"] for e in seen.events]
            tokens = [len(one["content"]) for one in given if one]
            assert tokens == [3, 3, 1]
            offered = [{"type": "function", "function": {"name": "look_up"}}]
            called = await ask(server.url, tools=offered)
            calls = [d["tool_calls"][0]["function"] for d in called.deltas if "tool_calls" in d]
            assert calls[0]["name"] == "look_up"
            arguments = "".join(call["arguments"] for call in calls)
            assert json.loads(arguments) == {"query": "perwatt"}
            assert called.finish == "tool_calls"
            whole = await ask(server.url, tools=offered, stream=False)
            call = whole.json()["choices"][0]["message"]["tool_calls"][0]
            assert call["function"] == {"name": "look_up", "arguments": arguments}
            bare = await ask(server.url, path="/v1/completions", logprobs=1)
            shown = bare.events[0]["choices"][0]["logprobs"]
            assert len(shown["token_logprobs"]) == 3

    asyncio.run(main())


def test_answers_of_a_file_an_echo_and_limits(ask: Any, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    lines = [
        {"prompt": "capital of France?", "answer": "It is Paris, of course."},
        {"messages": [{"role": "user", "content": "6 × 7?"}], "reference": "42"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))

    async def main() -> None:
        async with FakeServer(Settings(answers=str(file), **QUICK)) as server:
            known = await ask(server.url, "capital of France?")
            assert (known.text, known.finish) == ("It is Paris, of course.", "stop")
            cut = await ask(server.url, "capital of France?", max_tokens=3)
            assert (cut.text, cut.finish) == ("It is Paris,", "length")
            few_shot = "Q: capital of France?\nA: Paris\nQ: 6 × 7?\nA:"
            bare = await ask(server.url, few_shot, path="/v1/completions")
            assert bare.text == "42"
            other = await ask(server.url, "who knows?")
            assert len(other.text.split()) == 32
        async with FakeServer(Settings(answers="echo", **QUICK)) as server:
            assert (await ask(server.url, "say  this\nagain")).text == "say  this\nagain"
        async with FakeServer(Settings(tokens=None, **QUICK)) as server:
            long = await ask(server.url, max_tokens=50)
            assert (len(long.text.split()), long.finish) == (50, "stop")

    asyncio.run(main())


def test_words_depend_on_seed_and_prompt_alone(ask: Any) -> None:
    async def texts(seed: int) -> list[str]:
        async with FakeServer(Settings(seed=seed, **QUICK)) as server:
            return [(await ask(server.url, f"question {n % 5}")).text for n in range(10)]

    first, again, other = (asyncio.run(texts(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first[:5] == first[5:]
    assert len(set(first)) == 5
    assert not set(first) & set(other)


def test_other_routes(get: Any, ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(models=("a", "b"), context=8, **QUICK)) as server:
            models = (await get(server.url, "/v1/models")).json()["data"]
            assert [(m["id"], m["max_model_len"]) for m in models] == [("a", 8), ("b", 8)]
            assert (await get(server.url, "/health")).status == 200
            assert (await get(server.url, "/nowhere")).status == 404
            for field in ("content", "prompt"):
                told = await get(server.url, "/tokenize", "POST", {field: "three small words "})
                assert told.json()["count"] == len(told.json()["tokens"]) == 3
            assert (await get(server.url, "/tokenize", "POST", {})).status == 400
            unknown = await ask(server.url, model="c")
            assert (unknown.status, unknown.json()["error"]["code"]) == (404, "model_not_found")
            over = await ask(server.url, "1 2 3 4 5", model="a")
            assert over.status == 400
            assert over.json()["error"]["code"] == "context_length_exceeded"
            for messages in ([], [3]):
                broken = await ask(server.url, model="a", messages=messages)
                assert broken.status == 400

    asyncio.run(main())


def test_a_key_is_asked_for(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        settings = Settings(api_key_env="FAKE_KEY", **QUICK)
        with pytest.raises(SpecError, match="FAKE_KEY is not set"):
            async with FakeServer(settings):
                pass
        monkeypatch.setenv("FAKE_KEY", "s3cret")
        async with FakeServer(settings) as server:
            assert (await ask(server.url)).status == 401
            right = {"authorization": "Bearer s3cret"}
            assert (await ask(server.url, headers=right)).status == 200

    asyncio.run(main())


def test_connections_are_kept_closed_and_pipelined(ask: Any, raw: Any, request_bytes: Any) -> None:
    body = {"model": "fake", "messages": [{"role": "user", "content": "x"}], "stream": False}
    one = request_bytes("POST", "/v1/chat/completions", body)
    last = request_bytes("POST", "/v1/chat/completions", body, {"connection": "close"})

    async def main() -> None:
        async with FakeServer(Settings(**QUICK)) as server:
            seen = await raw(server.url, one + one + last, 5.0)
            # Three answers on one connection, in order, the last of them closing it.
            while len(server.truth) < 3:
                await asyncio.sleep(0.01)
            assert {truth.connection for truth in server.truth} == {1}
            assert [truth.nth for truth in server.truth] == [1, 2, 3]
            assert seen.status == 200
        async with FakeServer(Settings(keep_alive=False, **QUICK)) as server:
            assert (await ask(server.url)).headers["connection"] == "close"
        async with FakeServer(Settings(keep_alive_s=0.02, **QUICK)) as server:
            host, _, port = server.url[7:].partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def test_dribbled_bytes_are_the_same_bytes(ask: Any) -> None:
    async def main() -> None:
        texts, shifts = [], []
        for dribble in (False, True):
            settings = Settings(tokens=4, itl="1ms", ttft="1ms", dribble=dribble)
            async with FakeServer(settings) as server:
                seen = await ask(server.url, stream_options=USAGE)
                assert seen.done and seen.whole
                texts.append(seen.text)
                (truth,) = server.truth
                begun_ns = truth.begun_ns or 0
                shifts.append([ns - begun_ns for ns in truth.due_ns])
                assert min(truth.late_s) >= 0
        assert texts[0] == texts[1]
        whole, cut = shifts
        assert whole == [1_000_000, 2_000_000, 3_000_000, 4_000_000]
        # Four parts each, a fifth of a millisecond apart: the last of them makes the chunk.
        assert cut == [ns + 600_000 for ns in whole]

    asyncio.run(main())


def test_timings_are_llama_cpp_s_and_true(ask: Any) -> None:
    async def main() -> None:
        settings = Settings(tokens=4, ttft="20ms", itl="5ms", timings=True, cached=0.5)
        async with FakeServer(settings) as server:
            seen = await ask(server.url, "a b c d")
            (timings,) = [e["timings"] for e in seen.events if "timings" in e]
            assert timings["prompt_n"] == timings["cache_n"] == 4
            assert timings["predicted_n"] == 4
            assert timings["prompt_ms"] >= 20
            assert timings["prompt_ms"] + timings["predicted_ms"] >= 35
            (truth,) = server.truth
            sent_ms = (truth.before_ns[-1] - truth.before_ns[0]) / 1e6
            assert timings["predicted_ms"] <= sent_ms

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ttft": "5"}, "--ttft '5' is not a length of time"),
        ({"itl": "uniform:9ms..2ms"}, "the second time is below the first"),
        ({"faults": ("rest:every=1",)}, "Did you mean reset"),
        ({"faults": ("reset",)}, "does not say when"),
        ({"slots": 0}, "--slots 0 is not usable"),
        ({"models": ()}, "has no model"),
        ({"cached": 2.0}, "from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_used(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Settings(**given)


def test_a_file_of_answers_that_cannot_be_used(tmp_path: Path) -> None:
    async def enter(path: Path) -> None:
        async with FakeServer(Settings(answers=str(path))):
            pass

    with pytest.raises(FileError, match="cannot be read"):
        asyncio.run(enter(tmp_path / "absent.jsonl"))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": "x", "answer": "y"}\n{"prompt": "z"}\n')
    with pytest.raises(FileError, match=r"Line 2 of .*broken.jsonl is no answer"):
        asyncio.run(enter(broken))
