"""Joules of the wrong things: siblings, zones counted twice, more than the accelerator, guesses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perwatt.attribution.idle import idle_power
from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import View, found
from perwatt.core.records import Domain

__all__ = ["overlapping", "rapl", "siblings", "wider_than_it_seems"]

ROSE_W, ROSE = 5.0, 0.2
"""Watts above idle, and their share of it, by which a GPU is seen to work."""
MUCH_W = 20.0
"""A GPU beside the run that draws so much above idle shares its power supply and its air."""

UNREADABLE = re.compile(
    r"root alone|cannot be read|permission|denied|hidden|CVE-2020-8694", re.IGNORECASE
)
"""How sensors say that what is there may not be read."""
MODULE = re.compile(r"GH200|GB200|whole module|scope:? module", re.IGNORECASE)
SLICED = re.compile(r"\bMIG is on\b|\bMIG slice", re.IGNORECASE)
GUEST = re.compile(r"\bguest\b|virtual machine|hypervisor", re.IGNORECASE)


def siblings(view: View) -> Iterator[Found]:
    """A GPU in the sum that does not do the work, or one beside it that works for somebody else."""
    hosting = view.look.hosting
    gpus = [d for d in view.domains.values() if d.boundary == "accelerator" and not d.covers]
    counted = [d for d in gpus if d.name in view.look.counted]
    rises = {d.name: _rise_w(view, d) for d in gpus}
    working = [name for name, rise in rises.items() if rise is not None and rise[1]]
    for domain in counted:
        rise = rises[domain.name]
        if hosting is not None and domain.name not in hosting:
            yield _sibling(domain, "is in the sum, but hosts no process under test", rise)
        elif hosting is None and len(counted) > 1 and rise is not None and not rise[1]:
            others = [name for name in working if name != domain.name]
            if others:
                what = f"is in the sum, but drew no more than at idle while {others[0]} worked"
                yield _sibling(domain, what, rise)
    for domain in gpus:
        rise = rises[domain.name]
        if domain.name not in view.look.counted and rise is not None and rise[0] > MUCH_W:
            what = f"is not in the sum, and drew {rise[0]:.3g} W above idle beside the run"
            yield _sibling(domain, what, rise)


def _sibling(domain: Domain, what: str, rise: tuple[float, bool] | None) -> Found:
    words = {"what": what}
    if rise is None:
        return found("sibling-gpu", domain=domain.name, words=words)
    return found("sibling-gpu", domain=domain.name, words=words, rise_w=rise[0])


def _rise_w(view: View, domain: Domain) -> tuple[float, bool] | None:
    """Watts under load above idle, and whether they mean work. None where either is unknown."""
    curve = view.curve(domain.name)
    if curve is None:
        return None
    kinds = view.phases("bare_idle") or view.phases("loaded_idle")
    idle = idle_power(curve, [(p.start_ns, p.end_ns or p.start_ns) for p in kinds])
    load = idle_power(curve, [span for _, span in view.loads])
    if idle is None or load is None:
        return None
    rise = load.power_w - idle.power_w
    return rise, rise > max(ROSE_W, ROSE * idle.power_w)


def overlapping(view: View) -> Iterator[Found]:
    """Two summed domains of which one holds the other."""
    names = {domain.name for domain in view.counted}
    for domain in view.counted:
        for other in domain.covers:
            if other in names:
                yield found("overlapping-zones", domain=domain.name, words={"other": other})


def rapl(view: View) -> Iterator[Found]:
    """No measured CPU, and why: counters that may not be read, or none."""
    if any(d.boundary == "package" and d.grade < "D" for d in view.look.domains):
        return
    for attempt in view.look.tried:
        if attempt.name.partition(":")[0] == "rapl" and not attempt.ok:
            reason = attempt.reason or "no reason was given."
            code = "rapl-unreadable" if UNREADABLE.search(reason) else "rapl-absent"
            words = {"reason": reason, "reason_mend": attempt.mend or "See `perwatt doctor`."}
            yield found(code, words=words)


def wider_than_it_seems(view: View) -> Iterator[Found]:
    """Domains that say they hold more than their name, or that they are a guest's guess."""
    for domain in view.counted:
        said = f"{domain.device}; {domain.note or ''}"
        if domain.boundary == "accelerator" and MODULE.search(said):
            yield found("scope-module", domain=domain.name)
        if SLICED.search(said):
            yield found("mig-shared", domain=domain.name)
        if domain.grade == "D" and GUEST.search(said):
            yield found("vm-estimate", domain=domain.name)
