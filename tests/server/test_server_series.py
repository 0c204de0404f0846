"""The route of curves, in both mounts: what is asked for is what comes, finite, in few bytes, up to an offset that is said."""

from __future__ import annotations

import json
import math
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from forge_widgets.core.curves import MAX_POINTS, MOST_POINTS, SeriesQuery
from forge_widgets.core.steps import Row, block_of
from forge_widgets.stores import open_store
from tests.server.mounts import TOKEN, Json, Mount, event, rows


def series(mount: Mount, session_id: str, **query: object) -> Json:
    """Ask for curves, which have to come."""
    answer = mount.get(f"/api/sessions/{session_id}/series", params=query)
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def test_all_curves_of_the_latest_attempt_come_with_the_offset_that_they_reach_to(
    mount: Mount, session_id: str
) -> None:
    mount.append(session_id, event("training_started"), rows(0, 5), producer="p1")
    receipt = mount.append(session_id, event("training_started"), rows(0, 3, accuracy=0.5), producer="p2")
    answer = series(mount, session_id)
    assert {name: answer[name] for name in ("sessionId", "storeId", "epoch", "top", "attempt")} == {
        "sessionId": session_id,
        "storeId": mount.context.store.store_id,
        "epoch": receipt.epoch,
        "top": 10,
        "attempt": 2,
    }
    assert answer["series"] == [
        {"metric": "loss", "model": 1, "steps": [0, 1, 2], "values": [1.0, 1 / 2, 1 / 3], "rows": 3},
        {"metric": "accuracy", "model": 1, "steps": [0, 1, 2], "values": [0.5, 0.5, 0.5], "rows": 3},
    ]
    assert [curve["rows"] for curve in series(mount, session_id, attempt=1)["series"]] == [5]
    assert series(mount, session_id, attempt=3)["series"] == []


def test_a_long_history_comes_in_the_points_that_were_asked_for(mount: Mount, session_id: str) -> None:
    mount.append(session_id, *(rows(first, first + 1_000) for first in range(0, 6_000, 1_000)))
    (curve,) = series(mount, session_id)["series"]
    assert (len(curve["steps"]), len(curve["values"]), curve["rows"]) == (MAX_POINTS, MAX_POINTS, 6_000)
    assert (curve["steps"][0], curve["steps"][-1], max(curve["values"])) == (0, 5_999, 1.0)
    (curve,) = series(mount, session_id, max_points=100, from_step=1_000, to_step="2999.5")["series"]
    assert (len(curve["steps"]), curve["rows"], min(curve["steps"]), max(curve["steps"])) == (100, 2_000, 1_000, 2_999)
    (curve,) = series(mount, session_id, from_step=5_990)["series"]
    assert curve["steps"] == list(range(5_990, 6_000))
    assert series(mount, session_id, from_step=2, to_step=1)["series"] == []


def test_metrics_are_chosen_by_name_whatever_is_in_it(mount: Mount, session_id: str) -> None:
    names = ["loss", "a,b", "50%", "größe", " spaced "]
    table: list[Row] = [(1.0 + step, {"currentStep": float(step), **dict.fromkeys(names, 0.25)}) for step in range(3)]
    mount.append(session_id, block_of(table))

    def chosen(*wanted: str) -> list[str]:
        metrics = ",".join(quote(name, safe="") for name in wanted)
        return [curve["metric"] for curve in series(mount, session_id, metrics=metrics)["series"]]

    assert chosen("a,b", "größe") == ["a,b", "größe"]
    assert chosen("50%", " spaced ", "nothing") == [" spaced ", "50%"]
    assert set(chosen()) == set(names)


def test_what_is_not_finite_is_no_point(mount: Mount, session_id: str) -> None:
    values = (0.5, math.nan, math.inf, 0.25)
    table: list[Row] = [(1.0 + at, {"currentStep": float(at), "loss": value}) for at, value in enumerate(values)]
    mount.append(session_id, block_of([*table, (9.0, {"currentStep": math.nan, "loss": 1.0})]))
    (curve,) = series(mount, session_id)["series"]
    assert curve == {"metric": "loss", "model": 1, "steps": [0, 3], "values": [0.5, 0.25], "rows": 2}


