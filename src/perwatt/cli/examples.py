"""One line for each verb that can be typed as it stands: the last of its `--help`."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "demo": "perwatt demo",
    "run": "perwatt run --endpoint http://127.0.0.1:8000/v1 --model my-model --workload gsm8k",
    "resume": "perwatt resume runs/interrupted",
    "plan": "perwatt plan runs/pilot",
    "contamination": "perwatt contamination gsm8k --corpus ./crawl",
    "score": "perwatt score runs/a --scorer judge --judge http://127.0.0.1:8000/v1=qwen3",
    "report": "perwatt report runs/a runs/b -o both.html",
    "study": "perwatt study runs/ -o study.html --csv tables/",
    "compare": "perwatt compare runs/before runs/after --fail-if 'ipj < -5%'",
    "audit": "perwatt audit my-tables.toml",
    "import": "perwatt import results.json -o runs/theirs",
    "export": "perwatt export runs/a --as parquet -o out/",
    "power": "perwatt power --repeat 5 -- ./llama-cli -m model.gguf -p 'Why is the sky blue?'",
    "calibrate": "perwatt calibrate --meter shelly:192.168.1.20",
    "sampler": "perwatt sampler",
    "doctor": "perwatt doctor",
    "serve": "perwatt serve --to http://127.0.0.1:8000/v1",
    "fake-server": "perwatt fake-server",
    "list": "perwatt list scorer",
}
