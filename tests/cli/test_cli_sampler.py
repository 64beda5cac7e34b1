"""`perwatt sampler` as a process: it answers, it stops when told, and bad usage is one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perwatt.cli.sampler import sampler
from perwatt.core.errors import SensorUnavailableError, SpecError
from perwatt.core.records import Domain, PowerSample
from perwatt.sensors.remote import RemoteSensor
from perwatt.sensors.replay_trace import write_trace

WALL = Domain(
    name="wall", kind="gauge", boundary="system", source="shelly", grade="A", device="a plug"
)
START = "from perwatt.cli.sampler import sampler; import sys; sampler(listen=sys.argv[1], "


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "power.csv"
    rows = [PowerSample(k * 50_000_000, "wall", None, 40.0 + k) for k in range(200)]
    write_trace(path, [WALL], rows)
    return path


def test_it_answers_until_it_is_told_to_stop(trace: Path) -> None:
    # A sensor registered in code, so that the test does not depend on what this host offers.
    code = (
        "from perwatt.core.registry import registry\n"
        "from perwatt.sensors.replay import ReplaySensor\n"
        "registry('sensor').register('recorded')(ReplaySensor)\n"
        + START
        + "sensors=['recorded:' + sys.argv[2]], hz=50, json=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "127.0.0.1:0", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PERWATT_SAMPLER_TOKEN": ""},
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["domains"] == ["wall"]
        sensor = RemoteSensor(told["url"])
        (domain,) = sensor.probe()
        sensor.close()
        assert (domain.name, domain.grade, domain.kind) == ("wall", "A", "gauge")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert f"--sensors remote:{told['url']}" in err
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"listen": "nonsense"}, "--listen 'nonsense' is not usable"),
        ({"listen": "0.0.0.0:0", "sensors": ["estimated"]}, "no token is set"),
        ({"hz": 0.0}, "--hz 0 is not usable"),
        ({"sensors": ["no-such"]}, "no-such"),
    ],
)
def test_bad_usage_is_one_sentence_with_the_mend(
    options: dict[str, object], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERWATT_SAMPLER_TOKEN", raising=False)
    with pytest.raises((SpecError, SensorUnavailableError)) as caught:
        sampler(**options)  # type: ignore[arg-type]
    assert sentence in str(caught.value)
    assert caught.value.mend
