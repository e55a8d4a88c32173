"""Runs while an image is built, with the tools' own Python: makes the folders that the last stage copies.

python furnish.py packages   environment of the wheels in /build/ready
python furnish.py own        Pizzeria's own wheel, beside the environment so that it is a small layer of its own;
                             what is installed then is held to packages.txt

Nothing that is made depends on when, where or how often it is made: no times, no order of a directory, bytecode that is
found valid by its content.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

HOME = Path("/opt/pizzeria")
ENVIRONMENT, OWN = HOME / "env", HOME / "own"
STATE = Path("/var/lib/pizzeria")
BUILD = Path("/build")
PYTHON = BUILD / "tools/bin/python"

_USELESS_FOLDERS = {"tests", "testing", "test"}
_USED_ALL_THE_SAME = {("numpy", "testing"), ("hydra", "test"), ("markdown_it", "test")}
_USELESS_AT_ALL = ("nvidia",)
"""Libraries for GPUs, 400 MB, that XGBoost asks for; what watches a model has FLAML tune trees on the CPU."""
_USELESS_FILES = (".pyi", ".pyx", ".pxd", ".c", ".h", ".hpp", ".cpp", ".a")


def main(what: str) -> None:
    """Make the one or the other."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))
    if what == "packages":
        packages()
        date(HOME, epoch)
    else:
        own()
        date(OWN, epoch)
        for name in ("predictions", "store/.predictions"):  # a volume takes its owner from the folder below it
            (STATE / name).mkdir(parents=True)
        date(STATE, epoch)


def packages() -> None:
    """The environment of the service: no pip, no tests, no sources of C."""
    run(sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT)
    wheels = sorted((BUILD / "ready").glob("*.whl"))
    install = ("install", "--no-index", "--no-deps", "--no-compile", "--no-warn-script-location")
    run(PYTHON, "-m", "pip", "--python", ENVIRONMENT / "bin/python", *install, *wheels)
    for script in (ENVIRONMENT / "bin").glob("[aA]ctivate*"):
        script.unlink()
    [site] = ENVIRONMENT.glob("lib/python3*/site-packages")
    slim(site)
    (site / "pizzeria-own.pth").write_text(f"{OWN}\n")
    bytecode(site)
    for name in ("healthy.py", "front.py"):
        shutil.copyfile(BUILD / name, HOME / name)


def own() -> None:
    """Pizzeria itself; and everything that is installed now must be in the list, and the other way round."""
    [wheel] = (BUILD / "own").glob("pizzeria-*.whl")
    run(PYTHON, "-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "--target", OWN, wheel)
    bytecode(OWN)
    [site] = ENVIRONMENT.glob("lib/python3*/site-packages")
    check([site, OWN], (BUILD / "packages.txt").read_text().split())


def check(sites: list[Path], listed: list[str]) -> None:
    """Hold what is installed to the list from which sbom.json was made."""
    wanted = {f"{plain(name)}=={version}" for name, version in (one.split("==") for one in listed)}
    paths = [str(site) for site in sites]
    found = {f"{plain(one.metadata['Name'])}=={one.version}" for one in distributions(path=paths)}
    if found != wanted:
        print("installed, and not listed:", *sorted(found - wanted))
        print("listed, and not installed:", *sorted(wanted - found))
        print("does the base image have the Python that deployment.python names? It has", sys.version)
        sys.exit(1)


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def slim(site: Path) -> None:
    """Take away what no service imports."""
    for name in _USELESS_AT_ALL:
        shutil.rmtree(site / name, ignore_errors=True)
    for folder, _, names in os.walk(site, topdown=False):
        path = Path(folder)
        parts = path.relative_to(site).parts
        if parts and parts[-1] in _USELESS_FOLDERS and (parts[0], parts[-1]) not in _USED_ALL_THE_SAME:
            shutil.rmtree(path)
            continue
        for name in names:
            if name.endswith(_USELESS_FILES) and not any(part.endswith(".dist-info") for part in parts):
                (path / name).unlink()


def bytecode(folder: Path) -> None:
    """Compile, for a root file system that cannot be written to; no time of a source is in it."""
    compileall.compile_dir(
        folder, quiet=2, force=True, workers=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )


def date(folder: Path, epoch: int) -> None:
    """One time for all, and modes that any user may run with."""
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def run(*argv: object) -> None:
    """A command, whose end other than well is ours too."""
    subprocess.run([str(part) for part in argv], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
