"""Errors that a user can mend.

Each says what went wrong, where, and what to do next. A job turns one into a single line and
exit code 2; anything else is a bug of ours and keeps its traceback (exit code 1).
"""

from __future__ import annotations


class TurbineHealthError(Exception):
    """What went wrong, where, and what to do next, as one line."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        parts = [f"{where}: {what}" if where else what]
        if hint:
            parts.append(hint)
        super().__init__(" — ".join(parts))


class SettingsError(TurbineHealthError):
    """A settings file, flag or environment variable that cannot be used."""


class SourceError(TurbineHealthError):
    """A source description that does not fit the files it names."""


class TableError(TurbineHealthError):
    """A Delta table that is missing, or whose schema is not the one this version writes."""


class DataError(TurbineHealthError):
    """Data that is readable but not enough, or not fit, for what was asked."""


class TrackingError(TurbineHealthError):
    """An MLflow server, run or registered model that cannot be reached or found."""


class ConcurrentRunError(TurbineHealthError):
    """Another run holds what this one needs; nothing was changed, try again later."""
