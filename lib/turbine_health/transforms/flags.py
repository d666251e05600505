"""What `quality_flags` tell: of values, or of the health of a sensor; at once, or only with the next reading."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

HEALTH_FLAGS = ("frozen", "flat_at_limit", "spike", "gap")
# What comes back in the next reading was a spike: when a window ends, nobody can know it of its last reading.
DECIDED_LATER = ("spike",)


def value_flags(flags: str) -> Column:
    """The flags of a column like `quality_flags` that are about values, not about sensor health."""
    return F.filter(flags, lambda flag: ~F.substring_index(flag, ":", -1).isin(*HEALTH_FLAGS))


def is_flagged_at_once(flags: str) -> Column:
    """Whether a column like `quality_flags` holds one that no later reading has a part in; false where it is null."""
    is_known = F.exists(flags, lambda flag: ~F.substring_index(flag, ":", -1).isin(*DECIDED_LATER))
    return F.coalesce(is_known, F.lit(False))
