"""The code scorer and its sandbox, against programs that misbehave within a harmless measure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perwatt.core.records import Item
from perwatt.scoring import code as code_module
from perwatt.scoring.code import code, program
from perwatt.scoring.sandbox import Limits, SandboxResult, run_sandboxed

PROMPT = 'import math\n\ndef add(a: int, b: int) -> int:\n    """Sum of two numbers."""\n'
ITEM = Item(
    id="add",
    kind="code",
    messages=(),
    reference="    return a + b",
    scorer="code",
    options={
        "prompt": PROMPT,
        "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
        "entry_point": "add",
    },
)
SHUT_IN = "no network" in run_sandboxed(["pass"], allow_network=True).held
needs_sandbox = pytest.mark.skipif(not SHUT_IN, reason="this host grants no network namespace")


@pytest.mark.parametrize(
    "answer",
    [
        "    return a + b",
        "return a + b",
        "    return a + b\n\nprint(add(1, 2))",
        "```python\ndef add(a, b):\n    return a + b\n```",
        "Here it is:\n```python\ndef add(a, b):\n    return math.floor(a + b)\n```\nDone.",
        "```\n    return a + b\n```",
        "def add(a, b):\n    return a + b",
        "total = a + b\nreturn total",
    ],
)
@needs_sandbox
def test_right_answers_in_every_dress_pass(answer: str) -> None:
    judgement = code()(ITEM, answer)
    assert judgement.value == 1, judgement
    assert "no network" in (judgement.explanation or "")


@pytest.mark.parametrize(
    "answer",
    [
        "    return a - b",
        "import os\nos._exit(0)",
        "    raise SystemExit(0)",
        "    return open('/etc/x', 'w')",
    ],
)
@needs_sandbox
def test_wrong_answers_and_early_exits_fail(answer: str) -> None:
    assert code()(ITEM, answer).value == 0


def test_what_is_no_python_is_an_extraction_failure() -> None:
    judgement = code()(ITEM, "I am sorry, I cannot (do that")
    assert (judgement.value, judgement.extracted) == (0, None)


def test_a_refused_program_makes_the_scorer_abstain(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = SandboxResult(verdict="refused", held=(), detail="the network stays reachable")
    monkeypatch.setattr(code_module, "run_sandboxed", lambda *_, **__: refused)
    judgement = code()(ITEM, "    return a + b")
    assert judgement.abstained
    assert "PERWATT_ALLOW_UNSANDBOXED_CODE" in (judgement.explanation or "")


def run(source: str, **limits: float) -> SandboxResult:
    return run_sandboxed([source], Limits(**limits))  # type: ignore[arg-type]


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import socket; socket.create_connection(('192.0.2.1', 9), 1)", "unreachable"),
        ("bytearray(2 * 10**9)", "MemoryError"),
        ("f = open('f', 'wb')\nfor _ in range(40): f.write(b'x' * 10**6); f.flush()", "OSError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("import os\nraise ValueError(sorted(os.environ.keys() & {'HOME', 'PATH'}))", "[]"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)  # fmt: skip
def test_misbehaviour_fails_with_its_reason(source: str, reason: str) -> None:
    result = run(source)
    assert result.verdict == "failed"
    assert reason in (result.detail or "")


@needs_sandbox
def test_endless_programs_are_stopped() -> None:
    assert run("while True: pass", wall_s=0.7).verdict == "timeout"
    assert run("import time\ntime.sleep(60)", wall_s=0.7).verdict == "timeout"


@needs_sandbox
def test_leaving_early_proves_nothing() -> None:
    assert run("import os\nos._exit(0)").verdict == "died"


@needs_sandbox
def test_nothing_outside_can_be_written(tmp_path: Path) -> None:
    held = run("pass").held
    if "read-only files" not in held:
        pytest.skip("this host grants no read-only mounts")
    target = tmp_path / "written"
    for place in (target, Path(sys.base_prefix) / "perwatt-written"):
        result = run(f"open({str(place)!r}, 'w').write('x')")
        assert result.verdict == "failed"
        assert not place.exists()


def test_the_program_keeps_the_imports_of_its_prompt() -> None:
    source = program(PROMPT, "def add(a, b):\n    return math.floor(a + b)", "add")
    assert source is not None
    assert source.startswith("import math")
