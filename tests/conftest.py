"""What all tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_host_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own calibration must not reach the tests."""
    monkeypatch.setenv("PERWATT_HOST_PROFILE", "/dev/null/absent")
