"""Trailing statistics against a two-pass reference that recomputes every window from its readings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from turbine_health.settings import FeatureSettings
from turbine_health.transforms import windows
from turbine_health.transforms.cells import summarised
from turbine_health.transforms.features import FeaturePlan, feature_plan
from turbine_health.transforms.windows import built_windows

HOUR = 3_600 * 1_000_000
SIGNALS = ("active_power_kw", "bearing_temp_c")
ALL_STATISTICS = ["mean", "std", "min", "max", "last", "range", "count", "missing_share", "slope", "change", "deviation"]


def plan(**changes) -> FeaturePlan:
    features = {
        "lookback_hours": [5, 24, 72],
        "statistics": ALL_STATISTICS,
        "asset_statistics": ["age_days", "flagged_share"],
        "every_hours": 1,
        "baseline_hours": 30,
        "chunk_days": 4,
        **changes,
    }
    return feature_plan(FeatureSettings.model_validate(features), SIGNALS)


def readings(seed: int, days: int = 14, offset: float = 0.0, spread: float = 1.0) -> pa.Table:
    """One turbine from 2024-01-03, every 10 minutes, with missing values, missing rows and a gap of two days."""
    random = np.random.default_rng(seed)
    at = np.arange(days * 144) * (HOUR // 6) + 1_704_240_000_000_000
    values = {name: offset + spread * random.standard_normal(len(at)).cumsum() / 10 for name in SIGNALS}
    kept = (random.random(len(at)) > 0.2) & ~((at > at[700]) & (at < at[700] + 48 * HOUR))
    return pa.table({
        "asset_id": pa.array(["T07"] * len(at)),
        "at": at,
        "is_flagged": random.random(len(at)) > 0.9,
        "expected_readings": np.full(len(at), 6.0),
        **{name: pa.array(value, mask=random.random(len(at)) > 0.9) for name, value in values.items()},
    }).filter(pa.array(kept))  # fmt: skip


def features_of(rows: pa.Table, what: FeaturePlan, births: list[int] | None = None, spans: list[tuple[int, int]] | None = None):
    """Every feature by window end, built as the workers build it, from spans of window ends cut into chunks."""
    cells = pa.Table.from_batches([summarised(rows, SIGNALS, what.step_seconds * 1_000_000)])
    cell = cells["cell_start"].cast(pa.int64()).to_numpy() // HOUR
    births = [int(rows["at"].to_numpy().min())] if births is None else births
    found: dict[int, dict[str, float | None]] = {}
    for first_end, last_end in spans or [(int(cell[0]) + 1, int(cell[-1]) + 1)]:
        for chunk in range(first_end // what.chunk_cells, last_end // what.chunk_cells + 1):
            first = max(first_end, chunk * what.chunk_cells)
            last = min(last_end, (chunk + 1) * what.chunk_cells - 1)
            for batch in built_windows(_of_chunk(cells, cell, chunk, last), _wish(chunk, first, last, births), what):
                for row in batch.to_pylist():
                    found[int(row["window_end"].timestamp()) // 3_600] = row
    return found


def _of_chunk(cells: pa.Table, cell, chunk: int, last_end: int) -> pa.Table:
    rows = cells.append_column("cell", pa.array(cell)).append_column("chunk", pa.array(np.full(len(cell), chunk)))
    rows = rows.append_column("last_usable", rows["last_usable_at"].cast(pa.int64()))
    return rows.filter(pa.array(cell < last_end))


def _wish(chunk: int, first_end: int, last_end: int, births: list[int]) -> pa.Table:
    wish = {"asset_id": "T07", "chunk": chunk, "first_end": first_end, "last_end": last_end, "life_starts": births}
    return pa.Table.from_pylist([wish])


def reference(rows: pa.Table, signal: str, end: int, hours: int) -> np.ndarray:
    """Readings of one window."""
    at, values = rows["at"].to_numpy(), rows[signal].to_numpy()
    inside = values[(at < end * HOUR) & (at >= (end - hours) * HOUR)]
    return inside[~np.isnan(inside)]


def slope_per_day(rows: pa.Table, signal: str, end: int, hours: int) -> float:
    """Weighted least squares over the means of hourly cells, in two passes."""
    at, values = rows["at"].to_numpy(), rows[signal].to_numpy()
    chosen = (at < end * HOUR) & (at >= (end - hours) * HOUR) & ~np.isnan(values)
    cell = at[chosen] // HOUR
    weights = {each: np.sum(cell == each) for each in np.unique(cell)}
    time = np.array([each - end for each in weights], dtype=float)
    # The mean is taken around a reading: a plain one would lose the digits that are to be compared.
    anchor = values[chosen][0]
    value = np.array([np.mean(values[chosen][cell == each] - anchor) for each in weights])
    weight = np.array(list(weights.values()), dtype=float)
    time_off = time - np.average(time, weights=weight)
    value_off = value - np.average(value, weights=weight)
    return 24 * np.sum(weight * time_off * value_off) / np.sum(weight * time_off**2)


@pytest.mark.parametrize("hours", [5, 24, 72])
def test_every_statistic_is_what_the_readings_of_the_window_say(hours):
    rows = readings(seed=1)
    found = features_of(rows, plan())
    compared = 0
    for end in sorted(found)[::7]:
        inside = reference(rows, "bearing_temp_c", end, hours)
        row = {name.removeprefix("bearing_temp_c__"): value for name, value in found[end].items()}
        assert row[f"count_{hours}h"] == len(inside)
        if len(inside) < 30:
            continue
        compared += 1
        assert row[f"mean_{hours}h"] == pytest.approx(inside.mean(), rel=1e-12)
        assert row[f"std_{hours}h"] == pytest.approx(inside.std(ddof=1), rel=1e-10)
        assert (row[f"min_{hours}h"], row[f"max_{hours}h"]) == (inside.min(), inside.max())
        assert row[f"range_{hours}h"] == inside.max() - inside.min()
        assert row[f"last_{hours}h"] == inside[-1]
        assert row[f"slope_{hours}h"] == pytest.approx(slope_per_day(rows, "bearing_temp_c", end, hours), rel=1e-9)
    assert compared > 0 or hours == 5


@pytest.mark.parametrize("spread", [1e-3, 1.0])
def test_an_offset_of_a_million_costs_no_digits_that_the_reading_has(spread):
    rows = readings(seed=2, offset=1e6, spread=spread)
    found = features_of(rows, plan())
    for end in sorted(found)[100::11]:
        for hours in (24, 72):
            inside = reference(rows, "active_power_kw", end, hours)
            if len(inside) < 20:
                continue
            row = found[end]
            exact_std = np.std(inside - inside[0], ddof=1)
            assert row[f"active_power_kw__std_{hours}h"] == pytest.approx(exact_std, rel=1e-6)
            exact_slope = slope_per_day(rows, "active_power_kw", end, hours)
            tolerance = 1e-6 * exact_std * 24 / hours
            assert row[f"active_power_kw__slope_{hours}h"] == pytest.approx(exact_slope, rel=1e-6, abs=tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_at_or_after_the_window_end_moves_a_feature(seed):
    random = np.random.default_rng(seed)
    rows = readings(seed)
    before = features_of(rows, plan())
    end = int(random.choice(sorted(before)))
    at = rows["at"].to_numpy()
    past = rows.filter(pa.array(at < end * HOUR))
    future = rows.filter(pa.array(at >= end * HOUR))
    changed = future.filter(pa.array(random.random(len(future)) > 0.3))
    for signal in SIGNALS:
        noise = pa.array(random.normal(1e3, 1e3, len(changed)))
        changed = changed.set_column(changed.schema.get_field_index(signal), signal, noise)
    later = at.max() + (1 + np.arange(50)) * HOUR
    added = pa.table({
        "asset_id": pa.array(["T07"] * 50),
        "at": later,
        "is_flagged": np.full(50, True),
        "expected_readings": np.full(50, 6.0),
        **{signal: random.normal(-1e3, 1e3, 50) for signal in SIGNALS},
    })  # fmt: skip
    after = features_of(pa.concat_tables([past, changed, added]), plan())
    assert {each: row for each, row in before.items() if each <= end} == {
        each: row for each, row in after.items() if each <= end and each in before
    }


@pytest.mark.parametrize("chunk_days", [1, 3, 50])
def test_the_length_of_a_chunk_changes_no_bit(chunk_days):
    rows = readings(seed=3)
    births = [int(rows["at"].to_numpy().min()), 1_704_240_000_000_000 + 150 * HOUR + HOUR // 2]
    assert features_of(rows, plan(chunk_days=chunk_days), births) == features_of(rows, plan(), births)


def test_the_order_of_readings_changes_no_bit():
    rows = readings(seed=4)
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(rows))))
    assert features_of(shuffled, plan()) == features_of(rows, plan())


def test_any_part_of_the_windows_is_what_it_is_in_the_whole():
    rows = readings(seed=5)
    whole = features_of(rows, plan())
    some = sorted(whole)[40:90]
    assert features_of(rows, plan(), spans=[(some[0], some[-1])]) == {end: whole[end] for end in some}


def test_a_window_does_not_reach_over_the_start_of_a_life():
    rows = readings(seed=6)
    first = int(rows["at"].to_numpy().min())
    born = (first // HOUR + 100) * HOUR + HOUR // 3
    found = features_of(rows, plan(), births=[first, born])
    cut = born // HOUR + 1
    for end in (cut + 1, cut + 10, cut + 60):
        own = rows.filter(pa.array(rows["at"].to_numpy() >= cut * HOUR))
        inside = reference(own, "bearing_temp_c", end, 72)
        assert found[end]["bearing_temp_c__count_72h"] == len(inside)
        assert found[end]["asset__age_days"] == pytest.approx((end * HOUR - born) / HOUR / 24)
    assert found[cut]["bearing_temp_c__count_72h"] == 0
    assert found[cut]["bearing_temp_c__mean_72h"] is None


@pytest.mark.parametrize("chunk_days", [2, 50])
def test_windows_before_the_first_known_life_belong_to_none_and_are_not_cut(chunk_days):
    """A turbine whose record begins during a standstill: its first known life starts with the repair."""
    rows = readings(seed=12)
    born = (int(rows["at"].to_numpy().min()) // HOUR + 40) * HOUR
    found = features_of(rows, plan(chunk_days=chunk_days), births=[born])
    without_lives = features_of(rows, plan(chunk_days=chunk_days), births=[])
    before = [end for end in found if end < born // HOUR]
    assert len(before) == 39
    assert {end: found[end] for end in before} == {end: without_lives[end] for end in before}
    assert found[before[-1]]["bearing_temp_c__count_24h"] == len(reference(rows, "bearing_temp_c", before[-1], 24))
    assert found[before[-1]]["asset__age_days"] is None
    assert found[before[-1]]["bearing_temp_c__deviation_24h"] is None


def test_the_baseline_is_the_start_of_the_life_and_never_the_future():
    rows = readings(seed=7)
    found = features_of(rows, plan(baseline_hours=30))
    start = int(rows["at"].to_numpy().min()) // HOUR
    for end in (start + 10, start + 30, start + 200):
        normal = reference(rows, "bearing_temp_c", min(end, start + 30), 10_000).mean()
        row = found[end]
        assert row["bearing_temp_c__deviation_24h"] == pytest.approx(row["bearing_temp_c__mean_24h"] - normal, rel=1e-9)


def test_a_window_without_a_reading_has_a_count_of_zero_and_no_statistics():
    rows = readings(seed=8)
    found = features_of(rows, plan())
    at = rows["at"].to_numpy()
    gap = int(np.argmax(np.diff(at)))
    end = int(at[gap] // HOUR) + 20
    assert found[end]["bearing_temp_c__count_5h"] == 0
    assert found[end]["bearing_temp_c__missing_share_5h"] == 1
    assert found[end]["bearing_temp_c__std_5h"] is None
    assert found[end]["coverage"] == 0
    assert found[end]["data_age_hours"] == pytest.approx((end * HOUR - at[gap]) / HOUR, abs=1)


def test_a_statistic_of_too_few_readings_is_withheld_but_not_the_count():
    rows = readings(seed=9)
    some = features_of(rows, plan(min_coverage=0.95))
    assert all(
        row["bearing_temp_c__mean_5h"] is None for row in some.values() if row["bearing_temp_c__missing_share_5h"] > 0.05
    )
    assert any(row["bearing_temp_c__count_5h"] > 0 for row in some.values() if row["bearing_temp_c__mean_5h"] is None)


def test_an_unknown_sampling_withholds_the_coverage_and_nothing_else():
    rows = readings(seed=11)
    unknown = rows.set_column(
        rows.schema.get_field_index("expected_readings"), "expected_readings", pa.nulls(len(rows), pa.float64())
    )
    known, found = features_of(rows, plan()), features_of(unknown, plan())
    for end in found:
        assert found[end]["bearing_temp_c__mean_24h"] == known[end]["bearing_temp_c__mean_24h"]
        assert found[end]["coverage"] is None or known[end]["coverage"] == 0


def counted(failures: list[int], stops: list[int]) -> dict[int, dict[str, float | None]]:
    """Windows with counts of events that began at these microseconds."""
    what = plan(statistics=["mean"], event_counts={"events": ["failures", "stops"], "lookback_hours": [24, 2_160]})
    rows = readings(seed=13)
    cells = pa.Table.from_batches([summarised(rows, SIGNALS, what.step_seconds * 1_000_000)])
    cell = cells["cell_start"].cast(pa.int64()).to_numpy() // HOUR
    chunk, last_end = int(cell[0]) // what.chunk_cells, int(cell[-1]) + 1
    wish = _wish(chunk, int(cell[0]) + 1, last_end, [])
    for name, times in (("failures_began", failures), ("stops_began", stops)):
        wish = wish.append_column(name, pa.array([times], type=pa.list_(pa.int64())))
    (batch,) = built_windows(_of_chunk(cells, cell, chunk, last_end), wish, what)
    return {int(row["window_end"].timestamp()) // 3_600: row for row in batch.to_pylist()}


def test_an_event_counts_from_the_first_window_that_ends_after_it_until_the_look_back_has_passed():
    end = 1_704_240_000_000_000 // HOUR + 100
    found = counted(failures=[end * HOUR], stops=[(end - 60 * 24) * HOUR, end * HOUR - 1, end * HOUR - 1])
    assert [found[each]["failures__count_24h"] for each in (end, end + 1, end + 24, end + 25)] == [0, 1, 1, 0]
    assert (found[end]["stops__count_24h"], found[end]["stops__count_2160h"]) == (2, 3)
    assert found[end + 200]["failures__count_2160h"] == 1


def test_a_turbine_without_events_has_counts_of_zero():
    assert {row["failures__count_2160h"] for row in counted(failures=[], stops=[]).values()} == {0}


def test_the_age_of_the_last_reading_can_be_a_feature():
    found = features_of(readings(seed=14), plan(asset_statistics=["data_age_hours"]))
    assert all(row["asset__data_age_hours"] == row["data_age_hours"] for row in found.values())


def test_a_constant_signal_has_no_spread_and_no_slope():
    rows = readings(seed=10)
    constant = rows.set_column(
        rows.schema.get_field_index("bearing_temp_c"), "bearing_temp_c", pa.array(np.full(len(rows), 0.1))
    )
    for row in features_of(constant, plan()).values():
        assert row["bearing_temp_c__std_72h"] in (0.0, None)
        assert row["bearing_temp_c__slope_72h"] in (0.0, None)


@pytest.mark.parametrize(("values_at_once", "rows_per_batch"), [(2**16, 4_096), (400, 30), (1, 1)])
def test_turbines_computed_together_get_what_each_gets_alone(monkeypatch, values_at_once, rows_per_batch):
    monkeypatch.setattr(windows, "VALUES_AT_ONCE", values_at_once)
    monkeypatch.setattr(windows, "ROWS_PER_BATCH", rows_per_batch)
    what = plan()
    first = 1_704_240_000_000_000 // HOUR
    chunk, ends = first // what.chunk_cells + 1, (first + 100, first + 123)
    repaired = (first + 110) * HOUR + 1
    born, again = first * HOUR, (first + 20) * HOUR
    # The windows of two are cut, in their second and in their third life; of one no life is known, of the last no cell.
    births = {
        "T1": [born],
        "T2": [born, repaired],
        "T3": [born, again, repaired],
        "T4": [born + 2 * HOUR],
        "T5": [],
        "T6": [born],
    }
    cells, wishes = [], []
    for seed, (turbine, starts) in enumerate(births.items()):
        rows = pa.Table.from_batches([summarised(readings(seed=seed), SIGNALS, HOUR)])
        cell = rows["cell_start"].cast(pa.int64()).to_numpy() // HOUR
        held = _of_chunk(rows, cell, chunk, ends[1])
        names = pa.array([turbine] * len(held))
        cells += [] if turbine == "T6" else [held.drop_columns("asset_id").append_column("asset_id", names)]
        wish = _wish(chunk, *ends, starts).drop_columns("asset_id")
        wishes.append(wish.append_column("asset_id", pa.array([turbine])))
    everything, wanted = pa.concat_tables(cells), pa.concat_tables(wishes, promote_options="permissive")
    together = pa.Table.from_batches(built_windows(everything, wanted, what))
    alone = [batch for wish in wishes for batch in built_windows(everything, wish, what)]
    assert together.num_rows == 6 * 24
    assert together.combine_chunks().equals(pa.Table.from_batches(alone).combine_chunks())
