"""What every page is made with: one style, one script, and nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from perwatt import __version__
from perwatt.report.format import GRADES, Cell

__all__ = ["asset", "render_page", "script_hash"]


def render_page(template: str, **data: Any) -> str:
    """`template` of the templates folder. The same data give the same text."""
    script = asset("report.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **data,
            version=__version__,
            style=Markup(asset("report.css")),
            script=Markup(script),
            # Only this script may run, so that an answer that smuggled one in would still be inert.
            script_hash=script_hash(script),
        )
    )


def asset(name: str) -> str:
    """A file of the templates folder. Raises FileNotFoundError."""
    return files("perwatt.report").joinpath("templates", name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """For a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("perwatt.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    environment.globals["grade_words"] = GRADES
    environment.tests["cell"] = lambda value: isinstance(value, Cell)
    return environment


def _code(words: str) -> Markup:
    """`commands` in backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))
