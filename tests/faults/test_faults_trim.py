"""The log is trimmed past live cursors, while the training writes, and by a process that is killed in the middle of it."""

from __future__ import annotations

import random
import time

import pytest

from forge_widgets.core.subscription import Slice
from forge_widgets.stores import open_store
from tests.faults.checker import read_all
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.process import Process, until
from tests.faults.proxy import Proxy


def read_now(house: House) -> Slice:
    """Read the whole log as it stands."""
    store = open_store(house.folder)
    try:
        return read_all(store, "s")
    finally:
        store.close()


def trim(house: House, upto: int) -> Slice:
    """Trim the log; return what was read before."""
    read = read_now(house)
    store = open_store(house.folder)
    try:
        assert read.floor <= upto <= read.top
        assert store.trim("s", upto) == upto + 1
    finally:
        store.close()
    return read


def cut_off(proxy: Proxy) -> None:
    """Cut all connections through a proxy, those too that were just being made, and let no more in."""
    proxy.refuse()
    proxy.reset()
    time.sleep(0.1)  # for one that was let in just before
    proxy.reset()


def test_who_is_up_to_date_goes_on_and_who_was_away_gets_a_snapshot_and_a_visible_gap(
    house: House, chance: random.Random, effort: Effort
) -> None:
    server = house.serve()
    training = house.train(steps_per_s=200)
    proxy = house.proxy()
    near = [house.watch(), house.watch(transport="http")]
    away, page = house.watch(through=proxy), house.view_browser(through=proxy)
    before, trims = [], effort(2, 30)
    for _ in range(trims):
        for viewer in (away, page):
            viewer.until(lambda v=viewer: len(v.chapters[-1].records) > 0, "delta frame")  # type: ignore[misc]
        cut_off(proxy)
        training.goes_on(60)
        # All that those who stayed have, or all but a little.
        top = house.end_of().offset
        for viewer in near:
            viewer.until(lambda v=viewer, top=top: v.offset >= top, "all so far")  # type: ignore[misc]
        upto = top - chance.choice([0, 1, 7, 30])
        before.append(trim(house, upto))
        assert upto > max(away.offset, page.offset)
        # A server that has been there all the time still knows what was trimmed.
        for viewer in near:
            viewer.until(lambda v=viewer, top=before[-1].top: v.offset > top, "what came after")  # type: ignore[misc]
        server.kill()
        server = house.serve()
        proxy.accept()
        for viewer in (away, page):
            viewer.until(lambda v=viewer, upto=upto: v.chapters[-1].start > upto, "key frame")  # type: ignore[misc]
    assert training.stop() == 0
    [curve] = [line for line in page.report()["series"] if line["metric"] == "loss"]
    log = house.judge(training, before=tuple(before))
    for viewer in near:
        assert {chapter.recovered for chapter in viewer.chapters} == {True}
        assert len(viewer.chapters) == 1
    for viewer in (away, page):
        # A page has several ways to the server, and each may find its cursor below the floor.
        assert [chapter.recovered for chapter in viewer.chapters].count(False) >= trims
        assert viewer.trimmed == log.base.rows > 60
    assert page.view["trimmed"] == log.base.rows
    assert min(curve["steps"]) > log.base.rows
    print(f"{trims} trims")


def test_who_was_away_from_a_server_that_stayed_misses_nothing_that_was_trimmed_meanwhile(house: House) -> None:
    house.serve()
    training = house.train(steps_per_s=200)
    proxy = house.proxy()
    near, away = house.watch(), house.watch(through=proxy)
    cut_off(proxy)
    training.goes_on(60)
    near.until(lambda: near.offset > away.offset + 50, "what came meanwhile")
    before = trim(house, near.offset)
    near.until(lambda: near.offset > before.top, "what came after")
    proxy.accept()
    away.until(lambda: away.offset > before.top, "what came after")
    assert training.stop() == 0
    house.judge(training, before=(before,))
    assert [len(viewer.chapters) for viewer in (near, away)] == [1, 1]


@pytest.mark.parametrize("steps_per_s", [200, 2_000])
def test_a_trim_that_is_killed_has_happened_whole_or_not_at_all_and_training_goes_on(
    house: House, chance: random.Random, effort: Effort, steps_per_s: int
) -> None:
    house.serve()
    training = house.train(steps_per_s=steps_per_s)
    viewer = house.watch()
    before: list[Slice] = []
    kills, trims = effort(3, 30), 0
    for _ in range(kills):
        training.goes_on(steps_per_s // 2)
        before.append(read_now(house))
        trimmer = Process("trimmer.py", house.folder, "s", before[-1].top - 3, chance.choice([1, 10, 100]))
        try:
            until(lambda trimmer=trimmer: trimmer.lines, "first trim")  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.1))
        finally:
            trimmer.kill()
        said, read = int(trimmer.lines[-1]), read_now(house)
        assert said <= read.floor <= before[-1].top - 2
        trims += len(trimmer.lines)
        training.goes_on(5)
    before.append(trim(house, viewer.offset))
    viewer.until(lambda: viewer.offset > before[-1].top, "what came after")
    assert training.stop() == 0
    house.judge(training, before=tuple(before))
    assert {chapter.recovered for chapter in viewer.chapters} == {True}
    print(f"{kills} kills, {trims} trims")
