"""Seconds and joules of a query, where a paper prints only IPW and IPJ."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["ImpliedLatency"]

_SLOW_S = 10.0
"""A query that takes longer is no interactive one."""


class ImpliedLatency:
    """IPW / IPJ is seconds: a pair can lead by IPW and be slow, and the table does not show it."""

    name = "implied-latency"
    recomputes = "seconds and joules of a query, where they are not printed"
    formula = "s = IPW / IPJ;  J = accuracy / IPJ;  a note above 10 s"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for cells in publication.scopes.values():
            roles: dict[str, Cell] = {}
            for cell in cells:
                roles.setdefault(cell.role, cell)
            if not {"ipw", "ipj"} <= roles.keys() or "seconds" in roles:
                continue
            seconds = roles["ipw"].interval / roles["ipj"].interval
            if seconds.low <= _SLOW_S:
                yield Check()
                continue
            yield Check(self._finding(roles, seconds.middle, seconds.half_width))

    def _finding(self, roles: dict[str, Cell], seconds: float, half_width: float) -> Finding:
        used: tuple[Cell, ...] = (roles["ipw"], roles["ipj"])
        joules = ""
        if accuracy := roles.get("accuracy"):
            used = (*used, accuracy)
            joules = f" and {(accuracy.interval / roles['ipj'].interval).middle / 1000:.1f} kJ"
        keys = dict(roles["ipw"].scope)
        what = " on ".join(keys.pop(key) for key in ("model", "device") if key in keys)
        under = ", ".join(f"{key} {value}" for key, value in sorted(keys.items()))
        return Finding(
            rule=self.name,
            severity="note",
            sentence=f"{what} ({under}): IPW and IPJ imply {seconds:.0f} s{joules} for each "
            "query, which no table prints; IPW does not see it.",
            cells=of(*used),
            recomputed=f"{seconds:.1f} s{joules}",
            tolerance=f"± {half_width:.2g} s from rounding; noted above {_SLOW_S:.0f} s",
            consistent="seconds and joules of a query printed beside IPW",
        )
