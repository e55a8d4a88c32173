"""The keeper of a local deployment: who takes over when, and what is left when somebody is killed."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.observation import readiness
from pizzeria.ports import free_port
from pizzeria.spec.stages import Serving
from pizzeria_plugins.targets import local, processes
from pizzeria_plugins.targets.local_keeper import asking, listener

from .conftest import Asking, Silent, SmallServer, record, token, until

FORK = multiprocessing.get_context("fork")
MUTE = SmallServer("mute")


def service_pids(state: Path) -> set[int]:
    return {one.pid for one in processes.others(state / "amenities", (record(state).keeper_token,))}


@contextlib.contextmanager
def command(release: Release, options: local.Options) -> Iterator[multiprocessing.process.BaseProcess]:
    """`pizzeria deploy` in a process of its own."""
    process = FORK.Process(target=local.apply, args=(release, options, Silent()), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def test_no_request_is_lost_while_a_newer_one_takes_over(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    keeper = record(state).keeper
    with Asking(options.port) as asking_all_the_time:
        for one in (newer, release, newer):
            local.apply(one, options, Silent())
    assert set(asking_all_the_time.found) == {release.sha256, newer.sha256}
    assert asking_all_the_time.found[-1] == newer.sha256
    assert record(state).keeper == keeper


def test_one_that_fails_disturbs_nobody(release: Release, newer: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    with Asking(options.port) as asking_all_the_time:
        for mode, says, words, limit_s in (
            ("broken", "", "ended before it was ready", options.ready_timeout_s),
            ("good", "123456789012345", "answers with bundle 123456789012", options.ready_timeout_s),
            ("mute", "", "not ready after 1 s", 1),
        ):
            how = options.model_copy(update={"ready_timeout_s": limit_s})
            with pytest.raises(DeploymentError, match=words):
                local.apply(replace(newer, server=SmallServer(mode, says)), how, Silent())
    # Only the one that is ready, and says so, may have answered.
    assert set(asking_all_the_time.found) - {"123456789012345"} == {release.sha256}
    assert record(state) == before
    assert len(service_pids(state)) == 2


def test_a_killed_service_is_started_again(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    with Asking(options.port) as asking_all_the_time:
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: record(state).pid != before.pid)
        until(lambda: not processes.marked(before.token))  # the worker that it left
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", release.sha256)
    assert now.detail.endswith("; started again 1 times")
    assert local.apply(release, options, Silent()).detail == "was live already"
    lost = [one for one in asking_all_the_time.found if one != release.sha256]
    assert len(lost) <= 1, "only what was being answered; connections wait for the next one"


def test_a_service_that_does_not_start_again_is_tried_and_can_be_replaced(
    release: Release, options: local.Options, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    local.apply(replace(release, server=SmallServer("once")), options, Silent())
    os.kill(record(state).pid, signal.SIGKILL)
    until(lambda: "the oven is cold" in (state / "amenities" / "service.log").read_text())
    until(lambda: "ended before it was ready" in local.status("amenities", options, state).detail)
    now = local.status("amenities", options, state)
    assert now.state == "starting"
    assert re.search(r"started again \d times; .*service\.log may say why", now.detail)
    assert local.apply(release, options, Silent()).state == "live"
    assert len(service_pids(state)) == 2


def test_a_service_that_does_not_stay_is_given_up(
    release: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = """
