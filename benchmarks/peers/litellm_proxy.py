"""LiteLLM's proxy in front of one OpenAI-compatible server, as its own documentation sets it up.

One worker, no database, no network but the server: its price list is the one in the package. Never
install 1.82.7 or 1.82.8, which were published by an attacker.

    python3 -m venv VENV && VENV/bin/pip install 'litellm[proxy]==1.106.2'
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["KEY", "refuse_poisoned", "start_litellm"]

KEY = "sk-local-benchmark"
POISONED = {"1.82.7", "1.82.8"}

CONFIG = """\
model_list:
  - model_name: fake
    litellm_params:
      model: openai/fake
      api_base: {url}/v1
      api_key: none
litellm_settings:
  telemetry: false
"""


def refuse_poisoned(python: Path) -> str:
    """The version installed there. Raises SystemExit for those that must not be run."""
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    shown = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    if shown in POISONED:
        raise SystemExit(f"litellm {shown} is a poisoned release: delete {python.parent.parent}")
    return shown


def start_litellm(python: Path, url: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    """The proxy's process, not yet answering; it logs to `folder`/litellm.log."""
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(url=url))
    quiet = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
        "DISABLE_ADMIN_UI": "True",
    }
    log = (folder / "litellm.log").open("wb")
    command = [str(python.parent / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    return subprocess.Popen(
        [*command, "--port", str(port), "--num_workers", "1"],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | quiet,
        cwd=folder,
    )
