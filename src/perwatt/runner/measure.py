"""`with perwatt.measure() as energy:` — joules of a block of code, nested blocks included."""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from types import TracebackType

import msgspec

from perwatt.core.errors import SpecError
from perwatt.core.estimate import Estimate, Grade
from perwatt.core.records import Boundary
from perwatt.runner.meter import Measured, Meter

__all__ = ["Measurement", "measure"]


class _Settings(msgspec.Struct, frozen=True):
    sensors: tuple[str, ...]
    boundary: Boundary | None
    uses_accelerator: bool
    require_grade: Grade | None


class _Shared:
    """One meter for all blocks of this process that are open at a time."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.meter: Meter | None = None
        self.settings: _Settings | None = None
        self.users = 0
        self.ended: list[Measurement] = []
        """Blocks that have ended and whose joules nobody has asked for yet."""

    def enter(self, settings: _Settings | None, hz: float) -> tuple[Meter, bool]:
        """The meter, and whether this block is the outermost. Raises what `pick` raises."""
        with self.lock:
            outermost = self.meter is None
            if self.meter is None:
                self.settings = settings or _Settings(("auto",), None, False, None)
                self.meter = Meter(hz=hz, **msgspec.structs.asdict(self.settings))
                try:
                    self.meter.start()
                except BaseException:
                    self.meter = None
                    raise
            elif settings is not None and settings != self.settings:
                msg = "A measured block inside another asks for other sensors than that one."
                raise SpecError(msg, "Give the sensors to the outermost block alone.")
            self.users += 1
            return self.meter, outermost

    def leave(self, measurement: Measurement) -> None:
        """Hand over a block that has ended; the last one settles them all and ends the sampling."""
        with self.lock:
            self.ended.append(measurement)
            self.users -= 1
            if self.users or self.meter is None:
                return
            try:
                self.meter.settle()
                for ended in self.ended:
                    ended.work_out()
            finally:
                self.meter.close()
                self.meter = None
                self.ended = []


_shared = _Shared()


class Measurement:
    """What a block drew. Complete when the block has ended; asking before is an error."""

    def __init__(self) -> None:
        self._measured: Measured | None = None
        self._meter: Meter | None = None
        self._window = (0, 0)
        self._padded = False

    def ends(self, meter: Meter, window: tuple[int, int], padded: bool) -> None:
        self._meter, self._window, self._padded = meter, window, padded

    def work_out(self) -> None:
        """Read the meter's curve; it must have settled. Only the first call does anything."""
        if self._measured is None and self._meter is not None:
            self._measured = self._meter.energy(*self._window, padded=self._padded)
            self._meter = None

    @property
    def result(self) -> Measured:
        """Everything. Asked for inside an outer block, it waits for a tick of the counter."""
        if self._measured is None and self._meter is not None:
            self._meter.settle()
            self.work_out()
        if self._measured is None:
            msg = "The block that is measured has not ended yet."
            raise SpecError(msg, "Read its joules after the `with` block.")
        return self._measured

    @property
    def gross(self) -> Estimate:
        """Joules, with their 95% interval."""
        return self.result.gross

    @property
    def net(self) -> Estimate:
        """Joules less idle; needs `idle_s`."""
        return self.result.net

    @property
    def power(self) -> Estimate:
        """Mean watts."""
        return self.result.power

    @property
    def seconds(self) -> float:
        return self.result.seconds

    @property
    def flags(self) -> tuple[str, ...]:
        return self.result.flags

    def __repr__(self) -> str:
        if self._measured is None:
            return "<Measurement: not worked out>"
        return f"<Measurement: {self.gross} in {self.seconds:.3g} s>"


class measure:  # noqa: N801 - a context manager reads as a verb
    """Measure a block of code; blocks may nest and may run in several threads.

    `idle_s`: idle measured before the outermost block, for net joules and exact edges. The sensors
    are those of the outermost block: an inner one that asks for others is refused. Entering raises
    what `sensors.pick.pick` raises.

    >>> with measure(idle_s=0.2) as energy:  # doctest: +SKIP
    ...     answer = ask()
    >>> print(energy.gross, energy.net)  # doctest: +SKIP
    """

    def __init__(
        self,
        sensors: Sequence[str] | None = None,
        *,
        boundary: Boundary | None = None,
        uses_accelerator: bool = False,
        require_grade: Grade | None = None,
        idle_s: float = 0.0,
        hz: float = 50.0,
    ) -> None:
        asked = _Settings(tuple(sensors or ("auto",)), boundary, uses_accelerator, require_grade)
        plain = _Settings(("auto",), None, False, None)
        self._settings = None if sensors is None and asked == plain else asked
        self._idle_s = idle_s
        self._hz = hz
        self._meter: Meter | None = None
        self._padded = False
        self._start_ns = 0
        self._measurement = Measurement()

    def __enter__(self) -> Measurement:
        self._meter, outermost = _shared.enter(self._settings, self._hz)
        if outermost and self._idle_s > 0:
            self._meter.rest(self._idle_s)
            self._padded = True
        self._start_ns = self._meter.mark()
        return self._measurement

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._meter is not None:
            window = (self._start_ns, self._meter.mark())
            self._measurement.ends(self._meter, window, self._padded)
            _shared.leave(self._measurement)
