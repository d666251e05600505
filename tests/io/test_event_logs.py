"""Event logs as they lie on disk."""

from __future__ import annotations

import os

from builders import source

from turbine_health.io.event_logs import read_event_log
from turbine_health.sources import EventLog


def test_entries_of_several_logs_stand_in_the_order_of_the_files_and_their_rows(spark, tmp_path):
    written = {"b.csv": ["T01", "T02"], "a.csv": ["T03", "T04"]}
    for minute, (name, turbines) in enumerate(written.items()):
        path = tmp_path / name
        path.write_text("\n".join(["asset_id,component,failed_at,repaired_at", *(f"{turbine},,," for turbine in turbines), ""]))
        os.utime(path, (1_700_000_000 + 60 * minute,) * 2)
    entries = read_event_log(spark, source(), EventLog(path=f"{tmp_path}/*.csv"))
    assert [row["asset_id"] for row in entries.orderBy("_log_order").collect()] == ["T01", "T02", "T03", "T04"]
