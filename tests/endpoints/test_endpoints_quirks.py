"""Which server is it, what does it need, and which names mean one model?"""

from __future__ import annotations

from typing import Any

import pytest

from perwatt.core.errors import SpecError
from perwatt.core.records import Message, Prompt, Sampling
from perwatt.endpoints.address import parse_address
from perwatt.endpoints.openai_answer import answer_cached
from perwatt.endpoints.openai_names import another_model
from perwatt.endpoints.openai_request import key_headers, request_body, request_id_header
from perwatt.endpoints.quirks import PLAIN, Quirk, by_host, recognise
from perwatt.endpoints.quirks_table import QUIRKS

BY_NAME = {quirk.engine: quirk for quirk in QUIRKS}
ASKED = Prompt(
    request_id="r",
    messages=(Message(role="user", content="q"),),
    sampling=Sampling(top_p=0.9, top_k=5, min_p=0.1, max_tokens=9, logprobs=True),
)


@pytest.mark.parametrize(
    ("headers", "owners", "engine"),
    [
        ({"server": "llama.cpp"}, set(), "llama.cpp"),
        ({}, {"llamacpp"}, "llama.cpp"),
        ({"server": "uvicorn"}, {"vllm"}, "vLLM"),
        ({"server": "uvicorn"}, {"sglang"}, "SGLang"),
        ({}, {"organization_owner"}, "LM Studio"),
        ({}, {"library", "me"}, "Ollama"),
        ({"server": "BaseHTTP/0.6 Python/3.12.1"}, set(), "mlx-lm"),
        ({"server": "uvicorn"}, {"somebody"}, None),
        ({}, set(), None),
    ],
)
def test_servers_are_told_by_what_they_say(
    headers: dict[str, str], owners: set[str], engine: str | None
) -> None:
    quirk = recognise(headers, owners)
    assert (quirk.engine if quirk else None) == engine


@pytest.mark.parametrize(
    ("host", "engine"),
    [
        ("api.openai.com", "OpenAI"),
        ("openrouter.ai", "OpenRouter"),
        ("mine.openai.azure.com", "Azure OpenAI"),
        ("evil-api.openai.com.example", None),
        ("notopenrouter.ai", None),
    ],
)
def test_public_hosts_are_known_before_a_key_is_sent(host: str, engine: str | None) -> None:
    quirk = by_host(host)
    assert (quirk.engine if quirk else None) == engine


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.engine)
def test_each_row_can_be_told_and_says_where_it_is_from(quirk: Quirk) -> None:
    told_by = (quirk.hosts, quirk.server_header, quirk.owned_by, quirk.probe)
    assert any(told_by)
    assert quirk.source
    assert quirk.tried
    body = request_body(ASKED, "m", "chat", quirk, {})
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body[quirk.max_tokens_field] == 9
    assert body["logprobs"] is True
    assert quirk.leaves_out.isdisjoint(body)


def test_what_each_server_is_sent() -> None:
    def sent(engine: str, mode: Any = "chat", **extra: Any) -> dict[str, Any]:
        return request_body(ASKED, "m", mode, BY_NAME[engine], extra)

    assert sent("llama.cpp")["cache_prompt"] is False
    assert sent("llama.cpp")["top_logprobs"] == 1
    assert {"top_k": 5, "min_p": 0.1}.items() <= sent("vLLM").items()
    for engine in ("OpenAI", "Azure OpenAI"):
        assert {"top_k", "min_p", "max_tokens"}.isdisjoint(sent(engine))
        assert sent(engine)["max_completion_tokens"] == 9
    assert sent("OpenRouter")["usage"] == {"include": True}
    assert sent("LiteLLM")["cache"] == {"no-cache": True}
    completion = sent("OpenAI", "completion")
    assert (completion["max_tokens"], completion["logprobs"]) == (9, 1)
    assert "messages" not in completion


