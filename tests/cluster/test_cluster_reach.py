"""Where no cluster listens: told at once, since Ray itself would try for a quarter of an hour."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import ModuleType

import pytest

from perwatt.cluster.ray_import import import_ray
from perwatt.cluster.reach import reach, reason
from perwatt.core.errors import MissingExtraError


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module alone, nothing started, and little patience."""
    try:
        imported = import_ray()
    except MissingExtraError:
        pytest.skip("ray is not installed (the `cluster` extra)")
    monkeypatch.setattr("perwatt.cluster.reach.PATIENCE_S", 1.0)
    # Ray puts the machine's outward address in the place of this one.
    monkeypatch.setattr("ray._private.services.get_node_ip_address", lambda *_: "127.0.0.1")
    return imported


def told(ray: ModuleType, address: str) -> str:
    with pytest.raises(OSError) as raised:
        reach(ray, address)
    return reason(raised.value)


def test_where_nothing_listens(ray: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    assert told(ray, f"127.0.0.1:{port}") == "Connection refused."


def test_of_a_long_story_the_first_sentence_is_told() -> None:
    assert reason(ConnectionError("None at 10.0.0.5 runs. Set\nx")) == "None at 10.0.0.5 runs."
    assert reason(RuntimeError()) == "RuntimeError."


def answer(client: socket.socket) -> None:
    client.recv(100)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hold(client: socket.socket) -> None:
    client.recv(100)
    client.recv(100)  # until the other side gives up


@pytest.mark.parametrize(
    ("does", "said"), [(answer, "is no head of a Ray cluster"), (hold, "timed out")]
)
def test_what_listens_there_is_something_else(
    ray: ModuleType, does: Callable[[socket.socket], None], said: str
) -> None:
    def serve() -> None:
        client, _ = server.accept()
        with client:
            does(client)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        assert said in told(ray, f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
