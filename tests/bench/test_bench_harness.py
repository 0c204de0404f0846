"""Contestants run in processes of their own, and nothing of them outlives their turn."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.bench import peers
from tests.bench.harness import Contestant, Failed, figures, rounds, run, serving
from tests.browser.jupyter import wait_for


def saying(text: str, *, limit_s: float = 30.0) -> Contestant:
    return Contestant("one", "ours", ("-c", text), limit_s=limit_s)


def test_what_a_contestant_prints_last_is_its_result_with_its_times() -> None:
    found = run(saying("print('loading'); print('{\"us\": 1.5}')"))
    assert found["us"] == 1.5
    assert found["wall_s"] > 0.0
    assert found["cpu_s"] > 0.0


def test_each_has_a_folder_of_its_own_that_is_its_home() -> None:
    text = "import json, os; print(json.dumps({'cwd': os.getcwd(), 'home': os.environ['HOME']}))"
    first, second = run(saying(text)), run(saying(text))
    assert first["cwd"] == first["home"] != second["cwd"]
    assert not Path(first["cwd"]).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no disk')", "no disk"),
        ("import os; os._exit(3)", "ended with 3: no word"),
        ("print('tired')", "no JSON"),
    ],
)
def test_a_failure_says_why(text: str, said: str) -> None:
    with pytest.raises(Failed, match=said):
        run(saying(text))


def test_who_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    noted = tmp_path / "child"
    text = (
        "import pathlib, subprocess, time; child = subprocess.Popen(['sleep', '60']); "
        f"pathlib.Path({os.fspath(noted)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(Failed, match="over its time"):
        run(saying(text, limit_s=1.0))
    child = Path("/proc", noted.read_text(), "status")
    # A zombie has ended, and waits for whoever buries it.
    wait_for(lambda: not child.exists() or "\nState:\tZ" in child.read_text(), "end of the child")


def test_a_failed_one_is_left_out_of_later_rounds_and_stands_in_the_figures() -> None:
    bad = Contestant("bad", "peer", ("-c", "raise OSError('no')"))
    good = Contestant("good", "ours", ("-c", "print('{\"us\": 2.0}')"))
    outcomes = rounds([bad, good], 3)
    assert len(outcomes["good"].runs) == 3
    found = figures(outcomes, "µs", lambda result: float(result["us"]))
    assert found["bad"]["role"] == "peer"
    assert "no" in found["bad"]["failed"]
    assert (found["good"]["median"], found["good"]["samples"]) == (2.0, 3)


def test_a_peer_that_can_not_be_installed_fails_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "requirements-nothing.txt").write_text("--no-index\nno-such-package-anywhere==1.0\n")
    monkeypatch.setattr(peers, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path / "environments")
    with pytest.raises(Failed, match="not installed"):
        run(Contestant("nothing", "peer", ("-c", "pass"), peer="nothing"))


def test_a_server_is_used_while_it_runs_and_ends_with_its_turn() -> None:
    text = "import json, os, time; print(json.dumps({'port': 1}), flush=True); time.sleep(60)"
    with serving(saying(text)) as server:
        assert json.loads(server.said) == {"port": 1}
        assert server.cpu_s() > 0.0
        assert server.memory_mb() > 1.0
    assert not Path("/proc", str(server.pid)).exists()


def test_a_server_that_does_not_come_up_says_why() -> None:
    with pytest.raises(Failed, match="no port"), serving(saying("raise OSError('no port')")):
        pass
