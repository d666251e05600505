"""A sample of what `make fuzz` does 2,000 times: damaged files never stop ingest, and every line of them is somewhere."""

from __future__ import annotations

from landing import Landing
from mutations import MUTATIONS, lines_in, mutated_file
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.tables import bronze


def test_every_line_of_damaged_files_is_taken_in_once_and_the_account_balances(store: TableStore, tmp_path):
    landing = Landing(store, tmp_path / "landing")
    files = dict(mutated_file(seed) for seed in range(len(MUTATIONS)))
    for name, content in files.items():
        landing.write_bytes(name, content)
    summary = landing.ingest()
    rows = store.read(bronze("plant")).groupBy(F.element_at(F.split("_source_file", "/"), -1).alias("name"))
    kept = {row["name"]: row["lines"] for row in rows.agg(F.count("value").alias("lines")).collect()}
    assert kept == {name: lines_in(name, content) or 0 for name, content in files.items() if lines_in(name, content) != 0}
    assert summary.files == len(files)
    assert landing.silver.count() + landing.quarantine.count() == summary.rows_in
