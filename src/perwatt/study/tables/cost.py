"""What a thousand right answers cost: electricity by tariff, and the price of an API."""

from __future__ import annotations

import re

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.stats.moments import Moments, mean_interval
from perwatt.study.per_correct import J_PER_KWH, j_per_correct, pair_moments, scaled
from perwatt.study.study import Study
from perwatt.study.tariffs.load import ApiPrice, Electricity, load_tariffs

__all__ = ["cost"]

ANSWERS = 1_000


def cost(study: Study) -> StudyTable | None:
    """None where no pair has joules and no model has a price."""
    tariffs = load_tariffs(study.options.tariffs)
    prices = {pair.model: tariffs.price(pair.model) for pair in study.pairs}
    if all(p.boundary is None and prices[p.model] is None for p in study.pairs):
        return None
    rows: list[dict[str, StudyCell]] = []
    for pair, moments in pair_moments(study):
        joules = j_per_correct(pair, moments)
        row: dict[str, StudyCell] = {"pair": pair.label}
        for tariff in tariffs.electricity:
            factor = ANSWERS * tariff.per_kwh / J_PER_KWH
            row[_name(tariff)] = scaled(joules, factor, tariff.currency)
        row["api_usd"] = api_cost(pair, moments, prices[pair.model])
        rows.append(row)
    used = {price.source for price in prices.values() if price is not None}
    return StudyTable(
        name="cost",
        title="Cost per thousand right answers",
        what="A row is a pair; electricity = 1000 × Σ joules / Σ score ÷ 3.6 MJ × the tariff; API"
        " = 1000 × Σ (prompt tokens × input price + output tokens × output price) / Σ score.",
        columns=(
            StudyColumn(name="pair", title="Pair"),
            *(
                StudyColumn(
                    name=_name(tariff),
                    title=tariff.name,
                    what=f"Electricity at {tariff.per_kwh:g} {tariff.currency}/kWh"
                    f" ({tariff.year}).",
                )
                for tariff in tariffs.electricity
            ),
            StudyColumn(
                name="api_usd",
                title="API price",
                what="What an API that serves this model would have asked for these tokens.",
            ),
        ),
        rows=tuple(rows),
        notes=(
            "Electricity alone is no cost of ownership: the device, its room and its idle time are"
            " not in it. An API's price has all of that in it: the columns cannot be set off"
            " against each other.",
            "Intervals are of joules, tokens and answers; tariffs and prices are taken as exact.",
            *dict.fromkeys(f"{t.name}: {t.source}." for t in tariffs.electricity),
            *sorted(f"API prices: {source}." for source in used),
        ),
    )


def api_cost(pair: StudyPair, moments: Moments, price: ApiPrice | None) -> Estimate:
    """USD per thousand right answers by token prices.

    The interval takes tokens in, tokens out and answers to vary against each other as badly as
    they can, so it is never too narrow for want of their correlation.
    """
    n = moments.clusters
    if price is None:
        return _none(f"no API price of {pair.model} is known: --tariffs FILE.toml can tell", n)
    found = {c: mean_interval(moments, c) for c in ("prompt_tokens", "completion_tokens", "score")}
    for interval in found.values():
        if interval.value is None:
            return _none(interval.reason or "it is not known", n)
    prompt, output, score = found.values()
    if not score.value:
        return _none("no answer was right", n)
    per_input, per_output = price.usd_per_m_input / 1e6, price.usd_per_m_output / 1e6

    def at(tokens_in: float | None, tokens_out: float | None, right: float | None) -> float | None:
        if tokens_in is None or tokens_out is None or not right:
            return None
        return ANSWERS * (tokens_in * per_input + tokens_out * per_output) / right

    low = at(_or(prompt.low, prompt.value), _or(output.low, output.value), score.high)
    high = at(_or(prompt.high, prompt.value), _or(output.high, output.value), score.low)
    bounded = low is not None and high is not None
    return Estimate(
        value=at(prompt.value, output.value, score.value),
        low=low if bounded else None,
        high=high if bounded else None,
        unit="USD",
        method="bounds of tokens and of answers put together at their worst" if bounded else "",
        n=n,
        reason=None if bounded else "no interval: answers that are right may be as good as none",
    )


def _or(bound: float | None, value: float | None) -> float | None:
    """Tokens that are all alike have no interval, and their value is their bound."""
    return value if bound is None else bound


def _none(reason: str, n: int) -> Estimate:
    return Estimate(value=None, unit="USD", n=n, reason=reason)


def _name(tariff: Electricity) -> str:
    return "power_" + (re.sub(r"\W+", "_", tariff.name.lower()).strip("_") or "tariff")
