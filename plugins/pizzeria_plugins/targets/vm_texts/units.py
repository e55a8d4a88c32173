"""systemd's units: the services of the slots, as shut in as they can work, and timers."""

from __future__ import annotations

from collections.abc import Sequence

_INTERVALS = {
    "5m": "*:0/5",
    "10m": "*:0/10",
    "15m": "*:0/15",
    "20m": "*:0/20",
    "30m": "*:0/30",
    "1h": "hourly",
    "2h": "0/2:00",
    "3h": "0/3:00",
    "4h": "0/4:00",
    "6h": "0/6:00",
    "8h": "0/8:00",
    "12h": "0/12:00",
    "1d": "daily",
    "7d": "weekly",
}

# Neither ONNX Runtime on a CPU nor Python makes code at run time, so that memory need not be writable and executable.
# ProcSubset stays open: ONNX Runtime reads /proc/cpuinfo to know its instructions.
# ZeroMQ, by which BentoML's supervisor speaks to its workers, aborts the process when a thread may not set the
# scheduler that it has already (sched_setscheduler), or may not ask for the machine's interfaces (AF_NETLINK).
_SHUT_IN = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateUsers=yes
PrivateIPC=yes
PrivateMounts=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=sched_setscheduler
SystemCallErrorNumber=EPERM
UMask=0077
"""
_LOOPBACK = "IPAddressDeny=any\nIPAddressAllow=localhost\n"


def service_unit(
    name: str,
    slot: str,
    argv: Sequence[str],
    *,
    user: str | None,
    folder: str,
    files: Sequence[str],
    writes: str,
    start_s: int,
    stop_s: int,
    loopback: bool,
) -> str:
    """The unit of one slot.

    Args:
        argv: The service.
        folder: Its working folder.
        files: Of environment variables.
        writes: The folder that it may write to.
        loopback: Whether it needs nobody but this machine.
    """
    sources = "".join(f"EnvironmentFile={file}\n" for file in files)
    return (
        f"# Written by Pizzeria, and again with each deployment.\n"
        f"[Unit]\nDescription=Pizzeria {name}, slot {slot}\nAfter=network-online.target\nWants=network-online.target\n"
        f"StartLimitIntervalSec=60\nStartLimitBurst=4\n\n"
        f"[Service]\nType=notify\nNotifyAccess=main\n{_user(user)}WorkingDirectory={folder}\n{sources}"
        f"ExecStart={command_line(argv)}\nRestart=on-failure\nRestartSec=1\nKillMode=mixed\n"
        f"TimeoutStartSec={start_s}\nTimeoutStopSec={stop_s}\n"
        f"ReadWritePaths={writes}\n{_SHUT_IN}{_LOOPBACK if loopback else ''}\n"
        f"[Install]\nWantedBy=multi-user.target\n"
    )


def task_unit(name: str, what: str, argv: Sequence[str], *, user: str | None, files: Sequence[str], writes: str) -> str:
    """The unit of what a timer starts. An alert ends it with 10, something undecided with 11: both are no failure."""
    sources = "".join(f"EnvironmentFile={file}\n" for file in files)
    return (
        f"# Written by Pizzeria, and again with each deployment.\n"
        f"[Unit]\nDescription=Pizzeria {name}, {what}\nAfter=network-online.target\nWants=network-online.target\n\n"
        f"[Service]\nType=oneshot\n{_user(user)}{sources}WorkingDirectory={writes}\nExecStart={command_line(argv)}\n"
        f"SuccessExitStatus=10 11\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n"
        f"ReadWritePaths={writes}\nUMask=0077\n"
    )


def timer_unit(name: str, what: str, interval: str) -> str:
    """Starts the unit of the same name; what was missed while the machine was off is made up for."""
    return (
        f"# Written by Pizzeria, and again with each deployment.\n"
        f"[Unit]\nDescription=Pizzeria {name}, {what} every {interval}\n\n"
        f"[Timer]\nOnCalendar={_INTERVALS[interval]}\nRandomizedDelaySec=30\nPersistent=true\n\n"
        f"[Install]\nWantedBy=timers.target\n"
    )


def command_line(argv: Sequence[str]) -> str:
    """A command as `ExecStart=` reads it, without its variables and specifiers.

    Example:
        >>> print(command_line(["/bin/echo", 'a "b"', "5 %", "$HOME"]))
        "/bin/echo" "a \\"b\\"" "5 %%" "$$HOME"
    """
    return " ".join(map(_word, argv))


def _word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _user(user: str | None) -> str:
    return "" if user is None else f"User={user}\nGroup={user}\n"
