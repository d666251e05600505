"""What a process and all that it started cost: CPU seconds and peak memory, from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass
class Cost:
    """Of what ran inside `measured`: filled when it ends."""

    cpu_seconds: float = 0.0
    jvm_peak_gb: float = 0.0
    worker_peak_gb: float = 0.0
    """The largest single Python process below this one."""
    own_peak_gb: float = 0.0
    _peaks: dict[int, tuple[str, int]] = field(default_factory=dict)

    def look(self) -> None:
        """Note the peak resident memory of every process of the family; workers may be gone by the end."""
        for pid in family():
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
            self._peaks[pid] = (name, max(peak, self._peaks.get(pid, (name, 0))[1]))

    def close(self) -> None:
        """Sum up what was seen, in GB."""
        self.own_peak_gb = self._largest(lambda pid, _: pid == os.getpid())
        self.jvm_peak_gb = self._largest(lambda _, name: name == "java")
        self.worker_peak_gb = self._largest(lambda pid, name: name.startswith(("python", "pyspark")) and pid != os.getpid())

    def _largest(self, is_meant: Callable[[int, str], bool]) -> float:
        return round(max((peak for pid, (name, peak) in self._peaks.items() if is_meant(pid, name)), default=0) / 2**20, 2)


@contextmanager
def measured() -> Iterator[Cost]:
    """CPU seconds and peak memory of this process and all that it started, while the block runs."""
    cost, busy, done = Cost(), busy_seconds(), threading.Event()

    def watch() -> None:
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            cost.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield cost
    finally:
        done.set()
        watcher.join()
        cost.look()
        cost.cpu_seconds = round(busy_seconds() - busy, 1)
        cost.close()


def busy_seconds() -> float:
    """CPU seconds of the family so far, ended children among them."""
    stats = _stats()
    return sum(stats[pid][1] for pid in family(stats) if pid in stats) / os.sysconf("SC_CLK_TCK")


def family(stats: dict[int, tuple[int, int]] | None = None) -> set[int]:
    """This process and all that it started, the JVM and the Python workers among them."""
    stats = _stats() if stats is None else stats
    found, grown = {os.getpid()}, True
    while grown:
        more = {pid for pid, (parent, _) in stats.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _stats() -> dict[int, tuple[int, int]]:
    """Process → its parent, and the ticks that it and its ended children have used."""
    stats = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(entry.parent.name)] = (int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))
    return stats
