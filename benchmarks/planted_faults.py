"""Plant clear faults in two turbines that never fail otherwise: does the alert name the signal that shows the fault?

Usage:  python benchmarks/planted_faults.py [--folder data/planted-faults] [--turbines 20]
        (PYTHONPATH=tests; make planted-faults)
Walks the built-in fleet through the jobs, scores the autumn, and prints per fault how many windows before the failure
carried an alert, and in how many of those its signal is among the first two reasons. Exits 1 below 90 % of all, and
where a fault carried no alert at all.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from acceptance.plant import Plant, simulated_names
from deltalake import DeltaTable

WANTED_SHARE = 0.9
RUN_UP_DAYS = 20


@dataclass(frozen=True)
class Planted:
    """One fault, and the signal it shows in most (`simulation.machine` says how much)."""

    asset_id: str
    failure_mode: str
    signal: str
    fails_on: str

    @property
    def failing_at(self) -> datetime:
        """Noon of its day, UTC."""
        return datetime.fromisoformat(f"{self.fails_on}T12:00").replace(tzinfo=timezone.utc)


FAULTS = (
    Planted("T10", "generator", "generator_temp_c", "2023-11-08"),
    Planted("T10", "hydraulics", "hydraulic_pressure_bar", "2023-12-15"),
    Planted("T20", "gearbox_oil", "gearbox_oil_temp_c", "2023-11-10"),
    Planted("T20", "gearbox_bearing", "vibration_mm_s", "2023-12-18"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data/planted-faults"))
    parser.add_argument("--turbines", type=int, default=20)
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    plant = Plant.in_folder(args.folder.absolute())
    faults = [
        {"asset_id": fault.asset_id, "failure_mode": fault.failure_mode, "fails_on": fault.fails_on,
         "run_up_days": RUN_UP_DAYS, "severity": 2.0}
        for fault in FAULTS
    ]  # fmt: skip
    plant.write_settings(
        {"simulation": {"turbines": args.turbines, "planted": faults}}, known_turbines=simulated_names(args.turbines)
    )
    plant.run_in_one_process("simulate", "ingest", "build_features", "train", "promote", "predict --from 2023-10-15")
    return report(DeltaTable(plant.lake / "gold/failure_predictions").to_pyarrow_table().to_pylist())


def report(predictions: list[dict[str, object]]) -> int:
    """Print a line a fault; 1 when too few alerts name their signal, or a fault raised none."""
    alerted = named = 0
    silent: list[str] = []
    for fault in FAULTS:
        windows = [row for row in predictions if row["asset_id"] == fault.asset_id and is_before(row["window_end"], fault)]
        alerts = [row for row in windows if row["is_alert"]]
        hits = sum(fault.signal in first_two_signals(row["reasons"]) for row in alerts)
        alerted, named = alerted + len(alerts), named + hits
        silent += [] if alerts else [f"{fault.asset_id} {fault.failure_mode}"]
        print(
            f"{fault.asset_id} {fault.failure_mode}: {len(alerts)} of {len(windows)} windows alerted in the last "
            f"{RUN_UP_DAYS} days, {fault.signal} among the first two reasons of {hits}"
        )
    print(f"{named} of {alerted} alerted windows name the signal ({named / max(alerted, 1):.1%})")
    if silent:
        print(f"no alert before the failure: {', '.join(silent)}")
    return 0 if not silent and named / alerted >= WANTED_SHARE else 1


def is_before(window_end: object, fault: Planted) -> bool:
    """Whether a window closed in the run-up."""
    assert isinstance(window_end, datetime)
    return fault.failing_at - timedelta(days=RUN_UP_DAYS) <= window_end.replace(tzinfo=timezone.utc) < fault.failing_at


def first_two_signals(reasons: object) -> set[str]:
    """Signals that the first two reasons name."""
    assert isinstance(reasons, list)
    return {reason["feature"].partition("__")[0] for reason in reasons[:2]}


if __name__ == "__main__":
    sys.exit(main())
