"""The log is compacted while the training writes it, by processes that are killed in the middle of it: nobody notices."""

from __future__ import annotations

import random
import time

import pytest

from forge_widgets.core.events import length
from forge_widgets.core.steps import StepBlock
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.process import Process, until
from tests.faults.test_faults_trim import read_now, trim


@pytest.mark.parametrize("steps_per_s", [200, 2_000])
def test_a_compaction_that_is_killed_has_happened_whole_or_not_at_all_and_everybody_goes_on(
    house: House, chance: random.Random, effort: Effort, steps_per_s: int
) -> None:
    server = house.serve()
    training = house.train(steps_per_s=steps_per_s)
    viewers = [house.watch(), house.watch(transport="http")]
    page = house.view_browser()
    kills, compactions = effort(4, 40), 0
    for _ in range(kills):
        compactor = Process("compactor.py", house.folder, "s", chance.choice([20, 60, 200]))
        try:
            until(lambda compactor=compactor: compactor.lines, "first compaction")  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.3))
        finally:
            compactor.kill()
        compactions += len(compactor.lines)
        training.goes_on(20)
    # Who reads it anew finds the same.
    server.kill()
    server = house.serve()
    top = house.end_of().offset
    for viewer in (*viewers, page):
        viewer.until(lambda v=viewer: v.offset > top, "what came after a restart")  # type: ignore[misc]
    assert training.stop() == 0
    log = house.judge(training)
    blocks = [length(record.body) for record in log.records if isinstance(record.body, StepBlock)]
    assert max(blocks) >= 20, "nothing was compacted"
    for viewer in viewers:
        assert {chapter.recovered for chapter in viewer.chapters} == {True}
    print(f"{kills} kills, {compactions} compactions, {len(blocks)} blocks left")


def test_a_log_is_trimmed_and_compacted_at_once(house: House, chance: random.Random, effort: Effort) -> None:
    house.serve()
    training = house.train(steps_per_s=500)
    viewer = house.watch()
    compactor = Process("compactor.py", house.folder, "s", 30)
    before = []
    try:
        for _ in range(effort(5, 50)):
            training.goes_on(100)
            viewer.until(lambda: viewer.offset > read_now(house).floor + 20, "some steps")
            before.append(trim(house, viewer.offset - chance.choice([0, 1, 7])))
        until(lambda: len(compactor.lines) >= 5, "compactions")
    finally:
        compactor.kill()
    assert training.stop() == 0
    house.judge(training, before=tuple(before))
    print(f"{len(before)} trims, {len(compactor.lines)} compactions")
