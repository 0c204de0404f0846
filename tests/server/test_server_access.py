"""Who may ask: every route of the table and every verb, without credentials, with bad ones, and from a foreign page."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from tornado.web import RequestHandler
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from forge_widgets.server.access import Access, host_of
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES, Route
from tests.server.mounts import TOKEN, Mount, standalone

FOREIGN = "http://evil.example"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def path_of(route: Route) -> str:
    """Return an address that a route's pattern matches."""
    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.pattern).removesuffix("/?")
    return path.format(session_id="walked", path="page.js")


def walk(routes: tuple[Route, ...]) -> list[tuple[str, str]]:
    """List every verb on every route of the table, those that a route doesn't know too."""
    return [(verb, path_of(route)) for route in routes for verb in VERBS]


def known(routes: tuple[Route, ...]) -> list[tuple[str, str]]:
    """List the verbs that the routes know."""
    return [
        (verb, path_of(route))
        for route in routes
        for verb in VERBS
        if getattr(route.handler, verb.lower()) is not getattr(RequestHandler, verb.lower())
    ]


def routes_of(mount: Mount) -> tuple[Route, ...]:
    return ROUTES + (() if "forge" in mount.url else STANDALONE_ROUTES)


def answer(mount: Mount, verb: str, path: str, headers: dict[str, str]) -> requests.Response:
    handshake = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4PEA==",
    }
    sent = {**(handshake if path.startswith("/ws") else {}), **headers}
    body = "{}" if verb in ("POST", "PUT", "PATCH") else None
    if body:
        sent["Content-Type"] = "application/json"
    return requests.request(verb, mount.url + path, headers=sent, data=body, timeout=10, allow_redirects=False)


@pytest.mark.parametrize(
    "credentials",
    [{}, {"Authorization": "token wrong"}, {"Authorization": "Bearer wrong"}, {"Cookie": "forge-widgets=1; _xsrf=1"}],
    ids=["none", "bad-token", "bad-bearer", "bad-cookie"],
)
def test_nothing_is_told_without_credentials(mount: Mount, credentials: dict[str, str]) -> None:
    walked = walk(routes_of(mount))
    assert len(walked) >= 6 * len(ROUTES)
    for verb, path in walked:
        got = answer(mount, verb, path, credentials)
        # Jupyter sends who opens a page by hand to its login; nobody gets further than that.
        login = got.status_code == 302 and "/login?" in got.headers["Location"]
        assert got.status_code in (403, 405) or login, (verb, path, got.status_code)
        assert got.status_code != 405 or (verb, path) not in known(routes_of(mount)), (verb, path)
    assert "walked" not in [entry["sessionId"] for entry in mount.get("/api/sessions").json()["sessions"]]


def test_with_the_token_every_known_verb_is_let_in(mount: Mount) -> None:
    """The walk above would prove nothing if these addresses answered nobody."""
    for verb, path in known(routes_of(mount)):
        if not path.startswith("/ws"):
            assert answer(mount, verb, path, mount.authorization).status_code in (200, 404, 422), (verb, path)


def cookies_of(mount: Mount) -> dict[str, str]:
    """Log in as a browser does, with the token in the address, and return the cookies."""
    session = requests.Session()
    session.get(f"{mount.url}/?token={TOKEN}", timeout=10)
    return {name: value for name, value in session.cookies.items() if value}


def test_a_foreign_page_gets_nothing_by_the_visitors_cookie(mount: Mount) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in cookies_of(mount).items())
    own = "{0.scheme}://{0.netloc}".format(urlsplit(mount.url))
    assert cookies
    assert answer(mount, "GET", "/api/health", {"Cookie": cookies, "Origin": own}).status_code == 200
    for verb, path in known(routes_of(mount)):
        for origin in (FOREIGN, "null", "http://localhost:1"):
            got = answer(mount, verb, path, {"Cookie": cookies, "Origin": origin})
            harmless = path in ("/", "/static/page.js") and "forge" in mount.url  # Jupyter's own pages are alike
            assert harmless or got.status_code in (403, 404), (verb, path, origin, got.status_code)
            assert got.headers.get("Access-Control-Allow-Origin", "") == ""


