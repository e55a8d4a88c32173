"""The locks that ship with Pizzeria: what each kind of place needs, pinned with hashes; `make lock` writes them.

They are universal: pip picks by Python and platform from the markers and hashes in them.
"""

from __future__ import annotations

from pathlib import Path

from pizzeria.errors import nearest

_FOLDER = Path(__file__).parent / "locks"

LICENCES = _FOLDER / "licences.json"
"""By `name==version`, the licences of their packages: see `pizzeria.sbom.licences`."""

LOCKS = ("serve", "serve-postgresql", "serve-parquet", "monitor", "lambda", "azure-function", "google-function")
"""Names of the locks: extras of Pizzeria, joined by `-`; `monitor` has all prediction logs, the report and `cycle`."""


def read_lock(name: str) -> str:
    """The text of one lock, for `pip install --require-hashes -r`.

    Raises:
        KeyError: there is no such lock.

    Example:
        >>> "onnxruntime==" in read_lock("serve"), "torch==" in read_lock("serve")
        (True, False)
    """
    if name not in LOCKS:
        raise KeyError(f"there is no lock {name!r}; {nearest(name, LOCKS)}")
    return (_FOLDER / f"{name}.txt").read_text()
