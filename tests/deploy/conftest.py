"""What the deployment tests share: a certificate, stores that trainings write to, and a Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.conftest import browser, jp_asyncio_loop, jp_server_cleanup  # noqa: F401 - fixtures
from tests.deploy.nginx import Certificate
from tests.deploy.ordinary import folder_of, ordinary_user
from tests.faults.house import House


@pytest.fixture(scope="session")
def certificate() -> Iterator[Certificate]:
    """Make a certificate, and let every client of this process and of those that it starts trust it."""
    with folder_of(ordinary_user()) as folder, pytest.MonkeyPatch.context() as patch:
        made = Certificate(folder)
        # Python's ssl, requests and node each ask another name.
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            patch.setenv(name, os.fspath(made.certificate))
        yield made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a module one store; what was started in this house is ended with the module."""
    made = House(tmp_path_factory.mktemp("deploy") / "store", seed=7)
    yield made
    made.close()
