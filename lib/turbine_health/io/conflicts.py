"""Two runs that write the same rows of a table at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from delta import exceptions as conflicts

from turbine_health.errors import ConcurrentRunError

# What Delta raises, with no common base, where two transactions cannot both hold.
CONFLICTS = (
    conflicts.DeltaConcurrentModificationException, conflicts.ConcurrentWriteException, conflicts.MetadataChangedException,
    conflicts.ProtocolChangedException, conflicts.ConcurrentAppendException, conflicts.ConcurrentDeleteReadException,
    conflicts.ConcurrentDeleteDeleteException, conflicts.ConcurrentTransactionException,
)  # fmt: skip


@contextmanager
def alone(identifier: str, path: str) -> Iterator[None]:
    """Turn what Delta raises where another run changed the table meanwhile into one error that says so."""
    try:
        yield
    except CONFLICTS as conflict:
        raise ConcurrentRunError(
            f"another run wrote {identifier} at the same time",
            where=path,
            hint="its rows stand, this run's were not written: run again",
        ) from conflict
