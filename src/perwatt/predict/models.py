"""What is known of models before they are asked: size, release, licence (models.toml)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Literal

import msgspec

from perwatt.core.decoding import prepare
from perwatt.predict.catalogue import built_in, find

__all__ = ["Attention", "ModelFacts", "find_model", "model_key", "models"]

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(gt=0)]
Month = Annotated[str, msgspec.Meta(pattern=r"^\d{4}(-(0[1-9]|1[0-2]))?$")]

LOCAL_ACTIVE_B, CLOUD_TOTAL_B = 20.0, 100.0


class Attention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token leaves in the KV cache, of a model all of whose layers read all of the context.

    None is given for one with sliding windows, a compressed cache or layers without attention:
    those read less, and how much less depends on the context.
    """

    layers: Count
    kv_heads: Count
    """Of each layer, shared by its query heads."""
    head_dim: Count
    source: str

    @property
    def values_per_token(self) -> int:
        """Keys and values."""
        return 2 * self.layers * self.kv_heads * self.head_dim


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One model, whatever its precision. None: not disclosed, or no source."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other spellings; publisher, punctuation, precision, "instruct" and "it" do not matter."""
    family: str | None = None
    """Those that one maker trained alike, such as `Qwen3`."""
    released: Month | None = None
    """`YYYY-MM` or `YYYY`: the first public release of its weights, or of its API."""
    parameters_b: Positive | None = None
    """All of them, in 10⁹."""
    active_b: Positive | None = None
    """Those that one token passes through; of a dense model all."""
    attention: Attention | None = None
    api_only: bool = False
    """Its weights are not to be had."""
    licence: str | None = None
    source: str
    note: str | None = None

    def __post_init__(self) -> None:
        sizes = (self.parameters_b, self.active_b)
        if None not in sizes and sizes[1] > sizes[0]:  # type: ignore[operator]
            msg = f"active_b of {self.name} is more than its parameters_b"
            raise ValueError(msg)

    @property
    def year(self) -> int | None:
        return None if self.released is None else int(self.released[:4])

    @property
    def place(self) -> Literal["local", "cloud"] | None:
        """By the study's rule (arXiv 2511.07885 §2): local with at most 20 B active parameters,
        else cloud with at least 100 B in all, or served by an API alone; None: neither."""
        if self.api_only:
            return "cloud"
        if self.active_b is not None and self.active_b <= LOCAL_ACTIVE_B:
            return "local"
        if self.parameters_b is not None and self.parameters_b >= CLOUD_TOTAL_B:
            return "cloud"
        return None


prepare(ModelFacts)


@cache
def models() -> tuple[ModelFacts, ...]:
    """All that come with perwatt."""
    return built_in("models.toml", "model", ModelFacts)


def find_model(text: str, extra: Sequence[ModelFacts] = ()) -> ModelFacts | None:
    """The model that a server, a hub or a file calls `text`.

    `Qwen/Qwen3-8B`, `qwen3:8b`, `qwen3-8b@q4_k_m`, `Qwen3-8B-Q4_K_M.gguf`. None where it is
    unknown or bears no size ("qwen3"): never the likeliest. A fine-tune is another model.
    `extra` goes before perwatt's own.
    """
    return find(text, extra, model_key) or find(text, models(), model_key)


_QUANT = re.compile(
    r"(?<![a-z0-9])(?:i?q\d(?:_[a-z0-9]+)*|tq\d_\d|w\d+a\d+|(?:bf|fp|f|int)\d+(?:_e\dm\d)?"
    r"|(?:mx|nv)fp\d+|\d{1,2}-?bits?|awq|gptq|bnb|nf4|gguf|ggml|mlx|onnx|hf|dwq|qat|qx|ud"
    r"|quantized|dynamic)(?![a-z0-9])"
)
"""How a copy is stored, which is not which model it is."""
_WORDS = frozenset(["instruct", "it", "chat", "base", "latest", "preview", "meta", "ai", "pt"])
_WORD = re.compile(r"\d+(?:\.\d+)?[bm](?![a-z0-9])|[a-z]+|\d+(?:\.\d+)*")


def model_key(text: str) -> str:
    """Equal for two spellings of one model."""
    name = text.strip().lower().partition("@")[0].rstrip("/").rpartition("/")[2]
    name = _QUANT.sub(" ", name)
    return " ".join(word for word in _WORD.findall(name) if word not in _WORDS)
