"""Deploying over SSH to a real sshd, with a real supervisord and a real nginx."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from pizzeria.conformance.corpus import differences, over_http, record
from pizzeria.conformance.tiny_bundles import NEWER, OLDER, answers_otherwise, unable_to_start
from pizzeria.contracts import Release
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria.spec.deployment import Schedule
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.targets import vm

from .conftest import SMALL, Lines, Machine, until

pytestmark = pytest.mark.slow
ReleaseOf = Callable[..., Release]
NAMES = (f"rooms-{number}" for number in range(1000))


@pytest.fixture
def name(machine: Machine, options: vm.Options, tmp_path: Path) -> object:
    """A deployment's own name, which is not deployed any more when the test is over."""
    found = next(NAMES)
    yield found
    vm.remove(found, options, tmp_path)


def deployment(options: vm.Options, name: str) -> Path:
    return Path(options.root) / "deployments" / name


def front(options: vm.Options, name: str) -> Path:
    return Path(options.nginx_folder) / f"pizzeria-{name}.conf"


def kept(options: vm.Options, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((deployment(options, name) / "state.json").read_text())
    return found


def listener(port: int) -> set[int]:
    """Processes that listen on a port; they are the same ones as long as the service was not started anew."""
    return {one.pid for one in psutil.net_connections("tcp") if one.laddr[1] == port and one.status == "LISTEN"} - {
        None
    }


def test_a_release_comes_up_answers_as_the_contract_and_gives_way_to_the_next(
    machine: Machine, options: vm.Options, release_of: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older, newer = release_of(OLDER, name), release_of(NEWER, name)
    assert vm.status(name, options, tmp_path).state == "absent"
    live = vm.apply(older, options, Lines())
    assert (live.state, live.sha256, live.address) == ("live", older.sha256, options.public_address)
    assert differences(record(OLDER, older.serving), over_http(options.public_address)) == []

    running = listener(options.slot_ports[0])
    again = vm.apply(older, options, Lines())
    assert "was live already" in again.detail
    assert listener(options.slot_ports[0]) == running

    vm.apply(newer, options, Lines())
    assert differences(record(NEWER, newer.serving), over_http(options.public_address)) == []
    assert vm.status(name, options, tmp_path / "another workstation").sha256 == newer.sha256

    said = Lines()
    back = vm.apply(older, options, said)
    assert back.sha256 == older.sha256
    assert "the release runs in slot a already" in said.lines
    assert "sending the release" not in said.lines
    assert listener(options.slot_ports[0]) == running, "going back is a switch, and no start"
    assert vm.status(name, options, tmp_path).sha256 == older.sha256

    vm.remove(name, options, tmp_path)
    vm.remove(name, options, tmp_path)
    assert vm.status(name, options, tmp_path).state == "absent"
    assert not front(options, name).exists()
    assert not deployment(options, name).exists()
    assert not list(Path(options.supervisor_folder).glob(f"pizzeria-{name}-*"))
    log = sqlite.read(sqlite.Options(), Path(options.root) / "state" / name / "predictions")
    assert set(log["sha256"]) == {older.sha256, newer.sha256}, "both slots wrote into one log, which stays"


def test_what_is_rendered_is_what_lies_on_the_machine(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    release = small(OLDER, name)
    rendered = vm.render(release, options)
    vm.apply(release, options, Lines())
    folders = {
        "deployment": deployment(options, name),
        "supervisord": Path(options.supervisor_folder),
        "nginx": Path(options.nginx_folder),
    }
    there = {path: folders[path.split("/")[0]] / Path(path).name for path in rendered.files}
    there = {path: file for path, file in there.items() if "-b." not in path}
    for path, file in there.items():
        assert file.read_text() == rendered.files[path], path
    vm.build(release, options, tmp_path / "out", Lines())
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"release.tar"}


def test_secrets_go_where_only_the_service_reads_them(
    machine: Machine,
    options: vm.Options,
    release_of: ReleaseOf,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    release = release_of(OLDER, name, keys_from="ROOM_KEYS")
    with pytest.raises(DeploymentError, match="ROOM_KEYS"):
        vm.apply(release, options, Lines())
    secret = 'an "odd" $key`s of 26 letters'
    second, third = "second" * 4, "third" * 4
    monkeypatch.setenv("ROOM_KEYS", f"{secret},{second}")
    seen: list[str] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(0.05):
            for one in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    seen.extend(word for word in one.cmdline() if "odd" in word and "$key" in word)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = Lines()
    try:
        vm.apply(release, options, said)
    finally:
        watching.set()
        watcher.join()
    assert seen == []
    assert secret not in "".join(said.lines)
    answers = record(OLDER, release.serving)
    assert differences(answers, over_http(options.public_address, key=second)) == []
    with httpx.Client(base_url=options.public_address, trust_env=False, timeout=120) as client:
        assert client.post("/predict", content=b"x").status_code == 401
        assert client.post("/predict", headers={"Authorization": f"Bearer {secret}"}, content=b"x").status_code == 415
    assert secret not in str(vm.render(release, options))
    for file in (deployment(options, name) / "slot-a.secrets", deployment(options, name) / "state.json"):
        assert file.stat().st_mode & 0o077 == 0
    holding = set()
    for file in machine.folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the service works on
            holding |= {file.name} if file.is_file() and second.encode() in file.read_bytes() else set()
    assert holding <= {"slot-a.secrets"}

    monkeypatch.setenv("ROOM_KEYS", third)
    vm.apply(release, options, Lines())
    assert differences(answers, over_http(options.public_address, key=third)) == []


def test_a_release_that_does_not_come_up_leaves_the_live_one_alone(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    with pytest.raises(DeploymentError, match=r"(?s)slot a before it was ready.*the end of what it said.*no oven"):
        vm.apply(small(unable_to_start(tmp_path / "first"), name), options, Lines())
    assert vm.status(name, options, tmp_path).state == "absent"
    assert not front(options, name).exists()
    older = small(OLDER, name)
    vm.apply(older, options, Lines())
    running, conf = listener(options.slot_ports[0]), front(options, name).read_text()
    for broken in (unable_to_start(tmp_path / "broken"), answers_otherwise(tmp_path / "otherwise")):
        with pytest.raises(DeploymentError, match=r"(?s)slot b") as caught:
            vm.apply(small(broken, name), options, Lines())
        assert caught.value.exit_code == 6
        now = vm.status(name, options, tmp_path)
        assert (now.state, now.sha256) == ("live", older.sha256)
        assert listener(options.slot_ports[0]) == running
        assert listener(options.slot_ports[1]) == set(), "what failed does not stay up"
        assert front(options, name).read_text() == conf
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", NEWER, damaged], check=True)
    release = small(damaged, name)
    (damaged / "model.onnx").write_bytes(b"x")
    with pytest.raises(BundleError):
        vm.apply(release, options, Lines())


def test_when_nginx_refuses_everything_stays_as_it_was(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older = small(OLDER, name)
    vm.apply(older, options, Lines())
    stranger = Path(options.nginx_folder) / "stranger.conf"
    stranger.write_text("nonsense;\n")
    try:
        with pytest.raises(DeploymentError, match=r"nginx refuses.*nonsense"):
            vm.apply(small(NEWER, name), options, Lines())
        assert vm.status(name, options, tmp_path).sha256 == older.sha256
    finally:
        stranger.unlink()
    assert vm.apply(small(NEWER, name), options, Lines()).state == "live"


def test_a_taken_port_is_named(options: vm.Options, small: ReleaseOf, name: str) -> None:
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", options.slot_ports[0]))
        other.listen()
        with pytest.raises(DeploymentError, match=f"port {options.slot_ports[0]} of slot a is taken") as caught:
            vm.apply(small(OLDER, name), options, Lines())
    assert "deployment.slot_ports=" in caught.value.hint


def test_nginx_may_speak_tls(options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=rooms.example.com", "-addext", "subjectAltName=DNS:rooms.example.com"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    secure = {"tls_certificate": str(certificate), "tls_key": str(key), "server_name": "rooms.example.com"}
    how = options.model_copy(update=secure)
    live = vm.apply(small(OLDER, name), how, Lines())
    assert live.address == f"https://rooms.example.com:{options.listen_port}"
    assert vm.status(name, how, tmp_path).state == "live"
    trusted = ssl.create_default_context(cafile=str(certificate))
    raw = socket.create_connection(("127.0.0.1", options.listen_port), timeout=120)
    with trusted.wrap_socket(raw, server_hostname="rooms.example.com") as connection:
        connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: rooms.example.com\r\n\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 200")


class Load:
    """Clients that ask without a pause, while something happens."""

    def __init__(self, address: str, photo: bytes) -> None:
        self.failures: list[str] = []
        self.answers: dict[str, int] = {}
        self._address, self._photo, self._over = address, photo, threading.Event()
        self._threads = [threading.Thread(target=self._one, args=(reused,)) for reused in (False, False, True, True)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _one(self, reused: bool) -> None:
        """One client; it uses a connection again, or has a new one for each request.

        nginx closes an idle connection when it takes a configuration up, maybe just as a request goes into it. Every
        client that keeps connections has to send such a request, which got no byte of an answer, again; so does this.
        """
        limits = httpx.Limits(max_keepalive_connections=1 if reused else 0)
        with httpx.Client(base_url=self._address, trust_env=False, timeout=120, limits=limits) as client:
            again = 0
            while not self._over.is_set():
                try:
                    answer = client.post("/predict", content=self._photo, headers={"Content-Type": "image/jpeg"})
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                    again += 1
                    if not reused or again > 1:
                        self.failures.append(repr(error))
                    continue
                again = 0
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code}: {answer.text[:200]}")
                    continue
                model = answer.json()["model"]
                self.answers[model] = self.answers.get(model, 0) + 1


def test_no_request_is_lost_while_releases_change(
    machine: Machine, options: vm.Options, release_of: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older, newer = (release_of(bundle, name, max_concurrency=64) for bundle in (OLDER, NEWER))
    stopping = options.model_copy(update={"keep_running": False})
    vm.apply(older, options, Lines())
    _, photo = open_bundle(OLDER).sample_request()
    with Load(options.public_address, photo) as load:
        for release, how in [(newer, options), (older, options), (newer, stopping), (older, stopping)]:
            vm.apply(release, how, Lines())
    assert load.failures == []
    assert set(load.answers) == {older.sha256, newer.sha256}
    assert min(load.answers.values()) > 10
    assert listener(options.slot_ports[1]) == set(), (machine.folder / "supervisord.log").read_text()


DEPLOYER = """
import json, os, sys
from pathlib import Path
from pizzeria.contracts import Release, Rendered
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import vm
bundle, name, state, options, small, point = sys.argv[1:]
class Small:
    def render(self, release, host, port):
        return Rendered(commands=[[release.python, "-c", small, str(release.bundle), release.sha256, str(port)]])
class Say:
    def say(self, text):
        print(text, flush=True)
        if text.startswith(point or "nothing"):
            sys.stdin.read()  # and the machine waits for the next answer, however slow the test is
serving = Serving(log=PredictionLog(options=sqlite.Options()), max_body_mb=0.2, max_megapixels=1,
                  options=bentoml.Options(workers=1))
release = Release(name, Path(bundle), open_bundle(Path(bundle)).sha256, serving, Small(), Path(state), Path(state),
                  task="object_detection")
vm.apply(release, vm.Options(**json.loads(options)), Say())
"""


@contextlib.contextmanager
def deployer(
    bundle: Path, name: str, options: vm.Options, state: Path, point: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which deploys; it stops at the line that begins with a point."""
    arguments = [str(bundle), name, str(state), options.model_dump_json(), SMALL, point]
    with subprocess.Popen(
        [sys.executable, "-c", DEPLOYER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            if point:
                hear(process, point)
            yield process
        finally:
            process.kill()


def hear(process: subprocess.Popen[str], words: str) -> None:
    """Read what a command says up to the line with these words."""
    assert process.stdout is not None
    said = ""
    while words not in (line := process.stdout.readline()):
        said += line
        assert line, f"it never said {words!r}: {said}"


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def agents() -> list[psutil.Process]:
    """The agents at work on this test's machine, whose sshd this process has started.

    Each is looked at anew: `psutil.process_iter` takes one with the id of another one that is gone for that one.
    """
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            one = psutil.Process(pid)
            if one.cmdline()[1:3] == ["-c", "import sys;exec(eval(sys.stdin.buffer.raw.readline()))"]:
                found += [one] if os.getpid() in [parent.pid for parent in one.parents()] else []
    return found


def test_a_killed_deployer_leaves_a_service_that_the_next_command_goes_on_from(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older, newer = small(OLDER, name), small(NEWER, name)
    vm.apply(older, options, Lines())
    for point in ("sending the release", "starting slot b", "slot b is ready"):
        with deployer(NEWER, name, options, tmp_path, point):
            pass  # and it is killed
        until(lambda: not agents())
        now = vm.status(name, options, tmp_path)
        assert now.state == "live"
        assert now.sha256 in (older.sha256, newer.sha256)
        assert now.sha256 == older.sha256 or point == "slot b is ready"
    assert vm.apply(newer, options, Lines()).sha256 == newer.sha256
    assert vm.status(name, options, tmp_path).sha256 == newer.sha256


def test_a_machine_that_failed_in_the_middle_is_mended_by_the_next_command(
    machine: Machine, options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older, newer = small(OLDER, name), small(NEWER, name)
    vm.apply(older, options, Lines())
    nginx = int((machine.folder / "nginx.pid").read_text())
    for point in ("sending the release", "starting slot b", "slot b is ready"):
        with paused(nginx), deployer(NEWER, name, options, tmp_path, point) as process:  # so that it does not end
            for agent in agents():  # as when the machine loses its power, but for the services
                agent.kill()
            process.communicate()
        until(lambda: not agents())
        assert process.returncode != 0
        now = vm.status(name, options, tmp_path)
        if point == "slot b is ready" and "cut off while it did" in now.detail:  # nginx has it, and the record does not
            assert (now.state, now.sha256) in (("live", older.sha256), ("starting", newer.sha256))
        else:
            assert (now.state, now.sha256) == ("live", older.sha256)
    vm.apply(older, options, Lines())
    # Cut off after nginx was told, and before that was recorded.
    state = kept(options, name)
    wrong = front(options, name).read_text().replace(f":{options.slot_ports[0]} ", f":{free_port()} ")
    front(options, name).write_text(wrong)
    path = deployment(options, name) / "state.json"
    path.write_text(json.dumps(state | {"switching": True}))
    said = Lines()
    vm.apply(older, options, said)
    assert any("was cut off while it switched" in line for line in said.lines)
    assert vm.status(name, options, tmp_path).sha256 == older.sha256
    # Half an upload is of no use, and half a state file is none of ours.
    half = deployment(options, name) / "releases" / ".0123456789abcdef.partial"
    half.mkdir()
    assert vm.apply(newer, options, Lines()).sha256 == newer.sha256
    path.write_text("{")
    with pytest.raises(DeploymentError, match=r"state\.json on the machine cannot be read"):
        vm.apply(older, options, Lines())
    path.write_text(json.dumps(state))


def test_two_commands_at_once_take_turns(options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path) -> None:
    lock = deployment(options, name).with_name(f".{name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a") as turn, contextlib.ExitStack() as stack:
        fcntl.flock(turn, fcntl.LOCK_EX)  # as a third command would, so that both come while it is at work
        processes = [stack.enter_context(deployer(bundle, name, options, tmp_path)) for bundle in (OLDER, NEWER)]
        for process in processes:
            hear(process, "waiting for another command")
        fcntl.flock(turn, fcntl.LOCK_UN)
        for process in processes:
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    assert vm.status(name, options, tmp_path).state == "live"


def test_a_canary_gets_its_share_and_takes_over_or_goes(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older, newer = small(OLDER, name), small(NEWER, name)
    with pytest.raises(DeploymentError, match="nothing is live yet"):
        vm.stage(newer, options, Lines())
    with pytest.raises(DeploymentError, match="nothing is staged"):
        vm.shift(name, options, tmp_path, 5)
    vm.apply(older, options, Lines())
    sample = open_bundle(NEWER).sample_request()

    noted = deployment(options, name) / "canary.log"

    def shares(requests: int) -> dict[str, int]:
        found: dict[str, int] = {}
        with httpx.Client(base_url=options.public_address, trust_env=False, timeout=120) as client:
            for _ in range(requests):
                answer = client.post("/predict", content=sample[1], headers={"Content-Type": "image/jpeg"})
                assert answer.status_code == 200
                found[answer.json()["model"]] = found.get(answer.json()["model"], 0) + 1
        return found

    vm.stage(newer, options, Lines())
    running = listener(options.slot_ports[1])
    assert shares(10) == {older.sha256: 10}
    assert vm.status(name, options, tmp_path).sha256 == older.sha256
    vm.stage(newer, options, Lines())
    assert listener(options.slot_ports[1]) == running, "what is staged is left as it is"
    vm.shift(name, options, tmp_path, 25)
    assert shares(40) == {older.sha256: 30, newer.sha256: 10}
    until(lambda: noted.read_text().count("/predict\n") == 50)  # nginx notes an answer behind it
    staged, live = vm.observe(name, options, tmp_path, sample, 5)
    assert (staged.sha256, staged.requests, staged.errors) == (newer.sha256, 15, 0)
    assert (live.sha256, live.requests, live.errors) == (older.sha256, 45, 0)
    assert 0 < staged.p95_ms < 120_000
    assert vm.settle(name, options, tmp_path, False, Lines()).sha256 == older.sha256
    assert listener(options.slot_ports[1]) == set()
    assert shares(10) == {older.sha256: 10}

    vm.stage(newer, options, Lines())
    vm.shift(name, options, tmp_path, 50)
    _supervisorctl(options, "stop", f"pizzeria-{name}-b")
    assert shares(4) == {older.sha256: 4}, "a request that the canary did not take is given to the other slot"
    until(lambda: noted.read_text().count("/predict\n") == 4)
    staged, live = vm.observe(name, options, tmp_path, sample, 3)
    assert (staged.sha256, staged.errors, live.errors) == ("", 5, 0)
    with pytest.raises(DeploymentError, match="nginx answers with bundle none, and"):
        vm.settle(name, options, tmp_path, True, Lines())
    assert shares(4) == {older.sha256: 4}
    vm.stage(newer, options, Lines())
    vm.shift(name, options, tmp_path, 50)
    assert vm.settle(name, options, tmp_path, True, Lines()).sha256 == newer.sha256
    assert shares(4) == {newer.sha256: 4}


def _supervisorctl(options: vm.Options, *words: str) -> str:
    argv = ["supervisorctl", "-c", str(options.supervisor_config), *words]
    return subprocess.run(argv, capture_output=True, text=True).stdout


def _supervised(options: vm.Options, name: str, slot: str) -> tuple[int, int]:
    def found() -> re.Match[str] | None:
        return re.search(r"pid (\d+)", _supervisorctl(options, "status", f"pizzeria-{name}-{slot}"))

    until(found)  # supervisord does not tell it in the first second
    process = found()
    assert process
    return int(process[1]), signal.SIGKILL


def test_a_dead_slot_is_seen_and_comes_up_again(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    older = small(OLDER, name)
    vm.apply(older, options, Lines())
    before = listener(options.slot_ports[0])
    os.kill(*_supervised(options, name, "a"))
    until(lambda: not before & listener(options.slot_ports[0]))
    until(lambda: vm.status(name, options, tmp_path).state == "live")
    _supervisorctl(options, "stop", f"pizzeria-{name}-a")
    now = vm.status(name, options, tmp_path)
    assert (now.state, "does not run" in now.detail) == ("dead", True)
    assert vm.apply(older, options, Lines()).state == "live"
    assert vm.status(name, options, tmp_path).state == "live"


def test_strangers_and_faults_of_the_way_there_are_told_apart(
    machine: Machine, options: vm.Options, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release = release_of(OLDER, "nowhere")

    def refused(**changes: object) -> DeploymentError:
        with pytest.raises(DeploymentError) as caught:
            vm.apply(release, machine.options(**changes), Lines())
        return caught.value

    unknown = tmp_path / "known_hosts"
    unknown.touch()
    error = refused(known_hosts=unknown)
    assert f"the host key of [127.0.0.1]:{machine.ssh_port} is not in {unknown}" in error.message
    assert f"ssh-keyscan -p {machine.ssh_port} 127.0.0.1 >> {unknown}" in error.hint
    assert unknown.read_text() == "", "nothing is trusted by itself"

    kind, key, *_ = (machine.folder / "other_key.pub").read_text().split()
    unknown.write_text(f"[127.0.0.1]:{machine.ssh_port} {kind} {key}\n")
    error = refused(known_hosts=unknown)
    assert "shows another host key" in error.message
    assert "ssh-keygen -R" in error.hint

    error = refused(key=machine.folder / "other_key")
    assert "lets nobody in with this key" in error.message
    assert "deployment.key=" in error.hint

    error = refused(port=free_port())
    assert "cannot be reached" in error.message
    assert "Connection refused" in error.message

    error = refused(python="python-that-is-not-there")
    assert "there is no python-that-is-not-there on " in error.message
    assert "deployment.python=" in error.hint

    error = refused(python_environment="/opt/nothing/here")
    assert "there is no Python in /opt/nothing/here/bin" in error.message

    seen = vm.status("nowhere", machine.options(port=free_port()), tmp_path)
    assert (seen.state, "cannot be asked" in seen.detail) == ("dead", True)


def test_a_schedule_that_cannot_run_is_refused_before_anything_is_done(
    options: vm.Options, release_of: ReleaseOf
) -> None:
    release = release_of(OLDER, "rooms")
    with pytest.raises(DeploymentError, match="not known which run packed this bundle"):
        vm.render(replace(release, schedule=Schedule(monitor="1h")), options)
    with pytest.raises(DeploymentError, match=r"deployment\.schedule\.maintain needs") as caught:
        vm.render(replace(release, schedule=Schedule(maintain="1d")), options)
    assert "deployment.maintain_command=" in caught.value.hint


def test_a_schedule_runs_and_goes_with_the_deployment(
    machine: Machine, options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path
) -> None:
    mark = tmp_path / "maintained"
    how = options.model_copy(update={"maintain_command": ("/usr/bin/touch", str(mark))})
    vm.apply(replace(small(OLDER, name), schedule=Schedule(maintain="1d")), how, Lines())
    until(mark.exists)
    program = Path(options.supervisor_folder) / f"pizzeria-{name}-maintain.conf"
    assert program.exists()
    vm.apply(small(OLDER, name), options, Lines())
    assert not program.exists(), "what is asked for no more goes"


def test_the_monitor_judges_the_log_that_lies_on_the_machine(
    options: vm.Options, small: ReleaseOf, name: str, tmp_path: Path, working_folder: Path
) -> None:
    import pandas as pd
    import yaml

    from pizzeria.loading import load_spec
    from pizzeria.runs.store import Result, Store

    store = Store()
    resolved = load_spec(["experiment=amenities", f"name={name}"]).resolved()
    run = store.open_run(f"{name}-1", yaml.safe_dump(resolved, sort_keys=False))
    release = replace(small(OLDER, name), run=run.folder, schedule=Schedule(monitor="1h"))
    with store.partial(f"{name}-package", keep=False) as partial:
        pd.DataFrame({"timestamp": pd.to_datetime([], utc=True)}).to_parquet(partial / "reference.parquet")
        facts = {"sha256": release.sha256}
        result = Result("package", f"{name}-package", partial, facts, 0.0, "", {}, None)
        run.link(store.commit(partial, result))
    vm.build(release, options, tmp_path / "out", Lines())
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"release.tar", "run.tar"}
    vm.apply(release, options, Lines())
    there = Path(options.root) / "state" / name / "store" / run.id
    log = Path(options.root) / "logs" / f"pizzeria-{name}-monitor.log"
    until(lambda: list(there.glob("monitoring/*/verdict.json")) or "Error" in (log.read_text() if log.exists() else ""))
    [verdict] = there.glob("monitoring/*/verdict.json")
    assert json.loads(verdict.read_text())["judged"] == 0
