"""Options of the target `vm`, all checked before anything is rendered."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pizzeria.spec.section import Options as PluginOptions

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*")
_PATH = re.compile(r"(/[A-Za-z0-9_@+.-]+)+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _path_there(value: str) -> str:
    if not _PATH.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError(
            f"{value!r} is no path that can stand in a unit and in nginx's configuration; write an absolute one of "
            "letters, digits and ._@+-, such as /opt/pizzeria"
        )
    return value


def _program_there(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", value) else _path_there(value)


PathThere = Annotated[str, AfterValidator(_path_there)]
ProgramThere = Annotated[str, AfterValidator(_program_there)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Options(PluginOptions):
    """Options of the `vm` target."""

    host: str = Field(description="The machine: a name, an address, or a Host of your ~/.ssh/config.")
    user: str | None = Field(default=None, description="Who logs in; null: as ~/.ssh/config says.")
    port: Port | None = Field(default=None, description="Port of its SSH server; null: as ~/.ssh/config says.")
    key: Path | None = Field(default=None, description="Private key file; null: the agent, or as ~/.ssh/config says.")
    known_hosts: Path | None = Field(
        default=None, description="File with the machine's host key, which is always checked; null: ~/.ssh/known_hosts."
    )
    sudo: bool = Field(default=False, description="Work as root there by `sudo -n`; for a user who is not root.")
    connect_timeout_s: int = Field(
        default=10, ge=1, description="How long the machine may take to accept a connection."
    )

    root: PathThere = Field(default="/opt/pizzeria", description="Folder on the machine for all that is deployed.")
    python: ProgramThere = Field(default="python3", description="Python 3.11 or 3.12 on the machine.")
    python_environment: PathThere | None = Field(
        default=None, description="An environment on the machine that has all that is needed; null: one is made."
    )
    wheels: Path | None = Field(
        default=None, description="Folder here with the lock's wheels, for a machine without a package index."
    )
    service_user: str | None = Field(
        default="pizzeria", description="Whom the service runs as; made if there is none. null: whoever logs in."
    )
    supervisor: Literal["auto", "systemd", "supervisord"] = Field(
        default="auto", description="What keeps the service running; auto: systemd where there is one."
    )
    environment: dict[str, str] = Field(default={}, description="More variables for the service; no secrets.")
    slot_ports: tuple[Port, Port] = Field(
        default=(8101, 8102), description="Loopback ports of the two slots, of which one is live."
    )
    keep: int = Field(default=3, ge=2, description="Releases that stay on the machine.")
    keep_running: bool = Field(
        default=True, description="The slot before stays up, so that going back is a switch; else it is stopped."
    )

    listen: str = Field(default="0.0.0.0", description="IP address that nginx listens on.")  # noqa: S104 - nginx in front is for all
    listen_port: Port = Field(default=80, description="Port that nginx listens on.")
    server_name: str | None = Field(default=None, description="Host name that nginx answers to; null: any.")
    tls_certificate: PathThere | None = Field(default=None, description="Certificate chain on the machine; null: HTTP.")
    tls_key: PathThere | None = Field(default=None, description="Its private key on the machine.")
    address: str | None = Field(
        default=None,
        description="Where clients reach the service, such as https://rooms.example.com; null: from above.",
    )

    ready_timeout_s: float = Field(default=90, gt=0, description="How long a new service may take until it is ready.")
    stop_timeout_s: float = Field(
        default=45, gt=0, description="How long a service may take to answer its last requests before it is killed."
    )
    maintain_command: tuple[str, ...] | None = Field(
        default=None, description="The command on the machine that deployment.schedule.maintain runs."
    )

    systemd_folder: PathThere = Field(default="/etc/systemd/system", description="Folder of systemd's units.")
    supervisor_folder: PathThere = Field(
        default="/etc/supervisor/conf.d", description="Folder of programs (*.conf) that supervisord includes."
    )
    supervisor_config: PathThere | None = Field(default=None, description="File for `supervisorctl -c`.")
    nginx_folder: PathThere = Field(
        default="/etc/nginx/conf.d", description="Folder whose *.conf nginx includes in its http block."
    )
    nginx_config: PathThere | None = Field(default=None, description="File for `nginx -c`.")
    nginx_prefix: PathThere | None = Field(default=None, description="Folder for `nginx -p`.")

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if not _HOST.fullmatch(host):
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(
                    f"{host!r} is no host; write vm.example.com, 10.0.0.7 or a Host of ~/.ssh/config"
                ) from None
        return host

    @field_validator("user", "service_user")
    @classmethod
    def _is_a_user(cls, user: str | None) -> str | None:
        if user is not None and not _USER.fullmatch(user):
            raise ValueError(f"{user!r} is no user's name; write lower-case letters, digits, - and _, such as deploy")
        return user

    @field_validator("key", "known_hosts", "wheels")
    @classmethod
    def _is_a_file_name(cls, path: Path | None) -> Path | None:
        if path is not None and any(ord(char) < 32 or char in '"\\\x7f' for char in str(path)):
            raise ValueError(f"{str(path)!r} has a quotation mark, a backslash or a control character; rename it")
        return path

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, listen: str) -> str:
        try:
            return str(ip_address(listen))
        except ValueError:
            raise ValueError(f"{listen!r} is no IP address; write 0.0.0.0, 127.0.0.1 or ::, say") from None

    @field_validator("server_name")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not (_NAME.fullmatch(name) and len(name) <= 253):
            raise ValueError(f"{name!r} is no host name; write one such as rooms.example.com")
        return name

    @field_validator("address")
    @classmethod
    def _is_a_url(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", address):
            raise ValueError(f"{address!r} is no address; write https://rooms.example.com, without a path")
        return address

    @field_validator("environment")
    @classmethod
    def _are_variables(cls, environment: dict[str, str]) -> dict[str, str]:
        for name, value in environment.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable; write letters, digits and _, such as TZ")
            if name.startswith(("PIZZERIA_", "BENTOML_")):
                raise ValueError(f"{name} is set by Pizzeria itself; leave it out")
            if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value):
                raise ValueError(f"the value of {name} has a control character; write it on one line")
        return environment

    @field_validator("maintain_command")
    @classmethod
    def _is_a_command(cls, command: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if command is not None:
            if not command:
                raise ValueError(
                    "[] is no command; write [/opt/train/bin/pizzeria, --store, /srv/runs, maintain, rooms]"
                )
            _path_there(command[0])
            if any(ord(char) < 32 or ord(char) == 127 or ord(char) > 126 for word in command for char in word):
                raise ValueError("the command has a control character or a letter beyond ASCII; write it without")
        return command

    @model_validator(mode="after")
    def _goes_together(self) -> Options:
        if self.slot_ports[0] == self.slot_ports[1] or self.listen_port in self.slot_ports:
            raise ValueError(
                f"slot_ports {list(self.slot_ports)} and listen_port {self.listen_port} must be three ports; "
                "write slot_ports: [8101, 8102]"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; give both or none")
        return self

    @property
    def public_address(self) -> str:
        """Where clients reach the service."""
        if self.address is not None:
            return self.address
        host = self.server_name or self.host
        scheme, usual = ("https", 443) if self.tls_certificate else ("http", 80)
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}" + ("" if self.listen_port == usual else f":{self.listen_port}")
