"""The stand-alone page as a person has it: on a phone, in a tab that sleeps, on a network that comes and goes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

import forge_widgets as forge
from tests.browser.conftest import FLAGS
from tests.browser.jupyter import JupyterServer, wait_for
from tests.browser.page_house import TOKEN, PageServer, Witness, real_tabs
from tests.faults.proxy import Proxy, proxied

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PHONE: ViewportSize = {"width": 390, "height": 844}
FINGER = 44
MANY = 22


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        real_tabs(playwright, FLAGS, tmp_path_factory.mktemp("profile")) as chromium,
    ):
        yield chromium


def fail(store: str) -> None:
    """Record a training that ends with an error."""
    with forge.run("failed", total_steps=100, store=store) as run:
        run.log(loss=1.0)
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB\nmore of it")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A server whose store has many sessions that are over, one that failed, and one that goes on all the time."""
    server = PageServer(tmp_path_factory.mktemp("page"))
    store = str(server.store)
    for number in range(MANY):
        with forge.run(f"done-{number:02}", total_steps=60, store=store) as run:
            for step in range(60):
                run.log(loss=2 / (step + 1), accuracy=step / 60)
    with pytest.raises(RuntimeError):
        fail(store)
    server.train("steady", 50_000, 0.02)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def proxy(server: PageServer) -> Iterator[Proxy]:
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def phone(browser: Browser, scheme: str = "light") -> BrowserContext:
    return browser.new_context(
        viewport=PHONE,
        device_scale_factor=3,
        is_mobile=True,
        has_touch=True,
        reduced_motion="reduce",
        color_scheme="dark" if scheme == "dark" else "light",
    )


@pytest.fixture
def tab(browser: Browser) -> Iterator[Witness]:
    """A tab that can be hidden behind another; wide enough for list and session beside each other."""
    page = browser.contexts[0].new_page()
    yield Witness(page)
    page.close()


def address(port: int, query: str = "") -> str:
    return f"http://127.0.0.1:{port}/?token={TOKEN}{query}"


def badge(page: Page) -> str:
    """What the badge says, without what only a screen reader says."""
    return str(page.locator(".forge-badge").evaluate("badge => badge.firstChild.textContent"))


def expect_badge(page: Page, label: str, timeout_s: float = 15.0) -> None:
    wait_for(lambda: badge(page) == label, f"badge {label!r} (it says {badge(page)!r})", timeout_s)


def test_on_a_phone_everything_fits_and_fingers_find_it(
    browser: Browser, server: PageServer, screenshots: Path, scheme: str
) -> None:
    context = phone(browser, scheme)
    witness = Witness(page := context.new_page())
    for name, query in (
        ("list", ""),
        ("running", "&session=steady"),
        ("failed", "&session=failed"),
        ("waiting", "&session=later"),
    ):
        page.goto(address(server.port, query))
        shown = page.locator(".forge-row" if name == "list" else ".forge-dashboard").first
        expect(shown).to_be_visible()
        if name != "list":
            expect(page.locator(".forge-status")).to_contain_text("error" if name == "failed" else name)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        small = page.locator("button:visible, select:visible, a:visible").evaluate_all(
            f"all => all.filter(e => e.getBoundingClientRect().height < {FINGER}).map(e => e.outerHTML)"
        )
        assert small == []
        # No number is cut off: a person reads them whole.
        cut = "elements => elements.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        assert page.locator(".forge-tile-value").evaluate_all(cut) == []
        page.screenshot(path=screenshots / f"phone-{name}-{scheme}.png")
    assert not witness.errors
    context.close()


def test_back_leads_from_a_session_to_where_one_was_in_the_list(browser: Browser, server: PageServer) -> None:
    context = phone(browser)
    witness = Witness(page := context.new_page())
    page.goto(address(server.port))
    row = page.get_by_role("button", name="done-03")
    row.scroll_into_view_if_needed()
    left = page.evaluate("scrollY")
    assert left > 100
    for way in ("browser", "page"):
        row.tap()
        expect(page.locator(".forge-dashboard")).to_contain_text("completed")
        expect(page).to_have_title("done-03 · training")
        assert page.evaluate("scrollY") == 0
        # Nobody sees the list.
        asked = len(witness.asked)
        page.wait_for_timeout(1_500)
        assert not [url for url in witness.asked[asked:] if url.endswith("api/sessions")]
        if way == "browser":
            page.go_back()
        else:
            page.get_by_role("button", name="All sessions").tap()
        expect(page.locator(".forge-dashboard")).to_have_count(0)
        expect(page).to_have_title("Training sessions")
        wait_for(lambda: page.evaluate("scrollY") == left, f"the place in the list ({left})")
        expect(row).to_be_focused()
    # Whoever comes by a link finds the way to the list, too.
    page.goto(address(server.port, "&session=done-03"))
    page.get_by_role("button", name="All sessions").tap()
    expect(row).to_be_visible()
    assert "session=" not in page.url
    context.close()


