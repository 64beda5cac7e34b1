"""What makes joules wrong, by name: a catalogue, and one pure detector for each."""

from perwatt.attribution.traps.catalogue import TRAPS, Found, Severity, Trap
from perwatt.attribution.traps.find import find_traps, verdicts_of
from perwatt.attribution.traps.look import Attempt, Look, Mark

__all__ = [
    "TRAPS",
    "Attempt",
    "Found",
    "Look",
    "Mark",
    "Severity",
    "Trap",
    "find_traps",
    "verdicts_of",
]
