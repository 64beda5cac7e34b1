"""Run directories of a large study whose every mean is planted, written by DuckDB alone.

Items are the same for all pairs, some hard and some easy. Right answers cost less here, so that
score and joules go together as they do in truth. Tables have all of `schema.REQUESTS`' columns.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import duckdb
import msgspec

from emulated.runs import Answered, write_run_directory
from perwatt.core.records import PairIdentity
from perwatt.store.integrity import hashes_of
from perwatt.store.schema import REQUESTS

__all__ = ["CATEGORIES", "Planted", "plant", "write_study"]

CATEGORIES = 22
_PRECISIONS = (("q4_k_m", 0.56), ("q8_0", 1.06), ("bf16", 2.0))
_SAVED = 0.3
"""A right answer takes this much less of the mean joules."""
_WIDTH = 1.2
"""Joules vary as exp(_WIDTH × the sum of three numbers, each uniform within ±½)."""


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """The truth of one pair."""

    name: str
    model: str
    device: str
    precision: str
    seed: int
    base: float
    """Accuracy in the first category; see `accuracy`."""
    scale_j: float
    power_w: float

    @property
    def directory(self) -> str:
        return f"{self.name}-{self.device}".replace(" ", "-")

    def accuracy(self, category: int) -> float:
        return self.base + 0.2 * (category / (CATEGORIES - 1) - 0.5)

    def joules(self, category: int) -> float:
        """Mean gross joules."""
        return self._spread() * self.scale_j * (1 - _SAVED * self.accuracy(category))

    def _spread(self) -> float:
        return (2 * math.sinh(_WIDTH / 2) / _WIDTH) ** 3


def plant(models: int, devices: int) -> list[Planted]:
    """Every model on every device."""
    return [
        Planted(
            name=f"model-{m // 3}@{_PRECISIONS[m % 3][0]}",
            model=f"model-{m // 3}",
            device=f"Emulated {d}",
            precision=_PRECISIONS[m % 3][0],
            seed=1000 * m + d,
            base=0.25 + 0.5 * m / max(1, models - 1),
            scale_j=4.0 * (1 + m) / (1 + 0.5 * d),
            power_w=60.0 + 40.0 * d,
        )
        for m in range(models)
        for d in range(devices)
    ]


def write_study(directory: Path, pairs: list[Planted], rows: int) -> None:
    """A run directory for each pair under `directory`, each of `rows` requests."""
    db = duckdb.connect(config={"memory_limit": "3GB"})
    db.execute(
        "CREATE TABLE items AS SELECT i, 'chat-' || lower(to_hex(hash(i) >> 16)) AS item_id,"
        f" CAST(hash(-1 - 2 * i) % {CATEGORIES} AS INTEGER) AS topic,"
        " (hash(-2 - 2 * i) >> 11) / 9007199254740992.0 AS hard FROM range(?) AS r(i)",
        [rows],
    )
    for pair in pairs:
        _write_run(db, directory / pair.directory, pair, rows)
    db.close()


def _write_run(db: duckdb.DuckDBPyConnection, directory: Path, pair: Planted, rows: int) -> None:
    first = Answered(pair=pair.name, item="first", score=1.0, energy_j=1.0)
    identity = PairIdentity(
        pair_id=pair.name,
        label=pair.name,
        model=pair.model,
        engine="emulated",
        precision=pair.precision,
        device=pair.device,
        parameters=1_000_000_000 * (1 + pair.seed // 3000),
    )
    write_run_directory(
        directory, [first], identities=[identity], device=pair.device, workload="chat"
    )
    known = _columns(pair)
    columns = ", ".join(
        f'CAST({known.get(name, "NULL")} AS {kind}) AS "{name}"' for name, kind in REQUESTS.items()
    )
    requests = str(directory / "requests.parquet").replace("'", "''")
    chances, energy = (text.format(**_constants(pair)) for text in (_CHANCES, _ENERGY))
    db.execute(
        f"COPY (SELECT {columns} FROM (SELECT *, {energy} FROM (SELECT *, {chances} FROM items)))"
        f" TO '{requests}' (FORMAT parquet, COMPRESSION zstd, DICTIONARY_SIZE_LIMIT 1024)"
    )
    about = json.loads((directory / "run.json").read_text())
    joules = rows * sum(pair.joules(c) for c in range(CATEGORIES)) / CATEGORIES
    about["requests"] = rows
    about["workload"] |= {"items": rows, "items_asked": rows, "sha256": "of the same items"}
    about["ledgers"][pair.name] |= {"device_j": joules, "requests_j": joules}
    about["files"] = hashes_of(directory)
    (directory / "run.json").write_text(json.dumps(about))


def _constants(pair: Planted) -> dict[str, float]:
    return {
        "seed": pair.seed,
        "base": pair.base,
        "joules": pair.scale_j,
        "watts": pair.power_w,
        "saved": _SAVED,
        "width": _WIDTH,
        "last": CATEGORIES - 1,
    }


# 64 random bits each: three or four numbers of 16 or 21 bits. DuckDB's hash of one integer mixes
# well; that of several does not.
_CHANCES = """
hash(i + {seed} * 8589934592) AS a, hash(i + {seed} * 8589934592 + 4294967296) AS b,
{base} + 0.2 * (topic / {last}.0 - 0.5) AS chance"""

_ENERGY = """
CASE WHEN ((a & 2097151) + 0.5) / 2097152.0 < chance + (hard - 0.5) * 2 * least(chance, 1 - chance)
     THEN 1.0 ELSE 0.0 END AS good,
