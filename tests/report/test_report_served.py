"""The served report: filters, one request, and nothing for whoever asks by another name."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.report import served_runs
from perwatt.report.served import served_app
from perwatt.report.served_around import around
from perwatt.report.served_pages import requests_page
from perwatt.report.served_requests import Wanted, find_requests, one_request
from perwatt.report.served_runs import Library

Get = Callable[..., tuple[int, str]]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    answers = [
        Answered(
            pair=pair,
            item=f"q{n:02}",
            score=float(n % 2),
            energy_j=1.0 + n,
            text=f"<b>said {n}</b>",
            category="Legal" if n < 30 else "Sales",
        )
        for pair in ("small", "large")
        for n in range(60)
    ]
    write_run_directory(tmp_path / "runs" / "one", answers)
    mute = [Answered(pair="mute", item="q01", score=None, energy_j=None)]
    write_run_directory(tmp_path / "runs" / "two", mute, workload="other")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "run.json").write_text("{")
    app = served_app([tmp_path / "runs"])

    def ask(address: str, host: str = "localhost:8765") -> tuple[int, str]:
        return asyncio.run(_ask(app, address, host))

    return ask


async def _ask(app: Any, address: str, host: str) -> tuple[int, str]:
    path, _, query = address.partition("?")
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "server": ("127.0.0.1", 8765),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return int(sent[0]["status"]), body.decode()


def requests(get: Get, query: str = "") -> dict[str, Any]:
    status, text = get(f"/api/run/one/requests?{query}")
    assert status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_list_names_every_run_and_what_is_wrong_with_one(get: Get) -> None:
    status, page = get("/")
    assert status == 200
    assert "3 of 3 runs" in page
    assert "bad" in page
    shown = json.loads(get("/api/runs?workload=known")[1])[0]["pairs"]
    assert {row["pair"]: row["accuracy"]["value"] for row in shown} == {"small": 0.5, "large": 0.5}
    assert all(row["latency"]["value"] == 1.0 for row in shown)
    assert "is damaged" in page
    assert get("/?workload=other")[1].count('<th scope="row">') == 1
    assert "No run fits" in get("/?q=nothing-like-it")[1]


def test_filters_count_what_they_leave(get: Get) -> None:
    assert requests(get)["total"] == 120
    assert requests(get, "pair_id=small&right=right")["total"] == 30
    assert requests(get, "category=Legal&right=wrong")["total"] == 30
    assert requests(get, "q=SAID+7%3C")["total"] == 2
    assert requests(get, "page=9") == {"total": 120, "of": 120, "requests": []}


def test_orders_and_pages(get: Get) -> None:
    dearest = requests(get, "order=energy&pair_id=large")["requests"]
    assert [row["energy_gross_j"] for row in dearest[:3]] == [60.0, 59.0, 58.0]
    assert len(dearest) == 50
    rest = requests(get, "order=energy&pair_id=large&page=2")["requests"]
    assert [row["energy_gross_j"] for row in rest][-1] == 1.0
    assert len(rest) == 10


def test_one_request_shows_its_answer_as_text(get: Get) -> None:
    request_id = requests(get, "pair_id=small&q=q07")["requests"][0]["request_id"]
    status, page = get(f"/run/one/request?id={quote(request_id)}")
    assert status == 200
    assert "&lt;b&gt;said 7&lt;/b&gt;" in page
    assert "<b>said" not in page
    assert "8 J" in page


def test_the_figure_of_a_request_has_all_that_ran_in_its_time(tmp_path: Path) -> None:
    """One a second, each as long: two touch it, and one more on each side is in the picture."""
    answers = [Answered(pair="a", item=f"q{n}", score=1.0, energy_j=1.0) for n in range(9)]
    path = write_run_directory(tmp_path / "one", answers)
    middle = next(row for row in find_requests(path, Wanted()).rows if row["item_id"] == "q4")
    found = one_request(path, middle["request_id"])
    assert found is not None
    assert [row["item_id"] for row in found["beside"]] == ["q3", "q5"]
    assert [row["item_id"] for row in found["around"]] == ["q2", "q3", "q5", "q6"]
    figure = around(found)
    assert figure is not None
    bands = re.findall(r'x="([\d.]+)" y="6" width="([\d.]+)"[^>]*class="band c(\d)"', figure.wide)
    assert [colour for *_, colour in bands] == ["1", "0"]  # others, and this one whole upon them
    (_, others, _), (_, own, _) = bands
    assert float(own) == pytest.approx(float(others) / 3, rel=0.01)
    assert figure.wide.count('class="prefill"') == 5
    assert "seconds since this request was sent" in figure.wide
    assert [words for words, _ in figure.legend] == ["prefill", "decode"]


def test_requests_of_one_item_are_told_apart(tmp_path: Path) -> None:
    answers = [
        Answered(pair="a", item="q", score=1.0, energy_j=1.0, repeat=repeat, stage=stage)
        for stage in (0, 1)
        for repeat in (0, 1)
    ]
    path = write_run_directory(tmp_path / "one", answers)
    run = Library([path]).runs()[0]
    page = requests_page(run, find_requests(path, Wanted()), Wanted(), {})
    assert re.findall(r">(q[^<]*)</a>", page) == [
        "q",
        "q, repeat 2",
        "q, stage 2",
        "q, repeat 2, stage 2",
    ]


def test_the_run_page_is_the_report_with_a_way_on(get: Get) -> None:
    status, page = get("/run/one")
    assert status == 200
    assert 'href="/run/one/requests"' in page
    assert "Where the joules went" in page


def test_several_runs_are_one_study(get: Get) -> None:
    status, page = get("/study")
    assert status == 200
    assert "perwatt study" in page
    assert '<a href="/">' in page
    filtered = get("/study?q=one&workload=known")[1]
    assert '<a href="/?q=one&amp;workload=known">' in filtered


def test_a_directory_of_any_name_can_be_reached_by_its_links(get: Get, tmp_path: Path) -> None:
    name = "50% off #2 ?x"
    (tmp_path / "runs" / "two").rename(tmp_path / "runs" / name)
    home = get("/")[1]
    address = next(part for part in re.findall(r'href="(/run/[^"]+)"', home) if "off" in part)
    assert quote(name, safe="") in address
    for page in (address, address + "/requests"):
        status, text = get(page)
        assert status == 200, page
        onward = re.findall(r'(?:href|action)="(/run/[^"]+)"', text)
        assert onward
        assert all(link.startswith(address) for link in onward), onward


def test_a_page_in_the_making_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Answered(pair="a", item="q", score=1.0, energy_j=1.0)]
    write_run_directory(tmp_path / "one", answers)
    library = Library([tmp_path])
    begun, free = threading.Event(), threading.Event()

    def slow(_: object) -> str:
        begun.set()
        assert free.wait(30)
        return "made"

    monkeypatch.setattr(served_runs, "load_run", lambda path: path)
    monkeypatch.setattr(served_runs, "render_report", slow)
    run = library.runs()[0]
    pages: list[str] = []
    first = threading.Thread(target=lambda: pages.append(library.page(run)))
    first.start()
    assert begun.wait(30)
    listed: list[object] = []
    other = threading.Thread(
        target=lambda: listed.append((library.run("one"), len(library.pairs(run).rows))),
        daemon=True,
    )
    other.start()
    other.join(20)
    free.set()
    first.join(30)
    assert listed == [(run, 1)]
    assert pages == ["made"]


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/run/nowhere", 404, "There is no run"),
        ("/run/bad", 404, "is damaged"),
        ("/run/one/request?id=x", 404, "There is no request"),
        ("/run/one/requests?page=0", 400, "Pages count from 1"),
        ("/run/one/requests?order=size", 400, "Known: sent"),
        ("/run/one/requests?right=maybe", 400, "Known: right"),
        ("/run/..%2f..%2fetc/requests", 404, "There is no page"),
        ("/nothing", 404, "There is no page"),
        ("/api/nothing", 404, '{"error":"There is no page'),
    ],
)
def test_bad_addresses_get_a_sentence(get: Get, address: str, status: int, says: str) -> None:
    found, page = get(address)
    assert found == status
    assert says in page
    assert "Traceback" not in page
    assert "No run fits" not in page


def test_another_host_name_is_refused(get: Get) -> None:
    assert get("/api/runs", host="elsewhere.example")[0] == 400
    assert get("/api/runs", host="127.0.0.1:8765")[0] == 200


def test_a_filter_is_a_value_and_no_sql(get: Get) -> None:
    assert requests(get, f"pair_id={quote(chr(39) + ' OR 1=1 --')}")["total"] == 0


def test_a_table_that_is_none_is_told_and_the_list_goes_on(get: Get, tmp_path: Path) -> None:
    (tmp_path / "runs" / "one" / "requests.parquet").write_bytes(b"PAR1 and no more")
    status, home = get("/")
    assert status == 200
    assert "requests.parquet" in home
    assert "published figures" not in home
    for page in ("run/one", "run/one/requests", "run/one/request?id=x", "api/run/one/requests"):
        status, text = get(f"/{page}")
        assert status == 400, page
        assert "perwatt score" in text
