"""Every trap: its name, how grave it is, one sentence for a person, and one mend."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["TRAPS", "Found", "Severity", "Trap"]

Severity = Literal["note", "warning", "invalid"]
"""note: worth knowing. warning: the joules may be wrong. invalid: they are not to be quoted."""


class Trap(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which joules go wrong."""

    code: str
    severity: Severity
    sentence: str
    """With places for what was found, in the manner of `str.format`."""
    mend: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A trap that a run stepped into."""

    code: str
    severity: Severity
    sentence: str
    mend: str
    domain: str | None = None
    pair_id: str | None = None
    start_ns: int | None = None
    """The first and the last moment concerned; None: all of the sitting."""
    end_ns: int | None = None
    numbers: dict[str, float] = {}


_ALL = (
    Trap(
        code="wrap",
        severity="note",
        sentence="The counter of {domain} passed the end of its range {count:.0f} time(s); this "
        "was undone and no joule is lost.",
        mend="Nothing is to be done.",
    ),
    Trap(
        code="wrap-unseen",
        severity="invalid",
        sentence="The counter of {domain} was not read for {gap_s:.3g} s, in which it may have run "
        "through its whole range of {range_j:.4g} J, so joules may be missing.",
        mend="Raise --sample-hz, and keep the machine from being suspended.",
    ),
    Trap(
        code="reset",
        severity="warning",
        sentence="The counter of {domain} started again {count:.0f} time(s); the joules of those "
        "moments are unknown and charged to no request.",
        mend="Do not reload the driver or reset the device during a run; run again.",
    ),
    Trap(
        code="frozen-counter",
        severity="invalid",
        sentence="The counter of {domain} stood still for {frozen_s:.3g} s while requests ran.",
        mend="Update the driver, or choose another sensor for this device with --sensors.",
    ),
    Trap(
        code="backwards",
        severity="warning",
        sentence="The counter of {domain} fell {count:.0f} time(s) without having wrapped; those "
        "readings were left out, and their neighbours span them.",
        mend="Update the driver; if it goes on, name another sensor with --sensors.",
    ),
    Trap(
        code="zero-reads",
        severity="warning",
        sentence="{domain} read 0 {count:.0f} time(s) although it is powered; a 0 is never taken "
        "for a value.",
        mend="Update the driver; if it goes on, name another sensor with --sensors.",
    ),
    Trap(
        code="absurd-value",
        severity="warning",
        sentence="{domain} gave {count:.0f} value(s) that cannot be: not a number, negative, or "
        "more power than the device can draw; they were left out.",
        mend="Update the driver; if it goes on, name another sensor with --sensors.",
    ),
    Trap(
        code="read-failures",
        severity="warning",
        sentence="{count:.0f} read(s) of {domain} failed; a counter's next reading spans them, a "
        "gauge's joules are unknown there.",
        mend="The column `flag` of power.parquet says when; see that nothing else holds the "
        "device.",
    ),
    Trap(
        code="averaged-power",
        severity="warning",
        sentence="The watts of {domain} are a mean over the last {window_s:.3g} s, and the median "
        "request takes {request_s:.3g} s: its joules come out too low by a part of what its "
        "neighbours get.",
        mend="Use a counter, or requests of more than {enough_s:.3g} s.",
    ),
    Trap(
        code="duty-aliasing",
        severity="warning",
        sentence="{what} of {domain}'s tick of {tick_s:.3g} s: if it samples part of the time only "
        "(as 25% on A100 and H100), all requests err alike and repeating them does not help.",
        mend="Let arrivals jitter by up to one tick, or make each window 5 s or longer.",
    ),
    Trap(
        code="tick-longer-than-request",
        severity="warning",
        sentence="{share:.0%} of the requests are shorter than the {tick_s:.3g} s between two "
        "values of {domain}: single requests cannot be told from their neighbours.",
        mend="Raise --sample-hz if the sensor ticks faster, quote means over many requests, or "
        "make requests longer.",
    ),
    Trap(
        code="too-few-ticks",
        severity="warning",
        sentence="Only {ticks:.0f} ticks of {domain} fell into the load of {load_s:.3g} s: its "
        "edges alone are uncertain by {edge:.0%}.",
        mend="Ask more items, so that the load lasts 5 s and 50 ticks or more.",
    ),
    Trap(
        code="counter-power-mismatch",
        severity="warning",
        sentence="Over {window_s:.3g} s the counter of {domain} says {counter_w:.4g} W and its own "
        "power reading {gauge_w:.4g} W: one of them is wrong by {apart:.0%}.",
        mend="Compare both with a wall meter (`perwatt calibrate`) before quoting either.",
    ),
    Trap(
        code="sibling-gpu",
        severity="warning",
        sentence="{domain} {what}.",
        mend="Name the devices of the engine, such as --sensors nvml:0, and stop what else uses "
        "the others.",
    ),
    Trap(
        code="overlapping-zones",
        severity="invalid",
        sentence="{domain} is summed with {other}, whose joules are already inside it.",
        mend="Name one of the two in --sensors.",
    ),
    Trap(
        code="rapl-unreadable",
        severity="warning",
        sentence="The CPU's energy counters are here but may not be read, so its joules are "
        "estimated or missing: {reason}",
        mend="{reason_mend}",
    ),
    Trap(
        code="rapl-absent",
        severity="note",
        sentence="This machine shows no energy counter of its CPU, so its joules are estimated or "
        "missing: {reason}",
        mend="{reason_mend}",
    ),
    Trap(
        code="stale-baseline",
        severity="warning",
        sentence="The idle watts subtracted were measured up to {age_s:.0f} s away from the load "
        "they are subtracted from.",
        mend="Measure idle again after the load, or split the run into shorter rounds.",
    ),
    Trap(
        code="idle-above-load",
        severity="invalid",
        sentence="{domain} drew {load_w:.4g} W under load and {idle_w:.4g} W at idle, so net "
        "joules would be negative.",
        mend="Something else ran during the idle phase; stop it and run again.",
    ),
    Trap(
        code="throttling",
        severity="warning",
        sentence="{domain} was held down for {share:.0%} of the load ({reasons}), so its speed and "
        "joules are not those of free clocks.",
        mend="Improve cooling, raise the power limit, or report the limit with the result.",
    ),
    Trap(
        code="hot-start",
        severity="warning",
        sentence="{domain} had not cooled down: {what}.",
        mend="Wait longer between rounds (--idle-s) until it is as cold as at the start.",
    ),
    Trap(
        code="neighbour-load",
        severity="warning",
        sentence="Other processes took {share:.0%} of the CPU time under load; the joules include "
        "theirs.",
        mend="Stop them, and run again.",
    ),
    Trap(
        code="clock-step",
        severity="warning",
        sentence="The clock that dates {domain} jumped {count:.0f} time(s): the machine slept, its "
        "time was set, or the meter's own clock was.",
        mend="Keep the machine awake and its time service steady, and run again.",
    ),
    Trap(
        code="clock-unsynced",
        severity="warning",
        sentence="The readings of {domain} may be dated wrongly by {error_s:.3g} s, and the median "
        "request takes {request_s:.3g} s.",
        mend="Use a wired network to the meter, or longer requests.",
    ),
    Trap(
        code="sampler-stalled",
        severity="warning",
        sentence="The sampler was held up {count:.0f} time(s) under load, at most for "
        "{gap_s:.3g} s: counters lose no joules, gauges do.",
        mend="Leave a core free for perwatt, or lower --sample-hz.",
    ),
    Trap(
        code="sensor-died",
        severity="invalid",
        sentence="{domain} gave nothing from {lost_s:.3g} s before the end on.",
        mend="See that the device is still there (`perwatt doctor`), and run again.",
    ),
    Trap(
        code="scope-module",
        severity="note",
        sentence="The counter of {domain} covers the whole module, CPU and memory included, not "
        "the accelerator alone.",
        mend="Do not compare it with a counter of a GPU alone, and do not add the CPU to it.",
    ),
    Trap(
        code="mig-shared",
        severity="warning",
        sentence="{domain} is split into slices (MIG), and its counter is that of the whole GPU.",
        mend="Leave the other slices idle, or turn MIG off.",
    ),
    Trap(
        code="vm-estimate",
        severity="warning",
        sentence="This is a virtual machine: the joules of {domain} are worked out from load, and "
        "what other guests of the socket draw cannot be seen.",
        mend="Measure on the host, or calibrate to a wall meter with `perwatt calibrate`.",
    ),
)

TRAPS: dict[str, Trap] = {trap.code: trap for trap in _ALL}
