"""How to read files that were taken in earlier, from what bronze holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.sources import Source
from turbine_health.tables import bronze
from turbine_health.transforms.layouts import Layout, described_columns, layout_of

# Keys that the description does not name and that are reported of one file.
REPORTED_KEYS = 100


def layouts_in_bronze(
    store: TableStore,
    source: Source,
    rows: DataFrame,
    places: Mapping[str, int] | None = None,
    keys: Mapping[str, Sequence[str]] | None = None,
) -> list[Layout]:
    """How to read each `_source_file` of `rows`, from their first lines, or from the `keys` of their objects.

    In the order in which the files came, or at `places`.
    """
    files = rows.select("_source_file").distinct()
    first_lines = first_lines_of(store.read(bronze(source.name)).join(F.broadcast(files), on="_source_file", how="left_semi"))
    return [
        layout_of(source, file, places[file] if places else place, line, line is None, (keys or {}).get(file))
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


def keys_of(source: Source, lines: DataFrame) -> dict[str, list[str]]:
    """Keys of the JSON objects of each file, by URI, sorted: all that are described and some of the others.

    Args:
        source: The description; empty for one whose lines are no objects.
        lines: Rows of `bronze.<source>`.
    """
    if source.files.is_delimited:
        return {}
    pairs = lines.select("_source_file", F.explode(F.json_object_keys("value")).alias("key")).distinct()
    is_described = F.col("key").isin(*described_columns(source))
    described, others = (F.collect_set(F.when(wanted, F.col("key"))) for wanted in (is_described, ~is_described))
    found = F.array_sort(F.concat(described, F.slice(F.array_sort(others), 1, REPORTED_KEYS)))
    rows = pairs.groupBy("_source_file").agg(found.alias("keys")).collect()
    return {row["_source_file"]: row["keys"] for row in rows}


def keys_in_bronze(store: TableStore, source: Source, rows: DataFrame) -> dict[str, list[str]]:
    """`keys_of` the whole files that `rows` are of; of a topic, whose partitions never end, only of `rows`."""
    if source.files.format == "kafka" or source.files.is_delimited:
        return keys_of(source, rows)
    files = rows.select("_source_file").distinct()
    return keys_of(source, store.read(bronze(source.name)).join(F.broadcast(files), on="_source_file", how="left_semi"))
