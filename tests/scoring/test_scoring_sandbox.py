"""The sandbox against programs that misbehave, each within a harmless measure of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from benchmarks.hostile_witness import LIMITS, Witness, expected, programs
from perwatt.scoring import sandbox
from perwatt.scoring.sandbox import Limits, Rung, best_rung, run_programs, run_tests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
RUNGS = [r for r in get_args(Rung) if run_tests("", [], rung=r).verdict == "passed"]
needs_rung = pytest.mark.skipif(not RUNGS, reason="this host grants no rung of the sandbox")
TIGHT = msgspec.structs.replace(LIMITS, wall_s=0.6)
SLOW = ("sleep", "busy_loop", "ignore_signals", "fifo_hang", "fork_bomb_quiet")


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    with Witness() as made:
        yield made


@needs_rung
@pytest.mark.parametrize("program", programs(), ids=lambda path: path.stem)
def test_nothing_gets_through(program: Path, witness: Witness) -> None:
    rung = best_rung()
    seen = witness.run(program, rung, TIGHT)
    assert not seen.escapes
    if seen.result.verdict != "timeout":  # on a busy machine anything may be late
        assert seen.result.verdict in expected(program, rung), seen.result


@pytest.mark.skipif("system calls" not in RUNGS, reason="no seccomp and Landlock here")
@pytest.mark.parametrize(
    "program",
    [p for p in programs() if not p.stem.endswith(SLOW) and int(p.stem[:2]) % 4 == 0],
    ids=lambda path: path.stem,
)
def test_nothing_gets_through_without_namespaces(program: Path, witness: Witness) -> None:
    seen = witness.run(program, "system calls", TIGHT)
    assert not seen.escapes
    if seen.result.verdict != "timeout":
        assert seen.result.verdict in expected(program, "system calls"), seen.result


def test_there_are_thirty_programs_with_a_ceiling_and_a_verdict_each() -> None:
    assert len(programs()) >= 30
    for program in programs():
        text = program.read_text()
        assert "signal.alarm(50)" in text
        assert "setrlimit(resource.RLIMIT_AS" in text
        assert expected(program, "namespaces")[0] != "passed"


def test_a_witness_notices_a_program_that_gets_through(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check can fail: an answer that is given, and a file that is written, are both told."""
    honest = tmp_path / "00_honest.py"
    honest.write_text('def answer():\n    return WITNESS["token"]\n')
    real = sandbox.run_tests

    def leaky(source: str, *rest: object, **named: object) -> object:
        Path(witness.outside, "marker").write_text("out")
        return real(source, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("benchmarks.hostile_witness.run_tests", leaky)
    escapes = " ".join(witness.run(honest, best_rung(), TIGHT).escapes)
    assert "it passed" in escapes or not RUNGS
    assert "was written" in escapes


@needs_rung
@pytest.mark.parametrize("rung", RUNGS)
def test_honest_programs_pass_on_every_rung(rung: Rung) -> None:
    source = "import math\nfrom collections import Counter\ndef f(x):\n    return Counter(x)"
    result = run_tests(source, ["g = f('aab')", "assert g == {'a': 2, 'b': 1}"], rung=rung)
    assert (result.verdict, result.step) == ("passed", 1), result
    assert set(sandbox.REQUIRED) <= set(result.held)
    told = list(run_programs("print(int(input()) + 1)", ["1", "2", "x"], rung=rung))
    assert [r.verdict for r in told] == ["passed", "passed", "failed"]
    assert [r.output for r in told] == ["2\n", "3\n", ""]
    assert "ValueError" in (told[2].detail or "")


@needs_rung
@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("def f():\n    return (1, [2, {'a': {3}}])", ["assert f() == (1, [2, {'a': {3}}])"]),
        ("def f(n):\n    return (x for x in range(n))", ["assert list(f(3)) == [0, 1, 2]"]),
        ("def f(n):\n    return map(str, range(n))", ["assert f(1) != ['0']"]),
        ("def f():\n    return 3**200, -0.5, None", ["assert f() == (3**200, -0.5, None)"]),
        ("def f():\n    raise KeyError('k')", ["try: f()\nexcept KeyError: done = 1", "done"]),
        ("def f(g, x):\n    return [g(y) for y in x]", ["assert f(lambda x: x * 2, [1]) == [2]"]),
        ("class P:\n    def __init__(s, a):\n        s.a = a\ndef f(ps):\n    return ps[0].a",
         ["assert f([P(5)]) == 5", "assert P(3).a == 3"]),
        ("import re\ndef f(s):\n    return re.match('a', s)", ["assert f('a') and not f('b')"]),
        ("from decimal import *\ndef f(): return Decimal('1.10')", ["assert str(f()) == '1.10'"]),
        ("LIMIT = 3", ["assert LIMIT == 3"]),
        ("def f():\n    print('x' * 1000)\n    return 1j", ["assert f() == 1j"]),
    ],
)  # fmt: skip
def test_what_functions_take_and_give_travels(source: str, steps: list[str]) -> None:
    result = run_tests(source, steps)
    assert result.verdict == "passed", result


@needs_rung
def test_the_failing_step_is_named() -> None:
    steps = ["assert f(1) == 1", "assert f(2) == 4", "assert f(3) == 3"]
    result = run_tests("def f(x):\n    return x", steps)
    assert (result.verdict, result.step) == ("failed", 1)


@needs_rung
def test_functions_handed_to_the_candidate_lead_nowhere() -> None:
    source = "def f(g):\n    return g.__globals__['__builtins__']"
    result = run_tests(source, ["f(lambda: 1)"], Limits(wall_s=2))
    assert result.verdict != "passed"


def test_what_cannot_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "REQUIRED", ("no network", "no such protection"))
    result = run_tests("", [], rung="system calls")
    assert result.verdict == "refused"
    assert "no such protection" in (result.detail or "")
    allowed = run_tests("", [], rung="system calls", allow_unsafe=True)
    assert allowed.verdict == "passed"


def test_without_user_namespaces_the_next_rung_is_taken() -> None:
    if os.getuid() != 0:
        pytest.skip("to forbid namespaces within one needs root")
    forbid = "for n in user net pid mnt; do echo 0 > /proc/sys/user/max_${n}_namespaces; done"
    ask = "from perwatt.scoring.sandbox import *; r = run_tests('', []); print(r.rung, r.verdict)"
    told = subprocess.run(
        ["unshare", "-U", "-r", "sh", "-c", f'{forbid}; exec "$0" -c "$1"', sys.executable, ask],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "not permitted" in told.stderr:
        pytest.skip("this host grants no namespace to forbid them in")
    assert told.stdout.split() in (["system", "calls", "passed"], ["bwrap", "passed"]), told.stderr


@pytest.mark.skipif("namespaces" not in RUNGS, reason="no namespaces here")
def test_a_python_in_tmp_is_shut_in_as_any_other(tmp_path: Path) -> None:
    """`/tmp` is emptied, and an interpreter that lives there must not be lost with it."""
    venv.create(tmp_path / "venv", symlinks=True)
    script = (
        "from perwatt.scoring.sandbox import run_tests\n"
        "source = 'import subprocess, sys\\n'"
        " 'def answer():\\n return subprocess.run([\"true\"]).returncode'\n"
        "result = run_tests(source, ['assert answer() == 0'])\n"
        "print(result.verdict, result.detail, *result.held, sep='|')\n"
    )
    places = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-c", script],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=True,
    )
    verdict, detail, *held = done.stdout.strip().split("|")
    assert "no secrets" in held
    assert "not root" in held
    assert verdict == "passed", detail
