"""The page as a browser, a screen reader, a phone and an attacker meet it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perwatt.core.errors import DiskFullError, FileError
from perwatt.core.estimate import Estimate
from perwatt.core.summary import UNSCORED
from perwatt.report.build import ReportRun, render_report, write_report
from perwatt.report.format import cell, interval, spoken
from perwatt.report.sections.joules import residual_j
from perwatt.report.sections.provenance import command

MakeRun = Callable[..., ReportRun]
VOID = {"meta", "link", "br", "hr", "img", "input"}

RUNS: dict[str, dict[str, Any]] = {
    "two pairs": {},
    "one pair, no energy": {"pairs": 1, "grade": None},
    "failures, a pause, 4 in flight": {
        "grade": "B",
        "fail_every": 9,
        "pause_after": 60,
        "in_flight": 4,
    },
    "one request": {"pairs": 1, "items": 1},
    "one failed request": {"pairs": 1, "items": 1, "fail_every": 1},
    "seven pairs": {"pairs": 7, "items": 12},
}


class Page(HTMLParser):
    """What the tests look at; raises on a tag that closes nothing."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(params=RUNS, ids=str)
def run(request: pytest.FixtureRequest, made_run: MakeRun) -> ReportRun:
    return made_run(**RUNS[request.param])


def test_tags_balance_and_ids_are_unique(run: ReportRun) -> None:
    page = Page(render_report([run, run]))
    ids = Counter(attrs["id"] for _, attrs in page.tags if "id" in attrs)
    assert [name for name, count in ids.items() if count > 1] == []
    targets = {str(a["href"])[1:] for a in page.all("a") if str(a.get("href")).startswith("#")}
    names = [str(a["aria-labelledby"]) for _, a in page.tags if "aria-labelledby" in a]
    assert len(names) == len(set(names)), "two landmarks of one name cannot be told apart"
    labelled = {part for name in names for part in name.split()}
    unknown = sorted((targets | labelled) - {str(name) for name in ids})
    # A plug-in's metric without a description has nothing to point at; built-ins all have.
    assert unknown == []


def test_nothing_is_loaded_from_anywhere(run: ReportRun) -> None:
    html = render_report([run])
    page = Page(html)
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attrs.get(name) or "#"
            assert value.startswith("#") or value == "data:,", (tag, name, value)
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {"#hatch"}
    assert not re.search(r"https?://", html)
    assert "@import" not in html
    policy = next(a["content"] for a in page.all("meta") if "content" in a and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "script-src 'sha256-" in policy


def test_structure_for_a_screen_reader(run: ReportRun) -> None:
    page = Page(render_report([run]))
    heads = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert heads[0] == 1
    assert heads.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(heads)), heads
    assert len(page.all("main")) == 1
    assert all(attrs.get("scope") in {"col", "row", "rowgroup"} for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert len(page.all("figcaption")) == len(page.all("figure"))
    for attrs in page.all("svg"):
        assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
    for _, attrs in page.tags:
        if "tabindex" in attrs:
            assert attrs.get("aria-label"), "what can be reached must say what it is"


def test_every_metric_is_there_and_every_missing_one_says_why(run: ReportRun) -> None:
    page = Page(render_report([run]))
    for info in run.summary.metrics:
        assert info.title in page.text
        assert info.formula in page.text
    for pair in run.summary.pairs:
        for estimate in pair.metrics.values():
            shown = cell(estimate)
            assert shown.value in page.text
            if estimate.value is None:
                assert shown.value == "–"
                assert str(estimate.reason) in page.text
            else:
                assert shown.interval in page.text


def test_sections_come_in_the_order_of_a_reader(made_run: MakeRun) -> None:
    page = Page(render_report([made_run()]))
    parts = [a["id"] for a in page.all("section") if "part" in str(a.get("class"))]
    names = (
        "results comparisons tradeoff power latency joules limits slices answers definitions"
        " provenance"
    )
    assert parts == [f"r1-{name}" for name in names.split()]
    text = page.text
    assert text.index(made_run().summary.headline) < text.index("ESTIMATED") < text.index("Results")


def test_a_plugin_metric_without_description_is_still_shown(made_run: MakeRun) -> None:
    run = made_run(pairs=1)
    pair = run.summary.pairs[0]
    extra = {**pair.metrics, "tokens_of_mine": Estimate(value=12.5, unit="1/s", n=3)}
    pair = msgspec.structs.replace(pair, metrics=extra)
    summary = msgspec.structs.replace(run.summary, pairs=(pair,))
    page = Page(render_report([msgspec.structs.replace(run, summary=summary)]))
    assert "tokens_of_mine" in page.text
    assert "12.5 1/s" in page.text


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "</pre><img src=x onerror=alert(1)>",
        '" onfocus="alert(1)',
        "\0\x1b[2J",
    ],
)
def test_what_a_model_says_is_text(made_run: MakeRun, evil: str) -> None:
    run = made_run(items=6, text=evil)
    run.requests["item_id"] = [f"{evil}{name}" for name in run.requests["item_id"]]
    run.requests["error"] = [evil] * len(run.requests["error"])
    run.power["domain"] = [evil] * len(run.power["domain"])
    first = msgspec.structs.replace(run.summary.pairs[0].identity, label=evil)
    pairs = (msgspec.structs.replace(run.summary.pairs[0], identity=first), *run.summary.pairs[1:])
    summary = msgspec.structs.replace(run.summary, pairs=pairs, headline=evil, energy_line=evil)
    html = render_report([msgspec.structs.replace(run, summary=summary)])
    page = Page(html)
    assert len([a for a in page.all("script") if "type" not in a]) == 1
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "".join(evil.split()).replace("\0", "\ufffd").replace("\x1b", "\ufffd") in "".join(
        page.text.split()
    )


