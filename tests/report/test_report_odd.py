"""Runs that are not as one expects: many pairs, long and foreign names, figures of others alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import Published
from perwatt.report.build import ReportRun, render_report
from perwatt.report.charts.svg import shortened, width_of
from perwatt.report.leaders import DRAWN, leaders, leaders_note
from perwatt.report.load import load_run
from perwatt.report.view import view_of
from perwatt.store.published import write_published

MakeRun = Callable[..., ReportRun]
LONG = "an-organisation/A-Model-Of-A-Very-Long-Name-70B-Instruct-v0.3-AWQ on 8 × an accelerator" * 2
FOREIGN = ("模型名称很长的中文模型·量化四位", "نموذج لغوي كبير", "Модель <b>&amp;</b> größer")


class Words(HTMLParser):
    """The text of the page outside of style and script; raises where tags do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_forty_pairs_are_a_row_each_and_stay_small(made_run: MakeRun) -> None:
    run = made_run(pairs=40, items=12, grade="B")
    html = render_report([run])
    text = Words(html).text
    assert len(html.encode()) < 3_000_000
    assert all(pair.identity.label in text for pair in run.summary.pairs)
    head = html[html.index('id="r1-results"') :]
    assert head[: head.index("</thead>")].count("<th ") <= 6
    assert "Shown are 12 of 39 comparisons of two pairs" in text
    assert f"Drawn are the {DRAWN} pairs with the most right answers per joule, of 40" in text
    assert "34 more pairs have no waterfall" in text
    assert html.count('class="front"') <= 2  # once for a desk, once for a phone


def test_the_pairs_that_lead_are_drawn_in_their_own_order(made_run: MakeRun) -> None:
    view = view_of(made_run(pairs=12, items=6, grade="B"), "r1")
    best = leaders(view, 3)
    values = [pair.metrics["ipj"].value or 0.0 for pair in view.pairs]
    assert best == sorted(best)
    assert min(values[n] for n in best) >= max(v for n, v in enumerate(values) if n not in best)
    assert leaders(view, 12) == list(range(12))
    assert leaders_note(view, 12) == ""
    unknown = view_of(made_run(pairs=12, items=6, grade=None), "r1")
    assert "the most right answers, of 12" in leaders_note(unknown, 3)


@pytest.mark.parametrize("names", [(LONG, LONG + " 2"), FOREIGN[:2], FOREIGN[1:]])
def test_long_and_foreign_names_stay_inside_their_figures(
    made_run: MakeRun, names: tuple[str, str]
) -> None:
    run = made_run(grade="B", items=24)
    pairs = tuple(
        msgspec.structs.replace(pair, identity=msgspec.structs.replace(pair.identity, label=name))
        for pair, name in zip(run.summary.pairs, names, strict=True)
    )
    run.requests["item_id"] = [f"{names[1]}-{name}" for name in run.requests["item_id"]]
    html = render_report(
        [msgspec.structs.replace(run, summary=msgspec.structs.replace(run.summary, pairs=pairs))]
    )
    text = Words(html).text
    assert all(" ".join(name.split()) in text for name in names)
    for svg in re.findall(r"<svg viewBox.*?</svg>", html, re.DOTALL):
        width = float(svg.split('viewBox="0 0 ')[1].split()[0])
        # What a figure draws lies within it: no scale was turned round by a long name.
        places = [float(x) for x in re.findall(r' (?:x|cx)="(-?[\d.]+)"', svg)]
        assert all(-1 <= x <= width + 1 for x in places)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.floats(20, 400), st.booleans())
def test_shortened_words_fit_and_keep_both_ends(words: str, room: float, strong: bool) -> None:
    short = shortened(words, room, strong=strong)
    assert width_of(short, strong=strong) <= max(room, width_of("…", strong=strong))
    if short != words:
        head, tail = short.split("…", 1) if words.count("…") == 0 else ("", "")
        assert words.startswith(head)
        assert words.endswith(tail)


def figures(pair: str) -> list[Published]:
    return [
        Published(
            pair_id=pair,
            workload="chat",
            load=f"closed:{n}",
            metric=f"sheet.{metric}",
            estimate=Estimate(value=value + n, unit=unit, grade="B", boundary="accelerator"),
            source=f"sheet.csv, line {n}",
        )
        for n in range(1, 4)
        for metric, value, unit in (("j_per_token", 0.5, "J"), ("tok_per_s", 100.0, "tok/s"))
    ]


def unasked(folder: Path, found: list[Published]) -> ReportRun:
    """A run of published figures and not one request."""
    asked = [Answered(pair="m", item="i", score=1.0, energy_j=None)]
    write_published(write_run_directory(folder, asked), found)
    return msgspec.structs.replace(load_run(folder), requests={}, power={})


def test_figures_of_others_alone_make_a_page_without_empty_parts(tmp_path: Path) -> None:
    run = unasked(tmp_path / "run", figures("m@8xh100"))
    html = render_report([run])
    text = Words(html).text
    assert "6 figures of 1 pair, read from sheet: perwatt asked nothing" in text
    assert "Energy as published: grade B at worst, energy counter" in text
    assert "All 3 configurations" in text
    assert "2.5 J" in text and "103 tok/s" in text
    parts = re.findall(r'<section id="r1-(\w+)" class="part"', html)
    assert parts[0] == "published"
    assert {"power", "joules", "latency", "results"}.isdisjoint(parts)


def test_published_figures_are_bounded_and_say_so(tmp_path: Path) -> None:
    found = [
        msgspec.structs.replace(figure, pair_id=f"m{n}", source=f"{n}, {figure.source}")
        for n in range(80)
        for figure in figures("m")
    ]
    text = Words(render_report([unasked(tmp_path / "run", found)])).text
    assert "The first 200 of 240 configurations" in text


def test_a_run_directory_is_read_with_its_phases_and_figures(tmp_path: Path) -> None:
    answers = [Answered(pair="m", item=f"i{n}", score=1.0, energy_j=2.0) for n in range(6)]
    folder = write_run_directory(tmp_path / "run", answers)
    write_published(folder, figures("m"))
    run = load_run(folder)
    assert run.directory == "run"
    assert len(run.published) == 6
    parts = re.findall(r'<section id="r1-(\w+)" class="part"', render_report([run]))
    assert {"published", "results", "joules"} <= set(parts)


def test_a_page_of_all_of_them_is_one_page(made_run: MakeRun, tmp_path: Path) -> None:
    imported = unasked(tmp_path / "imported", figures("m"))
    runs = [made_run(), made_run(pairs=1, grade=None), made_run(pairs=1, items=1), imported]
    html = render_report(runs)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert "4 runs" in Words(html).text
