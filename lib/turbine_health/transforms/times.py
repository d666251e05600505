"""Times as whole microseconds since 1970, as columns in workers have them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import ceil

_START = datetime(1970, 1, 1, tzinfo=timezone.utc)


def as_micros(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone is this machine's."""
    return (moment.astimezone(timezone.utc) - _START) // timedelta(microseconds=1)


def as_time(micros: int) -> datetime:
    """The time, UTC, of a number of microseconds since 1970."""
    return _START + timedelta(microseconds=int(micros))


def whole_hours(length: timedelta) -> timedelta:
    """The next longer length of whole hours."""
    return timedelta(hours=ceil(length / timedelta(hours=1)))
