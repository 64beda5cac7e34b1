"""Where the device's joules went, step by step, and that nothing of them is lost."""

from __future__ import annotations

from markupsafe import Markup

from perwatt.core.summary import BaselineWatts, EnergyLedger, PairSummary
from perwatt.core.units import format_duration, format_si
from perwatt.report.charts.stacked import Bar, Part, stacked
from perwatt.report.charts.waterfall import Step, waterfall
from perwatt.report.host import HostShare, host_share
from perwatt.report.legend import fills, pair_keys
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["joules_section", "ledger_parts", "residual_j", "waterfall_parts"]

MOST_WATERFALLS = 6
"""Pairs that get one; the table has them all."""

NAMES = {
    "prefill": "Prefill: from dispatch to the first chunk",
    "decode": "Decode: from the first chunk to the last",
    "rest": "Requests, phase unknown",
    "idle": "Idle: no request in flight",
    "unattributed": "Unattributed: readings not to be trusted, or no request to charge",
}


def ledger_parts(ledger: EnergyLedger) -> dict[str, float]:
    """Joules by part; `rest` is what requests drew without a known phase (rounding is left out)."""
    rest = ledger.requests_j - ledger.prefill_j - ledger.decode_j
    parts = {
        "prefill": ledger.prefill_j,
        "decode": ledger.decode_j,
        "rest": rest if abs(rest) > 1e-6 * max(ledger.device_j, 1e-9) else 0.0,
        "idle": ledger.idle_j,
        "unattributed": ledger.unattributed_j,
    }
    return {name: joules for name, joules in parts.items() if name != "rest" or joules > 0}


def waterfall_parts(ledger: EnergyLedger, host: HostShare | None) -> dict[str, float]:
    """Joules by step, in the order they are stacked. They sum to the device's, but for rounding.

    With `host`, idle and phases are the accelerator's alone, and what the host drew beside it is a
    step of its own: its share of the joules read while a request was in flight, and while none was.
    What could not be charged to anybody stays whole.
    """
    parts = ledger_parts(ledger)
    order = ("idle", "prefill", "decode", "rest")
    steps = {name: parts[name] for name in order if name in parts}
    if host is not None:
        taken = {
            name: joules * (host.idle if name == "idle" else host.busy)
            for name, joules in steps.items()
        }
        steps = {name: joules - taken[name] for name, joules in steps.items()}
        steps["host"] = sum(taken.values())
    return {**steps, "unattributed": parts["unattributed"]}


def residual_j(ledger: EnergyLedger) -> float:
    """Device joules less requests, idle and unattributed: rounding, or a fault."""
    return ledger.device_j - ledger.requests_j - ledger.idle_j - ledger.unattributed_j


def joules_section(view: View) -> Section:
    ledgers = [(n, view.labels[n], p.ledger) for n, p in enumerate(view.pairs) if p.ledger]
    several = len(ledgers) > 1
    return Section(
        name="joules",
        title="Where the joules went",
        template="joules.html",
        data={
            "waterfalls": [_waterfall(view, *own) for own in ledgers[:MOST_WATERFALLS]],
            "left_out": len(ledgers) - MOST_WATERFALLS,
            # One bar alone says no more than its waterfall.
            "figure": _figure(view, [own[1:] for own in ledgers]) if several else None,
            "sums": [_sum(label, ledger) for _, label, ledger in ledgers],
            "aside": [line for p in view.pairs if (line := _aside(p))],
            "absent": [view.labels[n] for n, p in enumerate(view.pairs) if not p.ledger],
        },
    )


def _waterfall(view: View, n: int, label: str, ledger: EnergyLedger) -> Figure:
    host = host_share(view, n, ledger, view.ticks)
    parts = waterfall_parts(ledger, host)
    names = dict(NAMES)
    caption = f"{label}: the joules of its device while it was under load, step by step."
    if host is not None:
        names["host"] = f"Host: {', '.join(host.domains)}, read beside the accelerator"
        caption += (
            f" Idle and phases are the accelerator's; the host drew {host.busy:.0%} of what was"
            f" read while requests were in flight and {host.idle:.0%} while none was, and is taken"
            " out of each by that share."
        )
    steps = [
        Step(
            name=name,
            value=joules,
            shown=_with_share(joules, ledger.device_j),
            tip=f"{names[name]}: {_with_share(joules, ledger.device_j)}",
        )
        for name, joules in parts.items()
    ]
    total = format_si(ledger.device_j, "J")
    lasted = format_duration(ledger.window_s)
    whole = Step(
        name="device",
        value=ledger.device_j,
        shown=f"{total} in {lasted}",
        tip=f"Device, all of {', '.join(ledger.domains)}: {total} in {lasted}",
    )

    def draw(width: float) -> Markup:
        return waterfall(steps, whole, "J", "energy of the device", width, caption)

    rows = [
        (
            name.capitalize(),
            names[name].partition(": ")[2] or names[name],
            _with_share(joules, ledger.device_j),
        )
        for name, joules in parts.items()
    ]
    rows += [("Residual", "rounding, or a fault", _residual(ledger))]
    rows += [("Device", ", ".join(ledger.domains), total)]
    table = Table(
        caption=f"{label}: the steps and their sum", head=("Step", "What", "Joules"), rows=rows
    )
    keys = pair_keys(view.labels)[n : n + 1]
    return figure(view, f"waterfall-{n}", caption, draw, data=table, legend=keys, wide=410)


