"""Damaged, cut and foreign files end in one sentence, and leave nothing behind."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import FileError, PerwattError, UnknownNameError
from perwatt.store.exchange.fields import read_lines
from perwatt.store.exchange.read import TOOLS, read_foreign
from perwatt.store.exchange.to_run import write_run

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
JSON = [
    "guidellm.json",
    "vllm_detailed.json",
    "llama_bench.json",
    "mlenergy_gpqa.json",
    "optimum/benchmark_report.json",
    "aiperf/profile_export_aiperf.json",
]
OTHERS = ["mlenergy_v3.csv", "llama_bench.csv", "llama_bench.jsonl", "ipw_run/traces.jsonl"]
LEAF: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.just(1e308)
    | st.text(max_size=4)
    | st.just([])
    | st.just({})
    | st.just([{}])
    | st.just("\ud800")
)


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value that could be something else."""
    found = [path] if path else []
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value[:2]))
    for key, inner in children:
        found += spots(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_field_may_be_anything(name: str, data: st.DataObject) -> None:
    whole = json.loads((GOLDEN / name).read_text())
    where = data.draw(st.sampled_from(spots(whole)))
    put(whole, where, data.draw(LEAF))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        if name.startswith("aiperf"):
            shutil.copy(GOLDEN / "aiperf" / "profile_export.jsonl", folder)
        path.write_text(json.dumps(whole))
        out = Path(folder) / "run"
        try:
            write_run([read_foreign(path)], out)
        except PerwattError as error:
            assert error.message  # one sentence, and no run
            assert not out.exists()
        else:
            assert (out / "run.json").is_file()


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=6, deadline=None)
@given(at=st.integers(0, 4000), junk=st.binary(max_size=6))
def test_a_table_may_break_anywhere(name: str, at: int, junk: bytes) -> None:
    text = (GOLDEN / name).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(text[:at] + junk)
        out = Path(folder) / "run"
        try:
            write_run([read_foreign(path)], out)
        except PerwattError as error:
            assert error.message
            assert not out.exists()


@settings(max_examples=6, deadline=None)
@given(tool=st.sampled_from(TOOLS), content=st.binary(max_size=40) | st.text(max_size=20))
def test_rubbish_is_no_tools_file(tool: str, content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".json", ".jsonl", ".csv"):
            path = Path(folder) / f"x{suffix}"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            for forced in (tool, None):
                with pytest.raises(PerwattError) as caught:
                    read_foreign(path, tool=forced)
                assert str(path) in caught.value.message


@pytest.mark.parametrize("name", [*JSON, "aiperf/profile_export.jsonl"])
def test_a_file_cut_short_is_named(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree((GOLDEN / name).parent, folder, ignore=shutil.ignore_patterns("*.eval"))
    path = folder / Path(name).name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileError, match=path.name):
        read_foreign(path)


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(FileError, match=r"deep\.json"):
        read_foreign(path)


def test_the_forced_tool_reads_or_says_why(tmp_path: Path) -> None:
    other = tmp_path / "renamed.json"
    shutil.copy(GOLDEN / "llama_bench.json", other)
    assert read_foreign(other, tool="llama-bench").tool == "llama-bench"
    with pytest.raises(FileError, match="is a list, where an object is due"):
        read_foreign(other, tool="guidellm")
    with pytest.raises(UnknownNameError, match="no tool named 'guidelm'") as caught:
        read_foreign(other, tool="guidelm")
    assert caught.value.mend == "Did you mean guidellm?"


def test_folders_that_no_tool_wrote_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="a folder that no known tool wrote"):
        read_foreign(tmp_path)
    with pytest.raises(FileError, match="is a folder, and guidellm writes files"):
        read_foreign(tmp_path, tool="guidellm")


def test_a_run_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perwatt.store.exchange import to_run

    def full(*_: object) -> None:
        msg = "The disk is full."
        raise FileError(msg)

    monkeypatch.setattr(to_run, "write_published", full)
    with pytest.raises(FileError, match="disk is full"):
        write_run([read_foreign(GOLDEN / "mlenergy_v3.csv")], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_line_ends_with_a_newline_alone(tmp_path: Path) -> None:
    """U+2028 and U+0085 stand raw in what orjson and `ensure_ascii=False` write."""
    text = "before\u2028after\x85and\x0cmore"
    file = tmp_path / "lines.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False), "", json.dumps({"text": "two"})]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).replace("\\f", "\\u000c").encode())
    found = list(read_lines(file))
    assert [values["text"] for _, values in found] == [text, "two"]
    assert [place.split(" of ")[0] for place, _ in found] == ["Line 1", "Line 3"]
    file.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(FileError, match=r"Line 2 of .* is no UTF-8 text"):
        list(read_lines(file))


def test_a_packed_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "profile_export.jsonl.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(FileError, match="is packed") as caught:
        read_foreign(tmp_path / "profile_export.jsonl.gz")
    assert caught.value.mend == "Unpack it first, and give what was in it."


def test_a_metric_that_lm_eval_has_no_value_for_is_missing(tmp_path: Path) -> None:
    golden = next(GOLDEN.glob("samples_caps_*.jsonl"))
    lines = [json.loads(line) for line in golden.read_text().splitlines()]
    lines[0]["exact_match"] = float("nan")
    copy = tmp_path / golden.name
    copy.write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = [answer.scores[0].value for answer in read_foreign(copy).answers]
    assert values[0] is None
    assert None not in values[1:]


def test_a_score_that_inspect_did_not_give_is_missing(tmp_path: Path) -> None:
    """Its Score.unscored() is NaN, which its logs hold as it is."""
    log = json.loads((GOLDEN / "letters.json").read_text())
    before = [answer.scores for answer in read_foreign(GOLDEN / "letters.json").answers]
    for score in log["samples"][0]["scores"].values():
        score["value"] = float("nan")
    copy = tmp_path / "letters.json"
    copy.write_text(json.dumps(log))
    found = [answer.scores for answer in read_foreign(copy).answers]
    assert {score.value for score in found[0]} == {None}
    assert found[1:] == before[1:]
