"""`synthetic:prompt=300,output=150,n=200`: prompts of chosen lengths, unscored."""

from __future__ import annotations

from random import Random

from perwatt.core.records import Item, Message, Workload
from perwatt.workloads.hashing import workload_sha256
from perwatt.workloads.lengths import parse_lengths
from perwatt.workloads.options import parse_options, whole
from perwatt.workloads.words import Words

__all__ = ["synthetic"]

VERSION = "1"
"""Of what the options give. Other items from the same options are a new version."""
_KNOWN = ("prompt", "output", "n", "prefix", "turns", "seed")


def synthetic(options: str = "") -> Workload:
    """Items by the `options` after the colon, all with defaults.

    prompt   tokens of each user message: 300, 300±50, uniform:100-500, lognormal:300±200 (256)
    output   most tokens of each answer, the same way (128)
    n        items (100); with a larger n the first ones stay the same
    prefix   tokens that all prompts begin with, besides their own, for a study of caches (0)
    turns    user messages of each item, asked one after the other (1)
    seed     of words and lengths (0); the run's own seed orders them

    Raises SpecError for an option that cannot be read.
    """
    given = parse_options("synthetic", options, _KNOWN)
    prompt = parse_lengths("--workload synthetic: prompt", given.get("prompt", "256"))
    output = parse_lengths("--workload synthetic: output", given.get("output", "128"))
    count = whole("synthetic", given, "n", 100)
    prefix = whole("synthetic", given, "prefix", 0, least=0)
    turns = whole("synthetic", given, "turns", 1)
    seed = whole("synthetic", given, "seed", 0, least=0)

    words = Words(seed)
    shared = words.text("prefix", 0, prefix)
    items = []
    for number in range(count):
        rng = Random(f"lengths:{seed}:{number}")
        max_tokens = output.draw(rng)
        lengths = [prompt.draw(rng) for _ in range(turns)]
        texts = [words.text(f"turn-{k}", number, length) for k, length in enumerate(lengths)]
        first = f"{shared} {texts[0]}" if shared else texts[0]
        items.append(
            Item(
                id=f"synthetic-{number:06d}",
                kind="synthetic",
                messages=(Message(role="user", content=first),),
                reference="",
                scorer="none",
                max_tokens=max_tokens,
                turns=tuple(texts[1:]),
                prompt_tokens=prefix + lengths[0],
            )
        )
    said = ",".join(f"{name}={value}" for name, value in sorted(given.items()))
    return Workload(
        name="synthetic",
        version=VERSION,
        items=tuple(items),
        sha256=workload_sha256(items),
        licence="CC0-1.0",
        source=f"synthetic:{said}" if said else "synthetic",
    )