def _aside(pair: PairSummary) -> str | None:
    """Joules within those of requests that count in no other figure."""
    aside = pair.set_aside
    if aside is None:
        return None
    joules = "unknown joules" if aside.energy_j is None else format_si(aside.energy_j, "J")
    least = "at least " if aside.energy_j is not None and aside.unknown else ""
    return (
        f"{pair.identity.label}: {least}{joules} of those in requests went into {aside.attempts}"
        f" {'attempts that were' if aside.attempts > 1 else 'attempt that was'} stopped or asked"
        " again."
    )


def _figure(view: View, ledgers: list[tuple[str, EnergyLedger]]) -> Figure:
    bars = [_bar(label, ledger) for label, ledger in ledgers]
    caption = "Joules of the device while each pair was under load, by what they went into."

    def draw(width: float) -> Markup:
        return stacked(bars, "J", "energy of the device", width, caption)

    used = [name for name in NAMES if any(name in ledger_parts(ledger) for _, ledger in ledgers)]
    head = ("Pair", *(name.capitalize() for name in used), "Residual", "Device")
    rows = []
    for label, ledger in ledgers:
        parts = ledger_parts(ledger)
        shown = [_with_share(parts.get(name, 0.0), ledger.device_j) for name in used]
        device = format_si(ledger.device_j, "J")
        rows.append((label, *shown, _residual(ledger), device))
    table = Table(caption="Joules by part; the parts sum to the device's", head=head, rows=rows)
    keys = fills([(NAMES[name], name) for name in used])
    return figure(view, "ledger", caption, draw, data=table, legend=keys)


def _bar(label: str, ledger: EnergyLedger) -> Bar:
    parts = ledger_parts(ledger)
    whole = ledger.device_j or 1.0
    return Bar(
        label=label,
        total=f"{format_si(ledger.device_j, 'J')} in {format_duration(ledger.window_s)}",
        parts=tuple(
            Part(
                name=name,
                value=max(joules, 0.0),
                share=joules / whole,
                tip=f"{label}, {name}: {_with_share(joules, ledger.device_j)}",
            )
            for name, joules in parts.items()
        ),
    )


def _residual(ledger: EnergyLedger) -> str:
    """In plain joules: what rounding leaves has no sensible prefix."""
    return f"{residual_j(ledger):.1g} J".replace("-", "\N{MINUS SIGN}")


def _with_share(joules: float, whole: float) -> str:
    return f"{format_si(joules, 'J')} ({joules / whole:.1%})" if whole else format_si(joules, "J")


def _sum(label: str, ledger: EnergyLedger) -> dict[str, object]:
    residual = residual_j(ledger)
    idle_w = ledger.idle_power_w
    return {
        "label": label,
        "requests": format_si(ledger.requests_j, "J"),
        "idle": format_si(ledger.idle_j, "J"),
        "unattributed": format_si(ledger.unattributed_j, "J"),
        "device": format_si(ledger.device_j, "J"),
        "residual": _residual(ledger),
        "holds": abs(residual) <= 1e-6 * max(abs(ledger.device_j), 1e-9),
        "domains": ", ".join(ledger.domains),
        "boundary": ledger.boundary,
        "grade": ledger.grade,
        "gain": None
        if ledger.gain_low == ledger.gain_high == 1
        else f"{ledger.gain_low:.2g}× and {ledger.gain_high:.2g}×",
        "idle_w": None if idle_w is None else format_si(idle_w, "W"),
        "baselines": [_baseline(each) for each in ledger.baselines],
        "attribution": ledger.attribution,
        "fit": _constants(ledger.fit),
        "note": ledger.note,
    }


BASELINES = {
    "bare": "before anything was loaded",
    "loaded": "with the model in memory",
    "after": "just after the load",
}


def _baseline(idle: BaselineWatts) -> str:
    half_w = 1.96 * (idle.error_w or 0.0)
    # An estimate that stood still has no scatter: that is no precision to boast of.
    error = f" ± {format_si(half_w, 'W', 2)}" if half_w > 1e-4 * idle.power_w else ""
    return f"{format_si(idle.power_w, 'W')}{error} {BASELINES[idle.kind]}"


def _constants(fit: dict[str, float]) -> list[str]:
    """Prices that are not zero, in words: `decode 46 mJ a token`."""
    words = []
    for name, value in fit.items():
        stem, _, unit = name.partition("_")
        if unit == "j_per_token" and value > 0:
            words.append(f"{stem} {format_si(value, 'J')} a token")
        elif name in {"busy_w", "step_j"} and value > 0:
            words.append(f"{stem} {format_si(value, unit.upper())}")
    return words
