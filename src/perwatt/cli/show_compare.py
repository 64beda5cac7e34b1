"""A comparison of two runs in a terminal, in a pull request, and as JUnit test cases."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.text import Text

from perwatt.cli.show_blocks import Head, blocks
from perwatt.core.estimate import Estimate
from perwatt.core.units import format_value
from perwatt.metrics.paired_metrics import PairedMetric
from perwatt.study.compare import RunComparison, SideSummary

__all__ = ["junit_xml", "markdown_text", "print_comparison"]

HEADS = ("metric", "A", "B", "B / A", "B − A", "effect", "p, Holm")
_UNIT = re.compile(r"(?: \S+|%)$")
_STYLES = {"pass": "green", "fail": "bold red", "undecided": "yellow", "unjudged": "bold yellow"}
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def print_comparison(found: RunComparison, console: Console) -> None:
    """Headline, who is compared, table, caveats, gates."""
    console.print(found.headline, style="bold")
    console.print()
    for letter, side in (("A", found.a), ("B", found.b)):
        console.print(f"{letter}: {_side(side)}")
    heads = [Head(title=head, words=not number) for number, head in enumerate(HEADS)]
    for table in blocks(heads, [_lines(metric) for metric in found.metrics], 1, console.width):
        console.print(table)
    console.print(_legend(found), style="dim")
    for reason, names in _missing(found).items():
        console.print(f"• {', '.join(names)}: {reason}.")
    for metric in found.metrics:
        if metric.items_needed is not None:
            console.print(
                f"• {metric.title}: undecided; about {metric.items_needed:,} items would decide it,"
                " were the difference seen the true one."
            )
    for caveat in found.caveats:
        mend = f" {caveat.mend}" if caveat.mend else ""
        console.print(f"[{caveat.code}] {caveat.sentence}{mend}", style="yellow")
    for result in found.gates:
        console.print(f"{result.outcome}: {result.sentence}", style=_STYLES[result.outcome])


def _lines(metric: PairedMetric) -> list[Text]:
    """The row's cells, each with its interval on a line of its own."""
    title, *cells = _row(metric)
    style = "bold" if metric.decided else ""
    split = (cell.replace(" [", "\n[") for cell in cells)
    return [Text(title), *(Text(c, style="dim" if c == "–" else style) for c in split)]


def markdown_text(found: RunComparison) -> str:
    """A headline, a table and what to know, as GitHub and GitLab render them."""
    lines = [f"**{_escaped(found.headline)}**", ""]
    for letter, side in (("A", found.a), ("B", found.b)):
        lines.append(f"- {letter}: {_escaped(_side(side))}")
    lines += ["", _cells(HEADS), _cells(["---", *["---:"] * (len(HEADS) - 1)])]
    for metric in found.metrics:
        title, *cells = (_escaped(cell) for cell in _row(metric))
        lines.append(_cells([title, *(f"**{c}**" if metric.decided else c for c in cells)]))
    lines += ["", _escaped(_legend(found)), ""]
    for reason, names in _missing(found).items():
        lines.append(f"- {', '.join(names)}: {_escaped(reason)}.")
    lines += [f"- `{caveat.code}` {_escaped(caveat.sentence)}" for caveat in found.caveats]
    if found.gates:
        lines += ["", _cells(["condition", "outcome", "what was seen"]), _cells(["---"] * 3)]
        for result in found.gates:
            words = (f"`{result.gate}`", f"**{result.outcome}**", _escaped(result.sentence))
            lines.append(_cells(words))
    return "\n".join(lines)


