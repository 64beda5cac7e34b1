"""What all tests share."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# The same examples in each run, and none that a busy machine makes too slow. To look for new ones:
# `pytest --hypothesis-profile=default`.
settings.register_profile(
    "perwatt",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=(HealthCheck.too_slow,),
)
settings.load_profile("perwatt")

# A shell that starts the suite in the background has it ignore Ctrl-C, and all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_score_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the judgements that were kept."""
    monkeypatch.setenv("PERWATT_SCORE_CACHE", "none")


@pytest.fixture(autouse=True)
def no_host_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own calibration must not reach the tests."""
    monkeypatch.setenv("PERWATT_HOST_PROFILE", "/dev/null/absent")
