"""NVIDIA's driver opened within a bounded time, or one sentence that says why not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from perwatt.core.errors import SensorUnavailableError

__all__ = ["ask", "opened", "within"]

T = TypeVar("T")


def opened() -> Any:
    """The module pynvml, initialised, with at least one GPU. Raises SensorUnavailableError."""
    try:
        import pynvml
    except ImportError:
        msg = "NVIDIA GPUs cannot be read: the package nvidia-ml-py is not installed."
        raise SensorUnavailableError(msg, "Run: pip install 'perwatt[nvidia]'") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
            msg = "No NVIDIA driver here: libnvidia-ml.so.1 is absent."
            mend = "Install the driver; in a container, start it with --gpus all."
        else:
            msg = f"The NVIDIA driver does not answer: {error}."
            mend = "See that `nvidia-smi` works."
        raise SensorUnavailableError(msg, mend) from None
    if ask(pynvml, pynvml.nvmlDeviceGetCount):
        return pynvml
    with suppress(pynvml.NVMLError):
        pynvml.nvmlShutdown()
    msg = "The NVIDIA driver is here, but no GPU."
    raise SensorUnavailableError(msg, "In a container, start it with --gpus all.")


def ask(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """None where this GPU or driver does not offer it."""
    try:
        return function(*arguments)
    except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
        return None


def within(patience_s: float, work: Callable[[], T]) -> T:
    """What `work` gives or raises, or SensorUnavailableError when it takes longer than this.

    A driver whose GPU hangs blocks its caller in the kernel, where nothing can interrupt it: so the
    caller is a thread that can be left behind.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller's thread, whatever it is
            errors.append(error)

    thread = threading.Thread(target=run, name="perwatt-nvml-probe", daemon=True)
    thread.start()
    thread.join(patience_s)
    if errors:
        raise errors[0]
    if results:
        return results[0]
    msg = f"The NVIDIA driver did not answer within {patience_s:g} s: a GPU may hang."
    raise SensorUnavailableError(msg, "See whether `nvidia-smi` answers; if not, reboot.")
