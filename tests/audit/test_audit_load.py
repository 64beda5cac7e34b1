"""Files of published tables: digits kept, sources apart, and what is wrong named with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.audit.engine import audit_publication
from perwatt.audit.finding import AuditReport
from perwatt.audit.load import load_builtin, load_files
from perwatt.core.errors import FileError

TABLES = """
[source]
id = "a paper"

[[tables]]
id = "Table 1"
where = "Table 1"
given = { batch = 1 }
keys = ["model", "_label"]
columns = [
  { name = "accuracy", role = "accuracy", unit = "%" },
  { name = "power", role = "power_w", unit = "W" },
  { name = "IPW", role = "ipw", unit = "1e-3/W", keys = { framework = "vLLM" } },
]
rows = [
  ["small", "x", 50.0, 100, 5.00],
  ["TOTAL", "y", 40.10, "–", 4.0],
]
"""
CLAIM = """
[[claims]]
id = "a ratio"
kind = "ratio"
where = "§1"
says = "twice"
printed = 2
of = { table = "Table 1", column = "power" }
to = { table = "Table 1", column = "power" }
across = ["device"]
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_digits_keys_and_units_are_kept(tmp_path: Path) -> None:
    (made,) = load_files([write(tmp_path / "a.toml", TABLES)])
    cells = {cell.name: cell for cell in made.cells}
    assert len(cells) == 5  # – is no cell
    total = cells["Table 1 [TOTAL, y] accuracy"]
    assert total.printed.text == "40.10"
    assert total.interval.low == pytest.approx(0.40095)
    assert total.scope == {("batch", "1")}  # a total is over all models, and a label is no key
    ipw = cells["Table 1 [small, x] IPW"]
    assert ipw.keys == {"batch": "1", "model": "small", "_label": "x", "framework": "vLLM"}
    assert ipw.value == pytest.approx(5e-3)
    assert ipw.text(5e-3) == "5 (1e-3/W)"


def test_a_selector_takes_no_totals_unless_it_names_them(tmp_path: Path) -> None:
    (made,) = load_files([write(tmp_path / "a.toml", TABLES)])
    assert [c.row for c in made.find({"column": "accuracy"})] == ["small, x"]
    assert [c.row for c in made.find({"role": "accuracy", "model": "TOTAL"})] == ["TOTAL, y"]
    assert [c.row for c in made.find({"table": "Table 1", "batch": 1, "column": ["IPW"]})] == [
        "small, x"
    ]


