"""The event log: what people wrote down about failures, maintenance and stops, with a little dirt of its own."""

from __future__ import annotations

from collections import Counter

import numpy as np

from turbine_health.simulation.history import History
from turbine_health.simulation.truth import Truth, moment, stamp
from turbine_health.simulation.weather import EVENT_DIRT, random_stream
from turbine_health.simulation_settings import SimulationSettings

COLUMNS = ("asset_id", "event_type", "component", "started_at", "ended_at")
UNKNOWN_TURBINE = "T00"
_REPORTED_AGAIN_AFTER_HOURS = 6

Entry = tuple[str, str, str, str, str]


def event_log(settings: SimulationSettings, truth: Truth) -> bytes:
    """`events.csv` for all histories of `truth`, which gets the counts. Times are UTC."""
    start, end = np.datetime64(settings.start, "s"), np.datetime64(settings.start, "s") + np.timedelta64(settings.days, "D")
    entries = sorted((entry for history in truth.histories for entry in _entries(history, start, end)), key=_by_time)
    counts = Counter(event_type for _, event_type, _, _, _ in entries)
    planted = {"unknown_asset": 0, "without_end": 0, "overlapping_failures": 0, "exact_duplicates": 0, "out_of_order": 0}
    if settings.dirt > 0:
        entries, planted = _soiled(entries, random_stream(settings, EVENT_DIRT))
    kinds = {event_type: counts[event_type] for event_type in ("failure", "maintenance", "stop")}
    truth.events = {"rows": len(entries), **kinds, **planted}
    lines = [",".join(COLUMNS), *(",".join(entry) for entry in entries), ""]
    return "\n".join(lines).encode()


def _entries(history: History, start: np.datetime64, end: np.datetime64) -> list[Entry]:
    rows = [(failure.failed, failure.repaired, "failure", failure.mode) for failure in history.failures]
    rows += [(stop.start, stop.end, stop.event_type, stop.component) for stop in history.standstills]
    entries: list[Entry] = []
    for started, ended, event_type, component in rows:
        began, over = moment(start, started), moment(start, ended)
        if began < end:
            # What is not over when the records end has not been written down yet.
            entries.append((history.asset_id, event_type, component, stamp(began), stamp(over) if over < end else ""))
    return entries


def _soiled(entries: list[Entry], random: np.random.Generator) -> tuple[list[Entry], dict[str, int]]:
    """One of each: an unknown turbine, a lost end, a failure reported twice, a repeated row; and some rows at the end."""
    planted = dict.fromkeys(("unknown_asset", "without_end", "overlapping_failures", "exact_duplicates", "out_of_order"), 0)
    failures = [entry for entry in entries if entry[1] == "failure" and entry[4]]
    stops = [place for place, entry in enumerate(entries) if entry[1] == "stop" and entry[4]]
    if failures:
        unknown, again, twice = (failures[place] for place in random.integers(len(failures), size=3))
        later = np.datetime64(again[3]) + np.timedelta64(_REPORTED_AGAIN_AFTER_HOURS, "h")
        entries = [*entries, (UNKNOWN_TURBINE, *unknown[1:]), (*again[:3], stamp(later), again[4]), twice]
        planted.update(unknown_asset=1, overlapping_failures=1, exact_duplicates=1)
    if stops:
        place = int(random.choice(stops))
        entries[place] = (*entries[place][:4], "")
        planted["without_end"] = 1
    entries.sort(key=_by_time)
    late = set(random.choice(len(entries), size=min(5, len(entries)), replace=False).tolist())
    planted["out_of_order"] = len(late)
    on_time = [entry for place, entry in enumerate(entries) if place not in late]
    return on_time + [entries[place] for place in sorted(late)], planted


def _by_time(entry: Entry) -> tuple[str, str]:
    return entry[3], entry[0]
