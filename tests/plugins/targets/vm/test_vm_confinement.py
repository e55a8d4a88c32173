"""The hardened unit: what systemd says of it, and that the service can live in it.

No systemd runs where the tests do. What its unit forbids is therefore forbidden by the same means, seccomp, with the
lists that systemd itself keeps; folders, devices and namespaces are not.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pizzeria.conformance.corpus import differences, over_http, record
from pizzeria.conformance.tiny_bundles import OLDER
from pizzeria.contracts import Release
from pizzeria.ports import free_port
from pizzeria.spec.deployment import Interval
from pizzeria_plugins.targets import vm
from pizzeria_plugins.targets.vm_agent.probing import readiness
from pizzeria_plugins.targets.vm_texts.units import timer_unit

from .conftest import until

if not shutil.which("systemd-analyze"):
    pytest.skip("systemd-analyze is not installed: units are not tested", allow_module_level=True)

UNIT = "systemd/pizzeria-rooms-a.service"

# What a unit's SystemCallFilter, RestrictAddressFamilies and MemoryDenyWriteExecute come down to; then the
# command.
CONFINED = """
import ctypes, json, os, sys
allowed, families, argv = json.loads(sys.argv[1])
seccomp = ctypes.CDLL("libseccomp.so.2")
class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
EQUAL, MASKED = 4, 7
ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
context = seccomp.seccomp_init(EPERM)
def allow(name, *compared):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        array = (Compare * len(compared))(*compared)
        assert seccomp.seccomp_rule_add_array(context, ALLOW, number, len(compared), array) == 0, name
for name in allowed:
    if name == "socket":
        for family in families:
            allow(name, Compare(0, EQUAL, family, 0))
    elif name == "mmap":
        allow(name, Compare(2, MASKED, 4, 0))
        allow(name, Compare(2, MASKED, 2, 0))
    elif name in ("mprotect", "pkey_mprotect"):
        allow(name, Compare(2, MASKED, 4, 0))
    else:
        allow(name)
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0
assert seccomp.seccomp_load(context) == 0
os.execv(argv[0], argv)
"""


def test_a_unit_is_exposed_by_at_most_two(release_of: Callable[..., Release], tmp_path: Path) -> None:
    release = release_of(OLDER, "rooms")
    unlogged = release_of(OLDER, "rooms", log=None)
    for one in (release, unlogged):
        unit = tmp_path / Path(UNIT).name
        unit.write_text(vm.render(one, vm.Options(host="vm")).files[UNIT])
        said = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True
        )
        assert said.returncode == 0, said.stdout[-300:]
        assert "Unknown" not in said.stderr


def test_systemd_reads_units_and_timers_without_complaint(release_of: Callable[..., Release], tmp_path: Path) -> None:
    units = vm.render(release_of(OLDER, "rooms"), vm.Options(host="vm")).files
    for one in get_args(Interval):
        calendar = re.search(r"OnCalendar=(.*)", timer_unit("rooms", "monitor", one))
        assert calendar
        subprocess.run(["systemd-analyze", "calendar", calendar[1]], check=True, capture_output=True)
    unit = tmp_path / Path(UNIT).name
    # The program is not there on this machine; all else is judged.
    text = re.sub(r'ExecStart="[^"]+"', 'ExecStart="/bin/true"', units[UNIT])
    unit.write_text(re.sub(r"(EnvironmentFile|WorkingDirectory)=.*\n", "", text))
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert unit.name not in said.stderr


@pytest.mark.slow
def test_the_service_lives_with_the_system_calls_and_memory_that_its_unit_allows(
    release_of: Callable[..., Release], tmp_path: Path
) -> None:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed: the filter of the unit is not tested")
    release = release_of(OLDER, "rooms")
    allowed: set[str] = set()
    unit = vm.render(release, vm.Options(host="vm")).files[UNIT]
    [named] = re.findall(r"RestrictAddressFamilies=(.*)", unit)
    families = [int(getattr(socket, name)) for name in named.split()]
    assert "MemoryDenyWriteExecute=yes" in unit
    for line in re.findall(r"SystemCallFilter=(.*)", unit):
        for word in line.removeprefix("~").split():
            calls = _calls(word) if word.startswith("@") else {word}
            allowed = allowed - calls if line.startswith("~") else allowed | calls
    assert "mount" not in allowed
    assert "sched_setaffinity" not in allowed
    port = free_port()
    release.state.mkdir()
    release.log_folder.mkdir()
    rendered = release.server.render(release, "127.0.0.1", port)
    plain = json.dumps([sorted(allowed), families, list(rendered.commands[0])])
    environment = {"PATH": os.environ["PATH"], "HOME": str(release.state), **rendered.environment}
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    manager.settimeout(60)
    environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
    output = tmp_path / "out"
    with open(output, "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", CONFINED, plain],
            env=environment,
            cwd=release.state,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:

        def ready() -> bool:
            assert process.poll() is None, output.read_text()
            return bool(readiness({"host": "127.0.0.1", "port": port}))

        until(ready)
        said_to_manager, credentials, *_ = manager.recvmsg(4096, 256)
        assert b"READY=1" in said_to_manager
        sender = int.from_bytes(credentials[0][2][:4], sys.byteorder)
        assert sender == process.pid, "systemd believes the main process alone"
        assert "NotifyAccess=main" in unit
        assert Path(f"/proc/{process.pid}/status").read_text().count("Seccomp:\t2") == 1
        assert differences(record(OLDER, release.serving), over_http(f"http://127.0.0.1:{port}")) == []
    finally:
        process.terminate()
        process.wait(120)
        manager.close()
    said = output.read_text()
    assert "Traceback" not in said
    assert "Operation not permitted" not in said


def _calls(group: str) -> set[str]:
    """The system calls of one of systemd's groups."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True
    )
    out: set[str] = set()
    for line in listed.stdout.splitlines()[1:]:
        word = line.partition("#")[0].strip()
        out |= _calls(word) if word.startswith("@") else {word} if word else set()
    return out