def test_files_of_one_source_are_one_publication(tmp_path: Path) -> None:
    one = write(tmp_path / "1.toml", TABLES)
    two = write(tmp_path / "2.toml", TABLES.replace("Table 1", "Table 2"))
    other = write(tmp_path / "3.toml", TABLES.replace("a paper", "another"))
    first, second = load_files([one, two, other])
    assert [len(p.tables) for p in (first, second)] == [2, 1]
    with pytest.raises(FileError, match=r"1\.toml: Table 1 is there twice"):
        load_files([one, one])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[source]", "[sauce]", "unknown field `sauce`"),
        ('id = "a paper"', "", "missing required field `id`"),
        ("where =", "whence =", r"tables\[0\].*\(Table 1\)"),
        ('role = "power_w"', 'role = "watts"', "column 'power': there is no role 'watts'"),
        ('unit = "W"', 'unit = "J"', "power_w cannot be in 'J'; known: mW, W, kW"),
        ("50.0, 100", "50.0, 'many'", "Table 1, row 1, column 'power': 'many' is no printed"),
        ("50.0, 100,", "50.0,", "Table 1: row 1 has 4 values, and 5 are named"),
        ("rows = [", "rows = {", "is not TOML"),
        ('kind = "ratio"', 'kind = "rati"', r"claims\[0\].*\(a ratio\)"),
        ("printed = 2", 'printed = "two"', "claim 'a ratio': 'two' is no printed number"),
        ('column = "power"', 'column = "watts"', "'watts'} names no cell"),
        (
            "printed = 2",
            'printed = { table = "Table 1", model = "small" }',
            "names 3 cells, and one is wanted",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_place(
    old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    text = (TABLES + CLAIM).replace(old, new)
    with pytest.raises(FileError, match=rf"bad\.toml.*{sentence}"):
        load_files([write(tmp_path / "bad.toml", text)])


SOUND = """
[source]
id = "a paper"

[[tables]]
id = "T"
where = "Table 1"
keys = ["model", "device"]
columns = [
  { name = "solved", role = "accuracy", unit = "%" },
  { name = "power", role = "power_w", unit = "W" },
  { name = "IPW", role = "ipw", unit = "1e-3/W" },
]
rows = [["a", "x", 50.0, 100, 5.00], ["b", "x", 60.0, 120, 5.00]]
"""


def claimed(kind: str, text: str) -> str:
    return f'{SOUND}[[claims]]\nid = "c"\nkind = "{kind}"\nwhere = "§1"\nsays = "so"\n{text}'


BAD_CELL = r"T, row 1, column 'solved': {} .*Write the digits alone"
UNSOUND: dict[str, tuple[str, str]] = {
    "empty": ("", "missing required field `source`"),
    "no tables": ('[source]\nid = "x"\n', "no table has a printed number, so there is nothing"),
    "no rows": (SOUND.partition("rows =")[0] + "rows = []", "there is nothing to audit"),
    "nan": (SOUND.replace("50.0", "nan"), BAD_CELL.format("'nan' is no")),
    "a comma for a point": (SOUND.replace("50.0", '"50,0"'), BAD_CELL.format("'50,0' is no")),
    "a hyphen for a dash": (SOUND.replace("50.0", '"50-51"'), BAD_CELL.format("'50-51' is no")),
    "its unit beside it": (SOUND.replace("50.0", '"50.0%"'), BAD_CELL.format("'50.0%' is no")),
    "huge": (SOUND.replace("50.0", "1e400"), BAD_CELL.format("'1e400' is beyond anything")),
    "huge and whole": (SOUND.replace("50.0", "1" + "0" * 400), r"0…' is beyond anything"),
    "tiny": (SOUND.replace("50.0", '"1e-999999999"'), "beyond anything that is printed"),
    "huge unit": (SOUND.replace("1e-3/W", "1e400/W"), "'IPW': ipw in '1e400/W' is beyond"),
    "no unit": (SOUND.replace(', unit = "W"', ""), "missing required field `unit`.*columns.1"),
    "a key twice": (SOUND.replace('"device"]', '"model"]'), "key 'model' is given twice"),
    "a column twice": (SOUND.replace('"power"', '"solved"'), "two columns are named 'solved'"),
    "a set twice": (SOUND + 2 * '[[sets]]\nid = "s"\nmembers = []\n', "set 's' is there twice"),
    "same as none": (
        SOUND + '[[sets]]\nid = "s"\nmembers = []\nsame_as = "q"\n',
        "'s' is same_as 'q', which is none. Known sets: s",
    ),
    "of no set": (
        SOUND.replace('role = "accuracy"', 'role = "coverage", keys = { set = "s" }'),
        r"T \[a, x\] solved is of the set 's', which is not given. Add \[\[sets\]\]",
    ),
    "a mean of unlike things": (
        claimed("mean", 'of = { table = "T" }\nprinted = 55'),
        "claim 'c' compares accuracy with ipw with power_w",
    ),
    "a ratio of unlike things": (
        claimed(
            "ratio",
            'of = { column = "power" }\nto = { column = "solved" }\nacross = []\nprinted = 2',
        ),
        "claim 'c' compares accuracy with power_w",
    ),
    "weighed by watts": (
        claimed("mean", 'of = { column = "solved" }\nprinted = 55\nweights = { column = "power" }'),
        r"claim 'c' weighs by T \[a, x\] power, whose role is power_w",
    ),
    "counts of no key": (
        claimed("count", 'of = { column = "solved" }\nprinted = 2\ndistinct = "set"'),
        r"claim 'c' is by the key 'set', which T \[a, x\] solved has not. It has model, device",
    ),
    "a product of nothing": (claimed("product", "factors = []\nprinted = 2"), "length >= 1"),
    "shares of nothing": (
        claimed(
            "decomposition",
            'of = { column = "IPW", model = "a" }\nto = { column = "IPW", model = "b" }\n'
            "factors = {}\nprinted = 2",
        ),
        "length >= 1",
    ),
    "a statement about nothing": (
        SOUND + '[[statements]]\nabout = ""\nsays = "x"\nwhere = "§1"\n',
        "length >= 1",
    ),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_what_no_rule_could_make_sense_of_is_told_in_a_sentence(case: str, tmp_path: Path) -> None:
    text, sentence = UNSOUND[case]
    with pytest.raises(FileError, match=sentence) as told:
        load_files([write(tmp_path / "bad.toml", text)])
    assert "\n" not in str(told.value)


def test_a_comparison_of_sets_that_are_not_given_is_refused(tmp_path: Path) -> None:
    side = '{ column = "solved", model = "%s" }'
    text = claimed(
        "comparison",
        f'left = {side % "a"}\nright = {side % "b"}\nsingles = {{ column = "solved" }}\n'
        'by = "device"\nwins = 0\nrows = 1\nleft_set = "l"\nright_set = "r"',
    )
    with pytest.raises(FileError, match="claim 'c' is of the set 'l', which is not given"):
        load_files([write(tmp_path / "bad.toml", text)])


def test_a_byte_order_mark_and_a_real_minus_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SOUND.replace("60.0", '"−60.0"'), encoding="utf-8-sig")
    (made,) = load_files([tmp_path / "a.toml"])
    assert [cell.value for cell in made.of_role("accuracy")] == [0.5, -0.6]


def test_a_ratio_of_nothing_is_an_error_and_not_a_check(tmp_path: Path) -> None:
    text = TABLES.replace('["small"', '["large", "x", 60.0, 300, 2.00],\n  ["small"') + CLAIM
    text = text.replace('across = ["device"]', "across = []")
    text = text.replace(
        'to = { table = "Table 1", column = "power" }',
        'to = { table = "Table 1", column = "power", model = "small" }',
    ).replace(
        'of = { table = "Table 1", column = "power" }',
        'of = { table = "Table 1", column = "power", model = "large" }',
    )
    (made,) = load_files([write(tmp_path / "a.toml", text)])
    with pytest.raises(FileError, match="'a ratio': no two cells agree"):
        audit_publication(made)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.toml cannot be read: No such file"):
        load_files([tmp_path / "gone.toml"])
    (tmp_path / "latin.toml").write_bytes(b'id = "\xe9"')
    with pytest.raises(FileError, match=r"latin\.toml cannot be read: not UTF-8"):
        load_files([tmp_path / "latin.toml"])


def test_the_built_in_study_says_where_it_was_read() -> None:
    (study,) = load_builtin()
    assert study.source.id == "arXiv:2511.07885"
    assert (study.source.version, study.source.read) == ("v4", "text of v4, 21 May 2026")
    assert all(table.where for table in study.tables)
    wanted = {2, 4, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18}
    assert {f"Table {n}" for n in wanted} <= {table.id for table in study.tables}


CELLS = st.sampled_from(["0", "0.0", "–", "-3", "1e9", "1e-9", "~0", "0–5", "5±9", "7 (note)"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), picks=st.lists(st.tuples(st.integers(0, 999), CELLS), max_size=12))
def test_no_printed_number_breaks_a_rule(
    seed: int,
    picks: list[tuple[int, str]],
    made_up: Callable[[int], Any],
    audit: Callable[[Any], AuditReport],
) -> None:
    document = made_up(seed).document()
    places = [
        (row, n)
        for table in document["tables"]
        for row in table["rows"]
        for n in range(len(table["keys"]), len(row))
    ]
    for pick, cell in picks:
        row, n = places[pick % len(places)]
        row[n] = cell
    try:
        report = audit(document)
    except FileError:
        return  # a claim's own cell is gone, and the message says so
    assert report.checks >= report.held
    for finding in report.findings:
        assert "nan" not in finding.sentence
        assert finding.tolerance
        assert finding.consistent
