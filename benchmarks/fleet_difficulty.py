"""How hard the built-in fleet is: a scikit-learn forest on windowed sensors against age since repair alone.

Usage:  python benchmarks/fleet_difficulty.py [SEED …]        (extra `bench`; about a minute a seed)

Windows every six hours with mean, standard deviation, minimum and maximum over 24 h, 7 and 30 days of the undirtied
readings; the label is a failure within seven days. *weeks*: trained on the first 72 % of the year less an embargo of
seven days, tested on the rest. *turbines*: trained on 15 turbines, tested on every fourth. Area under the
precision-recall curve; the base rate is what guessing gets.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from turbine_health.settings import SimulationSettings
from turbine_health.simulation.history import History, turbine_history
from turbine_health.simulation.machine import SIGNALS, Readings, turbine_readings
from turbine_health.simulation.weather import site_weather

EVERY_HOURS, LOOKBACK_HOURS = 6, (24, 168, 720)
HORIZON_DAYS, TRAIN_SHARE, UNSEEN_TURBINE = 7, 0.72, 4


def main(seeds: list[int]) -> None:
    print(f"{'seed':>4} {'failures':>8} {'rows':>7}  {'split':<9}{'base':>6}{'age only':>10}{'forest':>8}")
    for seed in seeds:
        settings = SimulationSettings(seed=seed)
        examples = fleet_examples(settings)
        border = settings.days * TRAIN_SHARE
        splits = {
            "weeks": (examples["day"] <= border - HORIZON_DAYS, examples["day"] > border),
            "turbines": (examples["turbine"] % UNSEEN_TURBINE != 0, examples["turbine"] % UNSEEN_TURBINE == 0),
        }
        failures = sum(len(turbine_history(settings, number).failures) for number in range(1, settings.turbines + 1))
        for name, (train, test) in splits.items():
            scores = [score(examples[train], examples[test], columns) for columns in (["age"], sensor_columns(examples))]
            base = examples.loc[test, "fails"].mean()
            print(
                f"{seed:>4} {failures:>8} {len(examples):>7,}  {name:<9}{base:>6.3f}{scores[0]:>10.3f}{scores[1]:>8.3f}",
                flush=True,
            )


def fleet_examples(settings: SimulationSettings) -> pd.DataFrame:
    """One row per turbine and window whose next seven days are known."""
    site = site_weather(settings)
    turbines = []
    for number in range(1, settings.turbines + 1):
        history = turbine_history(settings, number)
        windows = windowed(turbine_readings(settings, site, history, number), settings.sampling_minutes)
        turbines.append(labelled(windows, history, settings.days).assign(turbine=number))
    return pd.concat(turbines, ignore_index=True)


def windowed(readings: Readings, sampling_minutes: int) -> pd.DataFrame:
    """Trailing statistics from hourly sums; `day` is the end of the window."""
    rows = pd.DataFrame({signal: getattr(readings, signal) for signal in SIGNALS})
    hour = np.arange(len(rows)) * sampling_minutes // 60
    cells = rows.groupby(hour)
    count, total, squares = cells.count(), cells.sum(), (rows**2).groupby(hour).sum()
    lowest, highest = cells.min(), cells.max()
    ends = np.arange(24, len(count) + 1, EVERY_HOURS)
    columns: dict[str, np.ndarray] = {"day": ends / 24}
    for hours in LOOKBACK_HOURS:

        def over(cells: pd.DataFrame, hours: int = hours) -> pd.core.window.Rolling:
            return cells.rolling(hours, min_periods=1)

        n = over(count).sum()
        mean = over(total).sum() / n
        deviation = np.sqrt(np.maximum(over(squares).sum() / n - mean**2, 0))
        for statistic, frame in (("mean", mean), ("std", deviation), ("min", over(lowest).min()), ("max", over(highest).max())):
            columns.update({f"{name}__{statistic}_{hours}h": frame[name].to_numpy()[ends - 1] for name in SIGNALS})
    return pd.DataFrame(columns)


def labelled(windows: pd.DataFrame, history: History, days: float) -> pd.DataFrame:
    """Add `age` (days since repair) and `fails`; drop windows of repairs, of their first day, and of unknown outcome."""
    age, fails = np.full(len(windows), np.nan), np.full(len(windows), np.nan)
    day, born = windows["day"].to_numpy(), 0.0
    for failure in history.failures:
        is_alive = (day >= born) & (day < failure.failed)
        age[is_alive] = day[is_alive] - born
        fails[is_alive] = failure.failed - day[is_alive] <= HORIZON_DAYS
        born = failure.repaired
    is_known = (day >= born) & (day <= days - HORIZON_DAYS)
    age[is_known], fails[is_known] = day[is_known] - born, 0
    return windows.assign(age=age, fails=fails).query("age > 1")


def sensor_columns(examples: pd.DataFrame) -> list[str]:
    return [name for name in examples if "__" in name]


def score(train: pd.DataFrame, test: pd.DataFrame, columns: list[str]) -> float:
    forest = RandomForestClassifier(
        100, max_depth=10, min_samples_leaf=10, max_samples=0.5, class_weight="balanced_subsample", random_state=0, n_jobs=-1
    )
    forest.fit(train[columns].fillna(-1), train["fails"])
    return float(average_precision_score(test["fails"], forest.predict_proba(test[columns].fillna(-1))[:, 1]))


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [7, 8, 9])
