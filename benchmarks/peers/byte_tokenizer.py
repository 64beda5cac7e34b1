"""A tokenizer for peers that insist on one: a token a byte, in a cache that needs no network.

    write_cache(folder)  then  HF_HOME=folder HF_HUB_OFFLINE=1, tokenizer `local/bytes`

The alphabet of characters is that of GPT-2's byte-level encoding, which the libraries expect.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "local/bytes"
REVISION = "0" * 40


def write_cache(home: Path) -> Path:
    """The folder that holds the tokenizer's files, inside the cache `home`."""
    model = home / "hub" / f"models--{NAME.replace('/', '--')}"
    snapshot = model / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    vocabulary = {token: at for at, token in enumerate([*_alphabet(), "<s>", "</s>"])}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    special = {
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    added = [{"id": vocabulary[t], "content": t, **special} for t in ("<s>", "</s>")]
    made: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }
    (snapshot / "tokenizer.json").write_text(json.dumps(made))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "model_max_length": 100_000,
    }
    (snapshot / "tokenizer_config.json").write_text(json.dumps(told))
    return snapshot


def _alphabet() -> list[str]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(256 - len(shown))]
