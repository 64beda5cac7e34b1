"""`Meter`, `measure` and `measure_command` on a powercap tree whose joules the test draws."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import perwatt
from perwatt.core.errors import FileError, GradeError, SpecError
from perwatt.runner.command import measure_command
from perwatt.runner.meter import Meter

IDLE_W = 20.0


class Package:
    """A RAPL package that idles at 20 W, ticks every 5 ms, and draws more when told to."""

    def __init__(self, root: Path) -> None:
        zone = root / "intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        self.file = zone / "energy_uj"
        self.watts, self.most_w = IDLE_W, IDLE_W
        self.told = root / "told"
        """A file that a command makes when it draws 12 J."""
        self.longest_s = 0.0
        """For so long a busy machine let nothing be counted."""
        self.joules = 1000.0
        self.counted = self.wrote = time.monotonic()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.write()
        self.thread = threading.Thread(target=self.tick)
        self.thread.start()

    def draw(self, watts: float | None = None) -> float:
        """So many from now on; the true joules so far."""
        with self.lock:
            now = time.monotonic()
            self.joules += self.watts * (now - self.counted)
            self.counted = now
            if watts is not None:
                self.watts, self.most_w = watts, max(self.most_w, watts)
            return self.joules

    def write(self) -> None:
        joules = self.draw() + 12.0 * self.told.exists()
        new = self.file.with_suffix(".new")
        new.write_text(f"{joules:.6f}".replace(".", ""))
        new.replace(self.file)
        now = time.monotonic()
        self.longest_s, self.wrote = max(self.longest_s, now - self.wrote), now

    def tick(self) -> None:
        while not self.stopped.wait(0.005):
            self.write()

    def off_j(self, seconds: float) -> float:
        """By how much the joules of so many seconds may be off: both ends, and an idle of 0.3 s."""
        return 2 * self.longest_s * (self.most_w + IDLE_W * seconds / 0.3)

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(tmp_path / "powercap"))
    made = Package(tmp_path / "powercap")
    yield made
    made.stop()


def test_a_block_of_code_and_the_blocks_inside_it(package: Package) -> None:
    with perwatt.measure(["rapl"], idle_s=0.3) as outer:
        begun_j = package.draw()
        time.sleep(0.1)
        with perwatt.measure() as first:
            before_j = package.draw(170.0)
            time.sleep(0.2)
            first_j = package.draw(270.0) - before_j
        with perwatt.measure() as second:
            before_j = package.draw()
            time.sleep(0.2)
            ended_j = package.draw(IDLE_W)
            second_j = ended_j - before_j
        # Asked for while the outer block still runs.
        off_j = 2 + package.off_j(0)
        assert first.gross.value == pytest.approx(first_j, abs=off_j)
    assert outer.result.energy_line.startswith("Energy: RAPL package-0, counter (grade B)")
    net_j = ended_j - begun_j - outer.seconds * IDLE_W
    assert outer.net.value == pytest.approx(net_j, abs=4 + package.off_j(outer.seconds))
    off_j = 2 + package.off_j(second.seconds)
    assert second.gross.value == pytest.approx(second_j, abs=off_j)
    # The outer block's idle serves it too.
    net_j = second_j - second.seconds * IDLE_W
    assert second.net.value == pytest.approx(net_j, abs=off_j)
    for each in (outer, first, second):
        assert each.gross.low is not None and each.gross.high is not None
        assert each.gross.low < (each.gross.value or 0) < each.gross.high
        assert (each.gross.grade, each.gross.boundary) == ("B", "package")
        assert each.power.value == pytest.approx((each.gross.value or 0) / each.seconds)
    assert " J [" in repr(outer)


def test_blocks_in_threads_share_the_sensors(package: Package) -> None:
    found: list[tuple[float | None, float]] = []

    def work() -> None:
        with perwatt.measure() as own:
            time.sleep(0.15)
        found.append((own.gross.value, own.seconds))

    with perwatt.measure(["rapl"]):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for joules, length_s in found:
        off_j = 0.1 * length_s * IDLE_W + package.off_j(0)
        assert joules == pytest.approx(length_s * IDLE_W, abs=off_j)
    assert len(found) == 3


def test_without_idle_net_says_why_it_is_missing(package: Package) -> None:
    with perwatt.measure(["rapl"]) as block:
        time.sleep(0.05)
    assert block.net.value is None and str(block.net.reason).startswith("no idle was measured")


def test_a_block_is_asked_after_its_end(package: Package) -> None:
    with perwatt.measure(["rapl"]) as block, pytest.raises(SpecError, match="has not ended"):
        _ = block.gross


def test_an_inner_block_may_not_choose_other_sensors(package: Package) -> None:
    with (
        perwatt.measure(["rapl"]) as outer,
        pytest.raises(SpecError, match="other sensors"),
        perwatt.measure(["estimated"]),
    ):
        pass
    assert outer.gross.value is not None


def test_a_grade_that_is_not_to_be_had_stops_before_the_block(package: Package) -> None:
    with pytest.raises(GradeError), perwatt.measure(["rapl"], require_grade="A"):
        pytest.fail("the block ran")
    with perwatt.measure(["rapl"]) as block:  # and nothing was left open
        pass
    assert block.result.grade == "B"


def test_a_stretch_that_ends_before_it_starts(package: Package) -> None:
    with Meter(("rapl",)) as meter:
        start = meter.mark()
        with pytest.raises(SpecError, match=r"ends 1 s before it starts"):
            meter.energy(start, start - 1_000_000_000)


def test_a_command_and_its_repeats(package: Package, capfd: pytest.CaptureFixture[str]) -> None:
    # The command draws through the same file that the sensor reads.
    draws = f"import time; open({str(package.told)!r}, 'w').close(); time.sleep(0.4)"
    with Meter(("rapl",)) as meter:
        argv = [sys.executable, "-c", "import time; print('said'); time.sleep(0.1)"]
        once = measure_command([*argv[:2], draws], meter, idle_s=0.3)
        thrice = measure_command(argv, meter, idle_s=0.0, repeat=3, quiet_stdout=True)
    off_j = 1.5 + package.off_j(once.measured.seconds)
    assert once.measured.net.value == pytest.approx(12.0, abs=off_j)
    assert (once.exit_code, once.repeats) == (0, 1)
    assert (thrice.exit_code, thrice.repeats) == (0, 3)
    off_w = 2 + package.off_j(0) / thrice.measured.seconds
    assert thrice.measured.power.value == pytest.approx(IDLE_W, abs=off_w)
    assert 0 <= once.own_share < 0.5
    out, err = capfd.readouterr()
    assert out == "" and err == "said\n" * 3


def test_fill_repeats_until_enough_is_measured(package: Package) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    with Meter(("rapl",)) as meter:
        done = measure_command(argv, meter, idle_s=0, repeat="fill", fill_s=1.0)
        enough_s = max(1.0, 50 * meter.tick_s())
    assert done.repeats * done.measured.seconds >= enough_s
    assert done.repeats <= enough_s / 0.5 + 1


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_a_command_that_fails_is_told_and_not_repeated(
    package: Package, script: str, code: int
) -> None:
    with Meter(("rapl",)) as meter:
        done = measure_command(["sh", "-c", script], meter, idle_s=0, repeat=5)
    assert (done.exit_code, done.repeats) == (code, 1)


def test_bad_commands(package: Package) -> None:
    with Meter(("rapl",)) as meter:
        with pytest.raises(FileError, match="no command 'no-such-command'"):
            measure_command(["no-such-command"], meter, idle_s=0)
        with pytest.raises(SpecError, match="--repeat 0"):
            measure_command(["true"], meter, idle_s=0, repeat=0)
