"""A new release comes up in the idle slot, and takes the traffic over."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from . import environments
from .conversation import Conversation, Failure
from .files import clear, receive, write
from .front import Front, fill
from .probing import ask, readiness
from .record import SLOTS, Record
from .supervision import owner_of, supervisor_of

_LOOK_S = 0.1
_LOOKS = 10
"""Every so many looks at the service, its supervisor is asked too."""
_ESTABLISHED = "01"


class Takeover:
    """One deployment on this machine, locked for the command that talks to us."""

    def __init__(self, request: dict[str, Any], conversation: Conversation) -> None:
        self.request, self.settings, self.conversation = request, request["settings"], conversation
        self.folder = Path(self.settings["deployment"])
        self.state = Path(self.settings["state"])
        self.record = Record(self.folder / "state.json")
        self.supervisor = supervisor_of(self.settings)
        self.front = Front(self.settings, conversation)

    def mend(self) -> None:
        """Make true again what the record says, after a command that was cut off."""
        if self.record.switching:
            self.conversation.say("the command before was cut off while it switched; nginx is told again what is live")
            self.tell_front()
            self.record.switching = False
            self.record.save()
        for slot in SLOTS:
            if self.record.exists and slot not in self.record.slots:
                self.supervisor.stop(self.service(slot))

    def service(self, slot: str) -> str:
        """What the supervisor calls the slot."""
        ending = "service" if self.supervisor.kind == "systemd" else "conf"
        return f"pizzeria-{self.settings['name']}-{slot}.{ending}"

    def bring_up(self) -> str:
        """Have the release ready in a slot, which it returns; the live one is not touched.

        Raises:
            Failure: it does not come up there, or answers wrongly; its slot is stopped and free again.
        """
        wanted = self._wanted()
        there = [slot for slot in SLOTS if self.record.slots.get(slot) == wanted[slot] and self._answers(slot)]
        if self.record.live in there:
            return str(self.record.live)
        if there:
            self.conversation.say(f"the release runs in slot {there[0]} already")
            return there[0]
        slot = "b" if self.record.live == "a" else "a"
        self._have_parts()
        self.record.slots.pop(slot, None)
        if self.record.staged == slot:
            self._unstage()
        self.record.save()
        self._quiet(slot)
        self.conversation.say(f"starting slot {slot}")
        begun = time.monotonic()
        try:
            self._start(slot)
            self._golden(slot)
        except BaseException as error:
            tail = self.supervisor.tail(self.service(slot))
            self.supervisor.stop(self.service(slot))
            if isinstance(error, Failure) and tail.strip():
                raise Failure(f"{error.message}; the end of what it said:\n{_indented(tail)}", error.hint) from None
            raise
        self.record.slots[slot] = wanted[slot]
        self.record.ports = {one: int(self.request["slots"][one]["port"]) for one in SLOTS} | (
            {} if self.record.live is None else {self.record.live: self.record.ports[self.record.live]}
        )
        self.record.save()
        self.conversation.say(f"slot {slot} is ready after {time.monotonic() - begun:.1f} s")
        return slot

    def switch(self, slot: str, template: str) -> None:
        """Let nginx send everything to a slot.

        Raises:
            Failure: it does not; everything goes where it went before.
        """
        self.conversation.check()
        sha256 = self.record.slots[slot]["sha256"]
        old = self.front.path.read_text(encoding="utf-8") if self.front.path.exists() else None
        self.record.switching = True
        self.record.save()
        try:
            self.front.take_up(fill(template, [(self.record.ports[slot], 1)]))
            found = self.front.says().get("sha256")
            if found != sha256:
                if old is not None:
                    self.front.take_up(old)
                else:
                    self.front.drop()
                raise Failure(f"nginx answers with bundle {str(found or 'none')[:12]}, and {sha256[:12]} was deployed")
        except Failure:
            self.record.switching = False
            self.record.save()
            raise
        self.conversation.settled = True
        self.record.live, self.record.staged, self.record.percent, self.record.switching = slot, None, 0, False
        self.record.front, self.record.next_front = template, ""
        self.record.save()

    def tell_front(self) -> None:
        """Let nginx do what the record says."""
        if self.record.live is None:
            self.front.drop()
            return
        log = str(self.canary_log) if self.record.staged else ""
        self.front.take_up(fill(self.record.front, self.record.shares, log))

    @property
    def canary_log(self) -> Path:
        """Where nginx notes the answers of both slots while there is a canary."""
        return self.folder / "canary.log"

    def retire(self, slot: str) -> None:
        """Stop a slot once it has answered what it has begun; it stays installed."""
        self._drain(slot)
        self.supervisor.stop(self.service(slot))

    def install_schedule(self) -> None:
        """What runs again and again: as asked for, and nothing else."""
        schedule = self.request.get("schedule") or {}
        texts: dict[str, str] = schedule.get(self.supervisor.kind, {})
        for name in schedule.get("all", {}).get(self.supervisor.kind, []):
            if name not in texts:
                self.supervisor.remove([name])
        if not texts:
            return
        if schedule.get("run"):
            self._have_run(schedule["run"])
        for name, text in schedule.get("scripts", {}).items():
            write(self.folder / name, text, 0o755)
        owner = None if self.supervisor.kind == "systemd" else owner_of(self.settings.get("user"))
        write(self.folder / schedule["secrets"], self.request["watch_secrets_text"], 0o600, owner)
        self.supervisor.install(texts)
        for name in schedule["start"][self.supervisor.kind]:
            self.supervisor.start(name)

    def tidy(self) -> None:
        """Remove releases and environments that nobody will go back to."""
        keep = int(self.settings["keep"])
        used = {slot["content"][:16] for slot in self.record.slots.values()}
        environments.prune(self.folder / "releases", used, keep)
        made = Path(self.settings["root"]) / "environments"
        environments.prune(made, environments.used_by(self.folder.parent), 0, spared_s=86_400)

    def key(self) -> dict[str, str]:
        """The header that opens the service, where it asks for a key."""
        name = self.request.get("keys_from")
        keys = [key.strip() for key in self.request.get("secrets", {}).get(name, "").split(",") if key.strip()]
        return {"Authorization": f"Bearer {keys[0]}"} if keys else {}

    def _wanted(self) -> dict[str, dict[str, str]]:
        out = {}
        for slot in SLOTS:
            asked = self.request["slots"][slot]
            # Whoever may read this record may read the secrets themselves.
            whole = json.dumps([asked, self.request.get("secrets", {}), self.supervisor.kind], sort_keys=True)
            release = self.request["release"]
            out[slot] = {key: str(release[key]) for key in ("content", "environment", "sha256")} | {
                "definition": hashlib.sha256(whole.encode()).hexdigest()
            }
        return out

    def _answers(self, slot: str) -> bool:
        address = self._address(slot)
        return readiness(address).get("sha256") == self.request["release"]["sha256"] and bool(
            self.supervisor.running(self.service(slot))
        )

    def _address(self, slot: str) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": int(self.request["slots"][slot]["port"])}

    def _unstage(self) -> None:
        self.record.switching = True
        self.record.staged, self.record.percent, self.record.next_front = None, 0, ""
        self.record.save()
        self.tell_front()
        self.record.switching = False
        self.record.save()

    def _have_parts(self) -> None:
        """Everything that the service needs, before anything is touched."""
        release = self.request["release"]
        environments.release(self.conversation, Path(release["folder"]), release["content"])
        pieces = [("environment", release)]
        if self.request.get("schedule", {}).get("tools"):
            pieces.append(("tools", self.request["schedule"]["tools"]))
        for piece, asked in pieces:
            if asked["environment"]:
                folder, digest = Path(asked["environment_folder"]), asked["environment"]
                environments.environment(self.conversation, folder, piece, digest, bool(asked["wheels"]))
            elif not (Path(asked["environment_folder"]) / "bin" / "python").exists():
                raise Failure(
                    f"there is no Python in {asked['environment_folder']}/bin on the machine",
                    "without deployment.python_environment one is made",
                )
        self.record.keys_from = str(self.request.get("keys_from") or "")
        self.record.tools = [Path(asked["environment_folder"]).name for piece, asked in pieces if piece == "tools"]

    def _quiet(self, slot: str) -> None:
        """The slot runs nothing, and nobody else has its port."""
        self._drain(slot)
        self.supervisor.stop(self.service(slot))
        port = self._address(slot)["port"]
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failure(
                    f"port {port} of slot {slot} is taken on the machine: {error.strerror}",
                    "give other ones: deployment.slot_ports=[8101,8102]",
                ) from None

    def _start(self, slot: str) -> None:
        asked, service = self.request["slots"][slot], self.service(slot)
        user = owner_of(self.settings.get("user"))
        for folder in (self.state, self.state / "predictions", self.state / f"slot-{slot}"):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if user is not None:
                os.chown(str(folder), user, -1)
        # systemd reads these files before it becomes the user; supervisord's program reads them itself.
        owner = None if self.supervisor.kind == "systemd" else user
        for name, text in asked["files"].items():
            write(self.folder / name, text, 0o755 if name.endswith(".sh") else 0o600, owner)
        write(self.folder / f"slot-{slot}.secrets", self.request["secrets_text"], 0o600, owner)
        self.supervisor.install(asked[self.supervisor.kind])
        self.supervisor.start(service)
        self._await_ready(slot, service)

    def _await_ready(self, slot: str, service: str) -> None:
        sha256, limit_s = self.request["release"]["sha256"], float(self.settings["ready_timeout_s"])
        deadline, first, looks = time.monotonic() + limit_s, "", 0
        while True:
            self.conversation.check()
            found = readiness(self._address(slot)).get("sha256")
            if found == sha256:
                return
            if found:
                raise Failure(
                    f"slot {slot} answers with bundle {str(found or 'none')[:12]}, and {sha256[:12]} was deployed"
                )
            if looks % _LOOKS == _LOOKS - 1:  # not at once: systemd may not have begun yet
                now = self.supervisor.incarnation(service)
                if first and now != first:
                    raise Failure(f"the service ended in slot {slot} before it was ready")
                first = first or now
                if not now and not self.supervisor.running(service):
                    raise Failure(f"the service ended in slot {slot} before it was ready")
            if time.monotonic() > deadline:
                raise Failure(
                    f"the service was not ready in slot {slot} after {limit_s:g} s",
                    "give it longer with deployment.ready_timeout_s=...",
                )
            looks += 1
            time.sleep(_LOOK_S)

    def _golden(self, slot: str) -> None:
        golden = self.request["golden"]
        headers, body = {**golden["headers"], **self.key()}, base64.b64decode(golden["body"])
        status, answer = ask(self._address(slot), "/predict", headers, body, float(self.settings["answer_s"]))
        said = self.conversation.ask(golden=status, answer=base64.b64encode(answer).decode())
        if said["difference"]:
            raise Failure(f"the service in slot {slot} answers its golden request wrongly: {said['difference']}")

    def _drain(self, slot: str) -> None:
        """Wait until nobody is connected to the slot: nginx's workers of before go when their clients have answers."""
        port = self.record.ports.get(slot)
        deadline = time.monotonic() + float(self.settings["drain_s"])
        while port is not None and _connections(port) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _have_run(self, run: dict[str, Any]) -> None:
        """The store in which `pizzeria monitor` finds the run: its spec, what its package left, and the log."""
        store, user = self.state / "store", owner_of(self.settings.get("user"))
        package = store / ".cache" / run["package"]
        if not (package / "result.json").exists() or not (store / run["id"] / "spec.yaml").exists():
            work = self.state / ".store.partial"
            clear(work)
            receive(self.conversation, "run", work)
            for source, target in ((work / "package", package), (work / "run", store / run["id"])):
                target.parent.mkdir(parents=True, exist_ok=True)
                clear(target)
                os.replace(str(source), str(target))  # noqa: PTH105
            clear(work)
        links = {
            store / run["id"] / "stages" / "package": f"../../.cache/{run['package']}",
            store / ".predictions" / self.settings["name"]: "../../predictions",
        }
        for link, target_of in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            clear(link)
            link.symlink_to(target_of)
        if user is not None:
            for path in (store, *store.rglob("*")):
                os.chown(str(path), user, -1, follow_symlinks=False)


def _connections(port: int) -> int:
    """Connections that a port of this machine has."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as stream:
            for line in list(stream)[1:]:
                words = line.split()
                count += words[3] == _ESTABLISHED and int(words[1].rsplit(":", 1)[1], 16) == port
    return count


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())
