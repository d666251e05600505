"""Writing predictions beside other runs, and beside what was said before."""

from __future__ import annotations

import logging
from functools import reduce
from operator import and_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import ConcurrentRunError
from turbine_health.io.delta import TableStore
from turbine_health.io.short_plans import cached_with_short_plan
from turbine_health.tables import Table

logger = logging.getLogger("turbine_health")

WHAT_IF = "what_if"
# These change with every run; alone they make no new prediction.
VOLATILE = ("scored_at", "features_version")
# Another run that writes the same table wins at most so often before this one gives up.
WRITE_ATTEMPTS = 5
# Of `new` and `old` rows with one key: who may speak over whom, and no silence over a prediction that was served.
MAY_REPLACE = (
    "(new.model_role = 'champion' AND old.model_role = 'what_if')"
    " OR (new.model_role = 'champion' OR old.model_role = 'what_if')"
    " AND (new.quality_status = 'ok' OR old.quality_status <> 'ok')"
)


def write_changes(store: TableStore, frame: DataFrame, table: Table) -> int:
    """Merge the rows that are new or say something else than the table; without any, no version is written.

    What a champion has written no what-if score replaces, and a row with a prediction none without: data
    that is gone does not take back what people were told.

    Args:
        store: Where the table is.
        frame: All columns of the table.
        table: A table of predictions.

    Returns:
        Rows inserted or updated.

    Raises:
        ConcurrentRunError: Other runs wrote the table again and again.
    """
    store.create(table)
    for attempt in range(WRITE_ATTEMPTS):
        try:
            written = _write_changes(store, frame, table)
        except ConcurrentRunError as conflict:
            if attempt + 1 == WRITE_ATTEMPTS:
                raise
            logger.info("%s: compared with the table again", conflict.what)
        else:
            logger.info("%s: %s rows new or changed", table.identifier, f"{written:,}")
            break
    return written


def _write_changes(store: TableStore, frame: DataFrame, table: Table) -> int:
    told = [name for name in table.schema.names if name not in (*table.keys, *VOLATILE)]
    same_key = [F.col(f"new.{name}") == F.col(f"old.{name}") for name in table.keys]
    is_same = reduce(and_, (F.col(f"new.{name}").eqNullSafe(F.col(f"old.{name}")) for name in told))
    is_new = F.col("old.model_role").isNull()
    compared = frame.alias("new").join(store.read(table).alias("old"), on=same_key, how="left")
    changed = cached_with_short_plan(compared.where(is_new | (~is_same & F.expr(MAY_REPLACE))).select("new.*"))
    try:
        if changed.isEmpty():
            return 0
        result = store.merge(changed, table, update_if=MAY_REPLACE)
        return result.rows_inserted + result.rows_updated
    finally:
        changed.unpersist()
