"""A sample of what `make fuzz` does 2,000 times: damaged files never stop ingest, and every line of them is somewhere."""

from __future__ import annotations

from landing import Landing
from mutations import MUTATIONS, differing_files, mutated_file

from turbine_health.io.delta import TableStore


def test_every_line_of_damaged_files_is_taken_in_once_and_the_account_balances(store: TableStore, tmp_path):
    landing = Landing(store, tmp_path / "landing")
    files = dict(mutated_file(seed) for seed in range(len(MUTATIONS)))
    for name, content in files.items():
        landing.write_bytes(name, content)
    summary = landing.ingest()
    assert differing_files(landing, files) == []
    assert summary.files == len(files)
    assert landing.silver.count() + landing.quarantine.count() == summary.rows_in
