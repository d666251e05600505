"""One id for all that belongs to one run of the jobs: log lines, Delta commits, MLflow runs.

A scheduler gives it as `TURBINE_HEALTH_RUN_ID` to every job of a run; a job started by hand makes its own.
"""

from __future__ import annotations

import os
import re
import uuid

from turbine_health.errors import SettingsError

VARIABLE = "TURBINE_HEALTH_RUN_ID"
_ALLOWED = re.compile(r"[A-Za-z0-9_.:+-]{1,128}")


def current_run_id() -> str:
    """The id of this run; the same for the whole process and what it starts.

    Raises:
        SettingsError: The given one has other characters than an id in a log or a file name may have.
    """
    run_id = os.environ[VARIABLE] = os.environ.get(VARIABLE) or uuid.uuid4().hex
    if not _ALLOWED.fullmatch(run_id):
        raise SettingsError(f"{run_id!r} is not a run id", where=VARIABLE, hint="letters, digits and _ . : + - only")
    return run_id
