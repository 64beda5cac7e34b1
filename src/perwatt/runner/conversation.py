"""Conversations: each turn is a request, all of them are one item, and the last one is scored.

A turn before the last has an id of its own, with the session in it: a conversation that was cut is
asked again from its first turn, and what had been asked of it is set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from perwatt.core.records import SET_ASIDE, Item, Message, Prompt, Reply, Request

__all__ = ["continued", "is_final", "settled", "turn_id"]


def turn_id(request_id: str, turn: int, session: int) -> str:
    """The id of a turn before the last; the last, or the one that fails, has the item's own."""
    return f"{request_id}/turn-{turn}-session-{session}"


def continued(prompt: Prompt, reply: Reply, user: str) -> Prompt:
    """The prompt of the next turn: all that was said, and the user's next message."""
    said = (Message(role="assistant", content=reply.text), Message(role="user", content=user))
    return msgspec.structs.replace(prompt, messages=prompt.messages + said)


def is_final(request: Request, item: Item) -> bool:
    """Is this the request that counts as the item's answer?"""
    if request.reply.status in SET_ASIDE:
        return False
    return request.reply.status == "error" or request.turn >= len(item.turns)


def settled(requests: Iterable[Request], items: Mapping[str, Item]) -> tuple[Request, ...]:
    """The same requests; turns whose conversation did not end in their session are `cancelled`."""
    listed = tuple(requests)
    ended = {_conversation(r) for r in listed if is_final(r, items[r.item_id])}
    return tuple(
        request
        if request.reply.status in SET_ASIDE or _conversation(request) in ended
        else msgspec.structs.replace(
            request, reply=msgspec.structs.replace(request.reply, status="cancelled")
        )
        for request in listed
    )


def _conversation(request: Request) -> tuple[str, str, int, int, int]:
    return (
        request.pair_id,
        request.item_id,
        request.repeat,
        request.stage,
        request.session,
    )