def test_a_chart_is_read_by_a_finger_and_by_keys(browser: Browser, server: PageServer) -> None:
    context = phone(browser)
    page = context.new_page()
    page.goto(address(server.port, "&session=done-03"))
    plot = page.locator(".forge-plot-area")
    box = plot.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    readout = page.locator(".forge-readout")
    expect(readout).to_contain_text(re.compile(r"step\s*30"))
    plot.press("ArrowRight")
    expect(readout).to_contain_text(re.compile(r"step\s*31"))
    plot.press("Escape")
    expect(readout).to_have_count(0)
    # A finger that scrolls the page is not held up, nor one of two that zoom.
    assert plot.evaluate("plot => getComputedStyle(plot).touchAction") == "pan-y pinch-zoom"
    context.close()


def test_a_link_may_name_a_session_that_is_not_there_yet_or_no_more(
    browser: Browser, server: PageServer, tab: Witness
) -> None:
    page = tab.page
    page.goto(address(server.port, "&session=to-come"))
    expect(page.locator(".forge-dashboard")).to_contain_text("Waiting for to-come")
    assert server.train("to-come", 40, 0.01).wait(30) == 0
    expect(page.locator(".forge-dashboard")).to_contain_text("step 40 of 40", timeout=15_000)
    headers = {"Authorization": f"token {TOKEN}"}
    url = f"http://127.0.0.1:{server.port}/api/sessions/to-come"
    assert requests.delete(url, headers=headers, timeout=10).status_code in (200, 204)
    expect(page.locator(".forge-dashboard")).to_contain_text("This session was deleted", timeout=15_000)
    expect(page.get_by_role("button", name="to-come")).to_have_count(0)
    page.reload()
    expect(page.locator(".forge-dashboard")).to_contain_text("Waiting for to-come")


def test_an_empty_store_shows_four_lines_to_copy(browser: Browser, tmp_path: Path) -> None:
    server = PageServer(tmp_path / "empty")
    server.start()
    context = browser.new_context(viewport=PHONE, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(address(server.port))
    lines = page.locator("pre").inner_text().splitlines()
    assert len(lines) == 4
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == lines
    context.close()
    server.stop()


def test_whoever_has_no_token_is_told_what_to_do_and_comes_in_by_it(browser: Browser, server: PageServer) -> None:
    bare = f"http://127.0.0.1:{server.port}/"
    assert requests.get(bare, timeout=10).headers["Content-Type"] == "application/json"
    context = phone(browser)
    page = context.new_page()
    answer = page.goto(f"{bare}?session=done-03")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("heading")).to_contain_text("doesn’t let you in")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("enter the token").fill("a-wrong-one")
    page.get_by_role("button", name="Open").tap()
    expect(page.get_by_role("alert")).to_contain_text("That token")
    page.get_by_label("enter the token").fill(TOKEN)
    page.get_by_role("button", name="Open").tap()
    expect(page.locator(".forge-dashboard")).to_contain_text("completed")
    assert page.url == f"{bare}?session=done-03"
    context.close()


def test_a_tab_that_sleeps_comes_back_without_a_gap_or_a_false_word(
    browser: Browser, server: PageServer, tab: Witness
) -> None:
    page = tab.page
    page.goto(address(server.port, "&session=steady"))
    tab.expect_step_above(0)
    protocol = browser.contexts[0].new_cdp_session(page)
    timers = page.evaluate("timers.size")
    other = browser.contexts[0].new_page()
    for frozen in (False, True):
        other.bring_to_front()
        wait_for(lambda: page.evaluate("document.visibilityState") == "hidden", "a hidden tab")
        shown, asked = tab.step, len(tab.asked)
        if frozen:
            protocol.send("Page.setWebLifecycleState", {"state": "frozen"})
        # Longer than a link may be silent.
        time.sleep(4.5)
        if frozen:
            protocol.send("Page.setWebLifecycleState", {"state": "active"})
        # Nobody saw it, so nothing was painted, and no list was asked for.
        assert tab.step == shown
        assert tab.asked[asked:] == []
        page.bring_to_front()
        # At least what was recorded meanwhile is there at once.
        tab.expect_step_above(shown + 120, timeout_s=5)
        assert len(tab.asked) - asked <= 6
    assert tab.seen("badges")[-1] == "WebSocket"
    assert not {"offline", "polling"} & set(tab.seen("badges"))
    assert not [text for text in tab.seen("texts") if "Offline" in text or "can’t be read" in text]
    # A browser may cut the socket of a page that it freezes.
    assert tab.sockets <= 2
    wait_for(lambda: page.evaluate("timers.size") <= timers + 1, "no more timers than before")
    tab.check_steps()
    other.close()


