"""Turbine names and secrets as an attacker, or an honest plant, may bring them."""

from __future__ import annotations

from pathlib import Path

SCRIPT = "<script>alert('turbine')</script>"

HOSTILE_NAMES = {
    "T01": 'O\'Brien "7"; DROP TABLE gold.failure_predictions; --',
    "T02": "../../../etc/passwd",
    "T03": SCRIPT,
    "T04": "💨 Ветряк №5 風車",
    "T05": "x" * 4_000,
    "T06": "a,b=c/%20 &amp; ${user.home}",
}

# Given in the settings and in the environment; it must stay there.
SECRET = "planted-0f3b9c6e-secret"
SECRET_ENVIRONMENT = {"MLFLOW_TRACKING_PASSWORD": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}


def rename_turbines(landing: Path) -> None:
    """Give the turbines of the built-in fleet hostile names, in readings and event log; broken lines stay broken."""
    for path in [*landing.glob("readings/*.csv"), landing / "events.csv"]:
        lines = path.read_bytes().split(b"\n")
        path.write_bytes(b"\n".join(map(_renamed, lines)))


def _renamed(line: bytes) -> bytes:
    old, comma, rest = line.partition(b",")
    name = HOSTILE_NAMES.get(old.decode("ascii", errors="replace"))
    if name is None or not comma:
        return line
    quoted = '"' + name.replace('"', '""') + '"'
    return quoted.encode() + comma + rest
