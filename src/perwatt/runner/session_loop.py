"""The event loop of a session and of its workers: uvloop's where it is installed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["run_loop", "settled_heap"]


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`. Ctrl-C cancels `main` and raises KeyboardInterrupt when it has ended."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        runner.run(main)


@contextmanager
def settled_heap() -> Iterator[None]:
    """Leave out of garbage collection, while the load lasts, all that was there before it: items,
    prompts and modules, which are walked for tens of milliseconds at a time and hold up every mark.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it is an extra, and does not exist for Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
