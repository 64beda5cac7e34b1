from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.clock import ClockAnchor, anchor_now, now_ns, seconds

marks = st.integers(min_value=0, max_value=2**62)


def test_now_is_monotonic_nanoseconds() -> None:
    first = now_ns()
    time.sleep(0.002)
    assert 0.002 <= seconds(first, now_ns()) < 5


def test_anchor_ties_both_clocks() -> None:
    anchor = anchor_now()
    assert abs(anchor.wall_s(now_ns()) - time.time()) < 1


def test_same_boot_needs_no_shift_even_when_the_wall_clock_was_set() -> None:
    first = ClockAnchor(monotonic_ns=10, wall_ns=1_000, boot_id="a")
    later = ClockAnchor(monotonic_ns=500, wall_ns=9_000_000, boot_id="a")
    assert later.shift_to(first) == 0


@given(marks, marks, marks, marks)
def test_after_a_reboot_marks_keep_their_distance_in_wall_time(
    mono_1: int, wall_1: int, mono_2: int, wall_2: int
) -> None:
    first = ClockAnchor(monotonic_ns=mono_1, wall_ns=wall_1, boot_id="a")
    second = ClockAnchor(monotonic_ns=mono_2, wall_ns=wall_2, boot_id="b")
    shifted = mono_2 + second.shift_to(first)
    assert shifted - mono_1 == wall_2 - wall_1


def test_unknown_boots_are_never_taken_for_the_same() -> None:
    first = ClockAnchor(monotonic_ns=10, wall_ns=1_000, boot_id=None)
    second = ClockAnchor(monotonic_ns=10, wall_ns=5_000, boot_id=None)
    assert second.shift_to(first) == 4_000
