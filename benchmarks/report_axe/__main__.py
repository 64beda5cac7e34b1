"""Accessibility of the report by axe-core in headless Chromium, with the network off.

    python -m benchmarks.report_axe [--axe axe.min.js] [DIR …]

Pages of one run, of several, of runs you name, of a study of them, and those that `perwatt report
--serve` shows are opened at a desk's and a phone's width, light
and dark, folded and with all that is folded opened. Printed is each rule that axe found broken,
with its impact and how many places; 0 serious or critical ones is what is promised. In the copies
that are checked, and there alone, the content security policy is taken out, for it would stop axe
too. axe-core comes by npm into a folder that is thrown away, in the version of package.json.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report_runs import report_run
from perwatt.report.build import render_report
from perwatt.report.load import load_run
from perwatt.report.served_pages import request_page, requests_page, runs_page
from perwatt.report.served_requests import choices_of, find_requests, one_request, wanted
from perwatt.report.served_runs import Library
from perwatt.report.study_page import render_study
from perwatt.study.study import open_study
from perwatt.study.summary import summarise_study

BAD = {"serious", "critical"}
VIEWS = (
    ("desk", 1280, False, False),
    ("desk, dark", 1280, True, False),
    ("desk, opened", 1280, False, True),
    ("phone", 390, False, False),
    ("phone, dark, opened", 390, True, True),
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--hide-scrollbars", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND"
OPEN = "for (const part of document.querySelectorAll('details')) part.open = true;"
RUN = """
axe.run(document, {resultTypes: ['violations', 'incomplete']}).then((found) => {
  const told = {
    passes: found.passes.length,
    width: innerWidth,
    wider: document.documentElement.scrollWidth - innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    violations: found.violations.map((v) => ({
      id: v.id, impact: v.impact, help: v.help,
      nodes: v.nodes.map((n) => n.html.slice(0, 160)),
    })),
  };
  parent.postMessage(JSON.stringify(told), '*');
});
"""
# A headless window is at least 500 px wide; a frame is as narrow as a phone.
FRAME = """<!doctype html><meta charset="utf-8"><style>body{{margin:0}}iframe{{border:0}}</style>
<script>addEventListener('message', (event) => {{
  const out = document.createElement('pre');
  out.id = 'axe-found';
  out.textContent = event.data;
  document.body.append(out);
}});</script><iframe src="page.html" width="{width}" height="2000"></iframe>
"""


def axe_source(folder: Path) -> str | None:
    """axe.min.js of the version in package.json; None where npm cannot give it."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    shutil.copy(Path(__file__).with_name("package.json"), folder)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    if subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode:
        return None
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def checked(
    chromium: str, page: str, axe: str, view: tuple[str, int, bool, bool]
) -> dict[str, Any]:
    """What axe says of one page in one view. Raises RuntimeError where it said nothing."""
    name, width, dark, opened = view
    open_csp = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    script = f"<script>{axe}</script><script>{OPEN if opened else ''}{RUN}</script>"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(open_csp.replace("</body>", script + "</body>"), encoding="utf-8")
        frame = Path(folder) / "frame.html"
        frame.write_text(FRAME.format(width=width), encoding="utf-8")
        command = [
            chromium, *QUIET, OFFLINE, f"--user-data-dir={folder}/profile",
            "--window-size=1400,2000", f"--blink-settings=preferredColorScheme={int(not dark)}",
            "--virtual-time-budget=60000", "--dump-dom", frame.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, timeout=280)
    dom = done.stdout.decode(errors="replace")
    found = re.search(r'<pre id="axe-found">(.*?)</pre>', dom, re.DOTALL)
    if found is None:
        msg = (
            f"axe gave no answer in the view {name}: {done.stderr.decode(errors='replace')[-300:]}"
        )
        raise RuntimeError(msg)
    text = found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    told: dict[str, Any] = json.loads(text)
    if told["width"] != width:
        msg = f"Chromium gave the page {told['width']} px and not {width}."
        raise RuntimeError(msg)
    if told["dark"] != dark:
        msg = f"Chromium did not show the page {'dark' if dark else 'light'}."
        raise RuntimeError(msg)
    return told


def pages(folder: Path, directories: list[Path]) -> dict[str, str]:
    """Each page by its name: the report, the study, and what is served over both."""
    two = report_run(folder / "runs" / "two-pairs", pairs=2, items=60, words=30)
    one = report_run(folder / "runs" / "one-pair", pairs=1, items=60, words=30, seed=2)
    found = {"one run": render_report([one]), "several runs": render_report([two, one])}
    for directory in directories:
        found[directory.name] = render_report([load_run(directory)])
    with open_study([folder / "runs", *directories]) as study:
        found["study"] = render_study(summarise_study(study))
    library = Library([folder / "runs", *directories])
    runs = library.runs()
    listed = {run.id: library.pairs(run) for run in runs}
    found["list"] = runs_page(runs, listed, {}, shown=runs)
    run = next(run for run in runs if run.id == "two-pairs")
    asked = wanted({})
    rows = find_requests(run.path, asked)
    found["requests"] = requests_page(run, rows, asked, choices_of(run.path))
    request = one_request(run.path, rows.rows[0]["request_id"])
    assert request is not None, "it was listed just now"
    found["request"] = request_page(run, request)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--axe", type=Path, help="axe.min.js that is already here")
    told = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Not checked: there is no chromium here.")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        axe = told.axe.read_text(encoding="utf-8") if told.axe else axe_source(Path(folder))
        if axe is None:
            print("Not checked: npm is absent or could not bring axe-core; --axe names a file.")
            return 0
        print(f"{'page':<14}{'view':<22}{'rules passed':>13}{'serious':>9}{'lesser':>8}")
        for name, page in pages(Path(folder), told.directories).items():
            for view in VIEWS:
                result = checked(chromium, page, axe, view)
                broken = result["violations"]
                grave = [each for each in broken if each["impact"] in BAD]
                bad += len(grave)
                lesser = len(broken) - len(grave)
                print(f"{name:<14}{view[0]:<22}{result['passes']:>13}{len(grave):>9}{lesser:>8}")
                if result["wider"] > 0:
                    bad += 1
                    print(f"    the page is {result['wider']} px wider than the window")
                for each in broken:
                    print(f"    {each['impact']}: {each['id']}, {len(each['nodes'])} places:")
                    print(f"      {each['help']}, as in {each['nodes'][0]}")
                sys.stdout.flush()
    print(f"{bad} serious or critical findings, or pages wider than their window.")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
