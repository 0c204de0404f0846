"""The store over HTTP: its address, what it says of a server that is none, and what it does beyond the contract of all stores.

tests/stores/test_store_contract.py holds it, with a real server, to what every store promises.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from forge_widgets.core.events import Event
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import InvalidStoreURL, RateLimited, Refused, SequenceGap, StoreUnavailable
from forge_widgets.server.limits import Limits
from forge_widgets.stores import is_remote, open_store
from forge_widgets.stores.http import MAX_TEXT_CHARS, HttpStore
from forge_widgets.stores.http_address import Address, parse_address
from tests.faults.proxy import Proxy
from tests.server.mounts import TOKEN, in_jupyter, standalone
from tests.stores.batches import batch, event, recorded_steps, steps


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_WIDGETS_TOKEN", raising=False)


@contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    """Serve what some other server would answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the library's names

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def opened(url: str) -> Iterator[HttpStore]:
    store = open_store(url)
    assert isinstance(store, HttpStore)
    yield store
    store.close()


# --- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:8001", Address("http://h:8001")),
        ("http://h:8001/?token=t", Address("http://h:8001", "t")),
        ("https://h/a%40b/forge/?token=a%20b", Address("https://h/a%40b/forge", "a b")),
        ("http://[::1]:80/x", Address("http://[::1]:80/x")),
        ("http://h?token=", Address("http://h")),
    ],
)
def test_an_address_is_read_from_a_url(url: str, address: Address) -> None:
    assert parse_address(url) == address
    assert parse_address(url).token == address.token


def test_the_environment_gives_the_token_where_the_url_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", " from-outside\n".strip())
    assert parse_address("http://h").token == "from-outside"
    assert parse_address("http://h?token=own").token == "own"


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///path",
        "http://h:port",
        "http://h:99999",
        "http://h:0",
        "http://h/a b",
        "http://h/?tokken=secret-thing",
        "http://h/?token=secret-thing#x",
        "http://h/?Token=secret-thing",
        "http://[h/?token=secret-thing",
        "http://h/?token=secret-thing%0A",
        "http://h/?token=ü",
        "https://me:secret-thing@h/",
        "htps://h/?token=secret-thing",
        "htps://me:secret-thing@h",
    ],
)
def test_a_url_that_can_not_be_one_is_refused_and_its_secrets_are_not_shown(url: str) -> None:
    with pytest.raises(InvalidStoreURL) as raised:
        open_store(url)
    if "tokken" not in url:
        assert "secret-thing" not in str(raised.value) + repr(raised.value) + raised.value.url


def test_a_token_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(403, b"{}") as url, opened(f"{url}/?token=secret-thing") as store:
        with pytest.raises(StoreUnavailable) as raised:
            store.snapshot("s")
        chain = [raised.value, raised.value.__cause__, raised.value.__context__]
        shown = f"{store.url} {store!r} {vars(store)!r} {chain!r} {raised.value} {parse_address(f'{url}?token=secret-thing')!r}"
    assert "secret-thing" not in shown + caplog.text
    assert is_remote(store)


# --- what is no store ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b'{"error": "not allowed"}', "FORGE_WIDGETS_TOKEN"),
        (401, b"", "FORGE_WIDGETS_TOKEN"),
        (404, b"<html>", "at /forge"),
        (302, b"", "no store is served there"),
        (502, b"<html>Bad Gateway", "it answers 502"),
        (503, b'{"error": "the store is locked"}', "it answers 503: the store is locked"),
        (200, b"\n<html>welcome", "answers a web page, and no store does"),
        (200, b"welcome", "something else than a store"),
        (200, b'{"epoch": "e", "offset": "many", "state": {}}', "something else than a store"),
        (400, b"<html>", "it answers 400"),
        (409, b"{}", "it answers 409"),
    ],
)
def test_a_server_that_is_no_store_is_said_to_be_none(status: int, body: bytes, words: str) -> None:
    with answering(status, body, Location="/login") as url, opened(url) as store:
        with pytest.raises(StoreUnavailable, match=words) as raised:
            store.snapshot("s")
        assert raised.value.url == url


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        (b'{"error": "slowly", "retryAfter": 2.5}', {"Retry_After": "3"}, 2.5),
        (b"<html>", {"Retry_After": "7"}, 7.0),
        (b"<html>", {"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1.0),
        (b'{"retryAfter": 1e9}', {}, 3_600.0),
    ],
)
def test_a_server_that_asks_to_wait_is_heard(body: bytes, headers: dict[str, str], seconds: float) -> None:
    with answering(429, body, **headers) as url, opened(url) as store:
        with pytest.raises(RateLimited, match="ask again in") as raised:
            store.append("s", batch("p", 1, steps(0, 1)))
        assert raised.value.retry_after_s == seconds


def test_a_batch_that_is_refused_is_told_in_the_servers_words() -> None:
    with answering(422, b'{"error": "9 are too many in bodies"}') as url, opened(url) as store:
        with pytest.raises(Refused, match="9 are too many") as raised:
            store.append("s", batch("p", 1, steps(0, 5)))
        assert raised.value.status == 422


def test_a_server_that_is_not_there_is_said_to_be_out_of_reach() -> None:
    with answering(200) as url:
        pass
    with opened(url) as store:
        for call in (store.snapshot, store.version, store.heartbeats, store.delete):
            with pytest.raises(StoreUnavailable, match="nothing answers there"):
                call("s")
        store.beat("s", Heartbeat(producer="p"))  # left out
        with pytest.raises(StoreUnavailable, match="nothing answers there"):
            _ = store.store_id


# --- what it does beside the contract -----------------------------------------------------------------


