"""One of several processes that register versions of a model in one store, and put some of them live.

    python -m pizzeria.torture.registering SPEC PREFIX COUNT EVERY

Versions are called PREFIX-0 and so on; each EVERY-th is put live. The store is that of the environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import packed, put_live
from pizzeria.loading import load_resolved
from pizzeria.runs.store import Store
from pizzeria.torture.shelf import register


def main(path: str, prefix: str, count: int, every: int) -> None:
    """Register, and put live."""
    store, text = Store(), Path(path).read_text()
    for number in range(count):
        run = register(store, text, f"{prefix}-{number}")
        if (number + 1) % every == 0:
            found = packed(run, load_resolved(run.folder / "spec.yaml"), store)
            put_live(found.spec, run, found.bundle, found.sha256, store, Quiet())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
