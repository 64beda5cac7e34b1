"""Each pair against its device's roofline: the waterline, the efficiency gap, MBU and MFU."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.core.units import format_si
from perwatt.predict.devices import Device, find_device
from perwatt.predict.models import find_model
from perwatt.predict.roofline import NoRoofline, Roofline, Weights, roofline, weights_of
from perwatt.report.charts.waterline import Level, waterline
from perwatt.report.format import Cell, cell, seconds_text, spoken
from perwatt.report.legend import fills
from perwatt.report.limits import Done, done_by, replicates, with_interval
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["limits"]

MEASURED = "j_per_output_token"

WHAT = {
    "Floor": "Least seconds that the device's peaks allow for these tokens: 2 operations per active"
    " parameter and token ÷ peak arithmetic; for decode the weights once per step, at the batch"
    " that was in flight, and the KV cache of each answer's context at each of its tokens, ÷ memory"
    " bandwidth, where that is longer. The line of assumptions says whether the KV cache is in.",
    "Busy": "Seconds in which at least one request was in flight.",
    "Busy ÷ floor": "How much longer it took than the roofline allows.",
    "MBU": "Memory bandwidth utilisation: bytes that decode had to read (weights, and the KV cache"
    " where its size is known) ÷ the seconds in which any"
    " answer was in decode ÷ the device's bandwidth.",
    "MFU": "Compute utilisation: 2 operations per active parameter and token ÷ busy seconds ÷ the"
    " device's peak.",
    "Waterline, idle": "Joules per output token of the floor's seconds at the device's idle watts.",
    "Waterline, TDP": "Joules per output token of the floor's seconds at its power limit.",
    "Measured": "Gross joules of requests per output token.",
    "Gap to TDP": "Efficiency gap: measured ÷ the waterline at the power limit.",
    "Gap to idle": "Efficiency gap: measured ÷ the waterline at idle watts; the most it can be.",
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One pair held against its device."""

    pair: int
    label: str
    device: Device
    devices: int
    weights: Weights
    done: Done
    floor: Roofline
    measured: Estimate | None
    boundary: str | None

    def per_token(self, joules: float | None) -> float | None:
        tokens = self.done.work.output_tokens
        return None if joules is None or tokens == 0 else joules / tokens


def limits(view: View) -> Section | None:
    found: list[Found] = []
    absent: list[str] = []
    for n, label in enumerate(view.labels):
        own = _found(view, n)
        if isinstance(own, NoRoofline):
            absent.append(f"{label}: {own.reason}.")
        else:
            found.append(own)
    if not found and not view.rows:
        return None
    return Section(
        name="limits",
        title="Against the device's limits",
        template="limits.html",
        data={
            "figure": _figure(view, found),
            "times": _times(view, found) if found else None,
            "what": WHAT,
            "sentences": [_sentence(own) for own in found],
            "assumed": [_assumed(own) for own in found],
            "absent": absent,
        },
    )


def _found(view: View, n: int) -> Found | NoRoofline:
    pair = view.pairs[n]
    name, devices = _device_name(view, n)
    if name is None:
        return NoRoofline("its device is not known")
    device = find_device(name)
    if device is None:
        return NoRoofline(f"the catalogue of devices does not know “{name}”")
    weights = weights_of(pair.identity, find_model(pair.identity.model))
    if isinstance(weights, NoRoofline):
        return weights
    done = done_by(view.rows_of(n))
    if isinstance(done, NoRoofline):
        return done
    floor = roofline(done.work, weights, device, devices)
    if isinstance(floor, NoRoofline):
        return floor
    return Found(
        pair=n,
        label=view.labels[n],
        device=device,
        devices=devices,
        weights=weights,
        done=done,
        floor=floor,
        measured=pair.metrics.get(MEASURED),
        boundary=None if pair.ledger is None else pair.ledger.boundary,
    )


def _device_name(view: View, n: int) -> tuple[str | None, int]:
    """The accelerators that the pair's joules were read of, else what its engine says it ran on."""
    ledger = view.pairs[n].ledger
    inside = set(ledger.domains) if ledger else set()
    read = [
        domain.device
        for domain in view.summary.domains
        if domain.name in inside and domain.boundary == "accelerator"
    ]
    if read and len(set(read)) == 1:
        return read[0], len(read)
    return view.pairs[n].identity.device, max(1, len(read))


def _times(view: View, found: list[Found]) -> Table:
    head = ("Pair", "Floor", "Busy", "Busy ÷ floor", "MBU", "MFU")
    rows = [_time_row(view, own) for own in found]
    return Table(caption="Time against the roofline", head=head, rows=rows, sortable=len(rows) > 1)


def _time_row(view: View, own: Found) -> tuple[Cell | str, ...]:
    sent = [row for row in view.rows_of(own.pair) if row.ok]
    without = replicates(sent, own.done.in_flight)

    def estimate(figure: Callable[[Done, Roofline], float], unit: str) -> Cell:
        def of(done: Done) -> float:
            floor = roofline(done.work, own.weights, own.device, own.devices)
            return 0.0 if isinstance(floor, NoRoofline) else figure(done, floor)

        return cell(with_interval(own.done, without, of, unit, len(sent)))

    def moved(done: Done, floor: Roofline) -> float:
        return floor.decode_bytes / done.decode_s / floor.bandwidth if done.decode_s else 0.0

    none = Estimate(value=None, unit="share", reason="No answer had a second chunk.")
    return (
        own.label,
        seconds_text(own.floor.seconds),
        seconds_text(own.done.busy_s),
        estimate(lambda done, floor: done.busy_s / floor.seconds, "×"),
        estimate(moved, "share") if own.done.decode_s > 0 else cell(none),
        estimate(lambda done, floor: floor.flops / done.busy_s / floor.peak_flops, "share"),
    )


