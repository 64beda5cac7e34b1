"""A closed loop of mixed requests on an emulated device: a client's marks, and the truth.

The server takes prompts in turn and decodes everybody else's next tokens in common steps, as
continuous batching does. Joules of a step's fixed cost go equally to those in the step, and the
busy floor equally to those being served: what Shapley's rule says of a fixed cost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulated.device import Device, Knots, idle_knots

__all__ = ["Load", "Wanted", "mixed", "serve"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Wanted(NamedTuple):
    """r requests to come: tokens, (r,) each."""

    prompt: Ints
    cached: Ints
    output: Ints
    """At least 1: the first token comes with the prompt's end."""


class Load(NamedTuple):
    """What a client saw of r requests, and what they truly cost."""

    start_ns: Ints
    first_chunk_ns: Ints
    end_ns: Ints
    chunk_ns: Ints
    """Arrivals of all chunks (tokens), request after request; see `chunk_at`."""
    chunk_at: Ints
    wanted: Wanted
    prefill_ns: Ints
    """When the server truly began on each prompt: known to the server alone."""
    net_j: Floats
    """True joules above idle."""
    prefill_net_j: Floats
    decode_net_j: Floats
    gross_j: Floats
    """Net, and an equal part of the idle watts of each moment in flight."""
    truth: Knots
    """Everything the device drew."""
    load_ns: tuple[int, int]
    """From the first dispatch to the last chunk; idle before and after."""


def mixed(rng: np.random.Generator, device: Device, n: int, in_flight: int) -> Wanted:
    """Answers of 1 to 30 s and prompts of 10 to 2,000 tokens, both log-uniform; a third of the
    prompts have a cached prefix."""
    step_s = device.step_s + device.step_request_s * (in_flight - 1)
    prompt = np.exp(rng.uniform(np.log(10), np.log(2000), n)).astype(np.int64)
    hit = np.where(rng.random(n) < 1 / 3, rng.uniform(0.2, 0.9, n), 0.0)
    seconds = np.exp(rng.uniform(0, np.log(30), n))
    return Wanted(prompt, (prompt * hit).astype(np.int64), (seconds / step_s).astype(np.int64) + 1)


def serve(
    rng: np.random.Generator,
    device: Device,
    wanted: Wanted,
    in_flight: int,
    *,
    jitter_s: float = 0.002,
    idle_s: float = 10.0,
    start_s: float = 100.0,
) -> Load:
    """Ask all of `wanted` with `in_flight` at a time. `jitter_s`: mean of the network's delay of
    every message, beyond half a millisecond; `idle_s`: idle before and after."""
    server = _Server(device, wanted, rng)
    begin = start_s + idle_s
    start, end = server.run(in_flight, begin, jitter_s)
    chunk_at = np.concatenate(([0], np.cumsum(wanted.output)))
    sent = np.concatenate([np.concatenate(pieces) for pieces in server.tokens])
    seen = sent + _delay(rng, jitter_s, len(sent))
    for a, b in pairwise(chunk_at):
        np.maximum.accumulate(seen[a:b], out=seen[a:b])
        seen[b - 1] = end[np.searchsorted(chunk_at, a)]
        np.minimum(seen[a:b], seen[b - 1], out=seen[a:b])
    last = float(seen.max())
    idle = idle_knots(device, rng, start_s, last + idle_s)
    truth = _sum(idle, server.work())
    shared = _idle_shares(idle, start, end)
    chunk_ns = _ns(seen)
    return Load(
        _ns(start),
        chunk_ns[chunk_at[:-1]],
        chunk_ns[chunk_at[1:] - 1],
        chunk_ns,
        chunk_at,
        wanted,
        _ns(server.begun),
        server.prefill_j + server.decode_j,
        server.prefill_j,
        server.decode_j,
        server.prefill_j + server.decode_j + shared,
        truth,
        (int(_ns(start).min()), int(chunk_ns.max())),
    )