import pizzeria_plugins.targets.local_keeper.keeper as keeper
from pizzeria_plugins.targets.local_keeper.__main__ import main
keeper._TRIES, keeper._PAUSE_S = 2, 0.01
main()
"""
    start = processes.start

    def start_hastily(argv: list[str], *more: object) -> int:
        return start([argv[0], "-c", hasty, *argv[4:]], *more)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "start", start_hastily)
    local.apply(release, options, Silent())
    keeper = record(state).keeper_token
    for _ in range(3):
        pid = record(state).pid
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: record(state).pid != pid or not processes.marked(keeper))  # type: ignore[misc]
    until(lambda: not processes.marked(keeper))
    now = local.status("amenities", options, state)
    assert now.state == "dead"
    assert "given up after 2 starts in a row" in now.detail
    until(lambda: not processes.others(state / "amenities"))
    assert local.apply(release, options, Silent()).state == "live"


def test_what_a_first_command_left_that_was_killed_does_not_keep_the_port(
    release: Release, options: local.Options, state: Path
) -> None:
    folder = state / "amenities"
    folder.mkdir(parents=True)
    with contextlib.closing(listener.bind(options.host, options.port)) as found:
        _, token = asking.start(folder, found)  # killed here: nothing is on record, and the keeper waits for an order
    assert processes.marked(token)
    assert local.apply(release, options, Silent()).state == "live"
    assert not processes.marked(token)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_goes_away_takes_its_service_along(
    release: Release, newer: Release, options: local.Options, state: Path, end: signal.Signals
) -> None:
    local.apply(release, options, Silent())
    before = record(state), service_pids(state)
    with command(replace(newer, server=MUTE), options) as deploying, Asking(options.port) as asking_all_the_time:
        until(lambda: len(service_pids(state)) >= 4)
        os.kill(deploying.pid or 0, end)
        deploying.join(120)
        if end == signal.SIGINT:
            assert (record(state), service_pids(state)) == before, "the command waits until that is so"
        until(lambda: service_pids(state) == before[1])
    assert record(state) == before[0]
    assert set(asking_all_the_time.found) == {release.sha256}
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256


def test_a_first_command_that_goes_away_leaves_nothing(release: Release, options: local.Options, state: Path) -> None:
    with command(replace(release, server=MUTE), options) as deploying:
        until(lambda: len(processes.others(state / "amenities")) == 3)
        os.kill(deploying.pid or 0, signal.SIGKILL)
    until(lambda: not processes.others(state / "amenities"))
    assert local.status("amenities", options, state).state == "absent"


def test_a_keeper_that_nobody_gives_an_order_ends(options: local.Options, state: Path) -> None:
    folder = state / "amenities"
    folder.mkdir()
    with listener.bind(options.host, options.port) as bound:
        control, keeper = asking.start(folder, bound)
    assert asking.alive(control)
    for process in processes.marked(keeper):
        process.terminate()
    until(lambda: not processes.marked(keeper))
    assert not Path(control).exists()


def test_what_is_decided_is_done_without_the_command(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    patient = options.model_copy(update={"stop_timeout_s": 2})
    local.apply(replace(release, server=SmallServer("stubborn")), patient, Silent())
    before = record(state)
    with command(newer, patient) as deploying:
        until(lambda: record(state).sha256 == newer.sha256)
        os.kill(deploying.pid or 0, signal.SIGKILL)
    until(lambda: not processes.marked(before.token))
    until(lambda: local.status("amenities", options, state).state == "live")
    assert local.apply(newer, options, Silent()).detail == "was live already"


def test_a_killed_keeper_is_replaced_without_a_lost_request(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    os.kill(record(state).keeper, signal.SIGKILL)
    until(lambda: not asking.alive(record(state).control))
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", release.sha256)
    assert "its keeper is gone" in now.detail
    before = record(state)
    with Asking(options.port) as asking_all_the_time:
        assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert set(asking_all_the_time.found) == {release.sha256, newer.sha256}
    assert processes.marked(before.token) == []
    assert len(service_pids(state)) == 2
    assert not Path(before.control).exists()
    assert "keeper" not in local.status("amenities", options, state).detail


def test_a_keeper_of_another_version_is_replaced(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    path = state / "amenities" / "deployment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"protocol": 0}))
    with Asking(options.port) as asking_all_the_time:
        assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert set(asking_all_the_time.found) == {release.sha256, newer.sha256}
    assert processes.marked(before.keeper_token) == processes.marked(before.token) == []
    assert len(service_pids(state)) == 2


def test_a_state_that_was_moved_is_found_again(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    moved = state.rename(state.with_name("moved"))
    state.mkdir()
    assert local.status("amenities", options, moved).sha256 == release.sha256
    assert local.apply(replace(newer, state=moved), options, Silent()).sha256 == newer.sha256
    local.remove("amenities", options, moved)
    assert processes.marked(before.keeper_token) == processes.marked(before.token) == []
    assert processes.others(moved / "amenities") == []


def test_a_socket_that_cannot_be_taken_over_is_bound_anew(
    release: Release, newer: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    os.kill(before.keeper, signal.SIGKILL)
    until(lambda: not asking.alive(before.control))
    monkeypatch.setattr(listener, "_copy", lambda pid, number: None)
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert processes.marked(before.token) == []
    assert len(service_pids(state)) == 2


def test_a_keeper_killed_in_the_middle_leaves_no_stray(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    before = record(state)

    def kill_keeper() -> None:
        until(lambda: len(service_pids(state)) >= 4)
        os.kill(before.keeper, signal.SIGKILL)

    killing = FORK.Process(target=kill_keeper)
    killing.start()
    with pytest.raises(DeploymentError, match="the keeper of amenities ended in the middle") as caught:
        local.apply(replace(newer, server=MUTE), options, Silent())
    killing.join()
    assert "deploy again" in caught.value.hint
    assert local.status("amenities", options, state).sha256 == release.sha256
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert {one.pid for one in processes.marked(token(state))} == service_pids(state)


def test_another_port_is_another_keeper(release: Release, newer: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = record(state)
    elsewhere = options.model_copy(update={"port": free_port()})
    with pytest.raises(DeploymentError, match="no oven"):
        local.apply(replace(newer, server=SmallServer("broken")), elsewhere, Silent())
    assert record(state) == before
    live = local.apply(newer, elsewhere, Silent())
    assert live.address == f"http://127.0.0.1:{elsewhere.port}"
    assert processes.marked(before.keeper_token) == processes.marked(before.token) == []
    assert local.status("amenities", options, state).address == live.address
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", options.port)):
        pass


def test_another_host_on_the_same_port(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    everywhere = options.model_copy(update={"host": "0.0.0.0"})
    assert local.apply(release, everywhere, Silent()).state == "live"
    assert len(service_pids(state)) == 2


def test_another_secret_is_another_service_and_is_nowhere_on_disk(
    release: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = replace(release, serving=Serving(keys_from="KEYS"))
    seen = []
    for key in ("a-first-secret-key", "a-second-secret-key", "a-second-secret-key"):
        monkeypatch.setenv("KEYS", key)
        local.apply(locked, options, Silent())
        seen.append((record(state).pid, readiness(f"http://127.0.0.1:{options.port}", 120)["key"]))
    assert [key for _, key in seen] == ["a-first-secret-key", "a-second-secret-key", "a-second-secret-key"]
    assert seen[0][0] != seen[1][0]
    assert seen[1] == seen[2]
    for file in (state / "amenities").iterdir():
        if file.is_file():
            assert b"secret-key" not in file.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_a_long_path_is_no_matter(tmp_path: Path, options: local.Options, release: Release) -> None:
    state = tmp_path / ("deep" * 20) / ("deeper" * 10)
    state.mkdir(parents=True)
    far = replace(release, state=state)
    try:
        assert local.apply(far, options, Silent()).state == "live"
        room = Path(record(state).control).parent
        assert room.stat().st_mode & 0o077 == 0
        assert local.apply(far, options, Silent()).detail == "was live already"
    finally:
        local.remove("amenities", options, state)
    assert not room.exists()


def test_a_server_that_does_not_say_its_bundle_is_asked(
    release: Release, newer: Release, options: local.Options
) -> None:
    assert local.apply(replace(release, server=SmallServer("terse")), options, Silent()).state == "live"


def test_two_commands_queue(release: Release, newer: Release, options: local.Options, state: Path) -> None:
    with command(release, options) as one, command(newer, options) as two:
        one.join(120)
        two.join(120)
        assert (one.exitcode, two.exitcode) == (0, 0)
    assert local.status("amenities", options, state).state == "live"
    assert len(service_pids(state)) == 2


def test_the_services_files_are_as_it_makes_them(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    told = Path(f"/proc/{record(state).pid}/status").read_text()
    assert f"Umask:\t{_umask():04o}" in told


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now