def test_it_is_served_by_jupyter_too_behind_its_token(tmp_path: Path, jupyter_home: object) -> None:
    with in_jupyter(tmp_path / "store", tmp_path) as mount:
        with opened(mount.url) as stranger, pytest.raises(StoreUnavailable, match="does not let us in"):
            stranger.append("s", batch("p", 1, steps(0, 1)))
        with opened(f"{mount.url}/?token={TOKEN}") as store:
            assert store.store_id == mount.context.store.store_id
            assert store.snapshot("s") is None
            assert store.append("s", batch("p", 1, event("training_started"), steps(0, 3_000))).top == 3_001
            with pytest.raises(SequenceGap):
                store.append("s", batch("p", 4_000, steps(0, 1)))
            read = store.read("s", 1)
            assert read is not None
            assert recorded_steps(read.records) == list(range(3_000))
            store.beat("s", Heartbeat(producer="p", beat=5.0, attempt=1))
            assert store.heartbeats("s") == [Heartbeat(producer="p", beat=5.0, attempt=1)]
            assert [summary.session_id for summary in store.summaries()] == ["s"]
            assert store.trim("s", 1_000) == 1_001
            read = store.read("s", 0)
            assert read is not None
            assert (read.floor, read.base.rows) == (1_001, 999)
            assert store.trim("nobody", 1) is None
            assert store.delete("s")


def test_a_batch_over_the_servers_limit_goes_in_several_requests(tmp_path: Path) -> None:
    limits = Limits(max_body_bytes=2_000, max_inflated_bytes=20_000)
    with standalone(tmp_path / "store", limits=limits) as mount, opened(f"{mount.url}?token={TOKEN}") as store:
        sent = batch("p", 1, event("training_started"), steps(0, 2_000), event("control", at=1), steps(2_000, 1))
        receipt = store.append("s", sent)
        assert (receipt.top, receipt.sequence, receipt.repeated) == (2_003, 2_003, 0)
        assert store.append("s", sent).repeated == 2_003
        read = store.read("s", 0)
        assert read is not None
        assert recorded_steps(read.records) == list(range(2_001))
        assert len(read.records) > 10
        with pytest.raises(Refused, match="413"):
            store.append("s", batch("p", 2_004, event("alert", message="".join(map(str, range(10_000))))))


def test_a_large_batch_is_halved_before_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_widgets.stores.http.MAX_SENT_BYTES", 2_000)
    with standalone(tmp_path / "store") as mount, opened(f"{mount.url}?token={TOKEN}") as store:
        assert store.append("s", batch("p", 0, steps(0, 100), event("control", at=1), steps(100, 100))).sequence == 201
        read = store.read("s", 0)
        assert read is not None
        assert recorded_steps(read.records) == list(range(200))


def test_a_text_that_no_server_takes_is_cut(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as mount, opened(f"{mount.url}?token={TOKEN}") as store:
        long = Event(event_type="training_error", timestamp=1.0, error="x" * (MAX_TEXT_CHARS + 5), message="short")
        store.append("s", batch("p", 1, long))
        read = store.read("s", 0)
        assert read is not None
        kept = read.records[0].body
        assert isinstance(kept, Event)
        assert (len(kept.error), kept.error[-2:], kept.message) == (MAX_TEXT_CHARS, "x…", "short")


def test_many_sessions_versions_are_remembered_only_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forge_widgets.stores.http._MAX_VERSIONS", 2)
    with standalone(tmp_path / "store") as mount, opened(f"{mount.url}?token={TOKEN}") as store:
        for name in "abc":
            store.append(name, batch("p", 1, steps(0, 1)))
        assert len({store.version(name) for name in "abc"}) == 3
        assert len(store._versions) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_fork_has_connections_of_its_own(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as mount, opened(f"{mount.url}?token={TOKEN}") as store:
        store.append("s", batch("parent", 1, steps(0, 1)))
        child = os.fork()
        if not child:
            for number in range(1, 11):
                store.append("s", batch("child", number, steps(number, 1)))
            os._exit(0)
        for number in range(2, 12):
            store.append("s", batch("parent", number, steps(number, 1)))
        assert os.waitpid(child, 0)[1] == 0
        read = store.read("s", 0)
        assert read is not None
        assert read.top == 21


def test_a_connection_that_broke_while_idle_is_made_anew(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as mount:
        proxy = Proxy(int(mount.url.rpartition(":")[2]))
        try:
            with opened(f"http://127.0.0.1:{proxy.port}?token={TOKEN}") as store:
                for number in range(1, 6):
                    store.append("s", batch("p", number, steps(number, 1)))
                    proxy.reset()
                assert store.snapshot("s") is not None
                assert proxy.accepted >= 5
        finally:
            proxy.close()


def test_a_server_that_takes_connections_and_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_widgets.stores.http.BEAT_ANSWER_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        opened(f"http://127.0.0.1:{deaf.getsockname()[1]}") as store,
        pytest.raises(StoreUnavailable, match="it does not answer"),
    ):
        store.send_beat("s", Heartbeat(producer="p"))


def test_a_server_without_tls_is_not_taken_for_one_with_it() -> None:
    with (
        answering(200, b"{}") as url,
        opened(url.replace("http", "https")) as store,
        pytest.raises(StoreUnavailable, match="no safe connection"),
    ):
        store.snapshot("s")


def test_a_server_that_hangs_up_in_the_middle_of_an_answer_is_out_of_reach() -> None:
    with answering(200, b"{", Content_Length="500") as url, opened(url) as store:
        with pytest.raises(StoreUnavailable, match="the connection broke"):
            store.snapshot("s")
        with pytest.raises(StoreUnavailable, match="the connection broke"):
            store.append("s", batch("p", 0, steps(0, 1)))
