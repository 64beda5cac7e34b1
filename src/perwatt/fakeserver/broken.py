"""What each fault does to a script that is whole."""

from __future__ import annotations

from collections.abc import Callable

from perwatt.fakeserver.events import DONE, LAST_CHUNK, error_body, framed
from perwatt.fakeserver.script import Ending, Script
from perwatt.fakeserver.settings import Settings

__all__ = ["broken"]

NOT_JSON = framed(b'{"id": "chatcmpl-", "choices": [{"index": 0, "delta": {"content": " cut')
NOT_UTF8 = framed(b'{"choices": [{"index": 0, "delta": {"content": "\xc3\x28\xff"}, "text": ""}]}')
NOT_HTTP = b"this is no chunk size\r\n"
ERROR = framed(error_body("Injected: the engine failed.", "server_error", "engine_failed"))


def broken(script: Script, fault: str, settings: Settings) -> Script:
    """`script` with `fault` in it. Half means at least one chunk, where there are any."""
    half = max(1, script.chunks // 2)
    if b"chunked" not in script.head:
        _break_whole(script, fault, settings)
    elif fault in _CUTS:
        _cut(script, 0 if fault.endswith("-first") else half, _CUTS[fault])
    elif fault in _INSERTS:
        script.pieces.insert(half, _INSERTS[fault])
        script.gaps_ns.insert(half, script.gaps_ns[-1] if half else 0)
        script.chunks = half
        script.tokens = script.tokens[:half]
    elif fault in _ENDS:
        _cut(script, half, "close" if fault == "malformed-http" else "done")
        script.pieces.append(_ENDS[fault])
        script.gaps_ns.append(0)
    elif fault in _WHOLE:
        _WHOLE[fault](script, half, settings)
    return script


def _cut(script: Script, keep: int, ending: Ending) -> None:
    del script.pieces[keep:]
    # One gap more than pieces: when the ending comes.
    del script.gaps_ns[keep + 1 :]
    del script.tokens[keep:]
    script.chunks = min(script.chunks, keep)
    script.ending = ending
    script.timings = None


def _late(script: Script, half: int, settings: Settings) -> None:
    script.gaps_ns[min(half, len(script.gaps_ns) - 1)] += round(settings.late_s * 1e9)


def _duplicate(script: Script, half: int, _: Settings) -> None:
    if len(script.pieces) > half:  # the last piece holds the end of the answer too
        script.pieces.insert(half, script.pieces[half - 1])
        script.gaps_ns.insert(half, script.gaps_ns[half])
        script.tokens.insert(half, script.tokens[half - 1])
        script.chunks += 1


def _no_done(script: Script, _: int, __: Settings) -> None:
    made = script.timings
    script.pieces[-1] = script.pieces[-1].replace(DONE, b"")
    if made is not None:
        script.timings = lambda prefill_s, decode_s: made(prefill_s, decode_s).replace(DONE, b"")


def _break_whole(script: Script, fault: str, settings: Settings) -> None:
    """An answer that is one JSON document: the same faults, as far as they have a sense there."""
    body = script.pieces[0]
    middle = len(body) // 2
    if fault in {"timeout-first", "reset-first"}:
        _cut(script, 0, _CUTS[fault])
    elif fault in _CUTS or fault in {"truncated", "malformed-http"}:
        ending = _CUTS.get(fault, "close")
        script.pieces[0] = body[:middle]
        script.ending = "stall" if ending == "drip" else ending
    elif fault in {"malformed", "server"}:
        script.pieces[0] = body[:middle] + b" " * (len(body) - middle)
    elif fault == "bad-utf8":
        script.pieces[0] = body.replace(b"cmpl-", b"cmp\xff-", 1)
    elif fault == "late":
        _late(script, 0, settings)


_CUTS: dict[str, Ending] = {
    "timeout-first": "stall",
    "timeout-chunk": "stall",
    "timeout-total": "drip",
    "reset-first": "reset",
    "reset": "reset",
    "closed": "close",
}
_INSERTS = {"malformed": NOT_JSON, "bad-utf8": NOT_UTF8}
_ENDS = {
    "truncated": LAST_CHUNK,
    "malformed-http": NOT_HTTP,
    "server": ERROR + DONE + LAST_CHUNK,
}
_WHOLE: dict[str, Callable[[Script, int, Settings], None]] = {
    "late": _late,
    "duplicate": _duplicate,
    "no-done": _no_done,
}
