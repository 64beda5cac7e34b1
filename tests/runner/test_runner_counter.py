"""A whole run on an energy counter whose true watts are known: a powercap tree below our sensor."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.spec import RunSpec
from perwatt.runner.start import start
from perwatt.runner.summary import summarise_run
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables

IDLE_W, BUSY_W, DRAM_W = 20.0, 80.0, 5.0
RANGE_UJ = 40_000_000
"""Small, so that the package counter wraps again and again within a run."""


class Device:
    """Draws IDLE_W until the first question, BUSY_W from then on; ticks every few milliseconds."""

    def __init__(self, root: Path) -> None:
        self.busy = 0
        self.package_j = self.dram_j = 0.0
        self.longest_s = 0.0
        """For so long a busy machine let nothing be counted."""
        self._files: dict[str, Path] = {}
        for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "dram")):
            folder = root / zone
            folder.mkdir(parents=True)
            (folder / "name").write_text(name)
            (folder / "max_energy_range_uj").write_text(str(RANGE_UJ))
            self._files[name] = folder / "energy_uj"
        self._write()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> Device:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.002):
            now = time.monotonic()
            self.package_j += (BUSY_W if self.busy else IDLE_W) * (now - last)
            self.dram_j += DRAM_W * (now - last)
            self.longest_s = max(self.longest_s, now - last)
            last = now
            self._write()

    def _write(self) -> None:
        for name, joules in (("package-0", self.package_j), ("dram", self.dram_j)):
            whole = self._files[name].with_suffix(".new")
            whole.write_text(f"{int(joules * 1e6) % RANGE_UJ}\n")
            whole.replace(self._files[name])  # a sensor never sees half a number


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    root = tmp_path / "powercap"
    (root / "intel-rapl").mkdir(parents=True)
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(root))
    with Device(root) as one:
        yield one


@pytest.mark.parametrize("in_flight", [1, 4])
def test_true_watts_come_back(
    device: Device, server: Any, questions: Path, tmp_path: Path, in_flight: int
) -> None:
    server.token_s = 0.1

    def answer(n: int) -> str:
        device.busy = 1
        return "Answer: A"

    server.answer = answer
    spec = RunSpec.resolve(
        {
            "model": ["m"],
            "endpoint": server.url,
            "workload": str(questions),
            "out": tmp_path / "r",
            "load": f"closed:{in_flight}",
            "idle_s": 0.4,
            "warmup": 0,
            "sample_hz": 200.0,
            "require_grade": "B",
        }
    )
    out = start(spec, lambda _: None)
    summary = summarise_run(load_tables(out))
    (pair,) = summary.pairs
    ledger = pair.ledger
    assert ledger is not None
    assert summary.energy_line.startswith("Energy: RAPL package-0 + dram-0")
    assert (ledger.grade, ledger.boundary) == ("B", "package")
    # What is counted or read late may miss an end of the load, and of the idle before it.
    lines = read_journal(out / "journal.jsonl").power
    read_ns = [s.t_ns for line in lines for s in line.samples if s.domain == "package-0"]
    late_s = device.longest_s + max(b - a for a, b in pairwise(sorted(read_ns))) / 1e9
    off_w = 0.08 * (BUSY_W + DRAM_W) + (BUSY_W + DRAM_W) * 2 * late_s / ledger.window_s
    idle_off_w = 0.08 * (IDLE_W + DRAM_W) + (BUSY_W + DRAM_W) * late_s / 0.4
    # Ten answers in a row keep the device busy to the end of the load.
    assert ledger.device_j / ledger.window_s == pytest.approx(BUSY_W + DRAM_W, abs=off_w)
    assert ledger.idle_power_w == pytest.approx(IDLE_W + DRAM_W, abs=idle_off_w)
    if in_flight == 1:
        # Summed: a request whose chunks a busy machine held up has few seconds, and many watts.
        rows = load_tables(out).requests
        took = sum(
            (last - first) / 1e9
            for last, first in zip(rows["last_chunk_ns"], rows["dispatched_ns"], strict=True)
        )
        assert sum(rows["energy_gross_j"]) / took == pytest.approx(BUSY_W + DRAM_W, abs=off_w)
    gross, net = (pair.metrics[f"energy_{kind}_j"].value for kind in ("gross", "net"))
    assert gross is not None
    assert net is not None
    share = (BUSY_W - IDLE_W) / (BUSY_W + DRAM_W)
    assert net / gross == pytest.approx(share, abs=(off_w + idle_off_w) / (BUSY_W + DRAM_W))
    assert "estimated-energy" not in {verdict.code for verdict in summary.verdicts}
