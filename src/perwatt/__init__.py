"""perwatt measures, predicts and routes intelligence per watt.

>>> import perwatt
>>> summary = perwatt.run(model=["smollm2-135m"], limit=24)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perwatt.core.summary import RunSummary
    from perwatt.runner.measure import measure

__all__ = ["__version__", "measure", "run"]

__version__ = "0.1.0"


def run(**options: Any) -> RunSummary:
    """Do a run and return what it comes to. Options are the fields of `perwatt.core.spec.RunSpec`.

    The same as `perwatt run`, without the report: the run directory is `out`, or one made under
    `runs/`. Raises a PerwattError where the command line would print one.
    """
    from perwatt.core.spec import RunSpec
    from perwatt.runner.start import start
    from perwatt.runner.summary import summarise_run
    from perwatt.store.load import load_tables

    directory = start(RunSpec.resolve(options), listen=lambda _: None)
    return summarise_run(load_tables(directory))


def __getattr__(name: str) -> Any:
    """`perwatt.measure`, imported when it is asked for: `import perwatt` stays light."""
    if name == "measure":
        from perwatt.runner.measure import measure

        return measure
    msg = f"module 'perwatt' has no attribute {name!r}"
    raise AttributeError(msg)
