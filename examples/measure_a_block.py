"""Joules of a block of code, and of a part of it, on whatever this machine can measure."""

from __future__ import annotations

import hashlib

import perwatt


def work(rounds: int) -> str:
    digest = b"perwatt"
    for _ in range(rounds):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


def main() -> None:
    with perwatt.measure(idle_s=1.0) as whole:
        work(200_000)
        with perwatt.measure() as part:
            work(400_000)
    print(whole.result.energy_line)
    print(f"whole: {whole.gross} gross, {whole.net} net, {whole.power} in {whole.seconds:.2f} s")
    print(f"part:  {part.gross} gross in {part.seconds:.2f} s")
    for flag in {*whole.flags, *part.flags}:
        print(f"mind:  {flag}")


if __name__ == "__main__":
    main()
