"""Ten minutes of everything at once: several trainings, several viewers each, and accidents that the seed draws."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from statistics import median

from forge_widgets.server.limits import Limits
from tests.faults.checker import events_of
from tests.faults.conftest import Effort
from tests.faults.house import House, Server, Training
from tests.faults.process import Process
from tests.faults.proxy import Proxy

SESSIONS = ("a", "b", "c")
STEPS_PER_S = 60
# Of the time, until when the server is killed too: after that one and the same has to stay as it is.
KILLS_SERVER_UNTIL = 0.25


class Accidents:
    """What happens to a house, one thing at a time, and what it was."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self.house = house
        self.chance = chance
        self.seen: Counter[str] = Counter()
        self.server: Server = house.serve()
        self.proxy: Proxy = house.proxy()
        # By session, the newest last: each but that one was killed.
        self.trainings: dict[str, list[Training]] = {name: [house.train(name, STEPS_PER_S)] for name in SESSIONS}

    def happen(self, *, kills_server: bool) -> None:
        """Let one happen."""
        kinds: list[Callable[[], None]] = [self.reset, self.half_close, self.refuse, self.blackhole, self.polls_only]
        kinds += [self.kill_training, self.stop_training, self.stop_server, self.block, self.lock]
        kinds += [self.kill_server] * kills_server
        accident = self.chance.choice(kinds)
        self.seen[accident.__name__] += 1
        accident()

    def reset(self) -> None:
        self.proxy.reset()

    def half_close(self) -> None:
        self.proxy.half_close()

    def refuse(self) -> None:
        self.proxy.refuse()
        self.proxy.reset()
        self._wait(0.2, 2.0)
        self.proxy.accept()

    def blackhole(self) -> None:
        self.proxy.down.blackhole = True
        self._wait(0.2, 3.0)
        self.proxy.down.blackhole = False

    def polls_only(self) -> None:
        self.proxy.upgrade = 403
        self.proxy.reset()
        self._wait(0.5, 3.0)
        self.proxy.upgrade = None

    def kill_training(self) -> None:
        session_id = self.chance.choice(SESSIONS)
        self.trainings[session_id][-1].kill()
        # Nobody but a viewer says that it is lost, and one has to have looked.
        self.house.until_lost(session_id)
        self.trainings[session_id].append(self.house.train(session_id, STEPS_PER_S))

    def stop_training(self) -> None:
        self._stop(self.trainings[self.chance.choice(SESSIONS)][-1])

    def stop_server(self) -> None:
        self._stop(self.server)

    def block(self) -> None:
        self.server.block(self.chance.uniform(0.1, 2.0))

    def lock(self) -> None:
        with self.house.locked(self.chance.choice(SESSIONS)):
            self._wait(0.1, 2.0)

    def kill_server(self) -> None:
        self.server.kill()
        self._wait(0.0, 0.5)
        self.server = self.house.serve()

    def _stop(self, process: Process) -> None:
        process.send(signal.SIGSTOP)
        self._wait(0.1, 3.0)
        process.send(signal.SIGCONT)

    def _wait(self, least_s: float, most_s: float) -> None:
        time.sleep(self.chance.uniform(least_s, most_s))


def test_many_accidents_at_once_lose_nothing_and_leave_nothing_open(
    house: House, chance: random.Random, effort: Effort
) -> None:
    accidents = Accidents(house, chance)
    for name in SESSIONS:
        house.watch(name, accidents.proxy, transport="auto")
        house.watch(name, accidents.proxy, transport="http")
        house.watch(name)
    began, seconds = time.monotonic(), effort(4.0, 600.0)
    sockets, threads, memory = [], [], []
    while (spent := time.monotonic() - began) < seconds:
        accidents.happen(kills_server=spent < KILLS_SERVER_UNTIL * seconds)
        time.sleep(chance.uniform(0.0, 0.5))
        if spent > KILLS_SERVER_UNTIL * seconds:
            server = accidents.server
            sockets.append(server.open_sockets)
            threads.append(server.threads)
            memory.append(server.memory_kb // 1_024)
    rows = 0
    for name, trainings in accidents.trainings.items():
        assert trainings[-1].stop() == 0
        log = house.judge(*trainings, session_id=name)
        rows += log.top
        lives = ["training_started", "connection_lost"] * (len(trainings) - 1)
        assert events_of(log) == [*lives, "training_started", "phase_completed"]
    print(f"{dict(accidents.seen)}; {rows} rows; sockets {sockets}; threads {threads}; memory {memory} MB")
    quarter = max(1, len(memory) // 4)
    # As much as at the start of its life, give or take what comes and goes; what it keeps of the logs grows with them.
    assert median(sockets[-quarter:]) <= median(sockets[:quarter]) + 10
    # In a short life a server that was just started again has not yet as many threads for its store as it may.
    assert median(threads[-quarter:]) <= median(threads[:quarter]) + effort(Limits().store_threads, 3)
    assert median(memory[-quarter:]) <= median(memory[:quarter]) + 40
