"""What pip installs for a function, for its platform's Python and CPU, from wheels alone and by hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pizzeria.errors import DeploymentError, PluginError
from pizzeria_plugins.functions import slimming

Machine = Literal["x86_64", "aarch64"]
_FORMAT = 1
"""Raise it when what lies in the folder of an older release of Pizzeria no longer serves."""
UNUSED = frozenset(
    {
        *("antlr4-python3-runtime", "hydra-core", "omegaconf", "pyyaml"),  # compose specs
        *("markdown-it-py", "mdurl", "pygments", "rich"),  # talk to terminals
        *("flatbuffers", "packaging", "protobuf"),  # ONNX Runtime declares them for its tools
        "prometheus-client",  # no /metrics
    }
)
"""Packages of the locks that serving does not import."""


@dataclass(frozen=True)
class Place:
    """What the packages are for.

    Attributes:
        python: Version of Python, such as 3.12.
        machine: The CPU.
        glibc: Minor version of glibc 2 there; wheels that ask for a newer one are passed over.
    """

    python: str
    machine: Machine
    glibc: int = 34

    @property
    def is_here(self) -> bool:
        """Whether this interpreter makes byte code that the place's reads."""
        return self.python == f"{sys.version_info[0]}.{sys.version_info[1]}"

    @property
    def platforms(self) -> list[str]:
        """pip's names of it, newest first."""
        names = [f"manylinux_2_{minor}_{self.machine}" for minor in range(self.glibc, 16, -1)]
        return [*names, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


def filtered(lock: str, place: Place, without: frozenset[str] = UNUSED, only: frozenset[str] | None = None) -> str:
    """The entries of a lock that the place needs, without markers: nothing that is `without`, and `only` these, if any.

    Example:
        >>> lock = "a==1 ; python_version < '3.12' \\\\\\n  --hash=sha256:00\\nb==2 \\\\\\n  --hash=sha256:11\\n"
        >>> filtered(lock, Place("3.12", "x86_64"))
        'b==2 \\\\\\n  --hash=sha256:11\\n'
    """
    from packaging.requirements import Requirement

    environment = {
        "python_version": place.python,
        "python_full_version": f"{place.python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": place.machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    out = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        head, _, hashes = entry.partition(" \\\n")
        if head.startswith(("#", "--")) or not head:
            continue
        one = Requirement(head)
        wanted = one.name.lower() not in without and (only is None or one.name.lower() in only)
        if wanted and (one.marker is None or one.marker.evaluate(environment)):
            out[one.name.lower()] = f"{one.name}{one.specifier} \\\n{hashes.rstrip()}\n"
    return "".join(out[name] for name in sorted(out))


def install(lock: str, place: Place, cache: Path) -> Path:
    """The packages of a filtered lock, slimmed, in a folder of `cache` that is made once.

    Raises:
        DeploymentError: pip finds no wheel for the place, or cannot reach its index; says what pip says.
        PluginError: this interpreter has no pip.
    """
    key = hashlib.sha256(f"{_FORMAT}\n{place}\n{slimming.RULES}\n{sys.version}\n{lock}".encode()).hexdigest()[:16]
    folder = cache / f"python{place.python}-{place.machine}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two deploys at once need not both fetch them
        if not folder.is_dir():
            work = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
            try:
                _pip(lock, place, work)
                slimming.slim(work / "packages")
                if place.is_here:
                    compile_folder(work / "packages")
                (work / "packages").rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return folder


def compile_folder(folder: Path) -> None:
    """Write the byte code of all modules beside them, always the same, and never checked against its source.

    A function's folder cannot be written to, so that Python would compile every module at every start.
    """
    subprocess.run(
        [sys.executable, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", ".", "."],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
    )


def _pip(lock: str, place: Place, work: Path) -> None:
    (work / "lock.txt").write_text(lock)
    command = [
        *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile", "--target", "packages"),
        # pip compares what a package asks for with the Python that runs it; the hashes say which ones are wanted.
        *("--python-version", place.python, "--implementation", "cp", "--ignore-requires-python"),
        *(part for name in place.platforms for part in ("--platform", name)),
        *("--requirement", "lock.txt"),
    ]
    ran = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = ran.stderr.strip()
        if "No module named pip" in said:
            raise PluginError(
                f"{sys.executable} has no pip, which a function's packages need", hint="python -m ensurepip"
            )
        lines = said.splitlines()
        last = "\n".join([line for line in lines if line.startswith("ERROR")] or lines[-6:])
        raise DeploymentError(
            f"pip cannot fetch what a function for Python {place.python} on {place.machine} needs:\n{last}",
            hint="it needs its package index, or its cache, and a wheel for that Python and CPU",
        )
