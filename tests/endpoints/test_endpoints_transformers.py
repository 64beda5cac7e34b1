"""transformers for real, on a tiny model of random weights; skipped where torch is not installed.

The weights are saved by a process of their own: torch is never imported here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perwatt.core.clock import now_ns
from perwatt.core.errors import (
    EngineError,
    FileError,
    MissingExtraError,
    SpecError,
    UnknownNameError,
)
from perwatt.core.likelihood import decode
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Prompt, Reply
from perwatt.endpoints.in_process_model import split_dtype
from perwatt.endpoints.transformers import TransformersEndpoint

Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]

absent = [p for p in ("torch", "transformers") if importlib.util.find_spec(p) is None]
real = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}"),
]

MAKE = """
import sys
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {letter: i for i, letter in enumerate(["</s>", *letters])}
words = Tokenizer(models.BPE(vocabulary, []))
words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
words.decoder = decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\\n{% endfor %}bot:"
tokenizer.save_pretrained(sys.argv[1])
torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0,
    bos_token_id=None, initializer_range=0.6,
)
LlamaForCausalLM(config).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "tiny-llama"
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


def ask_all(endpoint: TransformersEndpoint, *rounds: list[Prompt]) -> list[list[Reply]]:
    """Each round's prompts at once."""

    async def go() -> list[list[Reply]]:
        try:
            await endpoint.open()
            return [
                list(await asyncio.gather(*(endpoint.ask(prompt) for prompt in prompts)))
                for prompts in rounds
            ]
        finally:
            await endpoint.close()

    return asyncio.run(go())


def prompts_of(make_prompt: MakePrompt, **sampling: Any) -> list[Prompt]:
    """Of four lengths, so that a batch of them is padded."""
    return [make_prompt("ab " * n, max_tokens=12 + n, **sampling) for n in (1, 4, 9, 2)]


def whole(replies: list[Reply]) -> list[tuple[str, int | None]]:
    assert {(reply.status, reply.error) for reply in replies} == {("ok", None)}
    return [(reply.text, reply.completion_tokens) for reply in replies]