def test_embedded_data_is_json_and_cannot_end_its_element(made_run: MakeRun) -> None:
    run = made_run(items=6)
    run.power["source"] = ["</script><b>&"] * len(run.power["source"])
    html = render_report([run])
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert len(blocks) == 1
    series = json.loads(blocks[0])
    assert series[0]["source"] == "</script><b>&"
    assert len(series[0]["start_s"]) == len(series[0]["mean_w"])


def test_the_same_runs_give_the_same_bytes(run: ReportRun) -> None:
    assert render_report([run]) == render_report([run])


def test_a_typical_run_stays_below_a_megabyte_and_a_long_one_below_three(made_run: MakeRun) -> None:
    assert len(render_report([made_run(items=400)]).encode()) < 1_000_000
    assert len(render_report([made_run(items=4000, text="word " * 300)]).encode()) < 3_000_000


def test_failures_are_all_shown_among_the_answers(made_run: MakeRun) -> None:
    run = made_run(fail_every=8, items=96)
    failed = {
        item
        for item, status in zip(run.requests["item_id"], run.requests["status"], strict=True)
        if status == "error"
    }
    page = Page(render_report([run]))
    answers = page.text[page.text.index("with all 24 that failed") :]
    assert all(item in answers for item in failed)
    assert "timeout: no chunk for 120 s" in answers


def test_estimated_energy_cannot_be_missed(made_run: MakeRun) -> None:
    badges = {
        grade: Page(render_report([made_run(pairs=1, items=4, grade=grade)])).text
        for grade in ("B", "D", None)
    }
    assert "Energy is ESTIMATED, not measured: grade D" in badges["D"]
    assert "Energy measured: grade B, energy counter" in badges["B"]
    assert "Energy not measured" in badges[None]
    assert "ESTIMATED" not in badges["B"]


def test_energy_of_some_pairs_is_not_said_to_be_of_all(made_run: MakeRun) -> None:
    run = made_run(pairs=2)
    first, second = run.summary.pairs
    assert "Energy is ESTIMATED, not measured: grade D" in render_report([run])
    half = (first, msgspec.structs.replace(second, ledger=None))
    summary = msgspec.structs.replace(run.summary, pairs=half)
    html = render_report([msgspec.structs.replace(run, summary=summary)])
    assert "Energy is ESTIMATED for 1 of 2 pairs, not measured: grade D" in html


def test_joules_that_do_not_add_up_are_called_out(made_run: MakeRun) -> None:
    run = made_run(pairs=1, items=4)
    ledger = run.summary.pairs[0].ledger
    assert ledger is not None
    assert abs(residual_j(ledger)) < 1e-9
    assert "The parts sum to the whole" in Page(render_report([run])).text
    lossy = msgspec.structs.replace(ledger, device_j=ledger.device_j + 1.0)
    pair = msgspec.structs.replace(run.summary.pairs[0], ledger=lossy)
    summary = msgspec.structs.replace(run.summary, pairs=(pair,))
    text = Page(render_report([msgspec.structs.replace(run, summary=summary)])).text
    assert "The parts do not sum to the whole: 1 J is left over." in text


