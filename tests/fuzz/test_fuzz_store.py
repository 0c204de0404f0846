"""A store's folder with garbage in it: a session's file is read, or said to be damaged, and no other one is touched."""

from __future__ import annotations

import json
import shutil
from contextlib import closing, suppress
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forge_widgets.core.document import progress_document
from forge_widgets.core.events import Batch, Body, Producer
from forge_widgets.core.liveness import Heartbeat, arrears, lost_producer
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import encode, heartbeat_message, record_message, state_message
from forge_widgets.errors import SequenceGap, StoreDamaged, StoreUnavailable
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store
from forge_widgets.stores.missed import summaries_now
from forge_widgets.stores.processes import process_alive, this_host
from tests.fuzz.garbage import JSON, PATIENT, bent, event, fuzzed, mutated, rows, strict, written

pytestmark = PATIENT

BEAT = Heartbeat(
    producer="p", attempt=1, pid=1, host=this_host(), beat=1_800_000_000.0, durable=7, unsaved=2, reason="full"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store with two sessions, closed, so that all is in the files."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    store = open_store(folder)
    for session_id in ("harmed", "other"):
        bodies: list[Body] = [event("training_started", metrics={"totalSteps": 10.0}), rows(0, 300)]
        bodies += [event("model_completed", key="k"), *(rows(start, start + 3) for start in range(300, 600, 3))]
        for number, body in enumerate(bodies):
            store.append(session_id, Batch(producer=Producer(id=f"p{number % 3}"), sequence=0, bodies=[body]))
        store.beat(session_id, BEAT)
    store.summaries()
    store.close()
    return folder


@pytest.fixture(scope="module")
def copies(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a place in which each example makes a copy of its own."""
    return tmp_path_factory.mktemp("copies")


def copy_of(whole: Path, copies: Path) -> Path:
    folder = copies / "store"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    return folder


def use(store: Store, session_id: str) -> list[str]:
    """Do with a session all that can be done; return how often it was said to be damaged or not available."""
    said = []

    def attempt(name: str) -> None:
        try:
            if name == "snapshot":
                snapshot = store.snapshot(session_id)
                if snapshot is not None:
                    strict(encode(progress_document(session_id, snapshot.state)))
                    strict(encode(state_message(snapshot.state)))
            elif name == "read":
                found = store.read(session_id, 0)
                for record in () if found is None else found.records:
                    strict(encode(record_message(record)))
            elif name == "version":
                store.version(session_id)
            elif name == "append":
                batch = Batch(producer=Producer(id="p1"), sequence=0, bodies=[rows(900, 901)])
                strict(encode(msgspec.to_builtins(store.append(session_id, batch))))
            else:
                summaries_now(store, 1_800_000_100.0)
        except (StoreDamaged, StoreUnavailable, SequenceGap) as error:
            said.append(f"{name}: {error}")

    for name in ("list", "snapshot", "read", "version", "append", "snapshot", "read", "list"):
        attempt(name)
    return said


def assert_untouched(store: Store, session_id: str = "other") -> None:
    found = store.read(session_id, 0)
    assert found is not None
    assert found.top == 602
    assert session_id in [summary.session_id for summary in store.summaries()]


@fuzzed(60, 3_000)
@given(st.data())
def test_a_session_file_with_other_bytes_is_read_or_said_to_be_damaged(
    whole: Path, copies: Path, data: st.DataObject
) -> None:
    folder = copy_of(whole, copies)
    file = folder / "sessions" / "harmed.sqlite"
    size = file.stat().st_size
    # The first page and the beginnings of pages say most.
    places = st.integers(0, size - 1) | st.integers(0, 4_000) | st.integers(0, size // 4096 - 1).map(lambda n: n * 4096)
    what = st.binary(min_size=1, max_size=16) | st.sampled_from([b"\0" * 64, b"\xff" * 64])
    with file.open("r+b") as opened:
        for place, content in data.draw(st.lists(st.tuples(places, what), min_size=1, max_size=30)):
            opened.seek(place)
            opened.write(content)
        opened.truncate(data.draw(st.just(size) | st.integers(0, size), "size"))
    store = open_store(folder)
    try:
        said = use(store, "harmed")
        assert_untouched(store)
        # What is broken is set aside, and training goes on in a new log. Only a file that looks as if a newer release had
        # made it, or as if it were not to be written to, is left as it is.
        left = ("a newer forge-widgets made it", "readonly database")
        assert not [one for one in said if one.startswith("append") and not any(why in one for why in left)]
    finally:
        store.close()


COLUMNS = {
    "records": ["offset", "last", "attempt", "kind", "producer", "sequence", "timestamp", "body"],
    "meta": ["epoch", "floor", "base", "session_id", "created"],
    "snapshot": ["offset", "state", "format"],
    "producers": ["attempt", "sequence", "grp"],
}
PLACES = st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in columns])
VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    | st.binary(max_size=9)
)


@fuzzed(80, 3_000)
@given(PLACES, VALUES, st.booleans())
def test_a_session_file_with_other_values_is_read_or_said_to_be_damaged(
    whole: Path, copies: Path, place: tuple[str, str], value: apsw.SQLiteValue, only_one: bool
) -> None:
    """Values that no page check finds: the database is whole, what stands in it is not ours."""
    folder = copy_of(whole, copies)
    table, column = place
    where = " WHERE offset = 1" if only_one and table == "records" else ""
    with (
        suppress(apsw.ConstraintError, apsw.MismatchError),
        closing(apsw.Connection(str(folder / "sessions" / "harmed.sqlite"))) as connection,
    ):
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{where}", (value,))
    store = open_store(folder)
    try:
        use(store, "harmed")
        assert_untouched(store)
    finally:
        store.close()


@fuzzed(60, 2_000)
@given(
    mutated(msgspec.json.encode(BEAT))
    | st.binary(max_size=50)
    | bent(msgspec.to_builtins(BEAT)).map(written)
    | JSON.map(written)
)
@example(written({**msgspec.to_builtins(BEAT), "pid": 2**40}))
@example(written({**msgspec.to_builtins(BEAT), "pid": 2**70}))
@example(written({**msgspec.to_builtins(BEAT), "unsaved": 2**70}))
@example(b'{"producer": "\xff"}')
def test_a_heartbeat_of_garbage_is_passed_over_or_can_be_shown(whole: Path, copies: Path, content: bytes) -> None:
    folder = copy_of(whole, copies)
    (beat,) = (folder / "sessions").glob("harmed@*.beat")
    beat.write_bytes(content)
    store = open_store(folder)
    try:
        heartbeats = store.heartbeats("harmed")
        snapshot = store.snapshot("harmed")
        assert snapshot is not None
        lost_producer(snapshot.state, heartbeats, 1_800_000_100.0, process_alive)
        strict(encode(heartbeat_message(Cursor("e", 1), arrears(heartbeats, 1), 1.0)))
        strict(encode({"heartbeats": [msgspec.to_builtins(heartbeat) for heartbeat in heartbeats]}))
        assert use(store, "harmed") == []
        assert_untouched(store)
    finally:
        store.close()


@fuzzed(40, 1_000)
@given(st.data())
def test_an_index_of_garbage_is_made_anew(whole: Path, copies: Path, data: st.DataObject) -> None:
    folder = copy_of(whole, copies)
    index = folder / "index.sqlite"
    if not index.exists():
        index.write_bytes(b"")
    index.write_bytes(data.draw(st.binary(max_size=300) | mutated(index.read_bytes())))
    store = open_store(folder)
    try:
        assert sorted(summary.session_id for summary in summaries_now(store, 1_800_000_100.0)) == ["harmed", "other"]
    finally:
        store.close()


@fuzzed(60, 1_000)
@given(mutated(b'{"storeId": "0123456789abcdef", "format": 1}\n') | st.binary(max_size=40) | JSON.map(written))
@example(b"[" * 100_000)
@example(b"\xff\xfe")
@example(b'{"storeId": "\\ud800"}')
@example(json.dumps({"storeId": "x" * 1_000_000}).encode())
def test_a_store_json_of_garbage_is_said_to_be(whole: Path, copies: Path, content: bytes) -> None:
    folder = copy_of(whole, copies)
    (folder / "store.json").write_bytes(content)
    store = open_store(folder)
    try:
        store_id = store.store_id
        assert 0 < len(store_id) <= 200
        strict(encode({"storeId": store_id}))
    except StoreUnavailable as error:
        told = str(error)
        assert "store.json" in told and "move it away" in told  # noqa: PT018
    finally:
        store.close()
