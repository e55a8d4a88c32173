"""What all tests share: a working folder of their own, and the real data where they are."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"

# No test shall find what an earlier run, or the user, has in the cache.
_CACHE = tempfile.mkdtemp(prefix="pizzeria-cache-")
os.environ["PIZZERIA_CACHE"] = _CACHE
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

# Whoever runs the tests in the background hands them an ignored Ctrl-C, and some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two cores are shared by the test, the service that it starts and the browser that looks at it.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with its own store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIZZERIA_STORE", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; a test that uses it is skipped, by name, where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real photos and tables are not tested")
    return SHARED
