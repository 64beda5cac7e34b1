"""Which precision of one model does the most correct work per joule on this machine?

Takes about half a minute on two cores. Needs: pip install 'perwatt[local]'
"""

from __future__ import annotations

import tempfile

import perwatt

with tempfile.TemporaryDirectory() as folder:
    summary = perwatt.run(
        model=["smollm2-135m", "smollm2-135m@Q4_0"], limit=12, idle_s=0.5, out=f"{folder}/run"
    )

print(summary.energy_line)
print(summary.headline)
for pair in summary.pairs:
    ipj = pair.metrics["ipj"]
    print(f"{pair.identity.label:24s} accuracy {pair.metrics['accuracy']}, per joule {ipj}")
