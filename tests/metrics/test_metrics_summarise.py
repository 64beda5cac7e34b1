"""Summaries, comparisons and the sentences people quote."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest

from perwatt.core.records import Columns, PairIdentity
from perwatt.core.summary import Comparison, EnergyLedger, PairSummary
from perwatt.metrics.correction import corrected
from perwatt.metrics.summarise import compare_pairs, headline, summarise_pair

S = 1_000_000_000


def identity(pair_id: str = "a", label: str = "Model A") -> PairIdentity:
    return PairIdentity(pair_id=pair_id, label=label, model="m", engine="e", device="cpu")


def ledger(pair_id: str = "a", **given: Any) -> EnergyLedger:
    base = {
        "pair_id": pair_id,
        "device_j": 26.0,
        "requests_j": 26.0,
        "idle_j": 0.0,
        "unattributed_j": 0.0,
        "prefill_j": 11.0,
        "decode_j": 15.0,
        "idle_power_w": 3.0,
        "window_s": 3.0,
        "domains": ("package-0",),
        "boundary": "package",
        "grade": "B",
        "gain_low": 1.0,
        "gain_high": 1.0,
    }
    return EnergyLedger(**{**base, **given})


def simulated(n: int, right: float, watts: float, seed: int) -> Columns:
    """`n` items, the same for every seed; `right` is about the share answered right."""
    items, own = np.random.default_rng(7), np.random.default_rng(seed)
    rows = []
    for i in range(n):
        hard, tokens = items.random(), int(items.integers(2, 40))
        first = int(S * (0.05 + 0.05 * own.random()))
        offsets = first + np.cumsum(np.r_[0, (S * 0.01 * (1 + own.random(tokens - 1)))])
        took = int(offsets[-1])
        joules = watts * took / S * (0.95 + 0.1 * own.random())
        rows.append(
            {
                "item_id": f"i{i}",
                "group": f"i{i}",
                "status": "ok",
                "kind": f"kind-{i % 3}",
                "level": i % 2 + 1,
                "category": None,
                "phase_id": "p",
                "scheduled_ns": i * S,
                "dispatched_ns": i * S,
                "first_chunk_ns": i * S + first,
                "last_chunk_ns": i * S + took,
                "chunk_offsets_ns": [int(t) for t in offsets],
                "prompt_tokens": 60,
                "cached_tokens": 0,
                "completion_tokens": tokens,
                "score": float(hard + 0.2 * own.random() < right),
                "extracted": "4",
                "abstained": False,
                "energy_gross_j": joules,
                "energy_net_j": joules / 2,
                "prefill_j": joules / 4,
                "decode_j": joules * 3 / 4,
                "boundary": "package",
                "grade": "D",
            }
        )
    return {name: [row[name] for row in rows] for name in rows[0]}


def summary(rows: Columns, pair_id: str = "a", **of_ledger: Any) -> PairSummary:
    books = ledger(pair_id, **{"grade": "D", "gain_low": 0.6, "gain_high": 1.6, **of_ledger})
    label = f"Model {pair_id.upper()}"
    return summarise_pair(
        rows, identity(pair_id, label), books, rng=np.random.default_rng(0), draws=300
    )


def compared(a: Columns, b: Columns, **of_b: Any) -> dict[str, Comparison]:
    found = compare_pairs(
        a, b, summary(a), summary(b, "b", **of_b), rng=np.random.default_rng(1), draws=300
    )
    return {comparison.metric: comparison for comparison in found}


GOOD, BAD = simulated(96, 0.6, 30, 1), simulated(96, 0.4, 45, 2)


def test_slices() -> None:
    slices = summary(GOOD).slices
    assert {by: list(labels) for by, labels in slices.items()} == {
        "kind": ["kind-0", "kind-1", "kind-2"],
        "level": ["1", "2"],
        "category": [],
        "scorer": [],
    }
    one = slices["kind"]["kind-1"]
    assert set(one) == {
        *("accuracy", "extraction_failure_share", "abstained_share"),
        *("ipw", "ipj", "j_per_correct", "energy_gross_j", "ttft"),
    }
    assert one["accuracy"].n == 32
    scores = [s for s, k in zip(GOOD["score"], GOOD["kind"], strict=True) if k == "kind-1"]
    assert one["accuracy"].value == pytest.approx(sum(scores) / 32)


def test_by_scorer_a_failed_answer_counts_with_its_items_other_rows() -> None:
    rows: Columns = {name: list(values) for name, values in GOOD.items()}
    rows |= {"scorer": ["choice"] * 48 + ["numeric"] * 48}
    rows["item_id"] = [f"i{k // 2}" for k in range(96)]
    rows["repeat"] = [k % 2 for k in range(96)]
    rows["status"] = ["error", *["ok"] * 95]
    rows["scorer"][0] = rows["score"][0] = rows["extracted"][0] = None
    rows["extracted"][2:8] = [None] * 6
    found = summary(rows).slices["scorer"]
    assert list(found) == ["choice", "numeric"]
    assert found["choice"]["accuracy"].value == pytest.approx(sum(rows["score"][1:48]) / 48)
    assert found["choice"]["extraction_failure_share"].value == pytest.approx(6 / 47)
    assert found["numeric"]["extraction_failure_share"].value == 0.0


def test_what_an_unnamed_scorer_read_is_unknown() -> None:
    rows: Columns = {name: list(values) for name, values in GOOD.items()}
    rows |= {"scorer": ["imported"] * 96, "extracted": [None] * 96}
    found = summary(rows).metrics["extraction_failure_share"]
    assert found.value is None
    assert found.reason


def test_the_same_figure_by_the_bootstrap_stands_beside() -> None:
    found = summary(GOOD)
    for name in ("accuracy", "ipw", "ipj", "j_per_correct"):
        one, other = found.metrics[name], found.beside[name]["bootstrap"]
        assert one.value == other.value
        assert "bootstrap" in other.method
        assert one.low == pytest.approx(other.low, rel=0.1)
        assert one.high == pytest.approx(other.high, rel=0.1)


def test_intervals_hold_their_values_and_say_how_they_were_made() -> None:
    found = summary(GOOD).metrics
    without = {name for name, estimate in found.items() if estimate.value is None}
    assert without == {
        *("perplexity", "ppw", "ppj", "goodput", "ttft_answer", "ttft_answer_p50"),
        *("server_ttft", "server_queue", "server_prefill", "server_decode"),
        *("weighted_accuracy", "weighted_ipj"),
    }
    for name in set(found) - without:
        estimate = found[name]
        assert estimate.value is not None, name
        if name.startswith("schedule_lag"):  # each left when it was due
            assert estimate.value == 0
            continue
        if name.endswith("_p99") and name != "itl_p99":  # of 96 values none is sure to lie above
            assert (estimate.low, estimate.high) == (None, None), name
            assert "368 would bound it" in (estimate.reason or ""), name
            continue
        assert estimate.low is not None, name
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high, name
    method = summary(GOOD).metrics["ipj"].method
    assert "score interval of a ratio" in method
    assert "×0.6 to ×1.6" in method
    assert "300 draws" in summary(GOOD).metrics["output_tokens_per_s"].method


def test_the_sensors_error_dominates_a_pairs_own_joules_but_not_the_ratio() -> None:
    cost = summary(GOOD).metrics["energy_gross_j"]
    assert cost.value is not None
    assert (cost.low or 1) / cost.value < 0.7
    ratio = compared(GOOD, BAD)["energy_gross_j"].ratio
    assert ratio.value == pytest.approx(30 / 45, rel=0.05)
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.high / ratio.low < 1.1
    apart = compared(GOOD, BAD, domains=("wall",))["energy_gross_j"].ratio
    assert (apart.high or 0) / (apart.low or 1) > 2


def test_sentences_of_a_decided_comparison() -> None:
    found = compared(GOOD, BAD)
    ipj = found["ipj"]
    assert ipj.decided
    assert ipj.sentence.startswith("Model A does ")
    assert "× the correct answers per joule of Model B (95% interval " in ipj.sentence
    assert ipj.finding.endswith("p = 0.0001, 96 items, estimated energy, grade D).")
    assert ipj.sentence == ipj.finding + (
        " This is decided (p = 0.0004 after Holm's correction for 5 comparisons)."
    )
    # The smallest p that flips can give; accuracy's exact one is smaller.
    assert (ipj.p_value, ipj.compared) == (1e-4, 5)
    assert ipj.p_adjusted == pytest.approx(4e-4)
    assert found["accuracy"].decided
    assert "points (95% interval +" in found["accuracy"].sentence
    assert "exact McNemar p = " in found["accuracy"].sentence
    assert "per watt" in found["ipw"].sentence
    assert "uses 0.6" in found["energy_gross_j"].sentence


def test_what_is_not_decided_says_so() -> None:
    found = compared(GOOD, simulated(96, 0.6, 30, 3))
    assert not found["ipj"].decided
    assert "This run does not decide between them (p = " in found["ipj"].sentence
    assert "after Holm's correction for 5 comparisons)" in found["ipj"].sentence
    assert not found["accuracy"].decided
    needed = found["accuracy"].items_needed
    assert needed is not None
    assert needed > 96
    assert " items would." in found["accuracy"].sentence


@pytest.mark.parametrize(
    ("of_b", "words"),
    [({"grade": "A"}, "unlike grades, D and A"), ({"boundary": "system"}, "unlike boundaries")],
)
def test_unlike_energy_is_not_divided(of_b: dict[str, Any], words: str) -> None:
    other = {**BAD, "boundary": [of_b.get("boundary", "package")] * 96}
    found = compared(GOOD, other, **of_b)
    for name in ("ipj", "ipw", "energy_gross_j"):
        assert found[name].ratio.value is None
        assert words in (found[name].ratio.reason or "")
        assert words in found[name].sentence
        assert not found[name].decided
    assert found["accuracy"].ratio.value is not None
    assert found["latency"].ratio.value is not None


def test_only_common_items_are_compared() -> None:
    half = {name: values[:40] for name, values in BAD.items()}
    assert compared(GOOD, half)["accuracy"].ratio.n == 40
    strangers = {**half, "item_id": [f"x{k}" for k in range(40)], "group": [None] * 40}
    found = compared(GOOD, strangers)
    assert {c.ratio.reason for c in found.values()} == {"they were asked no item in common"}
    regrouped = {**half, "group": [f"other-{k}" for k in range(40)]}
    assert compared(GOOD, regrouped)["ipj"].ratio.n == 40


def test_the_test_has_the_name_it_is_known_by() -> None:
    halves = {**GOOD, "score": [0.5 * s for s in GOOD["score"]]}
    assert "exact sign test p" in compared(GOOD, halves)["accuracy"].sentence
    partial = {**GOOD, "score": [s * (k % 10) / 10 for k, s in enumerate(GOOD["score"])]}
    assert "paired flip test p" in compared(GOOD, partial)["accuracy"].sentence


def test_more_comparisons_need_more() -> None:
    one = compared(GOOD, simulated(96, 0.6, 31.5, 3))["energy_gross_j"]
    alone, among = corrected([one])[0], corrected([one] * 40)[0]
    assert one.p_value is not None
    assert alone.p_adjusted == one.p_value
    assert among.p_adjusted == min(1.0, 40 * one.p_value)
    assert "Holm" not in alone.sentence
    assert "for 40 comparisons" in among.sentence
    assert corrected([among])[0] == alone


def test_unlike_sensors_own_errors_are_in_the_test() -> None:
    near = simulated(96, 0.6, 33, 3)
    together, apart = compared(GOOD, near), compared(GOOD, near, domains=("wall",))
    assert together["energy_gross_j"].decided
    assert (apart["energy_gross_j"].p_value or 0) > 0.5
    assert apart["energy_gross_j"].items_needed is None


def test_nothing_right_on_one_side_still_compares_accuracy() -> None:
    none = {**BAD, "score": [0.0] * 96}
    found = compared(GOOD, none)
    assert found["ipj"].ratio.value is None
    assert found["accuracy"].decided
    assert "and Model B 0.0%" in found["accuracy"].sentence


def test_headline_of_one_pair() -> None:
    text = headline([summary(GOOD)], [])
    assert text.startswith("Model A answers ")
    assert " J per correct answer (95% interval " in text
    assert text.endswith("96 items, estimated energy, grade D).")
    bare = {**GOOD, **dict.fromkeys(("energy_gross_j", "energy_net_j", "boundary"), [None] * 96)}
    unknown = summarise_pair(bare, identity(), None, rng=np.random.default_rng(0), draws=50)
    assert "joules per correct answer are unknown: no energy was measured." in headline(
        [unknown], []
    )
    unscored = {**GOOD, "score": [None] * 96}
    assert "has no accuracy: 96 of 96 requests have no score." in headline([summary(unscored)], [])
    assert headline([], []) == "No pair was measured."


def test_headline_names_the_best_first_whatever_the_order() -> None:
    a, b = summary(GOOD), summary(BAD, "b")
    found = list(compared(GOOD, BAD).values())
    ipj = next(c for c in found if c.metric == "ipj")
    assert ipj.decided
    assert headline([a, b], found) == ipj.finding
    open_ = [msgspec.structs.replace(c, decided=False) for c in found]
    assert headline([a, b], open_) == f"{ipj.finding} This run does not decide between them."
    turned = list(compared(BAD, GOOD).values())
    worse_first = [
        msgspec.structs.replace(summary(BAD), identity=identity("a", "Model Worse")),
        msgspec.structs.replace(summary(GOOD, "b"), identity=identity("b", "Model Better")),
    ]
    text = headline(worse_first, turned)
    assert re.match(r"Model Better does [12]\.\d\d× .* of Model Worse \(95% interval [12]\.", text)


def test_headline_without_energy_falls_back_on_accuracy() -> None:
    found = compared(GOOD, {**BAD, "score": [0.0] * 96})
    pairs = [summary(GOOD), summary({**BAD, "score": [0.0] * 96}, "b")]
    # No ratio exists against a pair that is never right: both are told one after the other.
    text = headline(pairs, list(found.values()))
    assert "Model A answers" in text
    assert "Model B answers 0.0% right" in text


def test_the_same_seed_gives_the_same_summary() -> None:
    assert summary(GOOD) == summary(GOOD)


def test_an_unscored_answer_is_not_compared_as_if_it_were_wrong() -> None:
    a, b = simulated(40, 0.5, 10.0, 1), simulated(40, 0.5, 10.0, 2)
    a["score"][3] = None
    rng = np.random.default_rng(0)
    summaries = (
        summarise_pair(a, identity("a"), ledger("a"), rng=rng, draws=200),
        summarise_pair(b, identity("b", "Model B"), ledger("b"), rng=rng, draws=200),
    )
    found = {c.metric: c for c in compare_pairs(a, b, *summaries, rng=rng, draws=200)}
    assert found["accuracy"].ratio.value is None
    assert not found["accuracy"].decided
    assert "right" not in found["accuracy"].sentence
    assert "%" not in found["accuracy"].sentence


def test_conversations_are_compared_by_their_last_turn() -> None:
    def talked(rows: Columns) -> Columns:
        """Each item is asked once more before, for the same joules and without a score."""
        before: Columns = {**rows, "turn": [0] * 96, "score": [None] * 96}
        after: Columns = {**rows, "turn": [1] * 96}
        return {name: [*before[name], *after[name]] for name in before}

    plain, turned = compared(GOOD, BAD), compared(talked(GOOD), talked(BAD))
    assert turned["accuracy"].sentence == plain["accuracy"].sentence
    assert turned["ipj"].ratio.value == pytest.approx(plain["ipj"].ratio.value)
    cost = summary(talked(GOOD)).metrics["energy_gross_j"].value
    assert cost == pytest.approx(2 * (summary(GOOD).metrics["energy_gross_j"].value or 0))
    # A turn is a request as long as the other one.
    assert turned["latency"].ratio.n == 96
    assert summary(talked(GOOD)).attempted == 96


def test_where_nothing_is_scored_the_frugal_pair_leads() -> None:
    none: Columns = {"score": [None] * 96, "abstained": [True] * 96}
    good, bad = {**GOOD, **none}, {**BAD, **none}
    found = list(compared(good, bad).values())
    text = headline([summary(bad, "b"), summary(good)], found)
    assert text.startswith("Model A uses 0.6")
    assert "the energy of Model B for a request" in text
    alone = headline([summary(good)], [])
    assert alone.startswith("Model A takes ")
    assert "It has no accuracy: the answers were not scored." in alone


def test_a_wait_before_asking_again_is_no_lag_of_the_client() -> None:
    late: Columns = {**GOOD, "dispatched_ns": list(GOOD["dispatched_ns"]), "attempt": [1] * 96}
    late["dispatched_ns"][5] += S // 100
    late["attempt"][5] = 2
    assert summary(late).metrics["schedule_lag_p99"].value == 0
    late["attempt"][5] = 1
    assert summary(late).metrics["schedule_lag_p99"].value == pytest.approx(0.01)
