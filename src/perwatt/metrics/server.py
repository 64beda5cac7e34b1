"""What the server says of its own work, where it says so, over served requests.

Beside ours and never instead of them: the difference is the network, a queue or the client.
"""

from __future__ import annotations

from perwatt.metrics.metric import mean_time, metric
from perwatt.stats.sample import Floats, Sample, ratio

__all__ = [
    "cached_prompt_share",
    "server_decode",
    "server_prefill",
    "server_queue",
    "server_ttft",
]


@metric(
    name="cached_prompt_share",
    title="Prompt tokens read from cache",
    short="Cached",
    unit="share",
    formula="Σ cached prompt tokens / Σ prompt tokens, over requests whose server counts both",
    better="neither",
)
def cached_prompt_share(sample: Sample) -> Floats:
    prompt = sample.sum_present("prompt_tokens")
    return ratio(sample.sum_present("cached_tokens"), prompt, "no prompt had a token")


server_ttft, server_queue, server_prefill, server_decode = (
    mean_time(
        __name__,
        f"server_{what}_s",
        name=f"server_{what}",
        title=f"{title}, as the server says",
        short=f"Server {short}",
        formula=f"mean of the server's own {formula}",
        aliases=aliases,
    )
    for what, title, short, formula, aliases in (
        ("ttft", "Time to first token", "TTFT", "time to first token", ()),
        ("queue", "Time in the queue", "queue", "time before it began to work", ()),
        (
            "prefill",
            "Prefill",
            "prefill",
            "time on the prompt",
            ("prompt_ms (llama.cpp)", "prompt_eval_duration (Ollama)"),
        ),
        (
            "decode",
            "Decode",
            "decode",
            "time on the output",
            ("predicted_ms (llama.cpp)", "eval_duration (Ollama)"),
        ),
    )
)
