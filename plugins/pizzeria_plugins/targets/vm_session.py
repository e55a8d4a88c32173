"""A conversation with the machine, through the OpenSSH client: the agent goes there, and the request after it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from pizzeria.errors import DeploymentError
from pizzeria.shipment import content_hash
from pizzeria_plugins.targets import vm_agent
from pizzeria_plugins.targets.vm_options import Options

_MARK = "pizzeria-agent 1"
_NOISE = 200
"""Lines that a login script of the machine may print before the agent speaks."""
_LINES = 15

# The first line of standard input is this program as a literal; it reads the rest of the agent, and not a byte more.
_LOADER = """
import json, os, sys, types
if sys.version_info < (3, 8):
    print("pizzeria-agent needs Python 3.8, and this is " + sys.version.split()[0]); sys.exit(3)
left, data = {size}, b""
while left:
    piece = os.read(0, left)
    if not piece: sys.exit(4)
    data += piece; left -= len(piece)
package = types.ModuleType("pizzeria_agent"); package.__path__ = []
sys.modules["pizzeria_agent"] = package
for name, source in json.loads(data.decode()):
    module = types.ModuleType("pizzeria_agent." + name); module.__package__ = "pizzeria_agent"
    sys.modules[module.__name__] = module; setattr(package, name, module)
    exec(compile(source, "pizzeria_agent/" + name + ".py", "exec"), module.__dict__)
package.operations.main()
"""
_STARTER = "import sys;exec(eval(sys.stdin.buffer.raw.readline()))"

Answer = Callable[[dict[str, Any]], "Mapping[str, Any] | Path"]
"""Answers a question of the agent: with values, or with a file that is sent."""


def command(options: Options) -> list[str]:
    """The ssh client's argv, which starts the agent.

    Example:
        >>> command(Options(host="vm.example.com", user="deploy"))[:3]
        ['ssh', '-T', '-oBatchMode=yes']
    """
    there = [*(["sudo", "-n"] if options.sudo else []), options.python, "-c", _STARTER]
    known = options.known_hosts
    return [
        *(
            "ssh",
            "-T",
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=yes",
            f"-oConnectTimeout={options.connect_timeout_s}",
        ),
        *("-oServerAliveInterval=15", "-oServerAliveCountMax=4"),
        *([] if known is None else [f"-oUserKnownHostsFile={_quoted(known)}", "-oGlobalKnownHostsFile=none"]),
        *([] if options.key is None else [f"-oIdentityFile={_quoted(options.key)}", "-oIdentitiesOnly=yes"]),
        *([] if options.port is None else [f"-oPort={options.port}"]),
        *([] if options.user is None else [f"-oUser={options.user}"]),
        *("--", options.host, shlex.join(there)),
    ]


def converse(
    options: Options, request: Mapping[str, Any], say: Callable[[str], None], answer: Answer
) -> dict[str, Any]:
    """Have the agent do one thing.

    Args:
        say: Told what it says on the way.
        answer: Asked what it asks.

    Raises:
        DeploymentError: the machine cannot be reached, or the agent failed there; says why.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command(options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        except FileNotFoundError:
            raise DeploymentError(
                "the OpenSSH client is not installed here", hint="install the package openssh-client"
            ) from None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            done = _talk(process.stdin, process.stdout, request, say, answer)
        except (BrokenPipeError, ConnectionResetError):
            done = None
        finally:
            # It ends by itself when its input does: what has been settled is brought to its end, all else given up.
            _close(process.stdin)
            _wait(process)
            process.stdout.close()
        if done is None:
            errors.seek(0)
            raise _explained(options, errors.read().decode("utf-8", "replace"), process.returncode)
    if "failed" in done:
        raise DeploymentError(f"{options.host}: {done['failed']}", hint=str(done.get("hint", "")))
    found: dict[str, Any] = done["done"]
    return found


def _talk(
    sink: IO[bytes], source: IO[bytes], request: Mapping[str, Any], say: Callable[[str], None], answer: Answer
) -> dict[str, Any] | None:
    modules = _modules()
    sink.write(repr(_LOADER.format(size=len(modules))).encode() + b"\n" + modules)
    sink.write(json.dumps(request).encode() + b"\n")
    sink.flush()
    for _ in range(_NOISE):
        line = source.readline()
        if not line:
            return None
        if line.strip() == _MARK.encode():
            break
        if line.startswith(b"pizzeria-agent needs"):
            return {
                "failed": line.decode("utf-8", "replace").strip(),
                "hint": "give another one: deployment.python=...",
            }
    for line in source:
        said = json.loads(line)
        if "say" in said:
            say(str(said["say"]))
        elif "done" in said or "failed" in said:
            return dict(said)
        else:
            _reply(sink, answer(said))
    return None


def _reply(sink: IO[bytes], answer: Mapping[str, Any] | Path) -> None:
    if isinstance(answer, Path):
        with open(answer, "rb") as stream:
            sink.write(json.dumps({"size": answer.stat().st_size, "sha256": content_hash(answer)}).encode() + b"\n")
            while piece := stream.read(1 << 20):
                sink.write(piece)
    else:
        sink.write(json.dumps(dict(answer)).encode() + b"\n")
    sink.flush()


@cache
def _modules() -> bytes:
    folder = Path(vm_agent.__file__).parent
    return json.dumps([[name, (folder / f"{name}.py").read_text()] for name in vm_agent.MODULES]).encode()


def _close(sink: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        sink.close()


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _explained(options: Options, errors: str, code: int) -> DeploymentError:
    """What the ssh client said, in words that say what to do."""
    port, known = options.port or 22, options.known_hosts or Path("~/.ssh/known_hosts")
    where = options.host if port == 22 else f"[{options.host}]:{port}"
    said = errors.strip().splitlines()
    tail = "\n".join(f"    {line}" for line in said[-_LINES:])
    if "IDENTIFICATION HAS CHANGED" in errors:
        return DeploymentError(
            f"{where} shows another host key than the one in {known}: somebody may be in between",
            hint=f"if the machine was set up anew: ssh-keygen -R '{where}' -f {known}, then add its new key",
        )
    if "Host key verification failed" in errors or "host key is known" in errors:
        return DeploymentError(
            f"the host key of {where} is not in {known}",
            hint=f"ssh-keyscan -p {port} {options.host} >> {known}, and compare it with the machine's own: "
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )
    if "Permission denied" in errors and code == 255:
        return DeploymentError(
            f"{where} lets nobody in with this key:\n{tail}",
            hint="give a key that its authorized_keys has, deployment.key=..., or load it into the agent: ssh-add",
        )
    if code == 127 or "not found" in errors:
        return DeploymentError(
            f"there is no {options.python} on {where}:\n{tail}",
            hint="install Python 3.11 there, or give its path: deployment.python=/usr/bin/python3.11",
        )
    if "sudo:" in errors:
        return DeploymentError(
            f"{where} asks for a password before it lets this user work as root:\n{tail}",
            hint="allow it in sudoers (NOPASSWD), or log in as root and leave deployment.sudo out",
        )
    if code == 255:
        return DeploymentError(
            f"{where} cannot be reached, or the connection was lost:\n{tail}",
            hint="ssh -v shows more; what was live before is live still, and the same command goes on from there",
        )
    return DeploymentError(f"the work on {where} ended without an answer (exit code {code}):\n{tail}")


def _quoted(path: Path) -> str:
    """A path as an option of ssh takes it, which expands % and splits at spaces."""
    text = str(path.expanduser().absolute()).replace("%", "%%")
    return f'"{text}"'
