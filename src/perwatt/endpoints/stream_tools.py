"""Tool calls that come in pieces, put together."""

from __future__ import annotations

import msgspec

from perwatt.endpoints.stream_chunks import Delta, Function, ToolCall

__all__ = ["ToolCalls"]


class _Call(msgspec.Struct, omit_defaults=True):
    id: str | None = None
    type: str = "function"
    name: str = ""
    arguments: list[str] = []


class ToolCalls:
    """Deltas in order: the first of a call brings its id and name, all bring arguments."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def take(self, delta: Delta) -> bool:
        """True if it brought anything."""
        pieces = delta.tool_calls or []
        if delta.function_call is not None:
            pieces = [*pieces, ToolCall(index=0, function=delta.function_call)]
        brought = False
        for piece in pieces:
            brought |= self._piece(piece)
        return brought

    def as_json(self) -> str:
        """`[{"id", "type": "function", "function": {"name", "arguments"}}]`, by their index."""
        calls = [
            {
                "id": call.id,
                "type": call.type,
                "function": {"name": call.name, "arguments": "".join(call.arguments)},
            }
            for _, call in sorted(self._calls.items())
        ]
        return msgspec.json.encode(calls).decode()

    def _piece(self, piece: ToolCall) -> bool:
        index = piece.index
        if index is None:  # some servers send each call whole, without one
            index = len(self._calls) if piece.id or not self._calls else max(self._calls)
        call = self._calls.setdefault(index, _Call())
        function = piece.function or Function()
        call.id = piece.id or call.id
        call.type = piece.type or call.type
        call.name += function.name or ""
        if function.arguments:
            call.arguments.append(function.arguments)
        return bool(piece.id or function.name or function.arguments)
