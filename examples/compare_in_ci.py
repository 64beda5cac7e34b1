"""Did this change cost accuracy or joules? A build asks so, and fails only where that is sure.

Here the "change" is a smaller precision. In a build the same is one command, with the main branch's
run kept as an artifact:

    perwatt compare runs/main runs/branch --fail-if 'ipj < -5%' --fail-if 'accuracy < -2pt'

Takes about half a minute on two cores. Needs: pip install 'perwatt[local]'
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import perwatt
from perwatt.study.compare import compare_sides
from perwatt.study.compare_sides import open_sides
from perwatt.study.gates import parse_gate

GATES = ("ipj < -5%", "accuracy < -10pt", "ttft > 0.5s")

with tempfile.TemporaryDirectory() as folder:
    main, branch = Path(folder, "main"), Path(folder, "branch")
    perwatt.run(model=["smollm2-135m"], limit=12, idle_s=0.5, out=str(main))
    perwatt.run(model=["smollm2-135m@Q4_0"], limit=12, idle_s=0.5, out=str(branch))
    sides = open_sides(str(main), str(branch))

found = compare_sides(*sides, gates=[parse_gate(text) for text in GATES])
print(found.headline)
for metric in found.metrics:
    print(f"{metric.title:30s} {metric.a} -> {metric.b}")
for caveat in found.caveats:
    print(f"[{caveat.code}] {caveat.sentence}")
for gate in found.gates:
    print(f"{gate.outcome}: {gate.sentence}")
# A build ends here, and does not pass what could not be judged:
# sys.exit(any(gate.outcome in ("fail", "unjudged") for gate in found.gates))
