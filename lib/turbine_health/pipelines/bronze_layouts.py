"""How to read files that were taken in earlier, from what bronze holds of them."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.sources import Source
from turbine_health.tables import bronze
from turbine_health.transforms.layouts import Layout, layout_of


def layouts_in_bronze(
    store: TableStore, source: Source, rows: DataFrame, places: Mapping[str, int] | None = None
) -> list[Layout]:
    """How to read each `_source_file` of `rows`, from their first lines; in the order in which they came, or at `places`."""
    files = rows.select("_source_file").distinct()
    first_lines = first_lines_of(store.read(bronze(source.name)).join(F.broadcast(files), on="_source_file", how="left_semi"))
    return [
        layout_of(source, file, places[file] if places else place, line, unreadable=line is None)
        for place, (file, line) in enumerate(first_lines.items())
    ]


def first_lines_of(lines: DataFrame) -> dict[str, str | None]:
    """First line of each file, by URI, in the order in which the files came; None for one that could not be read.

    Args:
        lines: Rows of `bronze.<source>`.
    """
    rows = (
        lines.groupBy("_source_file")
        .agg(F.min_by("value", "_source_row").alias("line"), F.min("_ingested_at").alias("came"))
        .orderBy("came", "_source_file")
        .collect()
    )
    return {row["_source_file"]: row["line"] for row in rows}
