"""The same model on a local and on a cloud device, paired on the items that both were asked."""

from __future__ import annotations

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.study.estimates import Factor, log_ratio, mean_of, ratio_of, share_of
from perwatt.study.footing import footing_of
from perwatt.study.item_grid import ItemGrid, item_grid
from perwatt.study.sets import facts_of
from perwatt.study.study import Study

__all__ = ["local_cloud"]

_SIDES = (
    ("accuracy", "accuracy", "Mean score."),
    ("ipw", "IPW", "Mean score over mean watts (gross)."),
    ("ipj", "IPJ", "Mean score over mean joules (gross)."),
    ("seconds", "seconds", "Mean from dispatch to the last chunk."),
)
_COLUMNS = (
    StudyColumn(name="model", title="model"),
    StudyColumn(name="local", title="local pair"),
    StudyColumn(name="cloud", title="cloud pair"),
    StudyColumn(name="like", title="else alike", what="`yes`, or what differs beside the device."),
    StudyColumn(name="items", title="items", what="Asked of both."),
    *(
        StudyColumn(name=f"{name}_{side}", title=f"{title}, {side}", what=what)
        for name, title, what in _SIDES
        for side in ("local", "cloud")
    ),
    *(
        StudyColumn(
            name=f"{name}_ratio", title=f"{title}, local / cloud", what="Paired on the items."
        )
        for name, title, _ in _SIDES
    ),
    StudyColumn(
        name="flips",
        title="per watt and per joule",
        what="Do IPW and IPJ favour the same side, where both intervals exclude 1?",
    ),
)


def local_cloud(study: Study) -> StudyTable | None:
    """None where no model was asked on a local and on a cloud device."""
    rows = []
    for model, (local, cloud) in _models(study).items():
        grid = item_grid(study, [[pair] for pair in (*local, *cloud)])
        rows += [
            _row(study, model, grid, (one, at), (other, len(local) + to))
            for at, one in enumerate(local)
            for to, other in enumerate(cloud)
        ]
    if not rows:
        return None
    first = next((row for row in rows if row["like"] == "yes"), rows[0])
    return StudyTable(
        name="local_cloud",
        title="The same model, local and cloud",
        what="A row is a model on a local and on a cloud device (arXiv 2511.07885 Tables 13, 14 "
        "and 18), over the items that both were asked.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=f"{first['model']}, {first['local']} against {first['cloud']}: per watt "
        f"{first['ipw_ratio']}, per joule {first['ipj_ratio']} ({first['flips']}).",
        notes=(
            "IPW leaves out how long an answer takes, and so favours slow devices of little power; "
            "IPJ counts it. The two may favour opposite sides: read both.",
            "Where a device stands, local or cloud, is its catalogue's word; --facts can say "
            "otherwise. Devices that are in neither are left out.",
            "A request that failed scores 0, and its joules and seconds count.",
        ),
    )


def _models(study: Study) -> dict[str, tuple[list[int], list[int]]]:
    """Of each model the pairs on local and on cloud devices, where it has both."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, pair in enumerate(study.pairs):
        device, facts = study.facts.device(pair.device), facts_of(study, pair)
        place = device.place if device is not None else None
        if place is not None:
            sides = found.setdefault(facts.name if facts else pair.model, ([], []))
            sides[place == "cloud"].append(number)
    return {model: sides for model, sides in found.items() if all(sides)}


def _row(
    study: Study, model: str, grid: ItemGrid, local: tuple[int, int], cloud: tuple[int, int]
) -> dict[str, StudyCell]:
    """`local`, `cloud`: a pair of the study and its column in the grid."""
    both = grid.common((local[1], cloud[1]))
    one, other = study.pairs[local[0]], study.pairs[cloud[0]]
    row: dict[str, StudyCell] = {
        "model": model,
        "local": one.label,
        "cloud": other.label,
        "like": _like(one, other),
        "items": int(both.cluster.size),
    }
    footings = [footing_of([one]), footing_of([other])]
    unlike = footing_of([one, other]).why_not
    factors: dict[str, list[Factor]] = {name: [] for name, _, _ in _SIDES}
    for side, at, footing, power in (
        ("local", local[1], footings[0], 1.0),
        ("cloud", cloud[1], footings[1], -1.0),
    ):
        score, joules, watts = both.score[:, at], both.joules[:, at], both.watts[:, at]
        seconds = both.seconds[:, at]
        row[f"accuracy_{side}"] = share_of(score, both.cluster)
        row[f"ipw_{side}"] = ratio_of(score, watts, both.cluster, "1/W", footing)
        row[f"ipj_{side}"] = ratio_of(score, joules, both.cluster, "1/J", footing)
        row[f"seconds_{side}"] = mean_of(seconds, both.cluster, "s", noun="last chunk")
        factors["accuracy"].append(Factor(score, power, "score"))
        factors["ipw"] += [
            Factor(score, power, "score"),
            Factor(watts, -power, "energy", footing),
        ]
        factors["ipj"] += [
            Factor(score, power, "score"),
            Factor(joules, -power, "energy", footing),
        ]
        factors["seconds"].append(Factor(seconds, power, "last chunk"))
    for name, parts in factors.items():
        ratio = log_ratio(parts, both.cluster)
        if unlike and name in ("ipw", "ipj"):
            ratio = Estimate(value=None, n=ratio.n, reason=unlike)
        row[f"{name}_ratio"] = ratio
    row["flips"] = _flips(row["ipw_ratio"], row["ipj_ratio"])
    return row


def _like(one: StudyPair, other: StudyPair) -> str:
    unlike = [
        f"{what}: {mine or 'unknown'} and {theirs or 'unknown'}"
        for what, mine, theirs in (
            ("precision", one.precision, other.precision),
            ("engine", one.engine, other.engine),
            ("load", one.load, other.load),
        )
        if mine != theirs
    ]
    return "; ".join(unlike) or "yes"


def _flips(ipw: StudyCell, ipj: StudyCell) -> str:
    sides = [_side(each) for each in (ipw, ipj)]
    if None in sides:
        return "undecided"
    if sides[0] == sides[1]:
        return f"both favour {sides[0]}"
    return f"flips: per watt {sides[0]}, per joule {sides[1]}"


def _side(ratio: StudyCell) -> str | None:
    if not isinstance(ratio, Estimate) or ratio.low is None or ratio.high is None:
        return None
    return "local" if ratio.low > 1 else "cloud" if ratio.high < 1 else None
