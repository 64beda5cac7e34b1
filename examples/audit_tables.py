"""Do a paper's tables hold? Write down what it prints, and have everything recomputed.

Two models on two devices, made up: one IPW has slipped, and the text quotes a ratio that leans on
it. Nothing is asked of any model and nothing has to be installed. `perwatt audit FILE.toml` does
the same from a terminal; without a file it audits the study that perwatt builds on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from perwatt.audit.engine import audit_publication
from perwatt.audit.load import load_files

TABLES = """
[source]
id = "made up"

[[tables]]
id = "Table 1"
where = "Table 1"
keys = ["model", "device"]
columns = [
  { name = "accuracy", role = "accuracy", unit = "%" },
  { name = "power", role = "power_w", unit = "W" },
  { name = "time", role = "seconds", unit = "s" },
  { name = "IPW", role = "ipw", unit = "1e-3/W" },
  { name = "IPJ", role = "ipj", unit = "1e-5/J" },
]
rows = [
  ["small", "laptop", 48.0, 30.0, 4.0, 16.0, 400],
  ["large", "laptop", 66.0, 44.0, 9.5, 15.0, 158],
  ["small", "server", 48.0, 240, 0.8, 2.00, 250],
  ["large", "server", 66.0, 310, 1.9, 1.23, 112],
]

[[claims]]
id = "laptop against server"
kind = "ratio"
where = "abstract"
says = "a laptop has 8.0–12.2x the intelligence per watt of a server"
printed = "8.0–12.2"
of = { table = "Table 1", column = "IPW", device = "laptop" }
to = { table = "Table 1", column = "IPW", device = "server" }
across = ["device"]
"""

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "tables.toml")
    path.write_text(TABLES, encoding="utf-8")
    (publication,) = load_files([path])

report = audit_publication(publication)
for finding in report.findings:
    print(f"{finding.severity}: {finding.sentence}")
    print(f"    {finding.tolerance}; consistent would be {finding.consistent}")
    for claim in finding.leaning:
        print(f"    used for: {claim}")
print(f"{report.held} of {report.checks} recomputations hold.")