def test_the_way_back_leads_to_the_page_as_it_was_and_it_goes_on(server: PageServer, tab: Witness) -> None:
    page = tab.page
    page.goto(address(server.port, "&session=steady"))
    shown = tab.expect_step_above(0)
    page.evaluate("window.addEventListener('pageshow', event => { seen.kept = event.persisted })")
    page.goto(f"http://127.0.0.1:{server.port}/api/health")
    page.go_back(wait_until="commit")
    wait_for(lambda: bool(page.evaluate("window.seen?.kept === true")), "the page out of the cache")
    tab.expect_step_above(shown + 20)
    assert not [text for text in tab.seen("texts") if "Offline" in text]
    tab.check_steps()


def test_a_phone_that_loses_its_network_says_so_and_is_back_within_seconds(
    browser: Browser, server: PageServer, screenshots: Path
) -> None:
    context = phone(browser)
    tab = Witness(page := context.new_page())
    page.goto(address(server.port, "&session=steady"))
    shown = tab.expect_step_above(0)
    for view in ("session", "list"):
        context.set_offline(True)
        if view == "session":
            # Chromium leaves open sockets alone: the page finds out by their silence.
            expect(page.locator(".forge-notice")).to_contain_text("Offline since", timeout=15_000)
            assert badge(page) == "offline"
            expect(page.locator(".forge-notice")).to_contain_text("showing what is known")
            page.screenshot(path=screenshots / "phone-offline-light.png")
            assert tab.step >= shown
        else:
            expect(page.locator(".forge-list .forge-notice")).to_contain_text("Offline since", timeout=15_000)
            expect(page.get_by_role("button", name="done-03")).to_be_attached()
        context.set_offline(False)
        expect(page.locator(".forge-notice")).to_have_count(0, timeout=8_000)
        if view == "session":
            expect_badge(page, "WebSocket")
            tab.expect_step_above(tab.step)
            tab.check_steps()
            page.get_by_role("button", name="All sessions").tap()
            expect(page.get_by_role("button", name="done-03")).to_be_attached()
    context.close()


def test_the_badge_is_right_whatever_becomes_of_the_way(proxy: Proxy, server: PageServer, tab: Witness) -> None:
    page = tab.page
    proxy.upgrade = 502
    page.goto(address(proxy.port, "&session=steady"))
    expect_badge(page, "polling")
    expect(page.locator(".forge-why")).to_have_text("WebSocket is blocked here")
    shown = tab.expect_step_above(0)
    # The whole way is gone, for the list as well.
    proxy.refuse()
    proxy.reset()
    expect_badge(page, "offline")
    expect(page.locator(".forge-dashboard .forge-notice")).to_contain_text("The server can’t be reached")
    expect(page.locator(".forge-list .forge-notice")).to_contain_text("showing what is known")
    assert tab.step >= shown
    # And it is back, better than before.
    proxy.upgrade = None
    proxy.accept()
    expect_badge(page, "WebSocket", timeout_s=40)
    shown = tab.expect_step_above(tab.step)
    expect(page.locator(".forge-notice")).to_have_count(0)
    # Cut once, it is back before anybody notices.
    offline = tab.seen("badges").count("offline")
    proxy.reset()
    tab.expect_step_above(shown + 10)
    assert tab.seen("badges").count("offline") == offline
    tab.check_steps()


def test_what_is_shown_in_the_end_is_what_was_recorded_though_the_server_was_started_again(
    server: PageServer, tab: Witness
) -> None:
    training = server.train("kept", 400, 0.01)
    page = tab.page
    page.goto(address(server.port, "&session=kept"))
    shown = tab.expect_step_above(0)
    server.kill()
    server.start()
    assert training.wait(30) == 0
    expect(page.locator(".forge-dashboard")).to_contain_text("completed", timeout=30_000)
    expect(page.locator(".forge-dashboard")).to_contain_text("step 400 of 400")
    rows = forge.history("kept", store=str(server.store)).to_dataframe()
    assert list(rows["step"]) == list(range(1, 401))
    assert tab.step == 400 > shown
    expect(page.locator(".forge-tile").first).to_contain_text(f"{rows['loss'].iloc[-1]:.4g}")
    tab.check_steps()


def test_the_page_works_inside_jupyter(lab: JupyterServer, browser: Browser) -> None:
    with lab.run_script(
        "import forge_widgets as forge\nwith forge.run('inside', total_steps=9) as run:\n  run.log(loss=1)"
    ) as one:
        assert one.wait(60) == 0
    context = phone(browser)
    page = context.new_page()
    page.goto(f"{lab.url}forge/?token={lab.token}")
    page.get_by_role("button", name="inside").tap()
    expect(page.locator(".forge-dashboard")).to_contain_text("completed")
    expect_badge(page, "WebSocket")
    context.close()