def test_whole_numbers_are_written_short_and_others_exactly(mount: Mount, session_id: str) -> None:
    table: list[Row] = [
        (1.0, {"currentStep": 1.0, "tokens": 512.0, "loss": 0.1 + 0.2, "huge": 1e300}),
        (2.0, {"currentStep": 2.0, "tokens": -0.0, "loss": 1.0, "huge": 2.0**60}),
    ]
    mount.append(session_id, block_of(table))
    text = mount.get(f"/api/sessions/{session_id}/series").text
    assert '"steps":[1,2]' in text
    assert '"values":[512,0]' in text
    assert '"values":[0.30000000000000004,1.0]' in text
    read = {curve["metric"]: curve["values"] for curve in json.loads(text)["series"]}
    assert read["huge"] == [1e300, 2.0**60]


def test_it_is_compressed_for_who_takes_that_and_where_it_is_worth_it(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 500))
    path = f"/api/sessions/{session_id}/series"
    packed = mount.get(path)
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = mount.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert "Content-Encoding" not in mount.get(f"{path}?from_step=490").headers


EXPECTED = {
    "max_points": "a whole number from 8 to 20000",
    "attempt": "a whole number from 1 to",
    "step": "a number from",
}
WRONG = (
    *("max_points=7", f"max_points={MOST_POINTS + 1}", "max_points=1.5", "max_points=many", "max_points=-100"),
    *("from_step=nan", "from_step=1e999", "to_step=1_0", "to_step=x"),
    *("attempt=0", "attempt=-1", "attempt=1.0", "attempt=newest"),
)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_can_not_be_asked_for_is_422_with_what_was_expected(mount: Mount, session_id: str, wrong: str) -> None:
    mount.append(session_id, rows(0, 3))
    answer = mount.get(f"/api/sessions/{session_id}/series?{wrong}")
    assert answer.status_code == 422, answer.text
    name, _, value = wrong.partition("=")
    expected = next(words for ending, words in EXPECTED.items() if name.endswith(ending))
    assert answer.json()["error"].startswith(f"{value!r} can't be used in {name}: expected {expected}")


def test_a_name_that_is_no_utf_8_is_400(mount: Mount, session_id: str) -> None:
    for wrong in ("metrics=%25FF", "metrics=%FF"):
        answer = mount.get(f"/api/sessions/{session_id}/series?{wrong}")
        assert answer.status_code == 400, answer.text
        assert "UTF-8" in answer.json()["error"]


def test_empty_parameters_are_as_good_as_absent(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 3))
    empty = "metrics=&max_points=&from_step=&to_step=&attempt="
    assert mount.get(f"/api/sessions/{session_id}/series?{empty}").json() == series(mount, session_id)


def test_an_unknown_session_is_404_and_named(mount: Mount, session_id: str) -> None:
    answer = mount.get(f"/api/sessions/{session_id}/series")
    assert (answer.status_code, answer.json()) == (404, {"error": "Session not found", "sessionId": session_id})
    assert mount.get("/api/sessions/a%20b/series").status_code == 400


def test_nobody_gets_in_without_the_token(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 3))
    assert requests.get(f"{mount.url}/api/sessions/{session_id}/series", timeout=10).status_code == 403


def test_a_store_on_another_machine_answers_the_same(
    standalone_mount: Mount, session_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: list[Row] = [(1.0 + step, {"currentStep": float(step), "a,b": 0.1 * step}) for step in range(5_000)]
    standalone_mount.append(session_id, block_of(table))
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    far = open_store(standalone_mount.url)
    try:
        query = SeriesQuery(metrics=("a,b",), max_points=64, from_step=10.5, attempt=1)
        assert far.series(session_id, query) == standalone_mount.context.store.series(session_id, query)
        assert far.series("nothing-here", query) is None
    finally:
        far.close()
