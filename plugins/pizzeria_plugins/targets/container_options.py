"""Options of the target `container`, all checked before anything is rendered."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.targets.container_image.references import checked_image, checked_reference

_LONGEST_VALUE = 4096


def _project(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        raise ValueError(f"{text[:80]!r} names no compose project; write up to 63 of a-z, 0-9, _ and -: kitchen")
    return text


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no IP address; write 127.0.0.1 or 0.0.0.0, say") from None
    if "%" in text or found.version != 4:
        raise ValueError(f"{text[:80]!r} is no IPv4 address; write 127.0.0.1 or 0.0.0.0, say")
    return text


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text):
        raise ValueError(f"{text[:80]!r} names no environment variable; write letters, digits and _: LOG_LEVEL")
    return text


def _value(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST_VALUE:
        raise ValueError(
            f"{text[:60]!r} is no value that an image can hold; write one line of at most {_LONGEST_VALUE} characters "
            "without control characters"
        )
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,11}[kmg]", text):
        raise ValueError(f"{text[:80]!r} is no amount of memory; write 512m or 2g")
    return text


def _path(path: Path) -> Path:
    if not str(path).isprintable() or {",", '"'} & set(str(path)):
        raise ValueError(
            f"{str(path)[:80]!r} is no path for a build; one without commas, quotes and control characters"
        )
    return path


Reference = Annotated[str, AfterValidator(checked_reference)]
Image = Annotated[str, AfterValidator(checked_image)]
Project = Annotated[str, AfterValidator(_project)]
Address = Annotated[str, AfterValidator(_address)]
Variable = Annotated[str, AfterValidator(_variable)]
Value = Annotated[str, AfterValidator(_value)]
Memory = Annotated[str, AfterValidator(_memory)]
PathHere = Annotated[Path, AfterValidator(_path)]


class Options(PluginOptions):
    """Options of the `container` target."""

    image: Image | None = Field(
        default=None,
        description="Name of the image; without a tag it gets the model's sha256 as one. null: pizzeria/<name>.",
    )
    base: Reference = Field(
        default="python:3.11-slim",
        description="Image with Python to build on; best pinned: python:3.11-slim@sha256:...",
    )
    python: Literal["3.11", "3.12"] = Field(default="3.11", description="Version of the base's Python.")
    platform: Literal["linux/amd64", "linux/arm64"] = Field(default="linux/amd64", description="What it runs on.")
    builder: Literal["auto", "docker", "podman", "buildah"] = Field(
        default="auto",
        description="What builds it; auto: the first of them that works here. buildah needs podman to run.",
    )
    push: bool = Field(default=False, description="Push the image to the registry that its name begins with.")
    wheels: PathHere | None = Field(
        default=None, description="Folder with the lock's wheels, for a build without a package index."
    )
    pip_config: PathHere | None = Field(
        default=None, description="pip.conf for the build, as a secret: it stays out of the image."
    )
    host: Address = Field(default="127.0.0.1", description="IPv4 address to listen on; 0.0.0.0 lets others in.")
    port: int = Field(default=3000, ge=1, le=65535, description="TCP port to listen on.")
    front: bool = Field(
        default=True,
        description="A small container owns the port and passes connections on, so that a redeploy loses no request; "
        "it needs Linux. false: the service owns the port, with a gap of seconds when another takes over.",
    )
    environment: dict[Variable, Value] = Field(
        default_factory=dict, description="More environment variables of the service: {NAME: value}; no secrets."
    )
    memory: Memory | None = Field(
        default=None, description="Most memory that the service may take: 2g; null: no limit."
    )
    cpus: float | None = Field(
        default=None, gt=0, le=1024, description="Most cores that the service may take; null: no limit."
    )
    ready_timeout_s: float = Field(default=90, gt=0, description="How long a new service may take until it is ready.")
    stop_timeout_s: int = Field(
        default=40, gt=0, description="How long a service may take to answer its last requests before it is killed."
    )
    project: Project | None = Field(default=None, description="Name of the compose project; null: the spec's name.")
    monitor: bool = Field(
        default=True,
        description="compose.yaml has a service that runs `pizzeria monitor` by deployment.schedule, or hourly.",
    )
    postgres: Reference | None = Field(
        default="postgres:17-bookworm",
        description="Image of the database in compose.yaml, where serving.log is postgresql; null: you have one.",
    )
