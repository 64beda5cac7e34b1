"""Every metric's own definition."""

from __future__ import annotations

from perwatt.report.format import GRADES
from perwatt.report.view import Section, View

__all__ = ["definitions"]


def definitions(view: View) -> Section | None:
    if not view.summary.metrics:
        return None
    return Section(
        name="definitions",
        title="Definitions",
        template="definitions.html",
        data={"infos": view.summary.metrics, "grades": list(GRADES.items())},
    )
