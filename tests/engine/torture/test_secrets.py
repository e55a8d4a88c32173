"""The trial of secrets sees a secret wherever it lies, and each call that wants to leave the machine."""

from __future__ import annotations

import base64
import gzip
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pizzeria.torture import secrets
from pizzeria.torture.secrecy.network import cut_off, departures, watched
from pizzeria.torture.secrecy.planted import found_in, leaks, plant
from pizzeria.torture.trial import Tally

SECRET = "0a1b2c/+3d4e5f="
PLANTED = {"DB": SECRET}


@pytest.mark.parametrize("before", range(4))
def test_a_secret_is_seen_however_it_is_written(before: int) -> None:
    around = b"x" * before + SECRET.encode() + b"and more"
    for text in (around, quote(SECRET, safe="").encode(), base64.b64encode(around)):
        assert found_in(text, PLANTED) == ["DB"]
    assert found_in(b"0a1b2c", PLANTED) == []


def test_it_is_seen_in_whatever_is_left(tmp_path: Path) -> None:
    (tmp_path / "plain.log").write_text(f"could not open postgresql://ann:{quote(SECRET, safe='')}@db")
    (tmp_path / "old.gz").write_bytes(gzip.compress(SECRET.encode()))
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", SECRET)
    pq.write_table(pa.table({"note": [SECRET] * 50}), tmp_path / "log.parquet")
    (tmp_path / f"{quote(SECRET, safe='')}.txt").touch()
    (tmp_path / "fine.txt").write_text("nothing")
    seen = dict(leaks(tmp_path, PLANTED))
    assert [name for name, names in seen.items() if not names] == ["fine.txt"]
    tally = Tally()
    secrets._note_secrets(tmp_path, [b"serve --key " + SECRET.encode()], PLANTED, tally)
    assert (tally.tried, tally.held) == (7, 1)
    assert tally.broken[0].startswith("arguments of a process: DB in b'serve --key")


def test_what_is_planted_is_another_each_time_and_in_its_variable() -> None:
    variables, planted = plant(random.Random(3))
    assert len(set(planted.values())) == len(planted) > 20
    assert all(found_in(variables[name].encode(), {name: secret}) for name, secret in planted.items())


CALLS = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(("192.0.2.7", 443), 1)
with contextlib.suppress(OSError):
    socket.getaddrinfo("pizzeria.example", 80)
with socket.socket() as open_to_all, socket.socket() as here:
    open_to_all.bind(("0.0.0.0", 23456))
    here.bind(("127.0.0.1", 0))
    here.listen()
    socket.create_connection(here.getsockname()).close()
"""


def test_who_wants_to_leave_an_empty_network_is_told(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    if not cut_off() or not watched(trace):
        pytest.skip("unshare or strace may not be used here")
    subprocess.run([*watched(trace), *cut_off(), sys.executable, "-c", CALLS], check=True, timeout=60)
    told = {text.partition(" ")[2] for text in departures(trace.read_text())}
    looked_up = {text for text in told if text.endswith("port 53: a name is looked up")}
    assert told - looked_up == {"connects to 192.0.2.7 port 443", "listens on 0.0.0.0 port 23456"}
    assert looked_up or "nameserver" not in Path("/etc/resolv.conf").read_text()
