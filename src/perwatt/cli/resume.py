"""`perwatt resume DIR`: ask only what is missing, then finish as `run` does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from perwatt.cli.run import FailOnErrors, Json, show_result
from perwatt.cli.show import ProgressView
from perwatt.core.errors import SpecError

__all__ = ["resume"]


def resume(
    directory: Annotated[Path, Parameter(help="Directory of an interrupted run.")],
    /,
    *,
    json: Json = False,
    fail_on_errors: FailOnErrors = False,
    cluster: Annotated[
        str | None,
        Parameter(help="Where the cluster of such a run is now; default: where it was."),
    ] = None,
) -> None:
    """Go on with a run that was interrupted: nothing finished is asked again or counted twice."""
    from perwatt.cluster.run import is_cluster
    from perwatt.gateway.finish import is_served, resume_served
    from perwatt.runner.start import resume as go_on
    from perwatt.store.rundir import read_run

    if is_cluster(directory):
        from perwatt.cli.run_cluster import resume_on_cluster

        resume_on_cluster(directory, cluster, json=json, fail_on_errors=fail_on_errors)
        return
    run = read_run(directory)
    if cluster is not None:
        msg = f"--cluster was given, and {directory} is a run of this machine alone."
        raise SpecError(msg, "Leave it out; `perwatt run --cluster` begins one on a cluster.")
    with ProgressView(json=json) as view:
        if is_served(run):  # nothing is asked: callers asked
            resume_served(directory, view)
        else:
            go_on(directory, view)
    show_result(directory, json=json, fail_on_errors=fail_on_errors)
