"""The whole fleet as files, turbine after turbine, so that a large fleet needs no more memory than a small one."""

from __future__ import annotations

from collections.abc import Iterator

from turbine_health.simulation.dirt import Soiler
from turbine_health.simulation.event_log import event_log
from turbine_health.simulation.history import turbine_history
from turbine_health.simulation.log_files import has_repeated_hour, months
from turbine_health.simulation.machine import turbine_readings
from turbine_health.simulation.truth import Truth
from turbine_health.simulation.weather import DIRT, Site, random_stream, site_weather
from turbine_health.simulation_settings import SimulationSettings

READINGS, EVENT_LOG, TRUTH = "readings", "events.csv", "truth.json"
# Chance that a turbine's logger is left in local time for half a year, at dirt 1.
_LOCAL_LOGGER, _LOCAL_MONTHS = 0.12, 6


class Fleet:
    """A simulated fleet. `truth` fills as the files are generated."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self.truth = Truth()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Relative path and content of every file: readings by turbine and month, then the event log, then the truth.

        The same settings give the same bytes. A turbine's files do not depend on how many others there are.
        """
        self.truth = Truth()
        site = site_weather(self.settings)
        for turbine in range(1, self.settings.turbines + 1):
            for name, content in turbine_files(self.settings, site, turbine, self.truth):
                yield f"{READINGS}/{name}", content
        yield EVENT_LOG, event_log(self.settings, self.truth)
        yield TRUTH, self.truth.to_json(self.settings)

    def __str__(self) -> str:
        failures = sum(len(history.failures) for history in self.truth.histories)
        return (
            f"{self.truth.rows:,} rows of {self.settings.turbines} turbines in {len(self.truth.files):,} files, with "
            f"{failures} failures and {sum(self.truth.quarantine.values()):,} rows that belong in quarantine"
        )


def turbine_files(settings: SimulationSettings, site: Site, turbine: int, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """Name and content of the log files of one turbine, counted in `truth`."""
    random = random_stream(settings, DIRT, turbine)
    history = turbine_history(settings, turbine)
    truth.histories.append(history)
    by_month = list(months(site, history.asset_id, turbine_readings(settings, site, history, turbine)))
    first_local = int(random.integers(12)) if random.random() < _LOCAL_LOGGER * settings.dirt else len(by_month)
    soiler = Soiler(settings.dirt, random, truth)
    for number, month in enumerate(by_month):
        # The repeated hour of autumn cannot be told apart without an offset, so it is left to the tests of ingest.
        in_local_time = first_local <= number < first_local + _LOCAL_MONTHS
        month.is_local = in_local_time and not has_repeated_hour(month.moments)
        for file in soiler.files(month, is_last=number == len(by_month) - 1):
            truth.count_file(file.name, len(file.lines))
            for row, code in sorted(file.codes.items()):
                truth.bad_line(code, file.name, row + 2)
            yield file.name, file.content()
