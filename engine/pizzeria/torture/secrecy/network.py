"""A network with nothing in it but this machine itself, and a list of who wanted to leave it.

    python -m pizzeria.torture.secrecy.network COMMAND...

brings up the loopback of the namespace that it is in, and becomes the command.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-Y", "-s", "200", "-e", "signal=none")
"""Beside its process, so that it ends with the last of its children and not before its own work is done."""
_CALLS = "trace=connect,sendto,sendmsg,sendmmsg,bind"
_UP = 0x1 | 0x40
_GET, _SET = 0x8913, 0x8914
_CALL = re.compile(r"^(?P<who>\d+(?:<[^>]*>)?)\s+(?P<call>connect|sendto|sendmsg|sendmmsg|bind)\((?P<rest>.*)$")
_ADDRESS = re.compile(
    r"sin6?_port=htons\((\d+)\)(?:, sin6_flowinfo=[^,]*)?, "
    r'(?:sin_addr=inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")'
)


def cut_off() -> list[str]:
    """How a command is started in an empty network; nothing where that cannot be had here."""
    for how in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if _works([*how, "true"]):
            return [*how, sys.executable, "-m", "pizzeria.torture.secrecy.network"]
    return []


def watched(trace: Path) -> list[str]:
    """How a command is started so that its calls to the network, and its children's, are written to a file; nothing
    where that cannot be had here."""
    how = [*_STRACE, "-e", _CALLS]
    return [*how, "-o", str(trace)] if _works([*how, "-o", os.devnull, "true"]) else []


def departures(trace: str) -> Iterator[str]:
    """Calls that wanted to leave the machine, look up a name, or let others in.

    Args:
        trace: What strace wrote.

    Example:
        >>> address = '{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}'
        >>> list(departures(f"7<python> connect(3, {address}, 16) = -1"))
        ['7<python> connects to 10.0.0.1 port 53: a name is looked up']
    """
    for line in trace.splitlines():
        call = _CALL.match(line)
        for port, four, six in _ADDRESS.findall(call["rest"]) if call else ():
            assert call is not None
            address = ipaddress.ip_address(four or six.partition("%")[0])
            known = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
            here = (known or address).is_loopback
            if call["call"] == "bind":
                if not here and port != "0":
                    yield f"{call['who']} listens on {address} port {port}"
            elif port == "53":
                yield f"{call['who']} {call['call']}s to {address} port 53: a name is looked up"
            elif not here and not (address.is_unspecified or port == "0"):
                yield f"{call['who']} {call['call']}s to {address} port {port}"


def _works(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _bring_up() -> None:
    with socket.socket() as asked:
        interface = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack("16xh", fcntl.ioctl(asked, _GET, interface)[:18])
        fcntl.ioctl(asked, _SET, struct.pack("16sh", b"lo", flags | _UP))


if __name__ == "__main__":
    _bring_up()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the trial's own command
