"""What keeps the services of the slots running: systemd, or supervisord where there is no systemd."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from .conversation import Failure
from .files import clear, text_of, write

_LINES = 25


def run(*argv: str, wait_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its output, errors included, is `stdout`."""
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=wait_s,
            check=False,
        )
    except FileNotFoundError:
        raise Failure(
            f"{argv[0]} is not installed on the machine",
            f"install it, or put it on the path of {os.environ.get('USER', 'the user')}",
        ) from None
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(argv)}` did not end within {wait_s:g} s") from None


def must(*argv: str, wait_s: float = 60) -> str:
    """Run a program that must succeed."""
    done = run(*argv, wait_s=wait_s)
    if done.returncode:
        raise Failure(f"`{' '.join(argv)}` failed ({done.returncode}): {done.stdout.strip()}")
    return done.stdout


class Systemd:
    """Units; `programs` are their texts by name, such as `pizzeria-rooms-a.service`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._folder = Path(settings["systemd_folder"])
        self._stop_s = float(settings["stop_timeout_s"])

    kind = "systemd"

    def install(self, texts: dict[str, str]) -> None:
        """Write units."""
        for name, text in texts.items():
            write(self._folder / name, text)
        must("systemctl", "daemon-reload")

    def start(self, name: str) -> None:
        """Start a service now and whenever the machine starts; whether it is ready is another question."""
        run("systemctl", "reset-failed", name)
        must("systemctl", "enable", name)
        must("systemctl", "start", "--no-block", name)

    def stop(self, name: str) -> None:
        """Stop it, now and for good; it stays installed."""
        if (self._folder / name).exists():
            must("systemctl", "disable", "--now", name, wait_s=self._stop_s + 30)

    def remove(self, names: list[str]) -> None:
        """Stop and forget them."""
        there = [name for name in names if (self._folder / name).exists()]
        for name in there:
            self.stop(name)
            clear(self._folder / name)
        if there:
            must("systemctl", "daemon-reload")

    def running(self, name: str) -> bool:
        """Whether its process is there, or is about to be."""
        return run("systemctl", "is-active", name).stdout.strip() in ("active", "activating", "reloading")

    def incarnation(self, name: str) -> str:
        """Another one after each start; empty while there is no process."""
        said = run("systemctl", "show", name, "--property=MainPID", "--value").stdout.strip()
        return "" if said == "0" else said

    def tail(self, name: str) -> str:
        """The end of what it printed."""
        return run("journalctl", "-u", name, "-n", str(_LINES), "--no-pager", "-o", "cat").stdout


class Supervisord:
    """Programs; `programs` are the texts of their configuration by file name, such as `pizzeria-rooms-a.conf`.

    A program that is to run has a file in supervisord's folder, and one that is not has none.
    """

    kind = "supervisord"

    def __init__(self, settings: dict[str, Any]) -> None:
        self._folder = Path(settings["supervisor_folder"])
        self._logs = Path(settings["logs"])
        self._kept = Path(settings["deployment"])
        self._stop_s = float(settings["stop_timeout_s"])
        config = settings.get("supervisor_config")
        self._argv = ("supervisorctl", *(("-c", config) if config else ()))

    def install(self, texts: dict[str, str]) -> None:
        """Keep the programs, to be started."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write(self._kept / name, text)

    def start(self, name: str) -> None:
        """Start a program, now and whenever supervisord starts."""
        text = text_of(self._kept / name)
        assert text is not None
        write(self._folder / name, text)
        self._update(name)

    def stop(self, name: str) -> None:
        """Stop it, now and for good; it stays installed."""
        if (self._folder / name).exists() or self.running(name):
            clear(self._folder / name)
            self._update(name)

    def remove(self, names: list[str]) -> None:
        """Stop and forget them."""
        for name in names:
            self.stop(name)
            clear(self._kept / name)

    def running(self, name: str) -> bool:
        """Whether its process is there, or is about to be."""
        words = run(*self._argv, "status", _program(name)).stdout.split()
        return len(words) > 1 and words[1] in ("RUNNING", "STARTING", "BACKOFF")

    def incarnation(self, name: str) -> str:
        """Another one after each start; empty while there is no process."""
        words = run(*self._argv, "status", _program(name)).stdout.split()
        return words[3].rstrip(",") if len(words) > 3 and words[1] in ("RUNNING", "STARTING") else ""

    def tail(self, name: str) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError), open(self._logs / f"{_program(name)}.log", "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16_384))
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-_LINES:])
        return ""

    def _update(self, name: str) -> None:
        said = must(*self._argv, "update", _program(name), wait_s=self._stop_s + 30)
        if "ERROR" in said:
            raise Failure(f"supervisord does not take up {self._folder / name}: {said.strip()}")


def _program(name: str) -> str:
    return name[: -len(".conf")]


def supervisor_of(settings: dict[str, Any]) -> Any:
    """The one that the options name, or that there is.

    Raises:
        Failure: there is none.
    """
    kind = settings["supervisor"]
    if kind == "systemd" or (kind == "auto" and Path("/run/systemd/system").is_dir()):
        return Systemd(settings)
    if kind == "auto" and run("sh", "-c", "command -v supervisorctl").returncode:
        raise Failure(
            "the machine runs neither systemd nor supervisord, so nothing would keep the service alive",
            "install supervisor there, or say which one it is: deployment.supervisor=supervisord",
        )
    return Supervisord(settings)


def owner_of(user: str | None) -> int | None:
    """Number of the user that runs the service, who is made if there is none; None: whoever runs this.

    Raises:
        Failure: the user cannot be made.
    """
    if user is None or os.getuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(user).pw_uid
    must("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", user)
    return pwd.getpwnam(user).pw_uid
