"""Which of docker, podman and buildah works here, and running them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pizzeria.contracts import Progress
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.container_engine.commands import shown

_LINES = 25
_ASKED_S = 20


@dataclass(frozen=True)
class Programs:
    """What builds and what runs; they see the same images."""

    builder: str
    runner: str


def find_programs(wanted: str) -> Programs:
    """What `deployment.builder` says, or the first that works.

    Raises:
        DeploymentError: it does not work here, or nothing does; says what each one said.
    """
    said = []
    for builder in ("docker", "podman", "buildah") if wanted == "auto" else (wanted,):
        runner = "podman" if builder == "buildah" else builder
        faults = [fault for program in dict.fromkeys((builder, runner)) if (fault := _fault(program))]
        if not faults:
            return Programs(builder, runner)
        said += faults
    raise DeploymentError(
        "no program that builds and runs containers works here: " + "; ".join(dict.fromkeys(said)),
        hint="install podman, or start docker; for a build by hand elsewhere: pizzeria deploy RUN --out DIR",
    )


def _fault(program: str) -> str:
    if shutil.which(program) is None:
        return f"{program} is not installed"
    # `docker version` fails where only the client is there; the others need no server.
    argv = [program, "version", "--format", "{{.Server.Version}}"] if program == "docker" else [program, "--version"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASKED_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} gives no answer: {error}"
    return "" if done.returncode == 0 else f"{program} says: {_last(done.stderr)}"


def ask(argv: Sequence[str], timeout_s: float = 60) -> str | None:
    """What a command says; None where it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def do(argv: Sequence[str], what: str, environment: Mapping[str, str] | None = None, timeout_s: float = 120) -> str:
    """Run a short command; returns what it said.

    Raises:
        DeploymentError: it failed; with the end of what it said.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise DeploymentError(f"{what}: no end after {timeout_s:g} s: {shown(argv)}") from None
    except OSError as error:
        raise DeploymentError(f"{what}: {argv[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise DeploymentError(f"{what} failed: {_last(done.stderr)}", hint=f"the command was: {shown(argv)}")
    return done.stdout.strip()


def build(argv: Sequence[str], progress: Progress) -> None:
    """Run a build, which may take minutes, and tell of its steps.

    Raises:
        DeploymentError: it failed; with the end of what it said.
    """
    tail: deque[str] = deque(maxlen=_LINES)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
        )
    except OSError as error:
        raise DeploymentError(f"{argv[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                if line.startswith(("STEP", "[")):
                    progress.say(line.strip()[:100])
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code != 0:
        raise DeploymentError(
            "\n".join(["the image could not be built; the end of what was said:", *(f"    {line}" for line in tail)]),
            hint=f"the command was: {shown(argv)}",
        )


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "nothing"
