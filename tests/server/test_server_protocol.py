"""Frames, resume, heartbeats and the poll of docs/PROTOCOL.md, on both mounts."""

from __future__ import annotations

import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed

from forge_widgets.core.liveness import Heartbeat
from tests.server.mounts import Json, Mount, event, rows, until


def poll(mount: Mount, session_id: str, query: str = "") -> Json:
    answer = mount.get(f"/api/sessions/{session_id}/events?protocol=1{query}")
    assert answer.status_code == 200, answer.text
    polled: Json = answer.json()
    return polled


def test_a_viewer_is_welcomed_and_gets_a_key_frame_and_a_heartbeat(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 10))
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        welcome, frame, heartbeat = socket.hear(), socket.hear(), socket.hear()
    assert welcome.items() >= {"type": "welcome", "protocol": 1, "sessionId": session_id}.items()
    assert (welcome["storeId"], welcome["heartbeatSeconds"]) == (mount.context.store.store_id, 0.5)
    assert welcome["timestamp"] == pytest.approx(time.time(), abs=5)
    assert frame.items() >= {"type": "frame", "from": 1, "to": 11, "key": True, "recovered": True}.items()
    assert frame["state"]["rows"] == 10
    loss = next(line for line in frame["series"] if line["metric"] == "loss")
    assert loss["steps"] == list(range(10))
    assert heartbeat.items() >= {"type": "heartbeat", "epoch": frame["epoch"], "top": 11, "unsaved": 0}.items()


def test_an_unknown_session_is_a_waiting_key_frame_and_then_a_whole_one(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        frame = socket.hear_type("frame")
        assert (frame["epoch"], frame["to"], frame["state"]["status"]) == ("", 0, "waiting")
        mount.append(session_id, rows(0, 2))
        whole = socket.hear_type("frame")
    assert whole.items() >= {"key": True, "recovered": True, "to": 2}.items()


def test_delta_frames_follow_without_a_hole(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 10))
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        top = socket.hear_type("frame")["to"]
        for step in range(10, 210):
            mount.append(session_id, rows(step, step + 1))
        steps: list[float] = []
        while top < 210:
            frame = socket.hear_type("frame")
            assert (frame["key"], frame["from"]) == (False, top + 1)
            for record in frame["records"]:
                steps += record["rows"]["columns"]["currentStep"]
            top = frame["to"]
    assert steps == list(range(10, 210))


def test_frames_come_at_most_twenty_a_second(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        socket.hear_type("frame")
        begun, frames, top = time.monotonic(), 0, 0
        for step in range(300):
            mount.append(session_id, rows(step, step + 1))
        while top < 300:
            top, frames = socket.hear_type("frame")["to"], frames + 1
        assert frames <= 20 * (time.monotonic() - begun) + 2


def test_a_viewer_goes_on_from_a_cursor_inside_a_block(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 100))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    with mount.socket(f"/ws/{session_id}?protocol=1&epoch={epoch}&after=41") as socket:
        frame = socket.hear_type("frame")
        assert frame.items() >= {"key": False, "from": 42, "to": 101}.items()
        (record,) = frame["records"]
        assert (record["offset"], record["sequence"]) == (42, 42)
        assert record["rows"]["columns"]["currentStep"] == list(range(40, 100))
        socket.say(type="resume", epoch=epoch, after=100)
        again = socket.hear_type("frame")
        assert (again["from"], again["to"], again["records"][0]["rows"]["columns"]["currentStep"]) == (101, 101, [99])


