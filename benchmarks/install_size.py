"""What an install costs: megabytes fetched and on disk, package by package, and how fast help is.

    python benchmarks/install_size.py [EXTRA]

Makes a new virtual environment in a temporary folder and installs this checkout into it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELP_RUNS = 11


def main() -> None:
    extra = f"[{sys.argv[1]}]" if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        home, wheels = Path(folder, "venv"), Path(folder, "wheels")
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        bare = sum(folder_bytes(site(home)).values())
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        started = time.perf_counter()
        subprocess.run([*pip, "wheel", "--wheel-dir", str(wheels), f"{ROOT}{extra}"], check=True)
        wheel = next(wheels.glob("perwatt-*.whl"))
        subprocess.run(
            [*pip, "install", "--no-index", "--find-links", str(wheels), f"{wheel}{extra}"],
            check=True,
        )
        took = time.perf_counter() - started
        sizes = folder_bytes(site(home))
        fetched = sum(path.stat().st_size for path in wheels.iterdir())
        total = sum(sizes.values()) - bare
        print(f"perwatt{extra}: fetched {fetched / 1e6:.0f} MB, on disk {total / 1e6:.0f} MB")
        print(
            f"  (without byte code: {(total - byte_code(site(home))) / 1e6:.0f} MB), {took:.0f} s"
        )
        for name, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:10]:
            print(f"  {size / 1e6:7.1f} MB  {name}")
        helps = seconds([str(home / "bin" / "perwatt"), "--help"])
        bares = seconds([str(python), "-c", "pass"])
        print(f"perwatt --help: {helps - bares:.3f} s over bare Python (median of {HELP_RUNS})")


def site(home: Path) -> Path:
    return next(home.glob("lib/python*/site-packages"))


def folder_bytes(folder: Path) -> dict[str, int]:
    """Bytes of each entry of a folder, files within it included."""
    return {
        entry.name: sum(f.stat().st_size for f in [entry, *entry.rglob("*")] if f.is_file())
        for entry in folder.iterdir()
    }


def byte_code(folder: Path) -> int:
    """Bytes of compiled byte code, pip's own left out as it is in the bare environment too."""
    return sum(
        f.stat().st_size
        for f in folder.rglob("*.pyc")
        if f.relative_to(folder).parts[0] not in {"pip", "setuptools", "pkg_resources"}
    )


def seconds(command: list[str]) -> float:
    times = []
    for _ in range(HELP_RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
