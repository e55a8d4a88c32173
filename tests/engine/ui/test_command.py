"""`pizzeria ui` as a command: what it prints, who it serves, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx


def begin(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-u", "-m", "pizzeria.cli", "--store", str(folder / "runs"), "ui", "--port", "0"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline()


def end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    return rest(process)


def rest(process: subprocess.Popen[str]) -> str:
    """What it says until its end; `communicate` would lose what was read ahead of the first line."""
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    process.wait(timeout=60)
    return said


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    process, said = begin(tmp_path, "--actions")
    found = re.match(r"(http://127\.0\.0\.1:\d+)(/-/in\?token=\S+)", said)
    assert found is not None, said
    with httpx.Client(base_url=found[1], follow_redirects=True, timeout=60) as client:
        assert "Nothing has run in this store yet" in client.get("/").text
        client.get(found[2])
        assert "actions on" in client.get("/").text
    assert "Traceback" not in end(process)
    assert process.returncode in (0, 130)


def test_others_are_asked_for_the_token(tmp_path: Path) -> None:
    process, said = begin(tmp_path, "--host", "0.0.0.0", "--name", "pages.example")
    found = re.match(r"(http://127\.0\.0\.1:\d+)/-/in\?token=\S+   \(who opens this link may read", said)
    assert found is not None, said
    assert httpx.get(f"{found[1]}/", timeout=60).status_code == 401
    assert httpx.get(f"{found[1]}/-/health", headers={"host": "pages.example"}, timeout=60).status_code == 200
    end(process)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process, said = begin(tmp_path, "--port", port)
        said += rest(process)
    assert process.returncode == 1
    assert f"nothing can listen at 127.0.0.1:{port}" in said
    assert "--port 0" in said
