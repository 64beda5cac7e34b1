"""`perwatt resume DIR`: ask only what is missing, then finish as `run` does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from perwatt.cli.run import FailOnErrors, Json, show_result
from perwatt.cli.show import ProgressView

__all__ = ["resume"]


def resume(
    directory: Annotated[Path, Parameter(help="Directory of an interrupted run.")],
    /,
    *,
    json: Json = False,
    fail_on_errors: FailOnErrors = False,
) -> None:
    """Go on with a run that was interrupted: nothing finished is asked again or counted twice."""
    from perwatt.cluster.run import is_cluster
    from perwatt.gateway.finish import is_served, resume_served
    from perwatt.runner.start import resume as go_on
    from perwatt.store.rundir import read_run

    if is_cluster(directory):
        from perwatt.cli.run_cluster import resume_on_cluster

        resume_on_cluster(directory, json=json, fail_on_errors=fail_on_errors)
        return
    with ProgressView(json=json) as view:
        if is_served(read_run(directory)):  # nothing is asked: callers asked
            resume_served(directory, view)
        else:
            go_on(directory, view)
    show_result(directory, json=json, fail_on_errors=fail_on_errors)