def test_a_cookie_does_not_let_a_post_in_without_proof_that_it_is_no_form(mount: Mount) -> None:
    cookies = cookies_of(mount)
    path = f"{mount.url}/api/progress/forged/update"
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        headers = {} if kind is None else {"Content-Type": kind}
        got = requests.post(path, data='{"metrics": {}}', headers=headers, cookies=cookies, timeout=10)
        assert got.status_code in (403, 415)
    assert mount.get("/api/progress/forged").status_code == 404


def test_the_token_may_be_in_the_address_or_either_header(mount: Mount) -> None:
    for headers, query in (
        ({"Authorization": f"token {TOKEN}"}, ""),
        ({"Authorization": f"Bearer {TOKEN}"}, ""),
        ({}, f"?token={TOKEN}"),
    ):
        assert requests.get(f"{mount.url}/api/health{query}", headers=headers, timeout=10).status_code == 200


def test_a_token_skips_the_origin_check_and_a_cookie_does_not(mount: Mount, session_id: str) -> None:
    address = mount.url.replace("http", "ws", 1) + f"/ws/{session_id}"
    with connect(f"{address}?token={TOKEN}", additional_headers={"Origin": FOREIGN}) as socket:
        assert json.loads(socket.recv(timeout=5))["type"] == "session_joined"
    cookies = "; ".join(f"{name}={value}" for name, value in cookies_of(mount).items())
    own = "{0.scheme}://{0.netloc}".format(urlsplit(mount.url))
    with connect(address, additional_headers={"Origin": own, "Cookie": cookies}) as socket:
        assert json.loads(socket.recv(timeout=5))["type"] == "session_joined"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(address, additional_headers={"Origin": FOREIGN, "Cookie": cookies}),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_foreign_host_is_refused_even_with_the_token(mount: Mount) -> None:
    for host in ("evil.example", "evil.example:8001", "localhost.evil.example", "127.0.0.1.evil.example"):
        for path in ("/api/health", "/api/sessions", "/ws/a", "/"):
            assert answer(mount, "GET", path, {**mount.authorization, "Host": host}).status_code == 403, (host, path)


def test_opening_the_page_with_the_token_takes_it_out_of_the_address(standalone_mount: Mount) -> None:
    got = requests.get(f"{standalone_mount.url}/?session=a&token={TOKEN}", timeout=10, allow_redirects=False)
    assert (got.status_code, got.headers["Location"]) == (302, "./?session=a")
    cookie = got.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie


def test_the_page_allows_no_inline_script(mount: Mount) -> None:
    got = mount.get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in got.headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert '<main id="forge"' in got.text
    assert "<script>" not in got.text
    assert mount.get("/static/page.js").status_code == 200


@pytest.mark.parametrize("path", ["/static/../server/app.py", "/static/%2e%2e/server/app.py", "/static/none.js"])
def test_only_the_built_front_end_is_served(mount: Mount, path: str) -> None:
    at = urlsplit(mount.url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=10)  # sends the path as it is
    connection.request("GET", at.path + path, headers=mount.authorization)
    assert connection.getresponse().status in (403, 404)
    connection.close()