def junit_xml(found: RunComparison, undecided: str | None) -> bytes:
    """One test case for each gate: what fails is a `failure`, what has nothing to judge by an
    `error`, what is undecided `skipped`. `undecided`: these two are as it says, `pass` (skipped) or
    `fail`."""
    kind_of = {"pass": None, "fail": "failure", "undecided": "skipped", "unjudged": "error"}
    if undecided is not None:
        kind_of["undecided"] = kind_of["unjudged"] = _KINDS[undecided]
    kinds = [kind_of[result.outcome] for result in found.gates]
    suite = ET.Element(
        "testsuite",
        name="perwatt compare",
        tests=str(len(kinds)),
        failures=str(kinds.count("failure")),
        skipped=str(kinds.count("skipped")),
        errors=str(kinds.count("error")),
    )
    for result, kind in zip(found.gates, kinds, strict=True):
        names = _xml(f"{found.b.name} against {found.a.name}")
        case = ET.SubElement(suite, "testcase", name=_xml(result.gate.strip()), classname=names)
        if kind is not None:
            ET.SubElement(case, kind, message=_xml(result.sentence))
        ET.SubElement(case, "system-out").text = _xml(f"{result.sentence}\n{found.headline}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


_KINDS = {"pass": "skipped", "fail": "failure"}


def _xml(text: str) -> str:
    """Without the control characters that XML has no way to write."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _side(side: SideSummary) -> str:
    joules = f"{side.boundary}, grade {side.grade}" if side.grade else "no joules"
    failed = f", {side.failed} failed" if side.failed else ""
    return (
        f"{side.label} in {side.directory}, on {side.device or 'an unknown device'}, {side.load},"
        f" {side.workload} ({side.items} items{failed}), {joules}"
    )


def _row(metric: PairedMetric) -> list[str]:
    gap = metric.difference
    difference = _points(gap) if metric.unit == "share" else _words(gap, signed=True)
    return [
        metric.title,
        _words(metric.a),
        _words(metric.b),
        _times(metric.ratio),
        difference,
        _effect(metric),
        "–" if metric.p_adjusted is None else f"{metric.p_adjusted:.2g}",
    ]


def _effect(metric: PairedMetric) -> str:
    name, size = ("h", metric.h) if metric.h.value is not None else ("dz", metric.dz)
    return "–" if size.value is None else f"{name} {size.value:+.2f}".replace("-", "−")


def _legend(found: RunComparison) -> str:
    apart = any(caveat.code == "sensors" for caveat in found.caveats)
    sensor = " Each side's sensor has its own error in the ratio of joules." if apart else ""
    return (
        f"95% intervals, paired over {found.items} common items ({found.clusters} independent)."
        " Bold: decided, p ≤ 0.05 after Holm's correction. A to D: the"
        " joules' grade. h: Cohen's, of shares; dz: mean"
        f" difference over its standard deviation.{sensor}"
    )


def _missing(found: RunComparison) -> dict[str, list[str]]:
    """Titles of what could not be compared, by reason."""
    reasons: dict[str, list[str]] = {}
    for metric in found.metrics:
        if metric.ratio.value is None and metric.difference.value is None:
            reasons.setdefault(metric.ratio.reason or "unknown", []).append(metric.title)
    return reasons


def _words(estimate: Estimate, *, signed: bool = False) -> str:
    if estimate.value is None:
        return "–"
    text = _number(estimate.value, estimate.unit, signed=signed)
    if estimate.low is not None and estimate.high is not None:
        both = (estimate.low, estimate.high)
        low, high = (_number(end, estimate.unit, signed=signed) for end in both)
        unit = _UNIT.search(text)
        if unit and low.endswith(unit[0]) and high.endswith(unit[0]):
            # Said once: 1.98 J [1.93, 2.03].
            low, high = low.removesuffix(unit[0]), high.removesuffix(unit[0])
        text += f" [{low}, {high}]"
    return text if estimate.grade is None or signed else f"{text} {estimate.grade}"


def _number(value: float, unit: str, *, signed: bool) -> str:
    text = format_value(value, unit)
    return (f"+{text}" if signed and value > 0 else text).replace("-", "−")


def _points(gap: Estimate) -> str:
    """Of a difference of shares: −7.1 pt [−14.2, −0.1]."""
    return _spanned(gap, "+.1f", " pt", scale=100)


def _times(ratio: Estimate) -> str:
    """0.797× [0.625, 1.001]: a digit more where one of them is near 1, which side of it is seen."""
    known = [value for value in (ratio.value, ratio.low, ratio.high) if value is not None]
    near = any(0.9 < value < 1.1 for value in known) and max(known) < 10
    return _spanned(ratio, ".3f" if near else ".3g", "×")


def _spanned(estimate: Estimate, form: str, unit: str, *, scale: float = 1) -> str:
    if estimate.value is None:
        return "–"
    text = f"{estimate.value * scale:{form}}{unit}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{estimate.low * scale:{form}}, {estimate.high * scale:{form}}]"
    return text.replace("-", "−")


def _cells(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text that no Markdown reads as its own, and that stays in its cell."""
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text
