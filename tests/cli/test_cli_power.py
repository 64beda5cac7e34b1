"""`perwatt power`, as a person types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from perwatt.cli import main

pytestmark = pytest.mark.skipif(
    not Path("/proc/stat").exists(), reason="without a counter, energy is estimated on Linux only"
)
PRINTS = [sys.executable, "-c", "print('said')"]


def power(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(("power", *argv))
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


def test_the_command_keeps_its_streams_and_the_joules_go_to_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, out, err = power(capfd, "--sensors", "estimated", "--idle-s", "0.2", "--", *PRINTS)
    assert (code, out) == (0, "said\n")
    assert err.lstrip().startswith("Energy is ESTIMATED (grade D)")
    for name in ("gross", "net", "power", "time", "of it"):
        assert f"  {name} " in err


def test_json_has_stdout_to_itself(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = power(
        capfd, "--json", "--idle-s", "0", "--repeat", "2", "--sensors", "estimated", "--", *PRINTS
    )
    found = json.loads(out)
    assert (code, err) == (0, "said\nsaid\n")
    assert (found["exit_code"], found["repeats"], found["command"]) == (0, 2, PRINTS)
    gross = found["measured"]["gross"]
    assert gross["low"] <= gross["value"] <= gross["high"]
    assert (gross["unit"], gross["grade"]) == ("J", "D")
    assert found["measured"]["net"]["reason"].startswith("no idle was measured")


def test_it_exits_as_the_command_did(capfd: pytest.CaptureFixture[str]) -> None:
    argv = ("--idle-s", "0", "--sensors", "estimated", "--", "sh", "-c", "exit 7")
    assert power(capfd, *argv)[0] == 7


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ((), "Nothing to run was given. Put the command after two dashes"),
        (("--", "no-such-thing"), "There is no command 'no-such-thing'."),
        (("--repeat", "often", "--", "true"), "--repeat 'often' is not usable."),
        (("--repeat", "0", "--", "true"), "--repeat 0 is not usable"),
        (("--sample-hz", "0", "--", "true"), "--sample-hz lies between 0 and 1000"),
        (("--require-grade", "A", "--", "true"), "requires energy of grade A"),
        (
            ("--sensors", "rapll", "--require-grade", "D", "--", "true"),
            "There is no sensor named 'rapll'. ",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argv: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(tmp_path))
    code, out, err = power(capfd, "--idle-s", "0", *argv)
    assert (code, out) == (2, "")
    assert err.startswith("perwatt: ") and sentence in err and "Traceback" not in err
