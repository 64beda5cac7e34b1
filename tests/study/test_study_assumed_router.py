"""A router as a user tells it: what is left out is as assumed, what is no share is named."""

from __future__ import annotations

import pytest

from perwatt.core.errors import SpecError
from perwatt.study.assumed_router import AssumedRouter, parse_router


def test_what_is_left_out_is_as_assumed() -> None:
    assert parse_router("noticed=1") == AssumedRouter(noticed=1.0)
    assert parse_router(" false_cloud = 0.1 , own=0") == AssumedRouter(false_cloud=0.1, own=0.0)
    assert "assumed, not measured" in AssumedRouter().sentence
    assert "10% of the locally right" in parse_router("false_cloud=.1").sentence


@pytest.mark.parametrize("text", ["", "accuracy=0.8", "noticed", "noticed=2", "own=nan", "own=x"])
def test_what_is_no_share_is_named(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_router(text)
    assert "--router" in caught.value.message