# --- open mode -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with standalone(tmp_path_factory.mktemp("open") / "store", access=Access(token=None)) as mount:
        yield mount


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1:5173", "https://[::1]:1", "own"])
def test_open_mode_lets_in_the_loopback(open_mount: Mount, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": open_mount.url if origin == "own" else origin}
    for verb, path in known(ROUTES + STANDALONE_ROUTES):
        assert answer(open_mount, verb, path, headers).status_code not in (401, 403), (verb, path)
    got = requests.get(f"{open_mount.url}/api/health", headers=headers, timeout=10)
    assert got.headers.get("Access-Control-Allow-Origin") == headers.get("Origin")


@pytest.mark.parametrize(
    "origin",
    [
        FOREIGN,
        "null",
        "https://localhost.evil.example",
        "http://127.0.0.1.nip.io",
        "file://",
        "localhost",
        "http://[",
        "",
    ],
)
def test_open_mode_refuses_foreign_pages(open_mount: Mount, origin: str) -> None:
    for verb, path in known(ROUTES + STANDALONE_ROUTES):
        got = answer(open_mount, verb, path, {"Origin": origin})
        assert got.status_code == 403, (verb, path)
        assert "Access-Control-Allow-Origin" not in got.headers
    assert requests.options(f"{open_mount.url}/api/health", headers={"Origin": origin}, timeout=10).status_code == 403


def test_open_mode_refuses_a_host_that_was_rebound(open_mount: Mount) -> None:
    for verb, path in known(ROUTES + STANDALONE_ROUTES):
        assert answer(open_mount, verb, path, {"Host": "evil.example:8001"}).status_code == 403, (verb, path)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_open_mode_takes_no_form(open_mount: Mount, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    got = requests.post(f"{open_mount.url}/api/progress/f/update", data='{"metrics":{}}', headers=headers, timeout=10)
    assert got.status_code == 415
    assert "application/json" in got.json()["error"]


def test_a_preflight_of_a_known_page_is_answered(open_mount: Mount) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    for route in ROUTES:
        got = requests.options(open_mount.url + path_of(route), headers=headers, timeout=10)
        assert got.status_code == 204
        assert got.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "content-type" in got.headers["Access-Control-Allow-Headers"]


def test_what_is_allowed_explicitly_is_let_in(tmp_path: Path) -> None:
    access = Access(token=None, allow_origin=("null", "https://a.example"), allow_host=("train.example",))
    with standalone(tmp_path / "store", access=access) as mount:
        for origin in ("null", "https://a.example"):
            got = answer(mount, "POST", "/api/progress/a/update", {"Origin": origin})
            assert (got.status_code, got.headers["Access-Control-Allow-Origin"]) == (200, origin)
            address = mount.url.replace("http", "ws", 1) + "/ws/a"
            with connect(address, additional_headers={"Origin": origin}) as socket:
                assert json.loads(socket.recv(timeout=5))["type"] == "session_joined"
        assert answer(mount, "GET", "/api/health", {"Host": "Train.Example:8001"}).status_code == 200
        assert answer(mount, "GET", "/api/health", {"Origin": "https://b.example"}).status_code == 403


def test_with_a_token_an_allowed_page_still_needs_it(tmp_path: Path) -> None:
    access = Access(token=TOKEN, allow_origin=("https://a.example",))
    with standalone(tmp_path / "store", access=access) as mount:
        assert answer(mount, "GET", "/api/health", {"Origin": "https://a.example"}).status_code == 403
        got = answer(mount, "GET", "/api/health", {"Origin": "https://a.example", **mount.authorization})
        assert (got.status_code, got.headers["Access-Control-Allow-Origin"]) == (200, "https://a.example")


@pytest.mark.parametrize(
    ("netloc", "host"), [("a:1", "a"), ("[::1]:80", "::1"), ("A.B.", "a.b"), ("", ""), ("[", ""), ("a@b", "b")]
)
def test_the_host_of_a_header_is_read(netloc: str, host: str) -> None:
    assert host_of(netloc) == host


def test_a_star_lets_in_all() -> None:
    access = Access(token="t", allow_host=("*",), allow_origin=("*",))
    assert access.knows_host("any.example")
    assert access.knows_origin("null", "any.example")


def test_who_has_a_cookie_and_no_xsrf_header_is_told_of_the_header(mount: Mount) -> None:
    got = requests.post(f"{mount.url}/api/progress/forged/update", json={}, cookies=cookies_of(mount), timeout=10)
    if "/forge" in mount.url:  # stand-alone the type of the body is proof enough
        assert (got.status_code, got.json()["error"].partition(",")[0]) == (403, "the X-XSRFToken header is missing")
    else:
        assert got.status_code == 200


def test_a_person_without_a_token_is_shown_what_to_do_and_a_program_is_told(standalone_mount: Mount) -> None:
    def refused(accept: str, query: str = "") -> requests.Response:
        got = requests.get(f"{standalone_mount.url}/{query}", headers={"Accept": accept}, timeout=10)
        assert got.status_code == 403
        return got

    assert "token" in refused("*/*").json()["error"]
    # What the address says besides stands in the form, as text whatever it is.
    page = refused("text/html,*/*;q=0.8", '?token=wrong&session=a"><script>%ff')
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'name="session" value="a&quot;&gt;&lt;script&gt;\ufffd"' in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "wrong" not in page.text
    assert 'name="session"' not in refused("text/html").text
