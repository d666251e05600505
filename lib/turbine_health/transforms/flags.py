"""What `quality_flags` tell: of values, or of the health of a sensor; at once, or only with the next reading."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F

HEALTH_FLAGS = ("frozen", "flat_at_limit", "spike", "gap")
# What comes back in the next reading was a spike: when a window ends, nobody can know it of its last reading.
DECIDED_LATER = ("spike",)


def value_flags(flags: str) -> Column:
    """The flags of a column like `quality_flags` that are about values, not about sensor health."""
    return F.filter(flags, lambda flag: ~F.substring_index(flag, ":", -1).isin(*HEALTH_FLAGS))


def flagged_at_once(flags: pa.ListArray) -> pa.Array:
    """Whether each list holds a flag that no later reading has a part in; false where it is null."""
    named = flags.flatten()
    known = [flag for flag in named.unique().to_pylist() if flag.rpartition(":")[2] not in DECIDED_LATER]
    holders = pc.list_parent_indices(flags).filter(pc.is_in(named, pa.array(known, named.type)))
    is_flagged = np.zeros(len(flags), dtype=bool)
    is_flagged[holders.to_numpy()] = True
    return pa.array(is_flagged)