def test_no_path_of_the_machine_is_passed_on(made_run: MakeRun) -> None:
    run = made_run(items=4)
    spec = {**run.summary.spec, "workload": "/home/someone/private/items.jsonl"}
    summary = msgspec.structs.replace(run.summary, spec=spec)
    html = render_report([msgspec.structs.replace(run, summary=summary)])
    assert "/home/" not in html
    assert "items.jsonl" in html


def test_the_command_makes_the_run_again() -> None:
    spec = {
        "model": ["a", "b c"],
        "limit": 8,
        "rounds": 1,
        "out": "/x",
        "sensors": ["auto"],
        "top_k": None,
    }
    assert command(spec) == "perwatt run --model a --model 'b c' --limit 8"


def test_written_whole_or_not_at_all(
    made_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made_run(pairs=1, items=2)
    path = tmp_path / "report.html"
    write_report([run], path)
    assert path.read_text(encoding="utf-8") == render_report([run])
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileError, match=r"missing.*-o"):
        write_report([run], tmp_path / "missing" / "report.html")
    with pytest.raises(FileError, match="-o"):
        write_report([run], path / "report.html")
    with pytest.raises(DiskFullError, match="full"):
        _write_to_full_disk(run, path, monkeypatch)
    assert path.read_text(encoding="utf-8") == render_report([run])


def _write_to_full_disk(run: ReportRun, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_room)
    write_report([run], path)


def test_no_runs_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        render_report([])


def test_an_interval_is_shown_in_the_prefix_of_its_value() -> None:
    assert interval(Estimate(value=0.0123, low=0.009, high=1.5, unit="J")) == "[9, 1500]"
    assert interval(Estimate(value=0.0, low=0.0, high=0.5, unit="J")) == "[0, 0.5]"
    assert interval(Estimate(value=3.0, unit="J")) == ""
    assert spoken(Estimate(value=None, reason="no sensor")) == "missing: no sensor"


def test_a_number_below_0_has_a_minus_sign() -> None:
    change = Estimate(value=-0.071, low=-0.141, high=0.02, unit="share")
    assert (cell(change).value, cell(change).interval) == ("−7.1%", "[−14.1, 2.0]")
    assert cell(Estimate(value=-2.5, low=-3.0, high=-0.5, unit="J")).interval == "[−3, −0.5]"


def test_a_run_that_nobody_scored_says_so_and_shows_no_empty_figure(made_run: MakeRun) -> None:
    run = made_run(pairs=1, items=6)
    none = Estimate(value=None, unit="share", reason=UNSCORED)
    names = ("accuracy", "ipj", "ipw", "j_per_correct")
    pair = run.summary.pairs[0]
    slices = {
        by: {label: {**found, "accuracy": none} for label, found in labels.items()}
        for by, labels in pair.slices.items()
    }
    metrics = {**pair.metrics, **dict.fromkeys(names, none)}
    pair = msgspec.structs.replace(pair, metrics=metrics, slices=slices)
    summary = msgspec.structs.replace(run.summary, pairs=(pair,))
    html = render_report([msgspec.structs.replace(run, summary=summary)])
    parts = [str(a["id"]) for a in Page(html).all("section") if "part" in str(a.get("class"))]
    assert {"r1-tradeoff", "r1-slices"}.isdisjoint(parts)
    assert html.count('<span class="value">not scored</span>') == len(names)


def test_many_in_flight_are_drawn_as_a_number(made_run: MakeRun) -> None:
    few = render_report([made_run(pairs=1, items=90, in_flight=8)])
    many = render_report([made_run(pairs=1, items=90, in_flight=90)])
    assert ">requests in flight<" not in few
    assert ">requests in flight<" in many


def test_an_item_asked_many_times_leaves_room_for_others(made_run: MakeRun) -> None:
    run = made_run(pairs=1, items=96, fail_every=32)
    run.requests["item_id"] = [f"item-{n % 24}" for n in range(96)]
    page = Page(render_report([run]))
    answers = page.text[page.text.index("with all 3 that failed") :]
    # Three failures and three answers of one item; of the others three each.
    assert sum(f"item-{n} " in answers for n in range(24)) >= 15
    assert answers.count("no chunk for 120 s") == 3
