"""A device whose true joules are known: what each piece of work costs, what idling costs, and what
a counter that ticks, lags and looks away would show of it.

Every figure here is a setting. None is tuned to perwatt's attribution: steps have a fixed cost,
long prompts cost more than their tokens, power wanders and the clock of the client is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEVICES", "Device", "Knots", "counter", "idle_knots"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Device:
    """Joules of one accelerator that serves a model with continuous batching."""

    idle_w: float = 70.0
    drift_w: float = 0.0
    """Idle wanders by so much, as a sine of `drift_period_s` at a random phase."""
    drift_period_s: float = 300.0
    noise_w: float = 0.0
    """Standard deviation of idle over pieces of `noise_s`, independent."""
    noise_s: float = 0.05
    prefill_token_j: float = 0.05
    prefill_growth: float = 0.0
    """A prompt of n tokens costs 1 + growth · n / 1000 times that for each of them (attention)."""
    prefill_tokens_per_s: float = 5000.0
    decode_token_j: float = 0.4
    context_token_j: float = 0.0002
    """For each token of context at each decode step."""
    step_j: float = 0.0
    """Fixed for a decode step, however many are in it: reading the weights."""
    busy_w: float = 0.0
    """Fixed while anything is worked on."""
    step_s: float = 0.02
    """A decode step of one request."""
    step_request_s: float = 0.0005
    """Longer by this for each further request in the step."""
    prefill_pauses: float = 1.0
    """1: nobody decodes while a prompt is worked on; 0.5: steps take twice as long meanwhile."""
    work_noise: float = 0.0
    """Relative standard deviation of the cost of each step and of each prompt."""


DEVICES = {
    "linear": Device(),
    "floor": Device(
        prefill_token_j=0.04,
        prefill_tokens_per_s=6000.0,
        decode_token_j=0.03,
        context_token_j=2e-5,
        step_j=0.6,
        busy_w=120.0,
        step_s=0.012,
        step_request_s=0.0002,
        prefill_pauses=0.6,
    ),
    "noisy": Device(
        drift_w=1.0,
        noise_w=3.0,
        prefill_growth=0.05,
        decode_token_j=0.25,
        context_token_j=1e-4,
        busy_w=40.0,
        prefill_pauses=0.8,
        work_noise=0.1,
    ),
}
"""`linear`: 70 W idle, 250 W more in prefill. `floor`: an accelerator whose active floor is far
above idle. `noisy`: idle that drifts and flickers, steps that cost 10% more or less."""


class Knots(NamedTuple):
    """True joules drawn so far, linear between the knots."""

    t_ns: Ints
    energy_j: Floats

    def at(self, t_ns: Floats | Ints) -> Floats:
        """Joules by `t_ns` (any shape), which must lie within the knots."""
        t = np.asarray(t_ns, dtype=np.float64)
        return np.interp(t, self.t_ns.astype(np.float64), self.energy_j)


def idle_knots(device: Device, rng: np.random.Generator, start_s: float, end_s: float) -> Knots:
    """What idling alone draws from `start_s` to `end_s`."""
    t = np.append(np.arange(start_s, end_s, device.noise_s), end_s)
    middle = (t[1:] + t[:-1]) / 2
    phase = rng.uniform(0, 2 * np.pi)
    watts = device.idle_w + device.drift_w * np.sin(
        2 * np.pi * middle / device.drift_period_s + phase
    )
    watts = np.maximum(watts + rng.normal(0, 1, len(middle)) * device.noise_w, 0.0)
    energy = np.concatenate(([0.0], np.cumsum(watts * np.diff(t))))
    return Knots(np.round(t * 1e9).astype(np.int64), energy)


def counter(
    truth: Knots,
    reads_ns: Ints,
    *,
    tick_s: float,
    phase_s: float = 0.0,
    lag_s: float = 0.0,
    duty: float = 1.0,
    quantum_j: float = 0.001,
    gain: float = 1.0,
) -> Floats:
    """What a counter shows at `reads_ns` (rising, within the knots): joules, (n,).

    It is brought up to date every `tick_s` with what was drawn until `lag_s` before, and with
    `duty` < 1 by the power over the last such share of the tick alone (arXiv 2312.02741). It shows
    whole quanta of joules ÷ `gain`: the true joules are `gain` × the reading.
    """
    first, last = float(truth.t_ns[0]), float(truth.t_ns[-1])
    tick = tick_s * 1e9
    start = first + phase_s * 1e9 - tick
    ticks = start + tick * np.arange(int((last - start) / tick) + 2)
    seen = np.clip(ticks - lag_s * 1e9, first, last)
    if duty < 1.0:
        looked = np.maximum(seen - tick * duty, first)
        span = seen - looked
        drawn = truth.at(seen) - truth.at(looked)
        watts = np.divide(drawn, span, out=np.zeros_like(span), where=span > 0)
        value = np.cumsum(watts * np.diff(seen, prepend=first))
    else:
        value = truth.at(seen) - truth.energy_j[0]
    shown = np.floor(value / gain / quantum_j) * quantum_j
    at = np.searchsorted(ticks, reads_ns.astype(np.float64), side="right") - 1
    return np.asarray(shown[np.maximum(at, 0)])
