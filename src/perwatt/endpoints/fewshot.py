"""How a base model, which knows no chat, is asked: by examples of question and answer."""

from __future__ import annotations

from perwatt.core.records import Prompt

__all__ = ["STOP", "few_shot_text"]

STOP = ("\n\n", "\nQuestion:")
"""Where an answer ends: a base model would go on to invent the next question."""


def few_shot_text(prompt: Prompt) -> str:
    """`Question: …\\nAnswer: …\\n\\n` for each example and turn; ends in `Answer:`, open."""
    parts: list[str] = []
    for message in (*prompt.examples, *prompt.messages):
        if message.role == "user":
            parts.append(f"Question: {message.content}\nAnswer:")
        elif message.role == "assistant":
            parts.append(f" {message.content}\n\n")
        else:
            parts.append(f"{message.content}\n\n")
    return "".join(parts)