def test_what_the_user_adds_comes_last_and_changes_no_question() -> None:
    extra = {
        "model": "x", "messages": [], "prompt": "x", "stream": False,
        "cache_prompt": True, "chat_template_kwargs": {"enable_thinking": False},
    }  # fmt: skip
    body = request_body(ASKED, "m", "chat", BY_NAME["llama.cpp"], extra)
    assert (body["model"], body["stream"], body["cache_prompt"]) == ("m", True, True)
    assert body["messages"] == ASKED.messages
    assert "prompt" not in body
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    plain = request_body(ASKED, "m", "chat", PLAIN, {})
    assert "cache_prompt" not in plain


def test_keys_and_ids() -> None:
    assert key_headers(None, "Authorization") == {}
    assert key_headers("k", "Authorization") == {"Authorization": "Bearer k"}
    assert key_headers("k", BY_NAME["Azure OpenAI"].auth_header) == {"api-key": "k"}
    assert request_id_header("a/b:1") == "a/b:1"
    assert request_id_header("é\r\nX: y") == "%C3%A9%0D%0AX:%20y"


@pytest.mark.parametrize(
    ("served", "same"),
    [
        (None, True),
        ("gpt-4o", True),
        ("GPT-4o", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-0613", True),
        ("gpt-4o:latest", True),
        ("openai/gpt-4o", True),
        ("openai/gpt-4o-2024-08-06", True),
        ("/models/gpt-4o.gguf", True),
        ("C:\\models\\gpt-4o.gguf", True),
        ("gpt-4o-mini", False),
        ("gpt-4o-mini-2024-07-18", False),
        ("gpt-4", False),
        ("claude", False),
    ],
)
def test_names_of_one_model(served: str | None, same: bool) -> None:
    assert another_model("gpt-4o", served) is not same


def test_more_names_of_one_model() -> None:
    assert not another_model("mine", "meta/llama-3", frozenset({"mine", "meta/llama-3"}))
    assert not another_model("mine", "llama-3", frozenset({"mine", "meta/llama-3"}))
    assert another_model("mine", "other", frozenset({"mine", "meta/llama-3"}))
    assert not another_model("org/m-2024-08-06", "m")
    assert another_model("m-2024-08-06", "m-2024-11-20")
    assert not another_model("llama3:latest", "llama3")


@pytest.mark.parametrize(
    ("url", "route", "target", "mode"),
    [
        ("http://h:1", "/v1/models", "/health", None),
        ("http://h/v1/", "/v1/models", "/health", None),
        ("https://openrouter.ai/api/v1", "/api/v1/models", "/api/health", None),
        ("http://h/v1/chat/completions", "/v1/models", "/health", "chat"),
        ("https://r.openai.azure.com/openai/v1", "/openai/v1/models", "/openai/health", None),
        ("https://r.openai.azure.com/openai/v1?api-version=preview",
         "/openai/v1/models?api-version=preview", "/openai/health", None),
        ("https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
         "/openai/deployments/d/models?api-version=2024-10-21", "/openai/deployments/d/health",
         "chat"),
    ],
)  # fmt: skip
def test_addresses(url: str, route: str, target: str, mode: str | None) -> None:
    address = parse_address(url)
    assert (address.route("/models"), address.target("/health")) == (route, target)
    assert address.mode == mode


@pytest.mark.parametrize(
    "url", ["http://h/v1?api-version=1&key=2", "http://h/v1?key", "http://h/a b", "http://h/é"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SpecError):
        parse_address(url)


@pytest.mark.parametrize(
    ("headers", "cached"),
    [
        ({}, None),
        ({"x-cache": "Hit from cloudfront"}, True),
        ({"x-cache": "Miss from cloudfront"}, False),
        ({"cf-cache-status": "DYNAMIC"}, False),
        ({"cf-aig-cache-status": "HIT"}, True),
        ({"x-litellm-cache-key": "abc"}, True),
        ({"x-cache": "MISS, HIT"}, True),
    ],
)
def test_answers_out_of_a_cache(headers: dict[str, str], cached: bool | None) -> None:
    assert answer_cached(headers) is cached
