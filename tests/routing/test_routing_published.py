"""The paper's own routing savings from its own assumptions: what comes out, and what cannot."""

from __future__ import annotations

import pytest

from benchmarks import routing_savings
from benchmarks.routing_published import Cell, column
from benchmarks.routing_savings import calibrated, saved
from perwatt.routing.savings import idealised, simulate
from perwatt.routing.savings_mix import RESOURCES, Mix, Resource

Rows = dict[Resource, dict[float, Cell]]


@pytest.fixture(scope="module")
def printed() -> Rows:
    return {
        r: {float(key[0]): cell for key, cell in saved("Routing", r).items()} for r in RESOURCES
    }


@pytest.fixture(scope="module")
def mix(printed: Rows) -> Mix:
    share = next(iter(column("Routing share", "share").values()))
    return calibrated(printed, share)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("p", [1.0, 0.8])
def test_rows_that_come_out_within_their_rounding(
    printed: Rows, mix: Mix, resource: Resource, p: float
) -> None:
    found = simulate(mix, idealised(p)).saved(resource)
    assert found is not None
    assert printed[resource][p].holds(100 * found)


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_row_that_no_rounding_explains(printed: Rows, resource: Resource) -> None:
    """Printed for 0.6 is more than 0.6 × any number that rounds to the oracle's."""
    cells = printed[resource]
    assert cells[0.6].low > 0.6 * cells[1.0].high


def test_the_share_served_locally_is_a_mean_of_two_totals(mix: Mix) -> None:
    totals = [
        column("Table 4", "coverage", benchmark=b)[("TOTAL",)].value
        for b in ("WildChat", "NaturalReasoning")
    ]
    assert mix.local_right == pytest.approx(sum(totals) / 200)


def test_the_whole_page_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["routing_savings", "--noticed", "1", "--router", "0"])
    routing_savings.main()
    out = capsys.readouterr().out
    assert "6 of 9 within rounding" in out
    # All wrong answers noticed and a router that costs nothing: no answer is lost, no such step.
    assert "wrong local answers not noticed" not in out
    assert "the router's own use" not in out
