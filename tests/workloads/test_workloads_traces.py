"""Traces: both public kinds as they are, what equal hash ids share, and bad rows by line."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import FileError, PerwattError, SpecError
from perwatt.workloads.load import load, sample
from perwatt.workloads.traces import read_arrivals

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE = (
    HEADER
    + "2023-11-16 18:15:46.6805900,374,44\n"
    + "2023-11-16 18:15:50.9951690,6,109\r\n"
    + "\n"
    + "2023-11-16 18:25:46.6805900,55,0"
)
MOONCAKE = [
    {"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [7, 8, 9]},
    {"timestamp": 40, "input_length": 1030, "output_length": 3, "hash_ids": [7, 8, 11]},
    {"timestamp": 3000, "input_length": 512, "output_length": 1, "hash_ids": [8]},
]
SHARED = Path(os.environ.get("PERWATT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = SHARED / "predict" / "traces"


def azure(folder: Path, text: str = AZURE, name: str = "azure.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def mooncake(folder: Path, rows: list[object] | None = None) -> Path:
    path = folder / "mooncake.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or MOONCAKE))
    return path


@pytest.mark.parametrize("name", ["azure.csv", "azure.csv.gz"])
def test_azure(tmp_path: Path, name: str) -> None:
    workload = load(f"trace:{azure(tmp_path, name=name)}")
    assert workload.name == "azure"
    assert workload.arrivals_s == pytest.approx((0.0, 4.314579, 600.0))
    assert [item.prompt_tokens for item in workload.items] == [374, 6, 55]
    assert [item.max_tokens for item in workload.items] == [44, 109, 1]  # 0 cannot be asked for
    texts = [item.messages[0].content.split() for item in workload.items]
    assert [len(text) for text in texts] == [374, 6, 55]
    assert len({text[0] for text in texts}) == 3
    assert read_arrivals(tmp_path / name) == workload.arrivals_s


def test_equal_hash_ids_are_equal_text_and_nothing_else_is(tmp_path: Path) -> None:
    workload = load(f"trace:{mooncake(tmp_path)}")
    one, two, three = (item.messages[0].content.split() for item in workload.items)
    assert (len(one), len(two), len(three)) == (1100, 1030, 512)
    assert one[:1024] == two[:1024]
    assert one[1024] != two[1024]
    assert three == one[512:1024]
    assert workload.arrivals_s == (0.0, 0.04, 3.0)


def test_a_stretch_of_a_trace(tmp_path: Path) -> None:
    file = azure(tmp_path)
    late = load(f"trace:{file},from=1s,for=10m")
    assert [item.id for item in late.items] == ["trace-000003", "trace-000005"]
    assert late.arrivals_s == pytest.approx((0.0, 595.685421))
    assert [i.prompt_tokens for i in load(f"trace:{file},limit=2,max-prompt=10").items] == [10, 6]
    assert [i.max_tokens for i in load(f"trace:{file},max-output=50").items] == [44, 50, 1]
    cut = load(f"trace:{mooncake(tmp_path)},max-prompt=600").items
    assert cut[0].messages == cut[1].messages  # what was shared still is
    assert load(f"trace:{file},seed=1").sha256 != load(f"trace:{file}").sha256


def test_a_limit_keeps_the_first_arrivals(tmp_path: Path) -> None:
    whole = load(f"trace:{azure(tmp_path)}")
    first = sample(whole, 2, seed=5)
    assert first.items == whole.items[:2]
    assert first.arrivals_s == whole.arrivals_s[:2]
    assert first.sha256 != whole.sha256


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    workload = load(f"trace:{mooncake(tmp_path, [MOONCAKE[2], MOONCAKE[0], MOONCAKE[1]])}")
    assert workload.arrivals_s == (0.0, 0.04, 3.0)
    assert [item.id for item in workload.items] == ["trace-000002", "trace-000003", "trace-000001"]


def test_a_time_zone_is_read(tmp_path: Path) -> None:
    rows = "2024-05-10 00:00:00.009930+00:00,1,1\n2024-05-10 00:00:01.509930+00:00,1,1\n"
    assert read_arrivals(azure(tmp_path, HEADER + rows)) == (0.0, 1.5)


def test_a_comma_in_the_name_of_the_file(tmp_path: Path) -> None:
    file = azure(tmp_path, name="a, b.csv")
    assert len(load(f"trace:{file},limit=1").items) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("soon,1,1", "Line 3 .* Invalid isoformat"),
        ("2023-11-16 18:17:03,1", "Line 3 "),
        ("2023-11-16 18:17:03,many,1", "Line 3 .*'many'"),
        ("2023-11-16 18:17:03,0,1", "Line 3 .* at least 1 token"),
        ("2023-11-16 18:17:03,1,-1", "Line 3 .* at least 0"),
    ],
)
def test_a_bad_row_of_azure_is_named(tmp_path: Path, row: str, said: str) -> None:
    file = azure(tmp_path, HEADER + "2023-11-16 18:17:02,1,1\n" + row)
    with pytest.raises(FileError, match=said) as caught:
        load(f"trace:{file}")
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("[]", "Line 2 .* not a JSON object"),
        ("{", "Line 2 .* not JSON"),
        ({"timestamp": 1, "input_length": 5}, "Line 2 .* needs the numbers"),
        ({**MOONCAKE[0], "timestamp": True}, "Line 2 .* needs the numbers"),
        ({**MOONCAKE[0], "timestamp": float("nan")}, "Line 2 .* needs the numbers"),
        ({**MOONCAKE[0], "input_length": 1.5}, "Line 2 .* needs the numbers"),
        ({**MOONCAKE[0], "input_length": 0}, "Line 2 .* at least 1 token"),
        ({**MOONCAKE[0], "hash_ids": ["x"]}, "Line 2 .* hash_ids"),
        ({**MOONCAKE[0], "hash_ids": 7}, "Line 2 .* hash_ids"),
    ],
)
def test_a_bad_row_of_mooncake_is_named(tmp_path: Path, row: object, said: str) -> None:
    text = row if isinstance(row, str) else json.dumps(row)
    file = tmp_path / "mooncake.jsonl"
    file.write_text(json.dumps(MOONCAKE[0]) + "\n" + text + "\n")
    with pytest.raises(FileError, match=said):
        load(f"trace:{file}")


def test_unusable_files_and_options(tmp_path: Path) -> None:
    def said(what: str) -> str:
        with pytest.raises(PerwattError) as caught:
            load(f"trace:{what}")
        assert caught.value.mend
        return caught.value.message

    assert "There is no trace" in said(str(tmp_path / "none.csv"))
    assert "needs a file" in said("")
    (tmp_path / "t.parquet").touch()
    assert "neither .csv nor .jsonl" in said(str(tmp_path / "t.parquet"))
    assert "holds no request" in said(str(azure(tmp_path, HEADER)))
    assert "no column TIMESTAMP" in said(str(azure(tmp_path, "a,b\n1,2\n")))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(AZURE.encode())[:-9])
    assert "no whole gzip file" in said(str(tmp_path / "cut.csv.gz"))
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\xe9")
    assert "not UTF-8" in said(str(tmp_path / "latin.csv"))
    (tmp_path / "folder.csv").mkdir()
    assert "cannot be read" in said(str(tmp_path / "folder.csv"))
    file = azure(tmp_path)
    assert "no request in that stretch" in said(f"{file},from=2h")
    assert "no option 'form'" in said(f"{file},form=2h")
    assert "from=2 is not a length of time" in said(f"{file},from=2")


@pytest.mark.parametrize("name", ["any.csv", "any.jsonl", "any.csv.gz"])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='0123456789-:.,"{}[] \n\r\x00T+eE', max_size=200).map(
            lambda text: (HEADER + text).encode()
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from([*MOONCAKE[0], "x"]), inner, max_size=4)
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_a_file_holds_is_read_or_named(name: str, data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        try:
            arrivals_s = read_arrivals(path)
        except FileError as error:
            assert str(path) in error.message
        else:
            assert arrivals_s[0] == 0.0


def test_a_number_or_a_cell_beyond_all_bounds_is_named(tmp_path: Path) -> None:
    huge = {**MOONCAKE[0], "timestamp": 10**400}
    with pytest.raises(FileError, match=r"Line 1 .* needs the numbers"):
        load(f"trace:{mooncake(tmp_path, [huge])}")
    with pytest.raises(FileError, match=r"Line 2 .* field larger than field limit"):
        load(f"trace:{azure(tmp_path, HEADER + 'x' * 200_000)}")


def test_more_text_than_memory_should_hold_is_refused(tmp_path: Path) -> None:
    file = azure(tmp_path, HEADER + "2023-11-16 18:17:02,9000000,1\n" * 4)
    with pytest.raises(SpecError, match="36 million tokens"):
        load(f"trace:{file}")
    assert load(f"trace:{file},max-prompt=20").items[3].prompt_tokens == 20


@pytest.mark.skipif(not REAL.is_dir(), reason="the public traces are not here")
@pytest.mark.parametrize(
    ("name", "requests", "lasts_s"),
    [
        ("azure_llm_2023_code.csv.gz", 8819, 3435.948),
        ("azure_llm_2023_conv.csv.gz", 19366, 3501.722),
        ("mooncake_fast25_conversation.jsonl.gz", 12031, 3536.999),
        ("mooncake_fast25_synthetic.jsonl.gz", 3993, 1022.025),
    ],
)
def test_the_public_traces(name: str, requests: int, lasts_s: float) -> None:
    arrivals_s = read_arrivals(REAL / name)
    assert len(arrivals_s) == requests
    assert arrivals_s[-1] == pytest.approx(lasts_s, abs=0.001)
    assert list(arrivals_s) == sorted(arrivals_s)
    part = load(f"trace:{REAL / name},limit=30,max-prompt=700")
    assert part.arrivals_s == arrivals_s[:30]
    assert all(len(i.messages[0].content.split()) == i.prompt_tokens for i in part.items)
