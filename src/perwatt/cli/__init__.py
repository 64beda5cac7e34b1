"""The command line: one file per verb, each imported only when it is asked for."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from perwatt import __version__
from perwatt.core.errors import InterruptedRunError, PerwattError

__all__ = ["main"]

_VERBS = {
    "demo": "Real embedded models on the built-in workload: a table and report.html.",
    "run": "Ask a workload of one or more pairs; measure, score and report.",
    "resume": "Go on with a run that was interrupted.",
    "plan": "How many items it takes to tell two pairs apart, before they are asked.",
    "contamination": "Which questions of a workload stand word for word in a corpus.",
    "score": "Score a run's answers again, without asking the model; judges among the scorers.",
    "report": "One self-contained HTML report of one or more runs, or many served.",
    "study": "Many runs together: coverage, categories, progress, savings, carbon, cost.",
    "compare": "Two runs, paired by item: ratios with intervals; a gate for CI.",
    "audit": "Recompute published tables, and say where they do not hold.",
    "import": "What other tools measured or scored, as a run: joules, times, answers.",
    "export": "Runs as CSV, parquet, a Hugging Face data set, in MLflow, or as Inspect logs.",
    "power": "Joules of any command, like time(1): perwatt power -- CMD …",
    "calibrate": "Fit this host's sensors, and its estimate, to a wall meter; keep the fit.",
    "sampler": "Offer this machine's sensors to a run on another.",
    "doctor": "What is found on this machine, and the mend for what is not.",
    "serve": "A metering address in front of any server: joules beside each answer.",
    "fake-server": "A test server of known truth: settable times, faults and answers.",
    "list": "Every plug-in, model and workload, and where it comes from.",
}

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `perwatt` command. Exit codes are those of DESIGN §6."""
    try:
        _dispatch(sys.argv[1:] if argv is None else list(argv))
    except PerwattError as error:
        print(f"perwatt: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("perwatt: Stopped before anything was started.", file=sys.stderr)
        sys.exit(InterruptedRunError.exit_code)
    except BrokenPipeError:
        # The reader of stdout (`| head`) has gone: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        print(f"perwatt: What was to be printed is not whole: {error.strerror}.", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _dispatch(argv: list[str]) -> None:
    from cyclopts import App, CycloptsError

    from perwatt.cli.examples import EXAMPLES

    app = App(
        name="perwatt",
        help="Intelligence per watt: measures how much correct work a language model on an "
        "accelerator does for the power and energy it draws.",
        help_format="plaintext",
        version=__version__,
        result_action="return_value",
    )
    for verb, summary in _VERBS.items():
        module = {"list": "list_", "import": "import_"}.get(verb, verb.replace("-", "_"))
        place, example = f"perwatt.cli.{module}:{module}", f"Example: {EXAMPLES[verb]}"
        app.command(place, name=verb, help=summary, help_epilogue=example)
    try:
        app(argv, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        text = " ".join(str(error).split())
        verb = f" {argv[0]}" if argv and argv[0] in _VERBS else ""
        raise PerwattError(text, f"See `perwatt{verb} --help`.") from None
