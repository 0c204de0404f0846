"""The places that readers stand at, opened once for all documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.places import Places


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give every place; what it opened ends with the run."""
    opened = Places(tmp_path_factory.mktemp("readers"))
    yield opened
    opened.close()
