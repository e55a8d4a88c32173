"""This very installation of Pizzeria as a wheel, so that what serves elsewhere is the code that was tested here.

It works for a checkout as for an installed copy, needs no build tool, and the same code gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from pizzeria.errors import PluginError
from pizzeria.shipment.archive import write_zip
from pizzeria.spec.compose import shipped_conf

_PACKAGES = ("pizzeria", "pizzeria_plugins")
_WHEEL = "Wheel-Version: 1.0\nGenerator: pizzeria\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel_name() -> str:
    """The file's name, such as `pizzeria-0.1.0-py3-none-any.whl`."""
    return f"pizzeria-{_own().version}-py3-none-any.whl"


@cache
def wheel_files() -> dict[str, bytes]:
    """Every file of the wheel by its name in it: both packages, the shipped `conf`, and the metadata.

    Raises:
        PluginError: Pizzeria is not installed, only imported.
    """
    own = _own()
    files = {name: path.read_bytes() for name, path in _sources()}
    info = f"pizzeria-{own.version}.dist-info"
    files[f"{info}/METADATA"] = (own.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (own.read_text("entry_points.txt") or "").encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    lines = [f"{name},sha256={_digest(files[name])},{len(files[name])}" for name in sorted(files)]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    return files


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder; returns its path.

    Raises:
        PluginError: Pizzeria is not installed, only imported.
    """
    path = folder / wheel_name()
    write_zip(path, wheel_files())
    return path


def _own() -> Distribution:
    from importlib.metadata import PackageNotFoundError

    try:
        return distribution("pizzeria")
    except PackageNotFoundError:
        raise PluginError("Pizzeria is not installed, so it cannot be sent", hint="pip install it first") from None


def _sources() -> Iterator[tuple[str, Path]]:
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        for location in spec.submodule_search_locations or ():
            for path in sorted(Path(location).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield f"{package}/{path.relative_to(location).as_posix()}", path
    conf = shipped_conf()
    for path in sorted(conf.rglob("*")):
        if path.is_file():
            yield f"pizzeria/conf/{path.relative_to(conf).as_posix()}", path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
