"""The floor: the bytes of the columns at the end of a file, and fdatasync."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tests.bench.contestants.keepers import Append, Columns


def opened() -> Append:
    file = os.open("rows", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def append(blocks: Sequence[Columns]) -> None:
        os.write(file, b"".join(column for block in blocks for column in block.values()))
        os.fdatasync(file)

    return append