def _gap(own: Found, joules: float | None) -> Estimate:
    """Measured ÷ a waterline; the waterline is taken as given."""
    level, e = own.per_token(joules), own.measured
    if e is None or e.value is None:
        why = (e.reason if e else None) or "No energy was read."
        return Estimate(value=None, unit="×", reason=why)
    if level is None:
        return Estimate(value=None, unit="×", reason=f"The watts of {own.device.name} are unknown.")
    return Estimate(
        value=e.value / level,
        low=None if e.low is None else e.low / level,
        high=None if e.high is None else e.high / level,
        unit="×",
        method=f"{e.method}; the waterline taken as given",
        n=e.n,
        grade=e.grade,
        boundary=e.boundary,
    )


def _figure(view: View, found: list[Found]) -> Figure | None:
    levels = []
    for own in found:
        low, high = (own.per_token(j) for j in (own.floor.idle_j, own.floor.limit_j))
        ends = [v for v in (low, high) if v is not None]
        if not ends:
            continue
        gap = _gap(own, own.floor.limit_j)
        levels.append(
            Level(
                pair=own.pair,
                label=own.label,
                low=min(ends),
                high=max(ends),
                measured=own.measured,
                says="" if gap.value is None else f"{gap.value:.3g}× the waterline at TDP",
                tip=f"{own.label}, waterline on {own.device.name}: {_range(min(ends), max(ends))}",
                measured_tip=f"{own.label}, measured: {spoken(own.measured)} per output token"
                if own.measured
                else "",
            )
        )
    if not levels:
        return None
    caption = (
        "Joules per output token: the mark is what was measured, with its 95% interval; the band is"
        " the waterline, the roofline's seconds at the device's idle watts (left end) to its power"
        " limit (right end). Below the left end no engine can come on this device."
    )

    def draw(width: float) -> Markup:
        return waterline(levels, "joules per output token, log scale", width, caption)

    head = ("Pair", "Waterline, idle", "Waterline, TDP", "Measured", "Gap to TDP", "Gap to idle")
    rows: list[tuple[Cell | str, ...]] = [
        (
            own.label,
            *(_level(own, joules) for joules in (own.floor.idle_j, own.floor.limit_j)),
            cell(own.measured),
            cell(_gap(own, own.floor.limit_j)),
            cell(_gap(own, own.floor.idle_j)),
        )
        for own in found
    ]
    table = Table(caption="Energy against the roofline", head=head, rows=rows)
    keys = fills([("waterline, from idle watts to the power limit", "water")])
    return figure(view, "waterline", caption, draw, data=table, legend=keys)


def _level(own: Found, joules: float | None) -> str:
    level = own.per_token(joules)
    return "–" if level is None else format_si(level, "J")


def _range(low: float, high: float) -> str:
    return f"{format_si(low, 'J')} to {format_si(high, 'J')} per output token"


def _sentence(own: Found) -> str:
    times = own.done.busy_s / own.floor.seconds
    text = (
        f"{own.label} took {times:.3g}× the least time that {_many(own)} allows for these tokens;"
        f" its decode is bound by {own.floor.bound}"
    )
    gap = _gap(own, own.floor.limit_j)
    if gap.value is None:
        return text + "."
    text += f", and a token cost {gap.value:.3g}× the waterline at the power limit."
    if own.boundary and own.boundary != "accelerator" and own.device.kind != "cpu":
        text += f" The measured joules cover the {own.boundary}; the waterline is the device alone."
    return text


def _many(own: Found) -> str:
    return own.device.name if own.devices == 1 else f"{own.devices} × {own.device.name}"


def _assumed(own: Found) -> str:
    work, floor, device = own.done.work, own.floor, own.device
    cost = "the phases may overlap" if work.overlapped else "decode follows prefill"
    watts = ", ".join(
        f"{words} {value:g} W"
        for words, value in (("idle", device.idle_w), ("power limit", device.tdp_w))
        if value is not None
    )
    return (
        f"{own.label} on {_many(own)}: {floor.peak_flops / 1e12:g} T{floor.peak} operations/s,"
        f" {floor.bandwidth / 1e9:g} GB/s, {watts or 'watts unknown'} ({device.source});"
        f" {own.weights.active / 1e9:.3g} G active parameters in"
        f" {format_si(own.weights.size_bytes, 'B')}; {_cache(own)};"
        f" {work.prompt_tokens:,} prompt tokens read and"
        f" {work.output_tokens:,} made, {work.batch:.3g} at a step; {cost}."
    )


def _cache(own: Found) -> str:
    """Whether the floor has the KV cache in it, and what that comes to."""
    each, share, steps = own.weights.kv_bytes_per_token, own.floor.kv_share, own.done.work
    if each is None:
        return "without the KV cache, whose size is not known of this model, so decode reads more"
    text = f"with the KV cache, {format_si(each, 'B')} per token at 16 bits"
    if share is None or not steps.decode_tokens:
        return text
    mean = steps.context_tokens / steps.decode_tokens
    return f"{text}: over a mean context of {mean:,.0f} tokens {share:.1%} of what decode reads"
