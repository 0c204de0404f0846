"""Behind a reverse proxy: what it says of who asks is believed, and nobody else's word is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from forge_widgets.errors import InvalidInput
from forge_widgets.server.access import Access
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES
from forge_widgets.server.binding import base_of
from forge_widgets.server.limits import Limits
from forge_widgets.server.proxies import Caller, Proxies, proxies_of
from tests.server.mounts import TOKEN, Mount, standalone
from tests.server.test_server_access import answer, cookies_of, known

PUBLIC = "https://train.example"


@pytest.mark.parametrize(
    ("peer", "forwarded", "scheme", "caller"),
    [
        ("127.0.0.1", "203.0.113.7", "https", Caller("203.0.113.7", "https")),
        ("::ffff:127.0.0.1", "203.0.113.7", "https", Caller("203.0.113.7", "https")),
        # What lies before the first address that is no proxy of ours is the client's own invention.
        ("127.0.0.1", "6.6.6.6, 203.0.113.7", "https", Caller("203.0.113.7", "https")),
        ("127.0.0.1", "6.6.6.6, 203.0.113.7, 10.1.2.3", "http,https, http", Caller("203.0.113.7", "https")),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "https", Caller("10.0.0.1", "https")),
        ("127.0.0.1", "[2001:db8::1]:4711, 10.0.0.2:80", "wss", Caller("2001:db8::1", "https")),
        ("127.0.0.1", "2001:db8::1", "ws", Caller("2001:db8::1", "http")),
        ("127.0.0.1", "unknown", "gopher", Caller("127.0.0.1", "http")),
        ("127.0.0.1", "203.0.113.7, garbage, 10.0.0.1", "", Caller("10.0.0.1", "http")),
        ("127.0.0.1", "", "", Caller("127.0.0.1", "http")),
        ("192.0.2.1", "203.0.113.7", "https", None),
        ("", "203.0.113.7", "https", None),
    ],
)
def test_who_asks_is_read_from_the_end_over_known_proxies_alone(
    peer: str, forwarded: str, scheme: str, caller: Caller | None
) -> None:
    proxies = proxies_of(["127.0.0.1", "10.0.0.0/8"])
    assert proxies.caller(peer, {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": scheme}) == caller
    assert Proxies().caller(peer, {"X-Forwarded-For": forwarded}) is None


def test_a_chain_without_end_is_looked_at_from_its_end_only() -> None:
    found = proxies_of(["127.0.0.1"]).caller("127.0.0.1", {"X-Forwarded-For": "1.1.1.1," + "127.0.0.1," * 5_000})
    assert found == Caller("127.0.0.1", "http")


@pytest.mark.parametrize("wrong", ["nginx", "", "10.0.0.1/8", "127.0.0.1:80"])
def test_a_proxy_that_is_no_address_is_said(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="--trust-proxy"):
        proxies_of([wrong])


@pytest.mark.parametrize(
    ("url", "base"), [("/", ""), ("", ""), ("training", "/training"), ("//a//b/", "/a/b"), ("/u/a%40b/", "/u/a%40b")]
)
def test_a_base_url_is_read(url: str, base: str) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize("wrong", ["/a b", "/..", "/a/./b", "/a?b", "http://a/b?c", "/ä", "/(.*)"])
def test_a_base_url_that_is_no_path_is_said(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="--base-url"):
        base_of(wrong)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """Serve below a path, for a proxy on this machine that says https and a public name."""
    access = Access(token=TOKEN, allow_host=("train.example",))
    limits = Limits(publish_requests_per_s=1.0, publish_burst_s=2.0)
    with standalone(
        tmp_path_factory.mktemp("proxied") / "store",
        access=access,
        limits=limits,
        base="/a.b/c",
        proxies=proxies_of(["127.0.0.1"]),
    ) as mount:
        yield mount


def forwarded(address: str = "203.0.113.7", scheme: str = "https") -> dict[str, str]:
    return {"Host": "train.example", "X-Forwarded-For": address, "X-Forwarded-Proto": scheme}


def test_everything_lies_below_the_base_url_and_nothing_beside_it(proxied: Mount) -> None:
    for verb, path in known(ROUTES + STANDALONE_ROUTES):
        assert answer(proxied, verb, path, proxied.authorization).status_code != 403, (verb, path)
        assert answer(proxied, verb, path, {}).status_code == 403, (verb, path)
    root = proxied.url.removesuffix("/a.b/c")
    for path in ("/api/health", "/health", "/", "/aXb/c/health", "/a.b/c/a.b/c/health"):
        assert requests.get(root + path, headers=proxied.authorization, timeout=10).status_code == 404, path
    led = requests.get(f"{proxied.url}?token={TOKEN}", timeout=10)
    assert (led.status_code, led.url) == (200, f"{proxied.url}/")
    assert proxied.get("/api/openapi.json").json()["servers"] == [{"url": "/a.b/c"}]
    assert requests.get(f"{proxied.url}/?token={TOKEN}&session=a", timeout=10).url == f"{proxied.url}/?session=a"


def test_a_cookie_that_was_given_over_https_is_never_sent_without_it(proxied: Mount) -> None:
    def cookie(headers: dict[str, str]) -> str:
        given = requests.get(f"{proxied.url}/?token={TOKEN}", headers=headers, timeout=10, allow_redirects=False)
        return given.headers["Set-Cookie"]

    assert "Secure" in cookie(forwarded())
    assert "Path=/a.b/c/" in cookie(forwarded())
    assert "Secure" not in cookie(forwarded(scheme="http"))
    assert "Secure" not in cookie({})


def test_the_own_origin_is_the_public_one(proxied: Mount) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies_of(proxied).items())
    address = proxied.url.replace("http", "ws", 1) + "/ws/a"

    def greeted(origin: str, headers: dict[str, str]) -> str:
        sent = {**headers, "Origin": origin, "Cookie": cookie}
        with connect(address, additional_headers=sent) as socket:
            return str(json.loads(socket.recv(timeout=5))["type"])

    def asked(origin: str, headers: dict[str, str]) -> int:
        return answer(proxied, "GET", "/api/health", {**headers, "Origin": origin, "Cookie": cookie}).status_code

    assert asked(PUBLIC, forwarded()) == 200
    assert asked("http://train.example", forwarded()) == 403
    assert asked(PUBLIC, forwarded(scheme="http")) == 403
    assert asked("https://other.example", forwarded()) == 403
    # A name that only the header of the proxy knows is a foreign one all the same.
    assert asked("https://evil.example", {**forwarded(), "Host": "evil.example"}) == 403
    sent = {name: value for name, value in forwarded().items() if name != "Host"}
    own = proxied.url.removesuffix("/a.b/c").replace("http", "https", 1)
    assert greeted(own, sent) == "session_joined"
    with pytest.raises(InvalidStatus):
        greeted(own.replace("https", "http", 1), sent)


def test_each_client_behind_the_proxy_has_a_rate_of_its_own(proxied: Mount) -> None:
    def recorded(address: str) -> int:
        headers = {**forwarded(address), **proxied.authorization}
        return requests.post(
            f"{proxied.url}/api/progress/rated/update", json={"metrics": {}}, headers=headers, timeout=10
        ).status_code

    assert [recorded("203.0.113.1") for _ in range(4)][-1] == 429
    assert recorded("203.0.113.2") == 200
    # A client can't get itself a fresh one by what it says in front of the proxy's word.
    assert recorded("203.0.113.99, 203.0.113.1") == 429


def test_nothing_is_believed_from_somebody_who_was_not_named(standalone_mount: Mount) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    given = requests.get(
        f"{standalone_mount.url}/?token={TOKEN}", headers=headers, timeout=10, allow_redirects=False
    ).headers["Set-Cookie"]
    assert "Secure" not in given
    own = standalone_mount.url
    cookie = "; ".join(f"{name}={value}" for name, value in cookies_of(standalone_mount).items())
    for origin, status in ((own, 200), (own.replace("http", "https", 1), 403)):
        sent = {**headers, "Origin": origin, "Cookie": cookie}
        assert answer(standalone_mount, "GET", "/api/health", sent).status_code == status
