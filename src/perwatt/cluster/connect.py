"""Which cluster: one that runs already, by its address, or one made on this machine to try it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from perwatt.cluster.ray_import import import_ray, rocm_is_broken
from perwatt.cluster.reach import reach, reason
from perwatt.core.errors import EngineError, PerwattError, SpecError

__all__ = ["Address", "Connection", "connected", "parse_address"]

STORE_BYTES = 80 * 2**20
"""Object store of each local node; run directories come back in pieces far smaller than that."""
_NO_ROCM = 'raise ImportError("the ROCm library that amdsmi wraps is not installed")\n'


class Address(msgspec.Struct, frozen=True):
    """What `--cluster` says."""

    ray: str | None
    """`auto` or host:port, of a cluster that runs; None: one is made here."""
    nodes: int = 0
    """Of the one that is made."""


class Connection(NamedTuple):
    """The module `ray`, connected, and the cluster itself where it was made here."""

    ray: Any
    local: Any = None
    """`ray.cluster_utils.Cluster`."""


def parse_address(text: str) -> Address:
    """`auto`, HOST:PORT or `local:N`. Raises SpecError."""
    local = re.fullmatch(r"local(?::(\d+))?", text)
    if local:
        nodes = int(local[1] or 2)
        if not 1 <= nodes <= 64:
            msg = f"--cluster {text}: a cluster on this machine has 1 to 64 nodes."
            raise SpecError(msg, "Give --cluster local:2.")
        return Address(None, nodes)
    if text == "auto" or re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", text):
        return Address(text)
    msg = f"--cluster {text!r} is no address of a Ray cluster."
    raise SpecError(msg, "Give auto, HOST:PORT as `ray start --head` told it, or local:2.")


@contextmanager
def connected(address: Address) -> Iterator[Connection]:
    """Ray, connected; what was made here is ended with the block.

    Raises MissingExtraError, or EngineError where no cluster answers, and where Ray fails within
    the block; a PerwattError of a node's is raised as it is.
    """
    broken = rocm_is_broken()
    ray = import_ray()
    with _failures(ray), _connected(ray, address, broken) as connection:
        yield connection


@contextmanager
def _failures(ray: Any) -> Iterator[None]:
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, PerwattError):
            raise cause from None
        said = f"{type(cause).__name__}: {reason(cause)}" if cause else reason(error)
        msg = f"The cluster failed: {said}"
        raise EngineError(msg, "See `ray status`, and the logs of its nodes.") from error


@contextmanager
def _connected(ray: Any, address: Address, broken: bool) -> Iterator[Connection]:
    if ray.is_initialized():  # somebody else's connection, in this very process
        yield Connection(ray)
        return
    if address.ray is None:
        with _local(ray, address.nodes, broken) as made:
            yield made
        return
    try:
        _init(ray, reach(ray, address.ray))
    except (RuntimeError, ValueError, OSError) as error:
        msg = f"No Ray cluster answers at {address.ray}: {reason(error)}"
        raise EngineError(
            msg, "Start one with `ray start --head`, or try --cluster local:2."
        ) from None
    try:
        yield Connection(ray)
    finally:
        ray.shutdown()


def _init(ray: Any, address: str) -> None:
    # A raylet's last words would go to stdout whatever Ray's logging is told: that is for data.
    ray._private.worker.print_to_stdstream = _unprinted
    ray.init(
        address=address,
        namespace="perwatt",
        log_to_driver=False,  # a node's output may quote what it was asked
        logging_level=logging.ERROR,
    )


def _unprinted(*_: Any, **__: Any) -> None:
    """What died is said by the head, in a sentence."""


@contextmanager
def _local(ray: Any, nodes: int, broken_rocm: bool) -> Iterator[Connection]:
    """Processes of this machine that listen on loopback alone, in a folder of their own."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="pw-ray-"))
    # The folder also holds what `auto` means: another cluster's must not be written over.
    given = {"RAY_TMPDIR": str(folder), "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE": "1"}
    if broken_rocm:
        (folder / "stand-in").mkdir()
        (folder / "stand-in" / "amdsmi.py").write_text(_NO_ROCM, encoding="utf-8")
        paths = [str(folder / "stand-in"), os.environ.get("PYTHONPATH", "")]
        given["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    each: dict[str, Any] = {
        "object_store_memory": STORE_BYTES,
        "node_ip_address": "127.0.0.1",
        "include_log_monitor": False,
    }
    if not _has_shm():
        each["plasma_directory"] = str(folder)
    before = {name: os.environ.get(name) for name in given}
    routed = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(given)
    # Without it ray.init asks for the machine's outward address in place of 127.0.0.1.
    ray_constants.ENABLE_RAY_CLUSTER = False
    cluster: Any = None
    try:
        head = {
            **each,
            "num_cpus": 0,
            "include_dashboard": False,
            "no_monitor": True,
            "_system_config": {"health_check_period_ms": 1000},  # of 3000: nodes fail by trial here
        }
        try:
            cluster = Cluster(initialize_head=True, head_node_args=head)
            for _ in range(nodes):
                cluster.add_node(num_cpus=1, **each)
            _init(ray, cluster.address)
        except Exception as error:  # Ray raises a bare one where a node starts too slowly
            msg = f"Ray did not start {nodes} nodes on this machine: {reason(error)}"
            raise EngineError(msg, "Try it when less runs here, or with local:1.") from None
        yield Connection(ray, cluster)
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
        ray_constants.ENABLE_RAY_CLUSTER = routed
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def _has_shm() -> bool:
    """Containers often have 64 MB there, which Ray refuses."""
    if sys.platform != "linux":
        return True
    try:
        return shutil.disk_usage("/dev/shm").free > 4 * STORE_BYTES
    except OSError:
        return False