def test_a_cursor_at_the_top_hears_nothing_until_there_is_something(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    with mount.socket(f"/ws/{session_id}?protocol=1&epoch={epoch}&after=5") as socket:
        assert [socket.hear()["type"], socket.hear()["type"]] == ["welcome", "heartbeat"]
        mount.append(session_id, rows(5, 6))
        assert socket.hear_type("frame").items() >= {"key": False, "from": 6, "to": 6}.items()


@pytest.mark.parametrize("cursor", ["epoch=another&after=3", "epoch={epoch}&after=900"])
def test_a_cursor_that_cannot_be_honoured_gets_a_key_frame_that_says_so(
    mount: Mount, session_id: str, cursor: str
) -> None:
    mount.append(session_id, rows(0, 5))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    with mount.socket(f"/ws/{session_id}?protocol=1&{cursor.format(epoch=epoch)}") as socket:
        assert socket.hear_type("frame").items() >= {"key": True, "recovered": False, "to": 5}.items()


def test_what_producers_could_not_save_is_said_promptly(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"))
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        socket.hear_type("heartbeat")
        beat = Heartbeat(producer="p1", attempt=1, beat=time.time(), unsaved=7, reason="the disk is full")
        mount.context.store.beat(session_id, beat)
        heard = socket.hear_until(lambda message: message.get("unsaved") == 7, timeout=4)
    assert heard[-1].items() >= {"type": "heartbeat", "reason": "the disk is full"}.items()


def test_heartbeats_go_on(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        begun = time.monotonic()
        for _ in range(3):
            socket.hear_type("heartbeat", timeout=3)
        assert 0.9 <= time.monotonic() - begun <= 4


def test_a_ping_of_our_own_client_is_answered_in_seconds(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        socket.say(type="ping")
        assert socket.hear_type("pong")["timestamp"] == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize("path", ["/ws/%2e%2e?protocol=1", "/ws?protocol=1", "/ws/a?protocol=1&after=x&epoch=e"])
def test_what_our_own_client_asks_wrongly_is_refused_for_good(mount: Mount, path: str) -> None:
    with mount.socket(path) as socket:
        assert socket.hear()["type"] == "error"
        with pytest.raises(ConnectionClosed):
            socket.hear()
        assert socket.connection.close_code == 1008


@pytest.mark.parametrize("offered", ["2,1", "1", "1,99", " 1 ,x", "7, 1,1"])
def test_of_the_versions_that_a_client_speaks_the_newest_known_is_taken(
    mount: Mount, session_id: str, offered: str
) -> None:
    with mount.socket(f"/ws/{session_id}?protocol={quote(offered)}") as socket:
        assert socket.hear()["protocol"] == 1
    assert mount.get(f"/api/sessions/{session_id}/events?protocol={quote(offered)}").json()["protocol"] == 1
    assert mount.get("/api/health").json()["protocols"] == [1]


@pytest.mark.parametrize("offered", ["2", "3,2", "x"])
def test_where_no_version_is_common_the_client_is_told_which_there_are(
    mount: Mount, session_id: str, offered: str
) -> None:
    with mount.socket(f"/ws/{session_id}?protocol={offered}") as socket:
        error = socket.hear()
        assert (error["type"], error["protocols"]) == ("error", [1])
        assert offered in error["error"]
        with pytest.raises(ConnectionClosed):
            socket.hear()
        assert socket.connection.close_code == 4505
    answer = mount.get(f"/api/sessions/{session_id}/events?protocol={offered}")
    assert (answer.status_code, answer.json()["protocols"]) == (422, [1])


def unpacked(message: str | bytes) -> Json:
    """Read a message: JSON text, or that deflated."""
    read: Json = json.loads(zlib.decompress(message) if isinstance(message, bytes) else message)
    return read


def test_long_frames_are_deflated_for_who_asks_and_short_ones_are_not(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 300))
    with mount.socket(f"/ws/{session_id}?protocol=1&encoding=deflate", compression=None) as socket:
        received = [socket.connection.recv(timeout=5) for _ in range(3)]
        assert [type(message) for message in received] == [str, bytes, str]
        whole = unpacked(received[1])
        assert (whole["key"], whole["to"]) == (True, 300)
        mount.append(session_id, rows(300, 301))
        message = socket.connection.recv(timeout=5)
        while unpacked(message)["type"] != "frame":
            message = socket.connection.recv(timeout=5)
        assert isinstance(message, str)
    assert len(received[1]) < 0.6 * len(json.dumps(whole))


def test_a_poll_is_one_gzip_member_for_who_takes_that(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 300))
    path = f"/api/sessions/{session_id}/events?protocol=1"
    packed, plain = (mount.get(path, headers={"Accept-Encoding": coding}) for coding in ("gzip", "identity"))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Content-Encoding" not in plain.headers
    assert packed.json()["frame"] == plain.json()["frame"]
    assert int(packed.headers["Content-Length"]) < 0.6 * int(plain.headers["Content-Length"])
    assert "Content-Encoding" not in mount.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_a_poll_takes_no_more_rows_than_it_asks_for_and_every_event(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 50), event("model_completed"), rows(50, 900))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    few = poll(mount, session_id, f"&epoch={epoch}&after=1&limit=100")["frame"]
    assert few.items() >= {"key": True, "recovered": True, "coalesced": 900, "coarse": True, "to": 902}.items()
    assert [record["event"]["eventType"] for record in few["events"]] == ["model_completed"]
    assert sum(len(line["steps"]) for line in few["series"]) <= 400
    assert poll(mount, session_id, f"&epoch={epoch}&after=802&limit=100")["frame"]["key"] is False
    assert poll(mount, session_id, "&limit=100")["frame"]["coarse"] is True
    assert poll(mount, session_id)["frame"]["coarse"] is False


def test_a_poll_tells_a_session_that_was_deleted_from_one_that_is_unknown(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    cursor = f"&epoch={epoch}&after=5"
    assert "deleted" not in poll(mount, session_id, cursor)
    assert mount.ask("DELETE", f"/api/sessions/{session_id}").status_code == 200
    # It may be on its way to come back: until that is over there is just nothing new.
    until(lambda: poll(mount, session_id, cursor).get("deleted"), timeout=10)
    told = poll(mount, session_id, f"{cursor}&wait=5")
    assert (told["deleted"], told["frame"], told["storeId"]) == (True, None, mount.context.store.store_id)
    assert "deleted" not in poll(mount, session_id)


def test_a_websocket_that_comes_back_to_a_session_that_was_deleted_is_told_so_and_not_that_it_waits(
    mount: Mount, session_id: str
) -> None:
    mount.append(session_id, rows(0, 5))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    assert mount.ask("DELETE", f"/api/sessions/{session_id}").status_code == 200
    with mount.socket(f"/ws/{session_id}?protocol=1&epoch={epoch}&after=5") as socket:
        assert [socket.hear()["type"] for _ in range(2)] == ["welcome", "heartbeat"]
        with pytest.raises(ConnectionClosed):
            socket.hear_type("frame")
        assert socket.connection.close_code == 1000


@pytest.mark.parametrize("asks", ["at once", "later"])
def test_who_comes_back_with_curves_of_few_points_gets_all_and_hears_of_every_event(
    mount: Mount, session_id: str, asks: str
) -> None:
    mount.append(session_id, rows(0, 900), event("model_completed"))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    coarse = "&coarse=1" if asks == "at once" else ""
    polled = poll(mount, session_id, f"&epoch={epoch}&after=900&coarse=1")["frame"]
    with mount.socket(f"/ws/{session_id}?protocol=1&epoch={epoch}&after=901{coarse}") as socket:
        assert socket.hear()["type"] == "welcome"
        if asks == "later":
            socket.say(type="resume", epoch=epoch, after=900, coarse=True)
        frames = [socket.hear_type("frame")]
        while not frames[-1]["key"]:
            frames.append(socket.hear_type("frame"))
    for frame in (frames[-1], polled):
        assert frame.items() >= {"key": True, "to": 901, "coarse": False, "recovered": True}.items()
        assert len(frame["series"][0]["steps"]) > 400
    assert [record["event"]["eventType"] for record in polled["events"]] == ["model_completed"]
    heard = [record for frame in frames for record in frame.get("events") or frame.get("records") or ()]
    assert len(heard) == (0 if asks == "at once" else 1)


def test_a_poll_that_waits_hears_that_the_session_is_deleted(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    cursor = f"&epoch={poll(mount, session_id)['frame']['epoch']}&after=5"
    with ThreadPoolExecutor(1) as one:
        waiting = one.submit(poll, mount, session_id, f"{cursor}&wait=15")
        until(lambda: mount.context.hub.viewers(session_id) == 1)
        mount.ask("DELETE", f"/api/sessions/{session_id}")
        assert waiting.result(10)["deleted"] is True


@pytest.mark.parametrize("after", ["x", -1, None, True, 1e300])
def test_a_bad_resume_is_answered_with_an_error(mount: Mount, session_id: str, after: object) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as socket:
        socket.say(type="resume", epoch="e", after=after)
        assert "after" in socket.hear_type("error")["error"]


def test_a_poll_answers_with_a_key_frame_then_with_what_is_new(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    first = poll(mount, session_id)
    assert first.items() >= {"type": "poll", "protocol": 1, "sessionId": session_id}.items()
    assert first["storeId"] == mount.context.store.store_id
    assert first["heartbeat"].items() >= {"type": "heartbeat", "top": 5}.items()
    assert first["frame"].items() >= {"type": "frame", "key": True, "to": 5}.items()
    cursor = f"&epoch={first['frame']['epoch']}&after=5"
    assert poll(mount, session_id, cursor)["frame"] is None
    mount.append(session_id, rows(5, 8))
    assert poll(mount, session_id, cursor)["frame"].items() >= {"key": False, "from": 6, "to": 8}.items()
    mount.append(session_id, rows(8, 9))
    assert poll(mount, session_id, cursor)["frame"].items() >= {"key": False, "from": 6, "to": 9}.items()


def test_a_poll_waits_for_something_new_and_no_longer(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    cursor = f"&epoch={poll(mount, session_id)['frame']['epoch']}&after=5"
    begun = time.monotonic()
    assert poll(mount, session_id, f"{cursor}&wait=0.3")["frame"] is None
    assert 0.25 <= time.monotonic() - begun < 3

    def append() -> None:
        mount.append(session_id, rows(5, 6))

    mount.loop.call_soon_threadsafe(mount.loop.call_later, 0.3, append)
    begun = time.monotonic()
    assert poll(mount, session_id, f"{cursor}&wait=15")["frame"]["to"] == 6
    assert time.monotonic() - begun < 5


def test_a_poll_of_an_unknown_session_waits_for_it(mount: Mount, session_id: str) -> None:
    frame = poll(mount, session_id, "&wait=5")["frame"]
    assert (frame["epoch"], frame["to"], frame["state"]["status"]) == ("", 0, "waiting")


def test_a_polling_page_is_a_viewer_only_while_it_asks(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    poll(mount, session_id)
    until(lambda: mount.context.hub.viewers(session_id) == 0)


@pytest.mark.parametrize(
    "query", ["protocol=2", "limit=-1", "limit=1.5", "wait=21", "wait=x", "after=-1", "after=1e400"]
)
def test_a_poll_that_asks_nonsense_is_422(mount: Mount, session_id: str, query: str) -> None:
    answer = mount.get(f"/api/sessions/{session_id}/events?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]


def test_numbers_that_are_not_finite_reach_viewers_as_their_names(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 1, odd=float("nan"), up=float("inf")))
    frame = poll(mount, session_id)["frame"]
    values = {line["metric"]: line["values"] for line in frame["series"]}
    assert (values["odd"], values["up"]) == (["NaN"], ["Infinity"])
    delta = poll(mount, session_id, f"&epoch={frame['epoch']}&after=0")["frame"]
    assert delta["records"][0]["rows"]["columns"]["odd"] == ["NaN"]
