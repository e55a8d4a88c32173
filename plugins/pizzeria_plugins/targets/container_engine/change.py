"""One container taking over from another, so that somebody serves at any time."""

from __future__ import annotations

import os
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pizzeria import atomic
from pizzeria.contracts import Progress, Release
from pizzeria.errors import DeploymentError
from pizzeria.ports import free_port
from pizzeria.shipment import keeps_local_files
from pizzeria_plugins.targets.container_engine import commands, service
from pizzeria_plugins.targets.container_engine.kept import Kept, label_of, save
from pizzeria_plugins.targets.container_engine.programs import ask, do
from pizzeria_plugins.targets.container_image.dockerfile import USER
from pizzeria_plugins.targets.container_image.references import for_monitor
from pizzeria_plugins.targets.container_options import Options

_FRONT_S = 20


@dataclass(frozen=True)
class Change:
    """One container taking over from another."""

    release: Release
    options: Options
    runner: str
    """docker or podman."""
    image: str
    folder: Path
    secrets: Mapping[str, str]
    progress: Progress

    @property
    def label(self) -> str:
        return label_of(self.release.state, self.release.name)

    def take_over(self, old: Kept | None, content: str) -> Kept:
        new = self._name("service")
        port = free_port()
        try:
            self._start(new, f"127.0.0.1:{port}")
            self.progress.say(f"waiting for {new}")
            self._check(new, f"http://127.0.0.1:{port}")
        except BaseException:  # an interrupt, too, must leave nothing behind
            drop(self.runner, [new])
            raise
        kept = Kept(
            name=self.release.name,
            runner=self.runner,
            sha256=self.release.sha256,
            image=self.image,
            container=new,
            host=self.options.host,
            port=self.options.port,
            front="",
            content=content,
        )
        if self.options.front:
            return self._behind_the_front(kept, port, old)
        return self._in_its_place(kept, old)

    def watch(self) -> None:
        """Start what runs the schedule."""
        argv = commands.monitor_command(
            self.runner,
            for_monitor(self.image),
            f"{self._prefix}-monitor",
            self.release.name,
            self._log_folder(),
            label=self.label,
            secrets=list(self.secrets),
            user=self._user(),
        )
        do(argv, "starting the monitor", commands.environment_for(self.secrets))

    def _behind_the_front(self, kept: Kept, port: int, old: Kept | None) -> Kept:
        """The front that is there goes on, and every new connection is for the new container."""
        front = self._name("front")
        stays = (
            old is not None
            and bool(old.front)
            and (old.host, old.port) == (kept.host, kept.port)
            and service.runs(self.runner, old.front)
        )
        kept = replace(kept, front=old.front if old is not None and stays else front)
        before = self._pointed_at()
        try:
            if old is not None and not stays and (old.host, old.port) == (kept.host, kept.port):
                self._free_the_port(old)
            self._point_at(f"127.0.0.1:{port}")
            if not stays:
                folder = str(self.folder / "front")
                argv = commands.front_command(
                    self.runner, self.image, front, folder, self.options, label=self.label, user=self._user()
                )
                do(argv, "starting the front")
            service.wait_until_ready(self.runner, kept.front, kept.address, self.release, _FRONT_S)
        except BaseException:
            if before:
                self._point_at(before)
            drop(self.runner, [kept.container, front])
            self._bring_back(old)
            raise
        save(kept, self.folder)
        if old is not None and service.runs(self.runner, old.container):
            self._stop(old)
        self._clear_all_but(kept)
        return kept

    def _in_its_place(self, kept: Kept, old: Kept | None) -> Kept:
        """Without a front only one container has the port: the old one goes, and for a moment nobody answers."""
        trial, final = kept.container, self._name("service")
        kept = replace(kept, container=final)
        try:
            if old is not None:
                self._free_the_port(old)
            self._start(final, f"{self.options.host}:{self.options.port}")
            service.wait_until_ready(self.runner, final, kept.address, self.release, self.options.ready_timeout_s)
        except BaseException:
            drop(self.runner, [final, trial])
            self._bring_back(old)
            raise
        save(kept, self.folder)
        self._clear_all_but(kept)
        return kept

    def _start(self, container: str, published: str) -> None:
        argv = commands.service_command(
            self.runner,
            self.image,
            container,
            published,
            self._log_folder(),
            self.options,
            label=self.label,
            secrets=list(self.secrets),
            user=self._user(),
        )
        do(argv, "starting the service", commands.environment_for(self.secrets))

    def _check(self, container: str, address: str) -> None:
        service.wait_until_ready(self.runner, container, address, self.release, self.options.ready_timeout_s)
        keys = self.secrets.get(self.release.serving.keys_from or "", "")
        service.check_golden(address, self.release, keys.split(",")[0].strip() or None)

    def _stop(self, old: Kept) -> None:
        seconds = self.options.stop_timeout_s
        argv = commands.stop_command(self.runner, old.container, seconds)
        do(argv, "stopping the old container", timeout_s=seconds + 60)

    def _free_the_port(self, old: Kept) -> None:
        """Stop what owns the port now, and the old service: for a moment nobody answers."""
        if old.front and service.runs(self.runner, old.front):
            do(commands.stop_command(self.runner, old.front, _FRONT_S), "stopping the front", timeout_s=_FRONT_S + 60)
        if (not old.front or not self.options.front) and service.runs(self.runner, old.container):
            self._stop(old)

    def _bring_back(self, old: Kept | None) -> None:
        """Start what was stopped."""
        for container in [] if old is None else filter(None, [old.container, old.front]):
            if not service.runs(self.runner, container):
                do(commands.start_command(self.runner, container), "starting the old container again")

    @property
    def _pointer(self) -> Path:
        return self.folder / "front" / "service"

    def _pointed_at(self) -> str:
        return self._pointer.read_text() if self._pointer.exists() else ""

    def _point_at(self, address: str) -> None:
        """Let the front pass new connections on to this address; its user, who is not ours, must read it."""
        self._pointer.parent.mkdir(exist_ok=True)
        self._pointer.parent.chmod(0o755)
        temporary = self._pointer.with_name(".service.new")
        temporary.write_text(address)
        temporary.chmod(0o644)
        atomic.sync(temporary)
        atomic.rename(temporary, self._pointer)

    def _clear_all_but(self, kept: Kept) -> None:
        clear(self.runner, self.label, [kept.container, kept.front])

    def _log_folder(self) -> str:
        """The folder here for a prediction log in files, given to the container's user; empty: none."""
        if not keeps_local_files(self.release):
            return ""
        folder = self.release.log_folder
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, USER, USER, follow_symlinks=False)
        try:
            return commands.absolute(folder)
        except ValueError as error:
            raise DeploymentError(str(error), hint="keep the store in a folder with another name") from None

    def _user(self) -> list[str]:
        return commands.as_user(self.runner, os.geteuid(), os.getegid(), USER)

    @property
    def _prefix(self) -> str:
        return f"pizzeria-{self.label}"

    def _name(self, what: str) -> str:
        return f"{self._prefix}-{what}-{random.token_hex(3)}"


def clear(runner: str, label: str, but: Sequence[str]) -> None:
    """Remove all containers of a deployment but these."""
    drop(runner, [one for one in service.containers(runner, label) if one not in but])


def drop(runner: str, containers: Sequence[str]) -> None:
    """Remove containers, of which some may be gone already."""
    for container in containers:
        ask(commands.remove_command(runner, container))
