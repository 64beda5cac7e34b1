"""The embedded engine's own process: `python -m perwatt.endpoints.llamacpp_child`.

stdin is the lifeline: its first line is the configuration, and its end means that the parent is
gone. stdout carries one JSON line, `{"url": …}` or `{"error": …}`; all that the engine prints goes
to stderr, which the parent points at a log file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from perwatt.endpoints.parent_death import die_with_parent

__all__ = ["main"]


def main() -> None:
    """Serve until the parent ends or says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    report = os.dup(1)
    os.dup2(2, 1)
    config = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not config:
        os._exit(1)
    die_with_parent(config["parent"])
    threading.Thread(target=_watch_lifeline, daemon=True).start()
    try:
        server, answer = _serve(config)
    except Exception as error:
        answer, server = {"error": f"{type(error).__name__}: {error}"}, None
    os.write(report, json.dumps(answer).encode() + b"\n")
    os.close(report)
    if server is not None:
        threading.Event().wait()
    os._exit(1)


def _serve(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["path"]
    params.model_alias = {config["alias"]}
    params.n_ctx = config["context"] * config["parallel"]
    params.n_parallel = config["parallel"]
    params.cpuparams.n_threads = config["threads"]
    params.cpuparams_batch.n_threads = config["threads"]
    params.port = config["port"]
    params.endpoint_metrics = True
    params.endpoint_props = True
    params.ui = False
    params.fit_params = False  # the context asked for, or an error; never quietly a smaller one
    # Whatever is remembered from one prompt makes the next one cheaper than it is.
    params.cache_prompt = False
    params.cache_idle_slots = False
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    params.slot_prompt_similarity = 0.0
    server = xllamacpp.Server(params)
    devices = xllamacpp.get_device_info()
    accelerators = [d["description"] for d in devices if "GPU" in d["type"].name]
    return server, {"url": server.listening_address, "accelerators": accelerators}


def _watch_lifeline() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
