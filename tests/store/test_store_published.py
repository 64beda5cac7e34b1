"""Published figures come back from their table as they went in, to the last bit."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import RunDirError
from perwatt.core.estimate import Estimate
from perwatt.core.study import Published
from perwatt.store.published import read_published, write_published

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
ESTIMATES = st.builds(
    lambda numbers, more: Estimate(
        value=numbers[1], low=numbers[0], high=numbers[2], reason=None, **more
    ),
    st.tuples(NUMBER, NUMBER, NUMBER).map(sorted),
    st.fixed_dictionaries(
        {
            "unit": TEXT,
            "method": TEXT,
            "n": st.integers(0, 2**31 - 1),
            "grade": st.sampled_from([None, "A", "B", "C", "D"]),
            "boundary": st.none() | TEXT,
        }
    ),
) | st.builds(lambda reason: Estimate(value=None, reason=reason), TEXT)
ROWS = st.lists(
    st.builds(
        Published,
        pair_id=TEXT,
        workload=TEXT,
        load=TEXT,
        metric=TEXT,
        estimate=ESTIMATES,
        source=TEXT,
    ),
    max_size=8,
)


@settings(max_examples=10, deadline=None)
@given(rows=ROWS)
def test_any_row_comes_back_bit_for_bit(rows: list[Published]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_published(Path(folder), rows)
        back = read_published(Path(folder))
    assert list(back) == rows
    for was, now in zip(rows, back, strict=True):
        if was.estimate.value is not None:
            assert now.estimate.value is not None
            assert struct.pack("d", was.estimate.value) == struct.pack("d", now.estimate.value)


def test_a_run_without_the_table_has_none(tmp_path: Path) -> None:
    assert read_published(tmp_path) == ()


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "published.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RunDirError, match=r"published\.parquet"):
        read_published(tmp_path)


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    row = Published(
        pair_id="m",
        workload="w",
        load="closed:1",
        metric="energy_gross_j",
        estimate=Estimate(value=float("nan")),
        source="table.csv, row 1",
    )
    with pytest.raises(ValueError, match="no finite number"):
        write_published(tmp_path, [row])