class _Server:
    """Stretch by stretch: between two events nothing changes but the contexts' lengths."""

    def __init__(self, device: Device, wanted: Wanted, rng: np.random.Generator) -> None:
        self.device, self.wanted, self.rng = device, wanted, rng
        r = len(wanted.output)
        self.prefill_j, self.decode_j = np.zeros(r), np.zeros(r)
        self.begun = np.zeros(r)
        self.tokens: list[list[Floats]] = [[] for _ in range(r)]
        self._times: list[Floats] = []
        self._joules: list[Floats] = []

    def run(self, in_flight: int, begin: float, jitter_s: float) -> tuple[Floats, Floats]:
        """(start, end) of each request as the client saw them, in seconds."""
        r = len(self.wanted.output)
        start, end = np.zeros(r), np.zeros(r)
        done = np.zeros(r, dtype=np.int64)
        asked = 0
        coming: list[tuple[float, int]] = []
        decoding: list[int] = []
        now = begin

        def ask(at: float) -> None:
            nonlocal asked
            if asked < r:
                start[asked] = at
                coming.append((at + float(_delay(self.rng, jitter_s, 1)[0]), asked))
                coming.sort()
                asked += 1

        for n in range(min(in_flight, r)):
            ask(begin + 0.0002 * n)
        working: int | None = None
        prefill_left = 0.0
        while coming or decoding or working is not None:
            if working is None and coming and coming[0][0] <= now:
                working = coming.pop(0)[1]
                self.begun[working] = now
                new = self.wanted.prompt[working] - self.wanted.cached[working]
                prefill_left = max(float(new), 1.0) / self.device.prefill_tokens_per_s
            if working is None and not decoding:
                now = coming[0][0]
                continue
            if working is not None:
                now, prefill_left = self._prefill(now, working, prefill_left, decoding, done)
                if prefill_left <= 1e-12:
                    done[working] = 1
                    self.tokens[working].append(np.array([now]))
                    decoding.append(working)
                    working = None
            else:
                now = self._steps(now, decoding, done, coming[0][0] if coming else np.inf)
            for request in [i for i in decoding if done[i] >= self.wanted.output[i]]:
                decoding.remove(request)
                end[request] = now + float(_delay(self.rng, jitter_s, 1)[0])
                ask(end[request] + 0.0003)
        return start, end

    def work(self) -> Knots:
        """Joules above idle so far, over the whole load."""
        t = np.concatenate(self._times)
        return Knots(_ns(t), np.cumsum(np.concatenate(self._joules)))

    def _prefill(
        self, now: float, working: int, left: float, decoding: list[int], done: Ints
    ) -> tuple[float, float]:
        """Work on one prompt until it is done, or until somebody beside it has finished."""
        device, pauses = self.device, self.device.prefill_pauses
        beside = bool(decoding) and pauses < 1.0
        speed = 0.5 + 0.5 * pauses if beside else 1.0
        seconds = left / speed
        steps = 0
        if beside:
            step = self._step_s(len(decoding)) / (1.0 - pauses)
            steps = int(min(seconds // step, (self.wanted.output - done)[decoding].min()))
            if steps and steps == (self.wanted.output - done)[decoding].min():
                seconds = steps * step
        new = float(self.wanted.prompt[working] - self.wanted.cached[working])
        cost = device.prefill_token_j * (1.0 + device.prefill_growth * new / 1000.0)
        watts = cost * device.prefill_tokens_per_s * speed * self._noise(1)[0]
        self._knot(now, 0.0)
        floor = device.busy_w * seconds / (len(decoding) + 1)
        self.prefill_j[working] += watts * seconds + floor
        self.decode_j[decoding] += floor
        background = watts + device.busy_w
        at = now
        if steps:
            times = now + step * np.arange(1, steps + 1, dtype=np.float64)
            joules = self._step_joules(decoding, done, steps, 0.0)
            self._times.append(times)
            self._joules.append(joules + background * step)
            self._emit(decoding, done, times)
            at = float(times[-1])
        rest = now + seconds - at
        self._knot(now + seconds, background * rest)
        return now + seconds, max(left - seconds * speed, 0.0)

    def _steps(self, now: float, decoding: list[int], done: Ints, until: float) -> float:
        """Decode until one has finished or a prompt has come, to the end of that step."""
        step = self._step_s(len(decoding))
        most = int((self.wanted.output - done)[decoding].min())
        if np.isfinite(until):
            most = max(1, min(most, int(np.ceil((until - now) / step))))
        times = now + step * np.arange(1, most + 1, dtype=np.float64)
        self._knot(now, 0.0)
        self._times.append(times)
        self._joules.append(self._step_joules(decoding, done, most, self.device.busy_w * step))
        self._emit(decoding, done, times)
        return float(times[-1])

    def _step_joules(self, decoding: list[int], done: Ints, steps: int, floor_j: float) -> Floats:
        """(steps,) joules of each, charged to its requests; `floor_j` is shared, without noise."""
        device, n = self.device, len(decoding)
        context = (self.wanted.prompt[decoding] + done[decoding]).astype(np.float64)
        grown = np.arange(steps, dtype=np.float64)
        noise = self._noise(steps)
        own = (device.decode_token_j + device.step_j / n) * noise.sum() + floor_j * steps / n
        read = device.context_token_j * (context * noise.sum() + (grown * noise).sum())
        self.decode_j[decoding] += own + read
        each = device.step_j + n * device.decode_token_j
        each += device.context_token_j * (context.sum() + n * grown)
        return np.asarray(each * noise + floor_j)

    def _emit(self, decoding: list[int], done: Ints, times: Floats) -> None:
        for request in decoding:
            self.tokens[request].append(times)
        done[decoding] += len(times)

    def _step_s(self, n: int) -> float:
        return self.device.step_s + self.device.step_request_s * (n - 1)

    def _noise(self, n: int) -> Floats:
        if not self.device.work_noise:
            return np.ones(n)
        return np.maximum(1.0 + self.device.work_noise * self.rng.normal(size=n), 0.0)

    def _knot(self, t: float, joules: float) -> None:
        self._times.append(np.array([t]))
        self._joules.append(np.array([joules]))


def _delay(rng: np.random.Generator, jitter_s: float, n: int) -> Floats:
    """Seconds that messages take: half a millisecond and an exponential tail."""
    return 0.0005 + rng.exponential(jitter_s, n) if jitter_s else np.zeros(n)


def _ns(seconds: Floats) -> Ints:
    return np.round(seconds * 1e9).astype(np.int64)


def _sum(idle: Knots, work: Knots) -> Knots:
    """Idle and work together. Work stands still outside its knots."""
    t = np.union1d(idle.t_ns, work.t_ns)
    at = t.astype(np.float64)
    keep = np.concatenate((np.diff(work.t_ns) > 0, [True]))  # the last of knots at one time
    worked = np.interp(at, work.t_ns[keep].astype(np.float64), work.energy_j[keep], left=0.0)
    return Knots(t, idle.at(at) + worked)


def _idle_shares(idle: Knots, start: Floats, end: Floats) -> Floats:
    """(r,) joules of idling, each moment's in equal parts to those in flight."""
    at = np.unique(np.concatenate([start, end]))
    n = (start[:, None] <= at[:-1]).sum(0) - (end[:, None] <= at[:-1]).sum(0)
    joules = np.diff(idle.at(at * 1e9))
    each = np.divide(joules, n, out=np.zeros_like(joules), where=n > 0)
    so_far = np.concatenate(([0.0], np.cumsum(each)))
    result: Floats = so_far[np.searchsorted(at, end)] - so_far[np.searchsorted(at, start)]
    return result
