"""Keys that are missing, renamed or new in files that have no header line."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from landing import Landing

from turbine_health.io.delta import TableStore
from turbine_health.pipelines.readmit import readmit
from turbine_health.tables import INGEST_RUNS

PLAIN = {"asset_id": "T07", "event_time": "2024-01-01 00:00:00", "wind_speed_m_s": 8.0, "bearing_temp_c": 60.0}
# A dead sensor is no drift: the key is there.
DEAD = {**PLAIN, "event_time": "2024-01-01 00:10:00", "bearing_temp_c": None, "extra": 1.0}
RENAMED = {
    "asset_id": "T07", "event_time": "2024-01-01 00:20:00", "wind_speed_m_s": 8.0, "BearingTemp": 62.0,
}  # fmt: skip


@pytest.fixture(params=["json", "parquet"])
def landing(request, store: TableStore, tmp_path) -> Landing:
    folder = tmp_path / "landing"
    folder.mkdir()
    landing = Landing(store, folder, {"files": {"path": f"{folder}/*", "format": request.param}})
    for number, row in enumerate((PLAIN, DEAD, RENAMED)):
        if request.param == "json":
            lines = [{key: value for key, value in row.items() if key != "wind_speed_m_s"}, row] if row is PLAIN else [row]
            landing.write(f"{number}.json", *[json.dumps(line) for line in lines], header=None)
        else:
            schema = pa.schema([(key, pa.string() if isinstance(value, str) else pa.float64()) for key, value in row.items()])
            pq.write_table(pa.Table.from_pylist([row], schema=schema), landing.write_bytes(f"{number}.parquet", b""))
    return landing


def test_a_renamed_key_sends_its_file_to_quarantine_and_comes_back_when_it_is_described(landing):
    landing.ingest()
    temperatures = [row["bearing_temp_c"] for row in landing.silver.orderBy("event_time").collect()]
    assert temperatures == [60.0, None]
    (reasons,) = [
        row["reasons"] for row in landing.quarantine.where("NOT exists(reasons, r -> r LIKE 'superseded%')").collect()
    ]
    assert reasons == [
        "schema_drift: key bearing_temp_c of source plant is in no row of the file"
        " (BearingTemp, asset_id, event_time, wind_speed_m_s)"
    ]
    run = landing.store.read(INGEST_RUNS).head()
    assert (run["new_columns"], len(run["rejected_files"])) == (["BearingTemp", "extra"], 1)

    signals = landing.settings.sources[0].model_dump()["signals"]
    landing.source = {**landing.source, "signals": [signals[0], {**signals[1], "column": "BearingTemp"}]}
    assert readmit(landing.store, landing.settings).moved == 1
    assert [row["bearing_temp_c"] for row in landing.silver.orderBy("event_time").collect()] == [60.0, None, 62.0]
