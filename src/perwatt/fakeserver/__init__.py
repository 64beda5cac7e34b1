"""A server that speaks the OpenAI protocol with settable times and faults, and a known truth.

In this process: `async with FakeServer(Settings(...)) as server`. As processes of its own:
`with spawn(Settings(...)) as server`. Both have `url`, and a truth for each request.
"""

from perwatt.fakeserver.server import FakeServer
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import Spawned, spawn
from perwatt.fakeserver.truth import Truth, read_truth

__all__ = ["FakeServer", "Settings", "Spawned", "Truth", "read_truth", "spawn"]
