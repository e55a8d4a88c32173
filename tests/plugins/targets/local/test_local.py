"""The target `local`, with a small real server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pizzeria.contracts import Release, Rendered
from pizzeria.errors import BundleError, DeploymentError
from pizzeria_plugins.targets import local, processes
from pizzeria_plugins.targets.local_keeper import asking

from .conftest import Silent, SmallServer, kill_all, record, token


class Mute:
    """A server that is never ready; a shell says its word at once, and a busy machine has seconds for it."""

    def render(self, release: Release, host: str, port: int) -> Rendered:
        return Rendered(commands=[["sh", "-c", "echo hello from the service; exec sleep 600"]])


def test_a_service_comes_up_outlives_its_command_and_goes(
    release: Release, options: local.Options, state: Path
) -> None:
    assert local.status("amenities", options, state).state == "absent"
    live = local.apply(release, options, Silent())
    assert (live.state, live.sha256) == ("live", release.sha256)
    assert live.address == f"http://127.0.0.1:{options.port}"
    assert local.status("amenities", options, state).state == "live"
    found = processes.marked(token(state))
    assert len(found) == 2, "the supervisor and its worker"
    assert [one.pid for one in processes.marked(record(state).keeper_token)] == [record(state).keeper]
    assert all(os.getsid(one.pid) != os.getsid(0) for one in found)
    assert (state / "amenities" / "deployment.json").stat().st_mode & 0o077 == 0
    mark = token(state)
    local.remove("amenities", options, state)
    assert processes.marked(mark) == []
    assert local.status("amenities", options, state).state == "absent"
    assert not (state / "amenities").exists()
    local.remove("amenities", options, state)


def test_a_second_apply_of_the_same_changes_nothing(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    again = local.apply(release, options, Silent())
    assert (again.state, again.detail) == ("live", "was live already")
    assert token(state) == before


def test_a_newer_bundle_replaces_the_older(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert local.status("amenities", options, state).sha256 == newer.sha256
    assert processes.marked(before) == []


def test_status_is_that_of_the_service_that_took_over_while_it_looked(
    release: Release, newer: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.apply(release, options, Silent())
    ask = asking.state

    def change(control: str) -> dict[str, Any]:
        monkeypatch.setattr(asking, "state", ask)
        local.apply(newer, options, Silent())
        return ask(control)

    monkeypatch.setattr(asking, "state", change)
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", newer.sha256)


def test_a_newer_one_that_fails_changes_nothing(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    with pytest.raises(DeploymentError, match=rf"(?s)no oven.*The one before, {release.sha256[:12]}, goes on serving"):
        local.apply(replace(newer, server=SmallServer("broken")), options, Silent())
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", release.sha256)
    assert "no oven" in (state / "amenities" / "service.failed.log").read_text()


def test_a_service_that_ends_at_once_shows_the_end_of_its_log(
    release: Release, options: local.Options, state: Path
) -> None:
    with pytest.raises(DeploymentError, match=r"(?s)ended before it was ready.*service\.failed\.log.*no oven"):
        local.apply(replace(release, server=SmallServer("broken")), options, Silent())
    assert local.status("amenities", options, state).state == "absent"


def test_a_service_that_never_is_ready_is_given_up_and_ended(
    release: Release, options: local.Options, state: Path
) -> None:
    short = options.model_copy(update={"ready_timeout_s": 6})
    with pytest.raises(DeploymentError, match=r"(?s)not ready after 6 s.*hello from the service"):
        local.apply(replace(release, server=Mute()), short, Silent())
    assert [one.pid for one in processes.others(state / "amenities")] == []


def test_a_service_with_another_bundle_is_refused(release: Release, options: local.Options, state: Path) -> None:
    with pytest.raises(DeploymentError, match=r"answers with bundle 123456789012, and .* was deployed"):
        local.apply(replace(release, server=SmallServer(says="123456789012345")), options, Silent())
    assert local.status("amenities", options, state).state == "absent"


def test_a_taken_port_is_named_with_who_has_it(release: Release, options: local.Options, state: Path) -> None:
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", options.port))
        other.listen()
        with pytest.raises(DeploymentError, match=f"port {options.port}") as caught:
            local.apply(release, options, Silent())
    assert "deployment.port=" in caught.value.hint
    local.apply(replace(release, name="rooms"), options, Silent())
    with pytest.raises(DeploymentError, match="the deployment 'rooms' has it"):
        local.apply(release, options, Silent())


def test_a_damaged_bundle_stops_nothing(release: Release, newer: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    (newer.bundle / "model.onnx").write_bytes(b"gone bad")
    with pytest.raises(BundleError):
        local.apply(newer, options, Silent())
    assert token(state) == before
    assert local.status("amenities", options, state).state == "live"


def test_a_dead_service_is_known_as_dead(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    kill_all(state)
    now = local.status("amenities", options, state)
    assert now.state == "dead"
    assert "service.log" in now.detail
    assert local.apply(release, options, Silent()).state == "live"


def test_trouble_with_the_prediction_log_is_said(release: Release, options: local.Options, state: Path) -> None:
    well = local.apply(release, options, Silent())
    assert "prediction" not in local.status("amenities", options, state).detail
    local.apply(replace(release, server=SmallServer("troubled")), options, Silent())
    now = local.status("amenities", options, state)
    assert now.state == "live"
    assert now.address == well.address
    assert "its prediction log takes no records, 7 wait" in now.detail
    assert "2 prediction records are lost" in now.detail
    local.remove("amenities", options, state)


def test_a_stubborn_service_is_killed_in_the_end(release: Release, options: local.Options, state: Path) -> None:
    local.apply(replace(release, server=SmallServer("stubborn")), options, Silent())
    mark = token(state)
    local.remove("amenities", options.model_copy(update={"stop_timeout_s": 0.3}), state)
    assert processes.marked(mark) == []


def test_another_process_with_the_same_id_is_left_alone(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    path = state / "amenities" / "deployment.json"
    kill_all(state)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": stranger.pid, "keeper": stranger.pid}))
        assert local.status("amenities", options, state).state == "dead"
        local.remove("amenities", options, state)
        assert stranger.poll() is None
        stranger.kill()


def test_render_is_the_servers_and_touches_nothing(release: Release, options: local.Options, state: Path) -> None:
    rendered = local.render(release, options)
    assert rendered == release.server.render(release, "127.0.0.1", options.port)
    assert not list(state.iterdir())


def test_no_proxy_of_the_environment_stands_between(
    release: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert local.apply(release, options, Silent()).state == "live"
    connection = http.client.HTTPConnection("127.0.0.1", options.port, timeout=120)
    with contextlib.closing(connection):
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200


def test_a_host_must_be_an_address() -> None:
    with pytest.raises(ValidationError, match=r"'localhost' is no IP address; write 127\.0\.0\.1"):
        local.Options(host="localhost")
    assert local.Options(host="::1").host == "::1"
