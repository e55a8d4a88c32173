"""What all tests share: a working folder of their own, and the real data where they are."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"

# No test shall find what an earlier run, or the user, has in the cache.
_CACHE = tempfile.mkdtemp(prefix="pizzeria-cache-")
os.environ["PIZZERIA_CACHE"] = _CACHE
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

# Whoever runs the tests in the background hands them an ignored Ctrl-C, and some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two cores are shared by two tests, their services and browsers: threads that wait for one another by spinning take 2.6
# times the processor time of one thread alone.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time, so that what passes today passes tomorrow; --hypothesis-profile=search draws others. A
# busy machine may stop a test for longer than the 200 ms that Hypothesis gives an example, and the second for drawing.
PATIENT: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("steady", settings.default, derandomize=True, **PATIENT)
settings.register_profile("search", settings.default, **PATIENT)
settings.load_profile("steady")

DEMO = ("tests/end_to_end/test_commands.py", "tests/end_to_end/test_demo.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process, as `--dist loadfile` has it, and so do those that share the demo: one is enough."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return DEMO[0] if file in DEMO else file

    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


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
