"""Parts of the agent that no deployment shows."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from pizzeria.ports import free_port
from pizzeria.shipment import content_hash
from pizzeria_plugins.targets.vm_agent import environments, files, operations
from pizzeria_plugins.targets.vm_agent.conversation import Conversation, Failure, Gone
from pizzeria_plugins.targets.vm_agent.front import FRONT, Front


def test_an_environment_that_a_slot_may_need_is_never_pruned(tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    for name in ("a" * 16, "b" * 16, "c" * 16, "d" * 16):
        (folder / name).mkdir(parents=True)
    for deployment, digest, tools in (("one", "a" * 64, []), ("two", "b" * 64, ["c" * 16])):
        path = tmp_path / "deployments" / deployment / "state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"slots": {"a": {"environment": digest}}, "tools": tools}))
    used = environments.used_by(tmp_path / "deployments")
    environments.prune(folder, used, 0)
    assert {one.name for one in folder.iterdir()} == {"a" * 16, "b" * 16, "c" * 16}


def test_the_newest_releases_stay(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "used", "older", "oldest")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    environments.prune(tmp_path, {"used"}, 2)
    assert {one.name for one in tmp_path.iterdir()} == {"newest", "used"}


def test_an_environment_that_another_deployment_makes_meanwhile_stays(tmp_path: Path) -> None:
    for name, changed in (("new", time.time()), ("old", 1e9)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (changed, changed))
    (tmp_path / "gone").symlink_to(tmp_path / "removed")  # listed, and not there any more when it is looked at
    environments.prune(tmp_path, set(), 0, spared_s=86_400)
    assert {one.name for one in tmp_path.iterdir()} == {"new", "gone"}


def test_the_agent_hashes_as_the_workstation(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    assert files.content_hash(tmp_path) == content_hash(tmp_path)
    assert files.content_hash(tmp_path / "absent") == content_hash(tmp_path / "absent")


def test_a_workstation_that_is_gone_is_noticed_until_all_is_settled() -> None:
    reading, writing = os.pipe()
    answers, sink = os.pipe()
    conversation = Conversation(reading, sink)
    conversation.check()
    os.close(writing)
    with pytest.raises(Gone):
        conversation.check()
    os.close(answers)
    with pytest.raises(Gone):
        conversation.say("is anybody there?")
    conversation.settled = True
    conversation.check()
    conversation.say("no matter")
    os.close(reading)
    os.close(sink)


def test_what_a_killed_command_asked_for_is_not_done_when_its_turn_comes_later(tmp_path: Path) -> None:
    """Another command may have looked meanwhile, and have written down what is live."""
    request = {"settings": {"deployment": str(tmp_path / "deployments" / "rooms"), "name": "rooms"}}
    reading, writing = os.pipe()
    os.close(writing)
    try:
        with pytest.raises(Gone), operations._turn(request, Conversation(reading, 1)):
            pass
    finally:
        os.close(reading)


@pytest.mark.parametrize("name", ["../out", "/etc/out", "link"])
def test_nothing_is_unpacked_beside_its_folder(tmp_path: Path, name: str) -> None:
    import tarfile

    archive = tmp_path / "sent.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(Failure, match="is no plain file"):
        _send(archive, tmp_path / "folder", content_hash(archive))
    assert not (tmp_path / "out").exists()


def test_what_arrives_otherwise_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "sent.tar"
    archive.write_bytes(b"half")
    with pytest.raises(Failure, match="arrived otherwise than it was sent"):
        _send(archive, tmp_path / "folder", "0" * 64)


def test_what_nginx_does_not_take_up_is_put_back(tmp_path: Path) -> None:
    settings = {
        "nginx_folder": str(tmp_path),
        "name": "rooms",
        "front": {"host": "127.0.0.1", "port": free_port()},
        "ready_timeout_s": 0.1,
        "nginx_program": "true",
    }
    front = Front(settings, Conversation(0, 1))
    front.path.write_text("what was there")
    with pytest.raises(Failure, match="does not take its new configuration up"):
        front.take_up(f'location = {FRONT} {{ return 200 "ab12 $pid"; }}')
    assert front.path.read_text() == "what was there"


def _send(archive: Path, folder: Path, digest: str) -> None:
    reading, writing = os.pipe()
    answers, sink = os.pipe()
    data = archive.read_bytes()

    def send() -> None:
        with open(writing, "wb") as stream:
            stream.write(json.dumps({"size": len(data), "sha256": digest}).encode() + b"\n" + data)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        files.receive(Conversation(reading, sink), "release", folder)
    finally:
        thread.join()
        for end in (reading, answers, sink):
            os.close(end)