@pytest.mark.parametrize("batching", [pytest.param(b, marks=real) for b in ("auto", "static")])
def test_life_of_an_engine(
    batching: str,
    tiny: Path,
    make_config: Config,
    make_prompt: MakePrompt,
    gone: Callable[..., bool],
) -> None:
    """One start for all of it: torch takes seconds to import."""
    config = make_config(
        model=f"{tiny}@float32",
        parallel=4,
        context=128,
        threads=1,
        timeout_s=600.0,
        extra_body={"batching": batching, "device": "cpu"},
    )

    async def go() -> int:
        endpoint = TransformersEndpoint(config)
        try:
            served = await endpoint.open()
            it = served.identity
            assert (it.label, it.engine) == ("tiny-llama float32", "transformers")
            assert (it.precision, it.upcast_from, it.chat_template) == ("float32", None, True)
            assert len(it.model_sha256 or "") == 64
            assert it.settings["device"] == "cpu"
            if batching == "static":
                assert it.settings["batching"] == "static"
            assert not served.uses_accelerator
            assert served.warnings == ()

            rendered = await endpoint.render(make_prompt("Hi"))
            assert rendered == "user: Hi\nbot:"
            assert await endpoint.count_tokens("four") == 4

            before = now_ns()
            reply = await endpoint.ask(make_prompt("Hi", max_tokens=9, logprobs=True))
            assert reply.status == "ok", reply.error
            assert reply.prompt_tokens == len(rendered)
            assert reply.completion_tokens == len(reply.logprobs) == 9
            assert all(value <= 0 for value in reply.logprobs)
            assert before <= reply.dispatched_ns <= (reply.first_chunk_ns or 0)
            assert (reply.first_chunk_ns or 0) <= reply.last_chunk_ns <= now_ns()
            assert (reply.finish_reason, reply.cached_tokens) == ("length", 0)
            assert reply.server is not None
            assert reply.server.ttft_s is not None
            assert reply.server.total_s is not None
            assert 0 < reply.server.ttft_s <= reply.server.total_s

            # A letter that it drew, weighed, is what it said of that token as it wrote.
            drawn = [
                await endpoint.ask(
                    make_prompt("Hi", max_tokens=1, temperature=2.0, seed=seed, logprobs=True)
                )
                for seed in range(24)
            ]
            letters = {each.text: each.logprobs[0] for each in drawn if each.text.isalnum()}
            assert len(letters) > 1
            asked = msgspec.structs.replace(
                make_prompt("Hi"), continuations=(*letters, "no", "not at all")
            )
            weighed = await endpoint.weigh(asked)
            assert weighed.status == "ok", weighed.error
            *ones, short, whole = decode(weighed.text) or ()
            expected = list(letters.values())
            assert [each.logprob for each in ones] == pytest.approx(expected, abs=1e-3)
            assert [each.tokens for each in (*ones, short, whole)] == [1] * len(ones) + [2, 10]
            assert short.logprob > whole.logprob  # a beginning is likelier than the whole
            prompts = (len(ones) + 2) * len(rendered)
            assert weighed.prompt_tokens == prompts + (weighed.completion_tokens or 0)
            assert it.settings["not_taken"] == ["effort", "thinking"]
            assert len(it.settings["chat_template_sha256"]) == 64
            again = await endpoint.ask(make_prompt("Hi", max_tokens=9, repetition_penalty=5.0))
            assert again.status == "ok", again.error

            stop = reply.text[3:5]
            cut = await endpoint.ask(make_prompt("Hi", max_tokens=9, stop=(stop,)))
            assert (cut.text, cut.finish_reason) == (reply.text[: reply.text.find(stop)], "stop")

            long = await endpoint.ask(make_prompt("x" * 200))
            assert (long.status, long.error_kind) == ("error", "context-overflow")
            full = await endpoint.ask(make_prompt("x" * 100, max_tokens=400))
            assert (full.status, full.finish_reason) == ("ok", "length")
            assert (full.prompt_tokens or 0) + (full.completion_tokens or 0) <= 128

            for temperature in (0.0, 1.0):
                task = asyncio.create_task(
                    endpoint.ask(make_prompt("Go on", max_tokens=110, temperature=temperature))
                )
                await asyncio.sleep(0.02)
                if task.cancel():  # else the machine was held up until it had ended
                    with pytest.raises(asyncio.CancelledError):
                        await task
            assert (await endpoint.ask(make_prompt(max_tokens=2))).status == "ok"
            return served.pids[0]
        finally:
            await endpoint.close()

    assert gone(asyncio.run(go()))


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=real)])
def test_batching_does_not_change_what_is_said(
    device: str, tiny: Path, make_config: Config, make_prompt: MakePrompt
) -> None:
    """Padding, places, dropped rows and each row's own seed: alone or together, one answer."""
    greedy = prompts_of(make_prompt, logprobs=True)
    hot = {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "min_p": 0.01}
    sampled = [
        msgspec.structs.replace(p, sampling=msgspec.structs.replace(p.sampling, seed=i))
        for i, p in enumerate(prompts_of(make_prompt, **hot))
    ]
    alone = [[prompt] for prompt in (*greedy, *sampled)]
    answers = {}
    for batching in ("auto", "static"):
        config = make_config(
            model=f"{tiny}@float32",
            parallel=4,
            context=128,
            threads=1,
            timeout_s=600.0,
            extra_body={"batching": batching, "device": device},
        )
        rounds = ask_all(TransformersEndpoint(config), *alone, greedy, sampled)
        ones = whole([reply for (reply,) in rounds[:8]])
        assert whole(rounds[8]) + whole(rounds[9]) == ones
        answers[batching] = ones
        together = [reply.logprobs for reply in rounds[8]]
        for (one,), both in zip(rounds[:4], together, strict=True):
            assert one.logprobs == pytest.approx(both, abs=1e-3)
    assert answers["auto"] == answers["static"]
    assert len(set(answers["auto"][4:])) == 4


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        pytest.param(*case, marks=real)
        for case in (
            ({"extra_body": {"device": "cuda:99"}}, SpecError, "device cuda:99 cannot be used"),
            ({"extra_body": {"batching": "mystic"}}, SpecError, "batching is 'mystic'"),
            ({"extra_body": {"bogus": 1}}, UnknownNameError, "no option of the endpoint"),
            ({"model": "nobody/nothing"}, SpecError, "cannot load nobody/nothing"),
            ({"model": "./nowhere"}, FileError, "there is no such folder"),
        )
    ],
)
def test_what_can_be_mended_is_told(
    more: dict[str, Any], error: type[Exception], words: str, tiny: Path, make_config: Config
) -> None:
    endpoint = TransformersEndpoint(make_config(**({"model": str(tiny)} | more)))
    with pytest.raises(error, match=words):
        asyncio.run(endpoint.open())


def test_without_torch(
    make_config: Config, make_prompt: MakePrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    endpoint = TransformersEndpoint(make_config())
    with pytest.raises(EngineError, match="is not open"):
        asyncio.run(endpoint.ask(make_prompt()))
    with pytest.raises(MissingExtraError, match=r"pip install 'perwatt\[transformers\]'"):
        asyncio.run(endpoint.open())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("org/name@bf16", ("org/name", "bfloat16")),
        ("/a/b@FP32", ("/a/b", "float32")),
        ("smollm2-135m@q8_0", ("smollm2-135m@q8_0", None)),
        ("smollm2-135m@q8_0@float16", ("smollm2-135m@q8_0", "float16")),
        ("plain", ("plain", None)),
    ],
)
def test_the_type_to_compute_in(model: str, expected: tuple[str, str | None]) -> None:
    assert split_dtype(model) == expected
