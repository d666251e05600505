"""Lines of bronze, looked up in a Python worker, which imports nothing else for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.slicing import Kernel


def lines_at(wanted: Mapping[str, Integers]) -> Kernel:
    """What picks rows of bronze by where they stood.

    Args:
        wanted: `_source_file` → numbers of `_source_row`.
    """

    numbers = np.unique(np.concatenate(list(wanted.values())))

    def pick(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            encoded, row = batch["_source_file"].dictionary_encode(), batch["_source_row"].to_numpy()
            of_row = encoded.indices.to_numpy()
            # Most row numbers are wanted of no file.
            here = np.flatnonzero(np.isin(row, numbers))
            is_wanted = np.zeros(len(here), dtype=bool)
            for code in np.unique(of_row[here]):
                file = encoded.dictionary[int(code)].as_py()
                is_wanted |= (of_row[here] == code) & np.isin(row[here], wanted.get(file, ()))
            yield batch.take(pa.array(here[is_wanted]))

    return pick
