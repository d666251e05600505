"""What the SQL server does not know it cannot tell."""

from __future__ import annotations

import pytest

from turbine_health.io.sql_server import forget_secrets

VARIABLES = {"HOME": "/home/planner", "MLFLOW_TRACKING_PASSWORD": "hunter22", "AWS_SECRET_ACCESS_KEY": "abcdef"}


@pytest.mark.parametrize(("root", "kept"), [("/data/lake", {"HOME"}), ("s3a://plant/lake", {"HOME", "AWS_SECRET_ACCESS_KEY"})])
def test_only_what_opens_the_lake_stays(root: str, kept: set[str]) -> None:
    environ = dict(VARIABLES)
    forgotten = forget_secrets(environ, root)
    assert set(environ) == kept
    assert set(forgotten) == set(VARIABLES) - kept
