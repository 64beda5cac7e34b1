"""The command as a person types it: help, wrong usage, exit codes. In this process, no engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perwatt.cli import main
from perwatt.cli.show import stdout_console
from perwatt.core.registry import registry


def exit_of(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    try:
        main(argv)
        code = 0
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = exit_of(capsys, "--help")
    assert code == 0
    for verb in (
        "demo",
        "run",
        "resume",
        "report",
        "power",
        "calibrate",
        "sampler",
        "doctor",
        "list",
    ):
        assert f" {verb} " in out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["rnu"], "run"),
        (["run"], "--model is missing"),
        (["run", "--model", "x", "--limmit", "3"], "--limit"),
        (["run", "--model", "x", "--limit", "many"], "limit"),
        (["run", "--model", "x", "--limit", "0"], "--limit 0 is not usable"),
        (["run", "--model", "x", "--load", "open"], "--load 'open' cannot be read"),
        (["run", "--model", "x", "--workload", "coer"], "Did you mean core"),
        (["run", "--model", "x", "--attribution", "tiem"], "Did you mean time"),
        (["run", "no-such-spec.toml"], "no spec file no-such-spec.toml"),
        (["run", "--model", "smolm2-135m", "--limit", "1"], "Did you mean smollm2-135m"),
        (["run", "--model", "x.gguf", "--limit", "1"], "x.gguf"),
        (["resume", "no-such-run"], "no-such-run"),
        (["report"], "no run directory"),
        (["report", "no-such-run"], "no-such-run"),
        (["list", "models"], "Did you mean model"),
        (["demo", "--limit", "-3"], "--limit -3 is not usable"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(
    argv: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _out, err = exit_of(capsys, *argv)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("perwatt: ")
    assert sentence in last
    assert "Traceback" not in err


def test_brackets_of_a_mend_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    console = stdout_console()
    console.print("pip install 'perwatt[gemma]'")
    assert capsys.readouterr().out == "pip install 'perwatt[gemma]'\n"


def test_doctor_checks_sensors_host_and_engine(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = exit_of(capsys, "doctor", "--json")
    assert code == 0
    found = json.loads(out)
    assert {seen["name"] for seen in found["sensors"]} == set(registry("sensor").names())
    assert all(seen["readable"] or seen["reason"] for seen in found["sensors"])
    estimated = next(seen for seen in found["sensors"] if seen["name"] == "estimated")
    assert estimated["grade"] == "D" and estimated["timings"]
    overhead = next(check for check in found["host"] if check["name"] == "own overhead")
    assert "at 20 Hz" in overhead["found"] and "at 100 Hz" in overhead["found"]
    assert {check["name"] for check in found["engines"]} >= {"llamacpp", "smollm2-135m"}


def test_doctor_looks_at_a_named_sensor_with_its_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "name").write_text("package-0")
    (zone / "energy_uj").write_text("5000000")
    code, out, _ = exit_of(capsys, "doctor", "--sensors", f"rapl:{tmp_path}", "--sensors", "rappl")
    assert code == 0
    assert "Energy: RAPL package-0, counter (grade B), package boundary." in out
    assert f"rapl:{tmp_path}: grade B, package boundary" in out
    assert "There is no sensor named 'rappl'." in out and "Did you mean" in out


def test_list_shows_where_each_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = exit_of(capsys, "list")
    assert code == 0
    for name in ("smollm2-135m", "gemma3-270m", "core", "rapl", "choice", "llamacpp", "perwatt "):
        assert name in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "perwatt", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "not whole" in line and "No space left" in line
