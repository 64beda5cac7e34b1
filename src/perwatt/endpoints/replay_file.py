"""Reads a recording: a journal, which is JSON lines, or JSON lines made by anybody else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError, UnknownNameError
from perwatt.core.records import SET_ASIDE, Reply, Request
from perwatt.endpoints.cache import file_sha256

__all__ = ["Recording", "read_recording"]

JOURNAL = "journal.jsonl"
_TURN = re.compile(r"/turn-(\d+)-session-\d+$")
_STAGE = re.compile(r"/stage-\d+$")


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one pair."""

    path: Path
    sha256: str
    pair_id: str | None
    """Whose they are; None: the file does not say."""
    answers: dict[tuple[str, int | None], dict[int, Reply]]
    """(item, turn; None: the last) → repeat → reply."""

    @property
    def n_answers(self) -> int:
        """Each turn of a conversation is one."""
        told = (repeats for (_, turn), repeats in self.answers.items() if turn is not None)
        return sum(len(repeats) for repeats in told)

    def find(self, pair_id: str, request_id: str) -> Reply | None:
        """The reply to `pair/item/repeat`, to another repeat of the item, or None."""
        asked = request_id.removeprefix(f"{pair_id}/")
        turn: int | None = None
        if told := _TURN.search(asked):
            turn, asked = int(told[1]), asked[: told.start()]
        item, _, number = _STAGE.sub("", asked).rpartition("/")
        if not item or not number.isdigit():
            item, number = asked, "0"
        repeats = self.answers.get((item, turn))
        if not repeats:
            return None
        repeat = int(number)
        return repeats.get(repeat) or repeats[sorted(repeats)[repeat % len(repeats)]]


class _Plain(msgspec.Struct, kw_only=True):
    """A line that is no journal's."""

    item_id: str
    repeat: int = 0
    turn: int | None = None
    pair_id: str | None = None
    reply: Reply | None = None
    text: str | None = None


class _Kind(msgspec.Struct):
    type: str | None = None


def read_recording(place: str, wanted: tuple[str, ...]) -> Recording:
    """That of the first pair of `wanted` in it, or of its only pair.

    Raises FileError naming the line, UnknownNameError for several pairs of which none is wanted.
    """
    path = Path(place).expanduser()
    path = path / JOURNAL if path.is_dir() else path
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"The recording {path} cannot be read: {error.strerror}."
        raise FileError(
            msg, "Give a run directory, its journal, or a file of JSON lines."
        ) from None
    lines = data.split(b"\n")
    # A journal's last line may be cut where its run was: it has no line feed, and is no answer.
    whole = lines if path.name != JOURNAL else lines[:-1]
    pairs: dict[str | None, dict[tuple[str, int | None], dict[int, Reply]]] = {}
    for number, line in enumerate(whole, start=1):
        if not line.strip():
            continue
        try:
            read = _line(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"Line {number} of {path} is no recorded answer: {error}."
            raise FileError(msg, 'Write {"item_id": …, "text": …} on each line.') from None
        if read is not None:
            pair, item, turn, repeat, reply = read
            pairs.setdefault(pair, {}).setdefault((item, turn), {}).setdefault(repeat, reply)
    if not pairs:
        msg = f"The recording {path} holds no answers."
        raise FileError(msg, "Give a run directory with finished requests.")
    pair = next((pair for pair in wanted if pair in pairs), None)
    if pair is None and len(pairs) > 1:
        names = [name for name in pairs if name is not None]
        raise UnknownNameError(f"pair in {path}", wanted[0], names)
    chosen = pair if pair is not None else next(iter(pairs))
    return Recording(
        path=path, sha256=file_sha256(path), pair_id=chosen, answers=_with_last(pairs[chosen])
    )


def _line(line: bytes) -> tuple[str | None, str, int | None, int, Reply] | None:
    """(pair, item, turn, repeat, reply); None: the line is of something else."""
    kind = msgspec.json.decode(line, type=_Kind).type
    if kind == "request":
        request = msgspec.json.decode(line, type=Request)
        if request.reply.status in SET_ASIDE:
            return None
        return request.pair_id, request.item_id, request.turn, request.repeat, request.reply
    if kind is not None:
        return None
    plain = msgspec.json.decode(line, type=_Plain)
    reply = plain.reply
    if reply is None:
        if plain.text is None:
            msg = "it has neither `reply` nor `text`"
            raise msgspec.ValidationError(msg)
        reply = Reply(
            status="ok",
            dispatched_ns=0,
            last_chunk_ns=0,
            first_chunk_ns=0,
            first_answer_ns=0,
            chunk_offsets_ns=(0,),
            text=plain.text,
            finish_reason="stop",
        )
    return plain.pair_id, plain.item_id, plain.turn or 0, plain.repeat, reply


def _with_last(
    answers: dict[tuple[str, int | None], dict[int, Reply]],
) -> dict[tuple[str, int | None], dict[int, Reply]]:
    """Each repeat's last turn also under None: a request that names no turn asks for that."""
    last: dict[tuple[str, int | None], dict[int, Reply]] = {}
    for (item, turn), repeats in sorted(answers.items(), key=lambda entry: entry[0][1] or 0):
        for repeat, reply in repeats.items():
            last.setdefault((item, None), {})[repeat] = reply
        last[item, turn] = repeats
    return last
