"""KV-time, and the arrays that every rule is given."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from perwatt.attribution.asked import asked_of
from perwatt.attribution.integrate import Curve
from perwatt.attribution.ledger import attribute
from perwatt.attribution.share import by_kv
from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Asked, Evidence, Rule, Shares

S = 1_000_000_000
Ints = NDArray[np.int64]


def flat(power_w: float = 100.0, seconds: int = 10, tick_ms: int = 50) -> Curve:
    t = np.arange(0, seconds * S + 1, tick_ms * 1_000_000, dtype=np.int64)
    return Curve(t, power_w * t.astype(np.float64) / 1e9, np.ones(len(t) - 1, dtype=np.bool_))


def test_kv_time_is_the_integral_of_context() -> None:
    """300 tokens of context against 100 that grow by 200: three to one, then three to three."""
    asked = asked_of(
        [0, 0],
        [0, 0],
        [10 * S, 10 * S],
        prompt_tokens=[300, 100],
        completion_tokens=[0, 200],
    )
    out = attribute(flat(), [(0, 10 * S)], asked, method=by_kv)
    weight = (100 + 200 * (np.arange(200) + 0.5) / 200) / (400 + 200 * (np.arange(200) + 0.5) / 200)
    assert out.gross_j[1] == pytest.approx(1000 * weight.mean(), rel=1e-6)


def test_kv_time_charges_nobody_who_only_waits() -> None:
    asked = asked_of([0, 0], [S, 2 * S], [2 * S, 2 * S], prefill_ns=[0, S], prompt_tokens=[50, 50])
    out = attribute(
        flat(), [(0, 2 * S)], asked._replace(completion_tokens=np.zeros(2)), method=by_kv
    )
    assert out.gross_j == pytest.approx([150, 50])


def test_unknown_context_is_shared_by_time() -> None:
    asked = asked_of([0, 0], [S, S], [2 * S, 2 * S], prompt_tokens=[np.nan, 50])
    out = attribute(flat(), [(0, 2 * S)], asked, method=by_kv)
    assert out.gross_j == pytest.approx([100, 100])


def test_a_prefill_lies_between_dispatch_and_first_chunk() -> None:
    asked = asked_of([10, 10], [20, 20], [30, 30], prefill_ns=[5, 25])
    assert asked.prefill_ns.tolist() == [10, 20]
    assert asked.cached_tokens.tolist() == [0, 0]
    assert np.isnan(asked.prompt_tokens).all()


def test_chunks_must_belong_to_requests() -> None:
    with pytest.raises(ValueError, match="equally long"):
        asked_of([0], [1], [2], chunk_ns=[1, 2], chunk_at=[0, 1, 2])


@pytest.mark.parametrize("bad", [-0.5, 2.0, np.nan])
def test_weights_that_cannot_be_are_refused(bad: float) -> None:
    def method(_: Evidence) -> Rule:
        def share(edges_ns: Ints, asked: Asked) -> Shares:
            t = len(edges_ns) - 1
            at, of = np.arange(t), np.zeros(t, dtype=np.int64)
            return Shares(at, of, np.full(t, bad), np.ones(t), None)

        return Rule(share)

    with pytest.raises(PerwattError, match="do not sum to one"):
        attribute(flat(), [(0, S)], asked_of([0], [0], [S]), method=method)
