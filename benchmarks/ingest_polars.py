"""The cleaning of jobs/ingest.py written for Polars and deltalake, for comparison.

Same rules for rows and values, same superseding, same flags for frozen, spiking and saturated sensors and for gaps.
Left out: bronze, the account, changed hours, events, files that cannot be read, batches that continue an earlier one.
"""

from __future__ import annotations

from glob import glob
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

from turbine_health.settings import IngestSettings
from turbine_health.sources import Signal, Source
from turbine_health.transforms.health import CALM_WIND_M_S, Reach


def clean_by_polars(source: Source, settings: IngestSettings, folder: Path) -> int:
    """Write `silver` and `quarantine` below `folder`; returns the rows that came in."""
    rows = judged_rows(source).collect(engine="streaming")
    bad = rows.filter(pl.col("reasons") != "").select("line", "file", "reasons")
    good = with_values(rows.filter(pl.col("reasons") == ""), source).sort(
        "asset_id", "event_time", "order", maintain_order=True
    )
    is_last = (pl.struct("asset_id", "event_time") != pl.struct("asset_id", "event_time").shift(-1)).fill_null(True)
    losers = good.filter(~is_last).select("line", "file", reasons=pl.lit("superseded"))
    silver = with_health_flags(good.filter(is_last), source, settings)
    write_deltalake(str(folder / "silver"), silver.drop("line", "order"))
    write_deltalake(str(folder / "quarantine"), pl.concat([bad, losers]))
    return rows.height


def judged_rows(source: Source) -> pl.LazyFrame:
    """Lines cut into fields, with `asset_id`, `event_time` (UTC) and `reasons` (empty when fine)."""
    stamps = source.time.timestamp
    assert stamps is not None
    header = Path(sorted(glob(source.files.path))[0]).read_bytes().splitlines()[0].decode()
    names = header.split(source.files.delimiter)
    lines = pl.scan_csv(
        source.files.path, separator="\x1f", has_header=False, new_columns=["line"], quote_char=None, infer_schema=False,
        encoding="utf8-lossy", include_file_paths="file", row_index_name="order",
    )  # fmt: skip
    fields = pl.col("line").str.splitn(source.files.delimiter, len(names) + 1)
    cut = (
        lines.filter(pl.col("line") != header)
        .with_columns(fields.struct.rename_fields([*names, "_more"]).alias("f"))
        .unnest("f")
    )
    wall_clock = pl.col(stamps.column).str.strip_chars().str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    in_zones = pl.when(pl.lit(False)).then(pl.lit(None, pl.Datetime("us", "UTC")))
    for pattern, zone in stamps.file_time_zones.items():
        local = wall_clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
        in_zones = in_zones.when(pl.col("file").str.ends_with(pattern.removeprefix("*"))).then(local)
    keyed = cut.with_columns(
        asset_id=pl.col(source.asset_id.column or "").str.strip_chars(),
        event_time=in_zones.otherwise(wall_clock.dt.replace_time_zone("UTC")),
    )
    rules = {
        "broken_encoding": pl.col("line").str.contains("�", literal=True),
        "field_count": pl.col(names[-1]).is_null() | pl.col("_more").is_not_null(),
        "unreadable_time": pl.col("event_time").is_null(),
        "missing_asset": pl.col("asset_id").fill_null("") == "",
        "unknown_asset": ~pl.col("asset_id").is_in(list(source.asset_id.known)),
    }
    reasons = pl.concat_str([pl.when(broken).then(pl.lit(f"{rule}; ")).otherwise(pl.lit("")) for rule, broken in rules.items()])
    return keyed.with_columns(reasons=reasons)


def with_values(rows: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Numbers in canonical units, null where not usable, and why in `value_flags`."""
    flags, values = [], []
    for signal in source.signals:
        text = pl.col(signal.column).str.strip_chars()
        raw = text.cast(pl.Float64, strict=False)
        value = raw * signal.scale + signal.offset
        low, high = signal.valid_range or (float("-inf"), float("inf"))
        flag = (
            pl.when(text.fill_null("") == "").then(pl.lit(""))
            .when(raw.is_null() | ~raw.is_finite()).then(pl.lit(f"{signal.name}:unreadable_number;"))
            .when(raw.is_in(list(signal.missing_values))).then(pl.lit(f"{signal.name}:missing_code;"))
            .when((value < low) | (value > high)).then(pl.lit(f"{signal.name}:out_of_range;"))
            .otherwise(pl.lit(""))
        )  # fmt: skip
        flags.append(flag.alias(f"_{signal.name}"))
        values.append(pl.when(flag == "").then(value).alias(signal.name))
    judged = rows.select("asset_id", "event_time", "line", "file", "order", *values, *flags)
    flagged = [f"_{signal.name}" for signal in source.signals]
    return judged.with_columns(value_flags=pl.concat_str(flagged)).drop(flagged)


def with_health_flags(readings: pl.DataFrame, source: Source, settings: IngestSettings) -> pl.DataFrame:
    """As `transforms.health.flag_slices`; `readings` are sorted by turbine and time, each key once."""
    reach = Reach.of(source, settings)
    times = pl.col("event_time")
    before, after = times.shift(1).over("asset_id"), times.shift(-1).over("asset_id")
    is_near_before = (times - before <= reach.longest_step).fill_null(False)
    is_near_after = (after - times <= reach.longest_step).fill_null(False)
    power, wind = pl.col(source.power_signal or ""), pl.col(source.wind_signal or "")
    was_parked = (power.shift(1) <= 0) & (wind.shift(1) <= CALM_WIND_M_S) & (times - before <= reach.before)
    flags = [pl.when(~is_near_before & ~was_parked.fill_null(False)).then(pl.lit("asset:gap;")).otherwise(pl.lit(""))]
    for signal in source.signals:
        value = pl.col(signal.name)
        is_moving = wind > CALM_WIND_M_S if signal.name == source.wind_signal else power > 0
        is_new = ~(value.eq_missing(value.shift(1).over("asset_id")) & is_near_before)
        since = pl.when(is_new).then(times).forward_fill().over("asset_id")
        is_stuck = (times - since >= reach.same_value) & value.is_not_null() & is_moving.fill_null(False)
        flags.append(pl.when(is_stuck).then(stuck_flag(signal)).otherwise(pl.lit("")))
        if signal.valid_range and signal.name not in (source.power_signal, source.wind_signal):
            least = settings.spike_share * (signal.valid_range[1] - signal.valid_range[0])
            up, down = value - value.shift(1).over("asset_id"), value - value.shift(-1).over("asset_id")
            keeps_running = (power > 0) & (power.shift(1) > 0) & (power.shift(-1) > 0)
            is_spike = (
                (up.abs() > least) & (down.abs() > least) & (up * down > 0) & is_near_before & is_near_after & keeps_running
            )
            flags.append(pl.when(is_spike.fill_null(False)).then(pl.lit(f"{signal.name}:spike;")).otherwise(pl.lit("")))
    return readings.with_columns(quality_flags=pl.concat_str([pl.col("value_flags"), *flags])).drop("value_flags")


def stuck_flag(signal: Signal) -> pl.Expr:
    """Saturated at an end of the range, else frozen."""
    frozen = pl.lit(f"{signal.name}:frozen;")
    if signal.valid_range is None:
        return frozen
    return (
        pl.when(pl.col(signal.name).is_in(list(signal.valid_range)))
        .then(pl.lit(f"{signal.name}:flat_at_limit;"))
        .otherwise(frozen)
    )
