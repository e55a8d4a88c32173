"""Commands for docker, podman and buildah as argv lists; nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pizzeria_plugins.targets.container_image.dockerfile import HOME, PORT, PYTHON, STATE
from pizzeria_plugins.targets.container_image.materials import EPOCH
from pizzeria_plugins.targets.container_options import Options

LABEL = "pizzeria.deployment"
_FRONT_FOLDER = "/run/pizzeria-front"
_HARDENED = (
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108 - a tmpfs of the container's own
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "4096"),
    *("--restart", "unless-stopped"),
)


def build_command(program: str, image: str, folder: str, options: Options) -> list[str]:
    """Builds a context; podman and buildah give the same layers for the same context."""
    argv = [program, "build", "--platform", options.platform, "--tag", image]
    if program != "docker":
        argv += ["--format", "docker", "--timestamp", str(EPOCH), "--layers"]  # OCI's own format has no health check
    if options.pip_config is not None:
        argv += ["--secret", f"id=pip_config,src={options.pip_config.expanduser().absolute()}"]
    return [*argv, folder]


def push_command(program: str, image: str) -> list[str]:
    """Pushes an image to the registry that its name begins with."""
    return [program, "push", image]


def service_command(
    program: str,
    image: str,
    container: str,
    published: str,
    log_folder: str,
    options: Options,
    *,
    label: str,
    secrets: Sequence[str] = (),
    user: Sequence[str] = (),
    port: int = PORT,
) -> list[str]:
    """Starts a service in the background.

    Args:
        container: Its name.
        published: Address and port on this machine: `127.0.0.1:3000`.
        log_folder: Folder here for a prediction log in files; empty: none.
        secrets: Names of variables whose values the program takes from its own environment.
        user: Arguments that say as whom it runs.
        port: That it listens on inside.
    """
    argv = [program, "run", "--detach", "--name", container, "--label", f"{LABEL}={label}", *_HARDENED, *user]
    argv += ["--stop-timeout", str(options.stop_timeout_s), "--publish", f"{published}:{port}"]
    if log_folder:
        argv += ["--volume", f"{log_folder}:{STATE}/predictions:z"]
    for name in secrets:
        argv += ["--env", name]
    if options.memory is not None:
        argv += ["--memory", options.memory]
    if options.cpus is not None:
        argv += ["--cpus", f"{options.cpus:g}"]
    return [*argv, image]


def front_command(
    program: str,
    image: str,
    container: str,
    folder: str,
    options: Options,
    *,
    label: str,
    user: Sequence[str] = (),
) -> list[str]:
    """Starts what owns the port; `folder` holds the file that names the service."""
    return [
        *(program, "run", "--detach", "--name", container, "--label", f"{LABEL}={label}", *_HARDENED, *user),
        *("--network", "host", "--no-healthcheck", "--volume", f"{folder}:{_FRONT_FOLDER}:ro,z"),
        *("--entrypoint", PYTHON, image, "-I", str(HOME / "front.py"), options.host, str(options.port)),
        f"{_FRONT_FOLDER}/service",
    ]


def monitor_command(
    program: str,
    image: str,
    container: str,
    name: str,
    log_folder: str,
    *,
    label: str,
    secrets: Sequence[str] = (),
    user: Sequence[str] = (),
) -> list[str]:
    """Starts what watches the service; what it finds stays in a volume."""
    argv = [program, "run", "--detach", "--name", container, "--label", f"{LABEL}={label}", *_HARDENED, *user]
    argv += ["--volume", f"{container}:{STATE}/store:z"]
    if log_folder:
        argv += ["--volume", f"{log_folder}:{STATE}/store/.predictions/{name}:z"]
    for secret in secrets:
        argv += ["--env", secret]
    return [*argv, image]


def stop_command(program: str, container: str, seconds: int) -> list[str]:
    """SIGTERM, and SIGKILL after so many seconds."""
    return [program, "stop", "--time", str(seconds), container]


def start_command(program: str, container: str) -> list[str]:
    """Starts a container that was stopped."""
    return [program, "start", container]


def remove_command(program: str, container: str) -> list[str]:
    """Removes a container, running or not."""
    return [program, "rm", "--force", container]


def list_command(program: str, label: str) -> list[str]:
    """Names of the containers of a deployment, running or not, one a line."""
    return [program, "ps", "--all", "--filter", f"label={LABEL}={label}", "--format", "{{.Names}}"]


def running_command(program: str, container: str) -> list[str]:
    """Says `true 0` where a container runs and was never started again."""
    form = "{{.State.Running}} {{.RestartCount}}"
    return [program, "inspect", "--type", "container", "--format", form, container]


def log_command(program: str, container: str, lines: int) -> list[str]:
    """The end of what a container said."""
    return [program, "logs", "--tail", str(lines), container]


def as_user(program: str, uid: int, gid: int, image_user: int) -> list[str]:
    """Arguments that let a container write files of the user who deploys; nothing for root, who may give files away.

    Example:
        >>> as_user("docker", 1000, 1000, 10001), as_user("podman", 0, 0, 10001)
        (['--user', '1000:1000'], [])
    """
    if uid == 0:
        return []
    if program == "docker":
        return ["--user", f"{uid}:{gid}"]
    return ["--userns", f"keep-id:uid={image_user},gid={image_user}"]


def shown(argv: Sequence[str]) -> str:
    """A command on one line, for messages."""
    import shlex

    return shlex.join(argv)


def environment_for(secrets: Mapping[str, str]) -> Mapping[str, str]:
    """What a program's own environment has besides: BuildKit for docker, and the secrets that it passes on."""
    return {"DOCKER_BUILDKIT": "1", **secrets}


def absolute(path: Path) -> str:
    """A folder as an argument of --volume.

    Raises:
        ValueError: it has a colon, which separates there.
    """
    text = str(path.absolute())
    if ":" in text or "," in text:
        raise ValueError(f"{text} has a colon or a comma, which a volume cannot have")
    return text
