"""Who is alive is judged by locks, which end with their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pizzeria import holding
from pizzeria.holding import held, held_if_free, is_gone, is_held, is_held_within, mark, take


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom pizzeria.holding import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_held(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    assert not is_held(tmp_path)


def test_what_lies_in_a_folder_is_held_too(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    path.parent.mkdir()
    path.touch()
    with held(path, shared=True), held(path, shared=True):
        assert is_held_within(tmp_path)
        assert not is_held(tmp_path)
    assert not is_held_within(tmp_path)


def test_links_and_what_is_not_there_are_free(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "gone"):
        with held_if_free(tmp_path / name) as free:
            assert free


def test_whoever_takes_has_patience_with_one_who_only_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    path.touch()
    looking = threading.Event()

    def look() -> None:
        with held_if_free(path):
            looking.set()
            time.sleep(0.2)

    thread = threading.Thread(target=look)
    thread.start()
    looking.wait()
    with open(path) as stream, monkeypatch.context() as patient:
        patient.setattr(holding, "_PATIENCE_S", 60)
        assert take(stream)
    thread.join()
    with held(path), open(path) as stream:
        assert not take(stream)


def test_one_who_died_is_gone_though_a_process_that_it_forked_off_holds_its_lock(tmp_path: Path) -> None:
    """As those that load photos do, for some seconds."""
    code = (
        "import os, signal, sys, time\nfrom pathlib import Path\nfrom pizzeria.holding import held, mark\n"
        "with held(Path(sys.argv[1])):\n"
        "    print(mark(), flush=True)\n"
        "    if os.fork() == 0:\n"
        "        print(os.getpid(), flush=True); time.sleep(60)\n"
        "    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        parent, child = process.stdout.readline().strip(), int(process.stdout.readline())
        try:
            assert not is_gone(parent)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert is_held(tmp_path)
            assert is_gone(parent)
        finally:
            os.kill(child, signal.SIGKILL)


def test_of_another_machine_or_container_nothing_is_known(tmp_path: Path) -> None:
    space, _, process = mark().partition("/")
    assert not is_gone(mark())
    assert not is_gone(f"another{space}/{process}")
    assert not is_gone("")
    pid, _, born = process.partition("/")
    assert is_gone(f"{space}/{pid}/{int(born) + 1}")