round({joules} * exp({width} * ((((a >> 21) & 2097151) + ((a >> 42) & 2097151) + (b & 2097151)
      + 1.5) / 2097152.0 - 1.5)) * (1 - {saved} * good), 4) AS joules,
{watts} * (0.8 + 0.4 * ((b >> 21) & 65535) / 65536.0) AS watts,
0.15 + 0.2 * ((b >> 37) & 65535) / 65536.0 AS early,
CAST(1e9 * joules / watts AS BIGINT) AS took_ns,
CAST(i AS BIGINT) * 1000000000 AS start_ns"""


def _columns(pair: Planted) -> dict[str, str]:
    return {
        "request_id": f"item_id || '/{pair.seed}/0/0'",
        "item_id": "item_id",
        "pair_id": f"'{pair.name}'",
        "workload": "'chat'",
        "kind": "CASE WHEN topic < 11 THEN 'chat' ELSE 'knowledge' END",
        "level": "1 + topic % 4",
        "category": "'category ' || topic",
        "repeat": "0",
        "status": "'ok'",
        "scheduled_ns": "start_ns",
        "dispatched_ns": "start_ns",
        "first_chunk_ns": "start_ns + took_ns // 5",
        "first_answer_ns": "start_ns + took_ns // 5",
        "last_chunk_ns": "start_ns + took_ns",
        "prompt_tokens": "20 + (a >> 53) % 800",
        "completion_tokens": "10 + (b >> 53) % 900",
        "finish_reason": "'stop'",
        "text": "''",
        "score": "good",
        "energy_gross_j": "joules",
        "energy_net_j": "round(joules * 0.7, 4)",
        "energy_low_j": "round(joules * 0.97, 4)",
        "energy_high_j": "round(joules * 1.03, 4)",
        "prefill_j": "round(joules * early, 4)",
        "decode_j": "round(joules * (1 - early), 4)",
        "power_mean_w": "round(joules / (took_ns / 1e9), 3)",
        "boundary": "'accelerator'",
        "grade": "'B'",
        "attribution": "'phase'",
        "flags": "[]",
        "session": "1",
        "phase_id": "'load'",
        "in_flight": "1",
        "group": "item_id",
        "abstained": "false",
        "extracted": "'A'",
        "stage": "0",
        "turn": "0",
        "attempt": "1",
        "worker": "0",
        "connection": "'reused'",
        "tokens_by": "'server'",
        "scorer": "'exact'",
    }
